/* Jobs: how they come in, who gets them, and what the operations on them share. */
#include "my_queue.h"

#include <stdarg.h>
#include <stdio.h>

int32_t refuse(struct bp_op *op, int32_t rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(op->err.text, sizeof op->err.text, fmt, ap);
    va_end(ap);
    return op->err.rc = rc;
}

/* ---- shared ---- */

struct job *job_find(const struct my_queue_plugin *q, int64_t id, const char *tenant)
{
    size_t low = 0, high = q->jobs.n; /* ids ascend */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (((struct job *)q->jobs.at[middle])->row.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    struct job *j = low < q->jobs.n ? q->jobs.at[low] : NULL;
    return j && j->row.id == id && !j->gone && (!tenant || strcmp(tenant, j->row.tenant) == 0) ? j : NULL;
}

struct job *job_held(const struct my_queue_plugin *q, int64_t id, const char *token, const char *worker)
{
    struct job *j = job_find(q, id, NULL);
    if (!j || !j->row.lease_token || !j->row.worker || !token || !worker)
        return NULL;
    return strcmp(j->row.lease_token, token) == 0 && strcmp(j->row.worker, worker) == 0 ? j : NULL;
}

void job_touch(struct my_queue_plugin *q, struct job *j, int64_t now_ms)
{
    touch(q, j, sizeof *j);
    j->row.updated_ms = now_ms;
}

void job_event(struct my_queue_plugin *q, const struct job *j, int64_t now_ms, const char *what, const char *who,
               const char *detail)
{
    struct bp_job_event *e = list_add(q, &q->events, sizeof *e);
    if (!e)
        return;
    e->size = sizeof *e;
    e->seq = q->next_seq++;
    e->job_id = j->row.id;
    e->at_ms = now_ms;
    text_set(q, &e->what, what);
    text_set(q, &e->who, who);
    text_set(q, &e->detail, detail);
}

void note(struct my_queue_plugin *q, const char *workflow, int64_t now_ms, int32_t kind, int64_t value)
{
    struct note *n = list_add(q, &q->notes, sizeof *n);
    if (!n)
        return;
    snprintf(n->workflow, sizeof n->workflow, "%s", workflow);
    n->at_ms = now_ms;
    n->kind = kind;
    n->value = value;
}

void job_to_queue(struct job *j, int64_t due_ms, int32_t front)
{
    j->row.status = BP_JOB_QUEUED;
    j->row.lease_expires_ms = 0;
    j->queued_ms = due_ms;
    j->front = front;
}

void job_to_end(struct my_queue_plugin *q, struct job *j, int64_t now_ms, int32_t status, const char *error)
{
    j->row.status = status;
    j->row.finished_ms = now_ms;
    j->row.lease_expires_ms = 0;
    j->row.cancel_requested = 0;
    if (error)
        text_set(q, &j->row.error, error);
    if (status == BP_JOB_FAILED)
        note(q, j->row.workflow, now_ms, NOTE_FAILED, j->row.id);
}

void job_interrupt(struct my_queue_plugin *q, struct job *j, int64_t now_ms, const char *who, const char *why,
                   int32_t most)
{
    int32_t counts = most >= 0;
    j->row.requeues += counts;
    j->row.attempts--;
    text_set(q, &j->row.lease_token, NULL);
    if (counts)
        note(q, j->row.workflow, now_ms, NOTE_INTERRUPTED, j->row.id);
    if (j->row.cancel_requested) {
        job_to_end(q, j, now_ms, BP_JOB_CANCELLED, NULL);
        job_event(q, j, now_ms, "cancelled", who, why);
    } else if (counts && j->row.requeues > most) {
        job_to_end(q, j, now_ms, BP_JOB_FAILED, "interrupted too often");
        job_event(q, j, now_ms, "failed", who, "interrupted too often");
    } else {
        job_to_queue(j, now_ms, 1);
        job_event(q, j, now_ms, "requeued", who, why);
    }
}

/* ---- submit ---- */

static const char *wrong(const struct bp_op_submit *u)
{
    if (!u->tenant || !*u->tenant || strlen(u->tenant) > 255)
        return "a submit needs a tenant with a name of 1 to 255 bytes";
    if (!u->workflow || !*u->workflow || strlen(u->workflow) > 127)
        return "a submit needs a workflow with a name of 1 to 127 bytes";
    if (u->priority < -1000 || u->priority > 1000)
        return "the priority must be from -1000 to 1000";
    return u->max_attempts < 0 ? "max_attempts must be 1 or more" : NULL;
}

static const struct job *same_key(const struct my_queue_plugin *q, const struct bp_op_submit *u)
{
    for (size_t i = 0; u->idempotency_key && i < q->jobs.n; i++) {
        const struct job *j = q->jobs.at[i];
        if (!j->gone && j->row.idempotency_key && strcmp(j->row.idempotency_key, u->idempotency_key) == 0 &&
            strcmp(j->row.tenant, u->tenant) == 0)
            return j;
    }
    return NULL;
}

static int32_t replay(struct bp_op *op, const struct job *j)
{
    struct bp_op_submit *u = &op->u.submit;
    u->id = j->row.id;
    u->outcome = BP_SUBMIT_KEY;
    if (strcmp(j->request_hash, u->request_hash ? u->request_hash : "") != 0)
        return refuse(op, BP_CONFLICT, "the idempotency key '%.100s' was used for another request (job %lld)",
                      u->idempotency_key, (long long)u->id);
    u->outcome = BP_SUBMIT_REPLAY;
    u->existed = 1;
    u->status = j->row.status;
    return BP_OK;
}

static void insert(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_submit *u = &op->u.submit;
    int64_t later = u->not_before_ms > op->now_ms ? u->not_before_ms : 0;
    struct job *j = list_add(q, &q->jobs, sizeof *j);
    if (!j)
        return;
    j->row = (struct bp_job_row){.size = sizeof j->row,
                                 .status = later ? BP_JOB_SCHEDULED : BP_JOB_QUEUED,
                                 .id = q->next_id++,
                                 .priority = u->priority,
                                 .max_attempts = u->max_attempts ? u->max_attempts : 3,
                                 .created_ms = op->now_ms,
                                 .updated_ms = op->now_ms,
                                 .not_before_ms = later};
    j->queued_ms = later ? later : op->now_ms;
    text_set(q, (const char **)&j->request_hash, u->request_hash ? u->request_hash : "");
    text_set(q, &j->row.tenant, u->tenant);
    text_set(q, &j->row.workflow, u->workflow);
    text_set(q, &j->row.effect, u->effect);
    text_set(q, &j->row.params, u->params ? u->params : "{}");
    text_set(q, &j->row.inputs, u->inputs ? u->inputs : "[]");
    text_set(q, &j->row.idempotency_key, u->idempotency_key);
    job_event(q, j, op->now_ms, "submitted", u->who, NULL);
    note(q, u->workflow, op->now_ms, NOTE_SUBMITTED, j->row.id);
    u->id = j->row.id;
    u->status = j->row.status;
    u->outcome = BP_SUBMIT_NEW;
}

int32_t op_submit(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_submit *u = &op->u.submit;
    u->id = u->after_id = 0;
    u->existed = u->status = u->outcome = 0;
    const char *why = wrong(u);
    if (why)
        return refuse(op, BP_INVALID, "%s", why);
    if (u->n_after || u->unique_key)
        return refuse(op, BP_UNSUPPORTED, "this queue keeps neither jobs that wait for others nor unique keys");
    const struct job *j = same_key(q, u);
    if (j)
        return replay(op, j);
    if ((int64_t)q->jobs.n >= q->max_jobs)
        return refuse(op, BP_NOSPACE, "the queue holds %lld jobs (maxJobs); prune old ones", (long long)q->max_jobs);
    insert(q, op);
    return BP_OK;
}

/* ---- lease ---- */

static int32_t comes_before(const struct job *x, const struct job *y)
{
    if (x->row.priority != y->row.priority)
        return x->row.priority > y->row.priority;
    return x->front != y->front ? x->front : x->row.id < y->row.id;
}

static struct job *first_of(const struct my_queue_plugin *q, const struct bp_op_lease *l)
{
    struct job *best = NULL;
    for (size_t i = 0; i < q->jobs.n; i++) {
        struct job *j = q->jobs.at[i];
        if (j->gone || j->row.status != BP_JOB_QUEUED || (best && !comes_before(j, best)))
            continue;
        for (uint32_t k = 0; k < l->n_workflows && best != j; k++)
            if (strcmp(l->workflows[k], j->row.workflow) == 0)
                best = j;
    }
    return best;
}

static void give(struct my_queue_plugin *q, const struct bp_op *op, struct job *j, uint32_t i)
{
    const struct bp_op_lease *l = &op->u.lease;
    char text[512];
    job_touch(q, j, op->now_ms);
    j->row.status = BP_JOB_LEASED;
    j->row.attempts++;
    j->row.progress = 0;
    j->row.leased_ms = op->now_ms;
    j->row.lease_expires_ms = op->now_ms + l->ttl_ms;
    j->ended_by = j->front = 0;
    if (!j->row.first_leased_ms) {
        j->row.first_leased_ms = op->now_ms;
        j->wait_ms = op->now_ms > j->queued_ms ? op->now_ms - j->queued_ms : 0;
        note(q, j->row.workflow, op->now_ms, NOTE_WAIT, j->wait_ms);
    }
    text_set(q, &j->row.lease_token, l->tokens[i]);
    text_set(q, &j->row.worker, l->worker_id);
    snprintf(text, sizeof text, "tenants/%s/jobs/%lld/%s", j->row.tenant, (long long)j->row.id, l->output_keys[i]);
    text_set(q, &j->row.output_key, text);
    snprintf(text, sizeof text, "worker:%s", l->worker_id);
    job_event(q, j, op->now_ms, "leased", text, NULL);
}

int32_t op_lease(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_lease *l = &op->u.lease;
    const struct worker *w = worker_find(q, l->worker_id);
    void *given[64];
    struct list rows = {given, 0, 64};
    l->count = 0;
    l->emptied = 0;
    l->jobs = NULL;
    if (l->after && l->after->err.rc != BP_OK)
        return refuse(op, BP_STALE, "what this lease was to follow was refused");
    if (!w || !w->row.approved || w->row.draining)
        return refuse(op, BP_DENIED, "worker %.100s is not registered, not approved or draining", l->worker_id);
    int32_t most = l->max_concurrency ? l->max_concurrency : w->row.max_concurrency;
    l->live_leases = worker_live(q, l->worker_id);
    for (struct job *j; rows.n < l->max && rows.n < 64 && l->live_leases < most && (j = first_of(q, l));) {
        give(q, op, j, (uint32_t)rows.n);
        l->live_leases++;
        given[rows.n++] = j;
    }
    l->emptied = rows.n > 0 && !first_of(q, l);
    struct part part = {&rows, &job_shape, NULL};
    pack(q, &part, 1, &l->memory);
    l->count = (uint32_t)rows.n;
    l->jobs = part.out;
    return BP_OK;
}

int32_t op_extend(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_extend *x = &op->u.extend;
    struct job *j = job_held(q, x->id, x->token, x->worker_id);
    struct worker *w = worker_find(q, x->worker_id ? x->worker_id : "");
    x->output_key = x->inputs = x->tenant = x->workflow = NULL;
    if (!j || j->row.status != BP_JOB_LEASED)
        return refuse(op, BP_STALE, "the lease of job %lld is over", (long long)x->id);
    job_touch(q, j, op->now_ms);
    j->row.lease_expires_ms = x->lease_expires_ms = op->now_ms + x->ttl_ms;
    if (x->progress >= 0)
        j->row.progress = x->progress;
    if (x->progress_text)
        text_set(q, &j->row.progress_text, x->progress_text);
    if (x->checkpoint_key)
        text_set(q, &j->row.checkpoint_key, x->checkpoint_key);
    if (w) {
        touch(q, w, sizeof *w);
        w->row.last_seen_ms = op->now_ms;
    }
    x->cancel_requested = j->row.cancel_requested;
    x->worker_draining = w ? w->row.draining : 0;
    void *one[] = {j};
    struct part part = {&(struct list){one, 1, 1}, &job_shape, NULL};
    pack(q, &part, 1, &x->memory);
    const struct bp_job_row *r = part.out;
    if (r) {
        x->output_key = r->output_key;
        x->inputs = r->inputs;
        x->tenant = r->tenant;
        x->workflow = r->workflow;
    }
    return BP_OK;
}
