/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a segment's operations need, read and locked in one text: workers, jobs, used keys, fronts of the queues; then
 * the new jobs' rows, inserted in one statement that answers their ids.
 */
#include <string.h>

#include "content.h"
#include "depend.h"
#include "open.h"
#include "ops.h"
#include "plan.h"
#include "share.h"
#include "special.h"

/* Numbers in a list, each added once by the caller or not at all harmful twice. */
struct ids {
    struct sql list;
    size_t n;
    int64_t last;
};

static void ids_add(struct ids *x, int64_t id)
{
    if (id <= 0)
        return;
    sql_add(&x->list, x->n++ ? ",%l" : "%l", id);
    x->last = id;
}

/* Adds the list to the text, its last number repeated up to one of few lengths: so texts come again, see shapes.h. */
static void ids_join(struct sql *q, struct ids *x)
{
    size_t step = x->n <= 4 ? 1 : x->n <= 8 ? 2 : 4;
    size_t more = x->n <= 32 ? (step - x->n % step) % step : 0;
    sql_join(q, &x->list);
    for (size_t i = 0; i < more; i++)
        sql_add(q, ",%l", x->last);
}

/* ---- what to read ---- */

static int64_t id_of(const struct bp_op *op)
{
    switch (op->kind) {
    case BP_OP_EXTEND:
        return op->u.extend.id;
    case BP_OP_COMPLETE:
        return op->u.complete.id;
    case BP_OP_FAIL:
        return op->u.fail.id;
    case BP_OP_REQUEUE:
        return op->u.requeue.id;
    case BP_OP_CANCEL:
        return op->u.cancel.id;
    case BP_OP_RETRY:
        return op->u.retry.id;
    case BP_OP_GET:
        return op->u.get.id;
    default:
        return 0;
    }
}

static int32_t want_worker(struct store *s, const char *worker_id)
{
    int64_t no = 0;
    int32_t rc = worker_id ? names_find(s, &s->workers, worker_id, &no) : BP_OK;
    return rc ? rc : batch_worker_add(s, no);
}

static int32_t want_fronts(struct store *s, const struct bp_op_lease *l)
{
    for (uint32_t i = 0; l->workflows && i < l->n_workflows; i++) {
        int64_t id;
        int32_t rc = names_find(s, &s->workflows, l->workflows[i], &id);
        struct front *f = rc || !id ? NULL : batch_front(s, id, true);
        if (rc || (id && !f))
            return rc ? rc : store_nomem(s);
        if (f)
            f->want += (double)(l->max < 64 ? l->max : 64) / l->n_workflows;
    }
    return BP_OK;
}

static int32_t want_key(struct store *s, const struct bp_op_submit *u, struct submit_plan *plan, struct sql *keys)
{
    int64_t tenant;
    int32_t rc = plan_begin(s, u, plan);
    if (rc || !plan->key)
        return rc;
    rc = names_find(s, &s->tenants, u->tenant, &tenant);
    if (rc)
        return rc;
    sql_add(keys, keys->n ? " OR " : "");
    sql_add(keys, "(k.tenant_id=%l AND k.key_hash=UNHEX(%s))", tenant, plan->key);
    return BP_OK;
}

/* ---- the text and its answers ---- */

struct load {
    struct ids jobs, contents, workers;
    struct sql keys;
};

static const char *lock(const struct store *s)
{
    return s->batch.read_only ? "" : " FOR UPDATE";
}

/* What is read now is known for the next batches, see blind.h. */
static uint32_t front_limit(const struct store *s, const struct front *f)
{
    uint32_t want = (uint32_t)f->want + 1, ahead = KNOWN_AHEAD * want;
    if (f->by_id || pools_any(s) || !bounds_quiet(s) || store_clock_ms() < s->blind_rest_ms)
        return want;
    ahead = ahead < KNOWN_READ ? KNOWN_READ : ahead > KNOWN_READ_MAX ? KNOWN_READ_MAX : ahead;
    return want > ahead ? want : ahead;
}

