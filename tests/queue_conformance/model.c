/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <stdlib.h>

const char *const model_workflows[MODEL_WORKFLOWS] = {"a", "b", "c"};
const char *const model_workers[MODEL_WORKERS] = {"w0", "w1", "w2", "w3"};
const char *const model_tenants[MODEL_TENANTS] = {"acme", "bolt", "coil"};
const char *const model_keys[MODEL_KEYS] = {NULL, "one", "two", "three", "four"};

struct model_job *model_job(struct model *m, int64_t id)
{
    for (uint32_t i = 0; i < m->n_jobs; i++)
        if (m->jobs[i].id == id)
            return &m->jobs[i];
    return NULL;
}

int32_t model_index(const char *const *names, int32_t n, const char *name)
{
    for (int32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    case_failed(__FILE__, __LINE__, "the model knows no %s", name);
}

void model_note(struct model *m, const struct model_job *j, int32_t kind, int64_t at_ms, int64_t value)
{
    CHECK(m->n_notes < MODEL_NOTES);
    m->notes[m->n_notes++] = (struct model_note){j->workflow, kind, at_ms, value};
}

/* ---- transitions ---- */

static void to_queue(struct model_job *j, int64_t now, bool front)
{
    j->status = BP_JOB_QUEUED;
    j->queued_ms = now;
    j->front = front;
}

static bool waits_for(const struct model_job *j, int64_t id)
{
    bool named = false;
    for (int i = 0; i < MODEL_AFTER; i++)
        named |= j->after[i] == id;
    return named && j->status == BP_JOB_SCHEDULED && j->waits_for > 0 && !j->doomed_by;
}

/* Wakes or dooms those that wait for the job; how many have to be swept. */
static int32_t ended(struct model *m, const struct model_job *parent, int64_t now)
{
    int32_t n = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = &m->jobs[i];
        if (!waits_for(j, parent->id))
            continue;
        if (parent->status != BP_JOB_COMPLETED) {
            j->doomed_by = parent->id;
            n++;
            continue;
        }
        if (--j->waits_for > 0)
            continue;
        j->not_before_ms = j->not_before_ms > now ? j->not_before_ms : now;
        n += j->not_before_ms <= now;
    }
    return n;
}

static int32_t to_end(struct model *m, struct model_job *j, int64_t now, int32_t status)
{
    j->status = status;
    j->finished_ms = now;
    j->cancel = 0;
    if (status == BP_JOB_FAILED)
        model_note(m, j, MODEL_FAILED, now, j->id);
    if (status == BP_JOB_COMPLETED)
        model_note(m, j, MODEL_COMPLETED, now, j->id);
    return ended(m, j, now);
}

static int32_t interrupt(struct model *m, struct model_job *j, int64_t now, int32_t max_requeues)
{
    bool counts = max_requeues >= 0;
    j->requeues += counts;
    j->attempts--;
    j->token[0] = 0;
    if (counts)
        model_note(m, j, MODEL_INTERRUPTED, now, j->id);
    if (j->cancel)
        return to_end(m, j, now, BP_JOB_CANCELLED);
    if (counts && j->requeues > max_requeues)
        return to_end(m, j, now, BP_JOB_FAILED);
    to_queue(j, now, true);
    return 0;
}

/* ---- operations ---- */

int64_t model_count(const struct model *m, int32_t tenant, int32_t status)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++)
        n += m->jobs[i].tenant == tenant && m->jobs[i].status == status;
    return n;
}

static int32_t live_of(const struct model *m, int32_t worker)
{
    int32_t live = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++)
        live += m->jobs[i].status == BP_JOB_LEASED && m->jobs[i].worker == worker;
    return live;
}

static bool before(const struct model_job *x, const struct model_job *y)
{
    if (x->priority != y->priority)
        return x->priority > y->priority;
    if (x->front != y->front)
        return x->front;
    if (x->tag != y->tag)
        return x->tag < y->tag;
    return x->id < y->id;
}