static void load_text(struct store *s, struct load *l)
{
    struct batch *b = &s->batch;
    struct sql *q = &s->q;
    if (l->workers.n) {
        sql_add(q, "SELECT id, approved, draining, max_concurrency, last_seen_ms FROM workers WHERE id IN (");
        ids_join(q, &l->workers);
        sql_add(q,
                ")%r;SELECT due_of, COUNT(*) FROM ai_job_dispatches FORCE INDEX (dispatches_due) WHERE status=3 AND "
                "due_of IN (",
                lock(s));
        ids_join(q, &l->workers);
        sql_add(q, ") GROUP BY due_of;");
    }
    if (l->jobs.n) {
        sql_add(q, "SELECT " DISPATCH_COLUMNS " FROM ai_job_dispatches d FORCE INDEX (PRIMARY) WHERE d.id IN (");
        ids_join(q, &l->jobs);
        sql_add(q, ")%r;", lock(s));
    }
    if (l->contents.n) {
        sql_add(q, CONTENT_SELECT);
        ids_join(q, &l->contents);
        sql_add(q, ");");
    }
    if (l->keys.n) {
        sql_add(q, "SELECT k.tenant_id, LOWER(HEX(k.key_hash)), k.dispatch_id, k.request_hash, d.status+0 FROM "
                   "idempotency_keys k LEFT JOIN ai_job_dispatches d ON d.id = k.dispatch_id WHERE ");
        sql_join(q, &l->keys);
        sql_add(q, ";");
    }
    for (size_t i = 0; i < b->n_fronts; i++) {
        b->fronts[i].limit = front_limit(s, &b->fronts[i]);
        if (!b->fronts[i].unread)
            front_add(s, &b->fronts[i]);
    }
}

static int32_t take_workers(struct store *s)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct worker_state *w = batch_worker(s, column_int(&r, 0));
        if (!w)
            continue;
        w->known = 1;
        w->approved = (int32_t)column_int(&r, 1);
        w->draining = (int32_t)column_int(&r, 2);
        w->max_concurrency = (int32_t)column_int(&r, 3);
        w->last_seen_ms = column_int(&r, 4);
    }
    reply_done(&r);
    rc = rc ? rc : query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct worker_state *w = batch_worker(s, column_int(&r, 0));
        if (w)
            w->live = column_int(&r, 1);
    }
    reply_done(&r);
    return rc;
}

/* Adds the rows of an answer to the map; those that are in it already stay as they are. */
int32_t batch_take_jobs(struct store *s, struct front *f)
{
    struct reply r;
    uint32_t rows = 0;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct job *j = batch_held(s, column_int(&r, 0));
        bool known = j != NULL;
        rows++;
        rc = known ? BP_OK : job_read(s, &r, &j);
        rc = rc || known ? rc : batch_add(s, j);
        if (!rc && f && !j->listed && !j->fresh) {
            j->listed = true;
            rc = front_put(s, f, j, false);
        }
    }
    reply_done(&r);
    if (f)
        f->more = f->by_id ? f->rest : rows >= f->limit;
    return rc;
}

static int32_t take_contents(struct store *s)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct job *j = batch_job(s, column_int(&r, 0));
        rc = j ? job_read_content(s, &r, 1, j) : BP_OK;
    }
    reply_done(&r);
    return rc;
}

static int32_t take_keys(struct store *s)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        char *key = mem_text(&s->mem, r.row[1], strlen(r.row[1])),
             *hash = mem_text(&s->mem, r.row[3], strlen(r.row[3]));
        struct key_known *k = key && hash ? plan_key_add(s, column_int(&r, 0), key, hash) : NULL;
        if (k) {
            k->id = column_int(&r, 2);
            k->status = (int32_t)column_int(&r, 4);
        }
        rc = k ? BP_OK : store_nomem(s);
    }
    reply_done(&r);
    return rc;
}