static struct model_job *first_of(struct model *m, const struct bp_op_lease *l)
{
    struct model_job *best = NULL;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = &m->jobs[i];
        bool named = false;
        for (uint32_t k = 0; k < l->n_workflows; k++)
            named |= strcmp(l->workflows[k], model_workflows[j->workflow]) == 0;
        if (!named || j->status != BP_JOB_QUEUED || (best && !before(j, best)))
            continue;
        int32_t most = m->tenants[j->tenant].max_running;
        if (!most || model_count(m, j->tenant, BP_JOB_LEASED) < most)
            best = j;
    }
    return best;
}

static void take_lease(struct model *m, const struct bp_op *op)
{
    const struct bp_op_lease *l = &op->u.lease;
    int32_t worker = model_index(model_workers, MODEL_WORKERS, l->worker_id);
    uint32_t given = 0;
    CHECK_INT(op->err.rc, BP_OK);
    for (; given < l->max && live_of(m, worker) < MODEL_ROOM; given++) {
        struct model_job *j = first_of(m, l);
        if (!j)
            break;
        CHECK(given < l->count);
        CHECK_INT(l->jobs[given].id, j->id);
        j->status = BP_JOB_LEASED;
        j->attempts++;
        j->worker = worker;
        j->ended = 0;
        j->front = false;
        m->tag[j->workflow] = j->tag > m->tag[j->workflow] ? j->tag : m->tag[j->workflow];
        j->leased_ms = op->now_ms;
        j->expires_ms = op->now_ms + l->ttl_ms;
        snprintf(j->token, sizeof j->token, "%s", l->tokens[given]);
        CHECK_INT(l->jobs[given].attempts, j->attempts);
        if (!j->was_leased) {
            j->wait_ms = op->now_ms > j->queued_ms ? op->now_ms - j->queued_ms : 0;
            model_note(m, j, MODEL_WAIT, op->now_ms, j->wait_ms);
        }
        j->was_leased = true;
    }
    CHECK_INT(l->count, given);
    CHECK_INT(l->live_leases, live_of(m, worker));
}

/* The job whose running lease this is, or NULL. */
static struct model_job *holder(struct model *m, int64_t id, const char *token, const char *worker)
{
    struct model_job *j = model_job(m, id);
    if (!j || j->worker < 0 || !j->token[0])
        return NULL;
    return strcmp(j->token, token) == 0 && strcmp(model_workers[j->worker], worker) == 0 ? j : NULL;
}

static void take_complete(struct model *m, const struct bp_op *op)
{
    const struct bp_op_complete *c = &op->u.complete;
    struct model_job *j = holder(m, c->id, c->token, c->worker_id);
    bool runs = j && j->status == BP_JOB_LEASED, again = j && j->status == BP_JOB_COMPLETED && j->ended == 1;
    CHECK_INT(op->err.rc, runs || again ? BP_OK : BP_STALE);
    if (!runs && !again)
        return;
    CHECK_INT(c->replay, again);
    int32_t dependents = 0;
    if (runs) {
        j->ended = 1;
        dependents = to_end(m, j, op->now_ms, BP_JOB_COMPLETED);
        model_note(m, j, MODEL_RUN, op->now_ms, op->now_ms - j->leased_ms);
    }
    CHECK_INT(c->status, BP_JOB_COMPLETED);
    CHECK_INT(c->dependents, dependents);
    CHECK_INT(c->run_ms, j->finished_ms - j->leased_ms);
    CHECK_INT(c->wait_ms, j->wait_ms);
}

static void take_fail(struct model *m, const struct bp_op *op)
{
    const struct bp_op_fail *f = &op->u.fail;
    struct model_job *j = holder(m, f->id, f->token, f->worker_id);
    bool runs = j && j->status == BP_JOB_LEASED, again = j && j->status != BP_JOB_LEASED && j->ended == 2;
    CHECK_INT(op->err.rc, runs || again ? BP_OK : BP_STALE);
    if (!runs && !again)
        return;
    CHECK_INT(f->replay, again);
    int32_t dependents = 0;
    if (runs) {
        j->ended = 2;
        if (j->cancel) {
            dependents = to_end(m, j, op->now_ms, BP_JOB_CANCELLED);
        } else if (f->retryable && j->attempts < j->max_attempts) {
            j->status = BP_JOB_SCHEDULED;
            j->not_before_ms =
                op->now_ms + bp_retry_delay_ms(j->attempts, f->retry_base_ms, f->retry_cap_ms, f->jitter);
        } else {
            dependents = to_end(m, j, op->now_ms, BP_JOB_FAILED);
        }
    }
    CHECK_INT(f->status, j->status);
    CHECK_INT(f->dependents, dependents);
    CHECK_INT(f->attempts, j->attempts);
}