static int32_t load_take(struct store *s, const struct load *l)
{
    struct batch *b = &s->batch;
    int32_t rc = l->workers.n ? take_workers(s) : BP_OK;
    if (!rc && l->jobs.n)
        rc = batch_take_jobs(s, NULL);
    if (!rc && l->contents.n)
        rc = take_contents(s);
    if (!rc && l->keys.n)
        rc = take_keys(s);
    for (size_t i = 0; !rc && i < b->n_fronts; i++)
        if (!b->fronts[i].unread) {
            rc = batch_take_jobs(s, &b->fronts[i]);
            front_sort(&b->fronts[i]);
        }
    return rc;
}

int32_t batch_load_jobs(struct store *s, const int64_t *ids, size_t n)
{
    struct ids x = {0};
    for (size_t i = 0; i < n; i++)
        ids_add(&x, ids[i]);
    if (x.n == 0)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT " DISPATCH_COLUMNS " FROM ai_job_dispatches d FORCE INDEX (PRIMARY) WHERE d.id IN (%r)%r",
            x.list.text, lock(s));
    sql_free(&x.list);
    int32_t rc = query_send(s, &s->q);
    rc = rc ? rc : batch_take_jobs(s, NULL);
    rc = rc ? rc : query_end(s);
    for (size_t i = 0; !rc && i < n; i++) {
        struct job *j = batch_job(s, ids[i]);
        rc = j ? job_names(s, j) : BP_OK;
    }
    return rc;
}

/* ---- new jobs ---- */

static void insert_text(struct store *s, const struct job *j, bool first)
{
    const struct bp_job_row *r = &j->row;
    sql_add(&s->q, !first ? ","
                          : "INSERT INTO ai_job_dispatches (tenant_id, workflow_id, effect_id, status, priority, "
                            "max_attempts, due_ms, "
                            "created_ms, queued_ms, not_before_ms, updated_ms, share_tag) VALUES ");
    sql_add(&s->q, "(%l,%l,%l,%i,%i,%i,%l,%l,%l,%l,%l,%d)", j->tenant_id, j->workflow_id, j->effect_id, r->status,
            r->priority, r->max_attempts, job_due_ms(j), r->created_ms, j->queued_ms, r->not_before_ms, r->updated_ms,
            j->share_tag);
}

static int32_t insert_take(struct store *s, uint32_t n)
{
    struct reply r;
    struct submit_plan *plans = s->batch.plans;
    int32_t rc = query_rows(s, &r);
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct job *j = plans[i].job;
        if (!j)
            continue;
        if (!reply_next(&r)) {
            rc = store_fail(s, BP_FAIL, "the server inserted fewer jobs than it was given");
            break;
        }
        j->row.id = column_int(&r, 0);
        if (plans[i].known && !plans[i].known->id)
            plans[i].known->id = j->row.id;
        s->recall.next_id = s->ids_in_row ? j->row.id + 1 : 0;
        rc = batch_add(s, j);
    }
    reply_done(&r);
    return rc ? rc : query_end(s);
}

/* Adds the statement that makes the new jobs' rows and answers their ids. */
static void inserts_text(struct store *s, uint32_t n)
{
    const struct submit_plan *plans = s->batch.plans;
    bool first = true;
    for (uint32_t i = 0; i < n; i++)
        if (plans[i].job) {
            insert_text(s, plans[i].job, first);
            first = false;
        }
    sql_add(&s->q, " RETURNING id");
}

/* ---- the segment ---- */

static int32_t load_wants(struct store *s, struct bp_op *const *ops, uint32_t n, struct load *l)
{
    int32_t rc = BP_OK;
    for (uint32_t i = 0; !rc && i < n; i++) {
        const struct bp_op *op = ops[i];
        int64_t id = id_of(op);
        ids_add(&l->jobs, id);
        if ((op->kind == BP_OP_EXTEND || op->kind == BP_OP_GET) && !pools_any(s))
            ids_add(&l->contents, id); /* else it is read where its pool is, behind the operations */
        if (op->kind == BP_OP_EXTEND)
            rc = want_worker(s, op->u.extend.worker_id);
        if (op->kind == BP_OP_LEASE)
            rc = want_worker(s, op->u.lease.worker_id);
        if (!rc && op->kind == BP_OP_LEASE)
            rc = want_fronts(s, &op->u.lease);
        if (!rc && op->kind == BP_OP_SUBMIT)
            rc = want_key(s, &op->u.submit, &s->batch.plans[i], &l->keys);
        if (!rc && op->kind == BP_OP_SUBMIT && !s->batch.plans[i].why)
            for (uint32_t k = 0; k < op->u.submit.n_after; k++)
                ids_add(&l->jobs, op->u.submit.after[k]);
    }
    for (size_t i = 0; i < s->batch.n_workers; i++)
        ids_add(&l->workers, s->batch.workers[i].no);
    return rc;
}

static void load_free(struct load *l)
{
    sql_free(&l->jobs.list);
    sql_free(&l->contents.list);
    sql_free(&l->workers.list);
    sql_free(&l->keys);
}

static int32_t names_of_all(struct store *s)
{
    int32_t rc = BP_OK;
    for (size_t i = 0; !rc && i < s->batch.n_slots; i++)
        if (s->batch.slots[i])
            rc = job_names(s, s->batch.slots[i]);
    return rc;
}

/* Sends the text that was built and takes its answers: of the begin, of what was asked, and of the inserts when these
 * are in it. */
static int32_t load_run(struct store *s, struct load *l, uint32_t n, bool begins, bool inserts)
{
    int64_t version = s->rules.version;
    if (l->jobs.list.failed || l->contents.list.failed || l->workers.list.failed || l->keys.failed)
        return store_nomem(s);
    if (!s->q.n)
        return BP_OK;
    int32_t rc = shapes_send(s, begins ? s->batch.body : 0, s->q.n);
    rc = rc || !begins ? rc : batch_begun(s, &version);
    rc = rc ? rc : load_take(s, l);
    if (!rc && inserts)
        rc = insert_take(s, n);
    rc = rc ? rc : query_end(s);
    return rc ? rc : tenants_current(s, version);
}

/* Does what new rows hold depend on what is read first? */
static bool insert_waits(struct bp_op *const *ops, uint32_t n, const struct load *l)
{
    bool waits = l->keys.n > 0;
    for (uint32_t i = 0; i < n; i++)
        waits = waits || (ops[i]->kind == BP_OP_SUBMIT && ops[i]->u.submit.fair);
    return waits;
}

/* New jobs are inserted in the text that reads everything, unless their rows depend on it. */
static int32_t load_and_insert(struct store *s, struct bp_op *const *ops, uint32_t n, struct load *l)
{
    bool early = !insert_waits(ops, n, l), inserts = false, begins = !s->batch.begun && !s->batch.read_only;
    int32_t rc = early ? plan_all(s, ops, n, &inserts) : BP_OK;
    if (rc)
        return rc;
    sql_clear(&s->q);
    if (begins)
        batch_begin_text(s, true);
    load_text(s, l);
    if (inserts)
        inserts_text(s, n);
    rc = load_run(s, l, n, begins, inserts);
    rc = rc ? rc : special_load(s, ops, n);
    rc = rc || early ? rc : plan_all(s, ops, n, &inserts);
    if (rc || early || !inserts)
        return rc;
    sql_clear(&s->q);
    inserts_text(s, n);
    rc = query_send(s, &s->q);
    return rc ? rc : insert_take(s, n);
}

int32_t batch_load(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    struct load l = {0};
    s->batch.plans = mem_alloc(&s->mem, n * sizeof *s->batch.plans + 1);
    s->batch.keys_known = NULL;
    if (!s->batch.plans)
        return store_nomem(s);
    int32_t rc = load_wants(s, ops, n, &l);
    rc = rc ? rc : load_and_insert(s, ops, n, &l);
    load_free(&l);
    return rc ? rc : names_of_all(s);
}