static void take_requeue(struct model *m, const struct bp_op *op)
{
    const struct bp_op_requeue *q = &op->u.requeue;
    struct model_job *j = holder(m, q->id, q->token, q->worker_id);
    bool runs = j && j->status == BP_JOB_LEASED;
    CHECK_INT(op->err.rc, runs ? BP_OK : BP_STALE);
    if (!runs)
        return;
    CHECK_INT(q->dependents, interrupt(m, j, op->now_ms, q->max_requeues));
    CHECK_INT(q->status, j->status);
}

static void take_extend(struct model *m, const struct bp_op *op)
{
    const struct bp_op_extend *x = &op->u.extend;
    struct model_job *j = holder(m, x->id, x->token, x->worker_id);
    bool runs = j && j->status == BP_JOB_LEASED;
    CHECK_INT(op->err.rc, runs ? BP_OK : BP_STALE);
    if (!runs)
        return;
    j->expires_ms = op->now_ms + x->ttl_ms;
    CHECK_INT(x->lease_expires_ms, j->expires_ms);
    CHECK_INT(x->cancel_requested, j->cancel);
}

static void take_cancel(struct model *m, const struct bp_op *op)
{
    struct model_job *j = model_job(m, op->u.cancel.id);
    if (!j || j->status >= BP_JOB_COMPLETED) {
        CHECK_INT(op->err.rc, j ? BP_CONFLICT : BP_NOTFOUND);
        return;
    }
    CHECK_INT(op->err.rc, BP_OK);
    int32_t dependents = 0;
    if (j->status == BP_JOB_LEASED) {
        j->cancel = 1;
    } else {
        dependents = to_end(m, j, op->now_ms, BP_JOB_CANCELLED);
        j->token[0] = 0;
    }
    CHECK_INT(op->u.cancel.dependents, dependents);
    CHECK_INT(op->u.cancel.status, j->status);
}

/* Jobs it waits for that have not ended; -1: one came to a bad end. */
static int32_t open_after(struct model *m, const struct model_job *j)
{
    int32_t n = 0;
    for (int i = 0; i < MODEL_AFTER && j->after[i]; i++) {
        int32_t status = model_job(m, j->after[i])->status;
        if (status > BP_JOB_COMPLETED)
            return -1;
        n += status < BP_JOB_COMPLETED;
    }
    return n;
}

static bool key_taken(const struct model *m, const struct model_job *j)
{
    bool taken = false;
    for (uint32_t i = 0; j->unique && i < m->n_jobs; i++)
        taken |=
            m->jobs[i].tenant == j->tenant && m->jobs[i].unique == j->unique && m->jobs[i].status < BP_JOB_COMPLETED;
    return taken;
}

static void take_retry(struct model *m, const struct bp_op *op)
{
    struct model_job *j = model_job(m, op->u.retry.id);
    bool may = j && j->status > BP_JOB_COMPLETED && open_after(m, j) >= 0 && !key_taken(m, j);
    CHECK_INT(op->err.rc, may ? BP_OK : j ? BP_CONFLICT : BP_NOTFOUND);
    if (!may)
        return;
    to_queue(j, op->now_ms, false);
    j->attempts = j->requeues = j->cancel = 0;
    j->finished_ms = j->not_before_ms = 0;
    j->doomed_by = 0;
    j->token[0] = 0;
    j->waits_for = open_after(m, j);
    if (j->waits_for)
        j->status = BP_JOB_SCHEDULED;
    CHECK_INT(op->u.retry.status, j->status);
}

static bool is_due(const struct model_job *j, int64_t now)
{
    if (j->status == BP_JOB_SCHEDULED)
        return j->doomed_by || (j->waits_for == 0 && j->not_before_ms <= now);
    return j->status == BP_JOB_LEASED && j->expires_ms <= now;
}

static void sweep_one(struct model *m, struct model_job *j, int64_t now)
{
    if (j->status == BP_JOB_SCHEDULED && j->doomed_by) {
        to_end(m, j, now, BP_JOB_CANCELLED);
        return;
    }
    if (j->status == BP_JOB_SCHEDULED) {
        to_queue(j, j->not_before_ms, false);
        return;
    }
    j->token[0] = 0;
    model_note(m, j, MODEL_EXPIRED, now, j->id);
    if (j->cancel)
        to_end(m, j, now, BP_JOB_CANCELLED);
    else if (j->attempts >= j->max_attempts)
        to_end(m, j, now, BP_JOB_FAILED);
    else
        to_queue(j, now, false);
}

static bool returned(const struct bp_op_sweep *w, int64_t id)
{
    bool found = false;
    for (uint32_t i = 0; i < w->count; i++)
        found |= w->jobs[i].id == id;
    return found;
}

/* Jobs doomed by this very sweep: a store may cancel them at once or by the next one. */
static uint32_t sweep_doomed(struct model *m, const struct bp_op_sweep *w, int64_t now)
{
    uint32_t n = 0, before;
    do {
        before = n;
        for (uint32_t i = 0; i < m->n_jobs; i++) {
            struct model_job *j = &m->jobs[i];
            if (j->status != BP_JOB_SCHEDULED || !j->doomed_by || !returned(w, j->id))
                continue;
            to_end(m, j, now, BP_JOB_CANCELLED);
            n++;
        }
    } while (n > before);
    return n;
}

static int64_t next_due(const struct model *m, int64_t now)
{
    int64_t next = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        const struct model_job *j = &m->jobs[i];
        int64_t due = j->status == BP_JOB_LEASED ? j->expires_ms : 0;
        if (j->status == BP_JOB_SCHEDULED && (j->doomed_by || j->waits_for == 0))
            due = j->doomed_by ? now : j->not_before_ms;
        next = due && (!next || due < next) ? due : next;
    }
    return next;
}

static void take_sweep(struct model *m, const struct bp_op *op)
{
    const struct bp_op_sweep *w = &op->u.sweep;
    static bool due[MODEL_JOBS];
    uint32_t changed = 0;
    CHECK_INT(op->err.rc, BP_OK);
    for (uint32_t i = 0; i < m->n_jobs; i++)
        due[i] = is_due(&m->jobs[i], op->now_ms);
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        if (!due[i])
            continue;
        CHECK(returned(w, m->jobs[i].id));
        sweep_one(m, &m->jobs[i], op->now_ms);
        changed++;
    }
    changed += sweep_doomed(m, w, op->now_ms);
    CHECK_INT(w->count, changed);
    CHECK_INT(w->next_due_ms, next_due(m, op->now_ms));
    for (uint32_t i = 0; i < w->count; i++)
        CHECK_INT(w->jobs[i].status, model_job(m, w->jobs[i].id)->status);
}

/* A registration again: the worker's leases are interruptions. No job here comes near the store's own cap. */
static void take_worker_put(struct model *m, const struct bp_op *op)
{
    int32_t worker = model_index(model_workers, MODEL_WORKERS, op->u.worker_put.worker->worker_id), released = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = &m->jobs[i];
        if (j->status != BP_JOB_LEASED || j->worker != worker)
            continue;
        interrupt(m, j, op->now_ms, 20);
        released++;
    }
    CHECK_INT(op->err.rc, BP_OK);
    CHECK_INT(op->u.worker_put.released, released);
}

void model_take(struct model *m, const struct bp_op *op)
{
    static void (*const take[])(struct model *, const struct bp_op *) = {
        [BP_OP_SUBMIT] = model_submit,
        [BP_OP_LEASE] = take_lease,
        [BP_OP_EXTEND] = take_extend,
        [BP_OP_COMPLETE] = take_complete,
        [BP_OP_FAIL] = take_fail,
        [BP_OP_REQUEUE] = take_requeue,
        [BP_OP_CANCEL] = take_cancel,
        [BP_OP_RETRY] = take_retry,
        [BP_OP_SWEEP] = take_sweep,
        [BP_OP_WORKER_PUT] = take_worker_put,
        [BP_OP_TENANT_PUT] = model_tenant_put,
    };
    take[op->kind](m, op);
}
