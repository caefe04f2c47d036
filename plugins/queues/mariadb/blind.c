/* SPDX-License-Identifier: Apache-2.0 */
#include "blind.h"

#include <string.h>

#include "open.h"
#include "ops.h"
#include "plan.h"
#include "special.h"

#define REST_MS     100         /* after one that met what it did not expect */
#define BYTES_MAX   (128 << 10) /* of content: the text goes out at once */
#define OPS_MAX     512         /* a full batch whose requests hold two each */
#define SIGNAL_TEXT " THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO=30001, MESSAGE_TEXT='not as remembered'; END IF;"

/* ---- does it fit? ---- */

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

/* A submit whose row depends on nothing but itself; of a tenant with nothing particular. */
static bool submit_fits(const struct bp_op_submit *u, size_t *bytes)
{
    *bytes += length(u->params) + length(u->inputs);
    return !u->fair && !u->unique_key && !u->n_after;
}

static bool op_fits(const struct store *s, const struct bp_op *op, size_t *bytes)
{
    switch (op->kind) {
    case BP_OP_SUBMIT:
        return s->recall.next_id && submit_fits(&op->u.submit, bytes);
    case BP_OP_LEASE:
        return true;
    case BP_OP_COMPLETE:
        *bytes += length(op->u.complete.output);
        return true;
    default:
        return false;
    }
}

static bool fits(const struct store *s, struct bp_op *const *ops, uint32_t n)
{
    size_t bytes = 0;
    if (!s->recall.any || s->rules.version < 0 || pools_any(s) || n > OPS_MAX || !bounds_quiet(s) ||
        store_clock_ms() < s->blind_rest_ms)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!op_fits(s, ops[i], &bytes))
            return false;
    return bytes <= BYTES_MAX;
}

/* ---- from memory ---- */

static int32_t take_job(struct store *s, int64_t id, struct job **out)
{
    *out = batch_held(s, id);
    if (*out)
        return BP_OK;
    struct job *j = recall_job(s, id);
    if (!j)
        return blind_give_up(s);
    int32_t rc = job_names(s, j);
    rc = rc ? rc : batch_add(s, j);
    *out = j;
    return rc;
}

static int32_t take_worker(struct store *s, const char *worker_id)
{
    struct worker_state w;
    int64_t no = 0;
    int32_t rc = worker_id ? names_find(s, &s->workers, worker_id, &no) : BP_OK;
    if (rc || batch_worker(s, no))
        return rc;
    if (!recall_worker(s, no, &w))
        return blind_give_up(s);
    rc = batch_worker_add(s, no);
    if (!rc)
        *batch_worker(s, no) = w;
    return rc;
}

/* The queues a lease looks into, with how many jobs it may take from each. */
static int32_t take_wants(struct store *s, const struct bp_op_lease *l)
{
    int32_t rc = take_worker(s, l->worker_id);
    for (uint32_t i = 0; !rc && l->workflows && i < l->n_workflows; i++) {
        int64_t id;
        rc = names_find(s, &s->workflows, l->workflows[i], &id);
        if (rc || !id)
            continue;
        struct front *f = batch_front(s, id, true);
        if (!f)
            return store_nomem(s);
        f->want += l->max < 64 ? l->max : 64;
    }
    return rc;
}

/* Its numbers are read under a lock. */
static bool limited(const struct store *s, const struct job *j)
{
    const struct tenant_rule *r = tenant_rule(s, j->tenant_id);
    return r && (r->max_pending || r->max_running);
}

static int32_t take_front(struct store *s, struct front *f)
{
    const struct bound *x = bound_fresh(s, f->workflow_id);
    uint32_t want = (uint32_t)f->want;
    int32_t rc = BP_OK;
    if (!x || (!x->whole && x->known.n < want))
        return blind_give_up(s);
    f->bounded = f->by_id = true;
    for (uint32_t i = 0; !rc && i < x->known.n && i < want; i++) {
        struct job *j;
        rc = take_job(s, x->known.at[i].id, &j);
        if (!rc && limited(s, j))
            return blind_give_up(s);
        if (!rc && j->row.status == BP_JOB_QUEUED && !j->listed) {
            j->listed = true;
            rc = front_put(s, f, j, false);
        }
    }
    f->more = !x->whole || x->known.n > want;
    return rc;
}

/* What others wait for, or what has a key of its own, needs more than its row. */
static int32_t take_completed(struct store *s, const struct bp_op_complete *c)
{
    struct job *j;
    int32_t rc = take_job(s, c->id, &j);
    if (!rc && (j->flags || j->row.status != BP_JOB_LEASED || limited(s, j)))
        return blind_give_up(s);
    return rc;
}

static int32_t number(struct store *s, uint32_t n)
{
    struct submit_plan *plans = s->batch.plans;
    int32_t rc = BP_OK;
    s->batch.next_id = s->recall.next_id;
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct job *j = plans[i].job;
        if (!j)
            continue;
        j->row.id = s->batch.next_id++;
        if (plans[i].known && !plans[i].known->id)
            plans[i].known->id = j->row.id;
        if (limited(s, j))
            return blind_give_up(s);
        rc = job_names(s, j);
        rc = rc ? rc : batch_add(s, j);
    }
    return rc;
}

/* Keys that others hold are found by the insert. */
static int32_t plan(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    bool any;
    int32_t rc = BP_OK;
    s->batch.plans = mem_alloc(&s->mem, n * sizeof *s->batch.plans + 1);
    s->batch.n_plans = n;
    s->batch.keys_known = NULL;
    if (!s->batch.plans)
        return store_nomem(s);
    for (uint32_t i = 0; !rc && i < n; i++) {
        const struct bp_op_submit *u = &ops[i]->u.submit;
        int64_t tenant = 0;
        if (ops[i]->kind != BP_OP_SUBMIT)
            continue;
        rc = plan_begin(s, u, &s->batch.plans[i]);
        if (!rc && !s->batch.plans[i].why)
            rc = names_find(s, &s->tenants, u->tenant, &tenant);
        if (!rc && tenant && special_doubtful(s, u, tenant))
            rc = blind_give_up(s);
    }
    rc = rc ? rc : plan_all(s, ops, n, &any);
    return rc ? rc : number(s, n);
}

static int32_t take(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    int32_t rc = BP_OK;
    for (uint32_t i = 0; !rc && i < n; i++)
        if (ops[i]->kind == BP_OP_LEASE)
            rc = take_wants(s, &ops[i]->u.lease);
    for (size_t i = 0; !rc && i < s->batch.n_fronts; i++)
        rc = take_front(s, &s->batch.fronts[i]);
    for (uint32_t i = 0; !rc && i < n; i++)
        if (ops[i]->kind == BP_OP_COMPLETE)
            rc = take_completed(s, &ops[i]->u.complete);
    return rc ? rc : plan(s, ops, n);
}

/* ---- running ---- */

int32_t blind_give_up(struct store *s)
{
    s->batch.given_up = true;
    return BP_LATER;
}

int32_t blind_waits(struct store *s)
{
    if (bounds_alone(s))
        return BP_OK;
    s->blind_rest_ms = store_clock_ms() + REST_MS;
    return blind_give_up(s);
}

static int32_t run(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    int32_t rc = take(s, ops, n);
    s->bounds.sure = true; /* or the text ends in an error */
    s->batch.ask = bounds_due(s);
    for (uint32_t i = 0; !rc && i < n; i++) {
        rc = op_run(s, ops[i], &s->batch.plans[i]);
        if (ops[i]->kind == BP_OP_LEASE && ops[i]->u.lease.count < ops[i]->u.lease.max)
            s->batch.ask = true;
    }
    return rc ? rc : batch_flush(s, true);
}

/* Whatever the server did not like, the usual batch is tried next. */
static int32_t failed(struct store *s, int32_t rc)
{
    s->blind_rest_ms = store_clock_ms() + REST_MS;
    s->bounds.told = false;
    if (s->fault == FAULT_OTHER)
        s->fault = FAULT_RETRY;
    return rc;
}

int32_t blind_run(struct store *s, struct bp_op *const *ops, uint32_t n, bool *done)
{
    *done = false;
    if (!fits(s, ops, n))
        return BP_OK;
    s->batch.blind = true;
    int32_t rc = run(s, ops, n);
    *done = !s->batch.given_up;
    if (*done)
        return rc ? failed(s, rc) : BP_OK;
    if (s->tenant_made)
        names_clear(&s->tenants);
    s->tenant_made = false;
    batch_reset(s);
    return BP_OK;
}

/* ---- the text ---- */

void blind_wait_text(struct store *s)
{
    if (s->hasty)
        sql_add(&s->q, "SET SESSION innodb_lock_wait_timeout=%l;", (int64_t)s->settings.lock_timeout_s);
    s->hasty = false;
}

/* Most rows are queued as they are inserted, and have the defaults in all other columns. */
static void insert_queued(struct sql *q, const struct job *j, bool first)
{
    const struct bp_job_row *r = &j->row;
    sql_add(q, first ? "INSERT INTO ai_job_dispatches (id, tenant_id, workflow_id, effect_id, priority, max_attempts, "
                       "created_ms, queued_ms, due_ms, updated_ms) VALUES "
                     : ",");
    sql_add(q, "(%l,%l,%l,%l,%i,%i,%l,created_ms,created_ms,created_ms)", r->id, j->tenant_id, j->workflow_id,
            j->effect_id, r->priority, r->max_attempts, r->created_ms);
}

/* One that is scheduled, or leased already. */
static void insert_other(struct sql *q, const struct job *j, bool first)
{
    const struct bp_job_row *r = &j->row;
    sql_add(q, first ? "INSERT INTO ai_job_dispatches (id, tenant_id, workflow_id, effect_id, priority, max_attempts, "
                       "created_ms, queued_ms, not_before_ms, status, due_ms, attempts, worker_id, lease_token, "
                       "output_suffix, leased_ms, first_leased_ms, wait_ms, updated_ms) VALUES "
                     : ",");
    sql_add(q, "(%l,%l,%l,%l,%i,%i,%l,", r->id, j->tenant_id, j->workflow_id, j->effect_id, r->priority,
            r->max_attempts, r->created_ms);
    if (r->status == BP_JOB_LEASED)
        sql_add(q, "created_ms,0,3,%l,1,%l,%s,%s,%l,leased_ms,%l,leased_ms)", r->lease_expires_ms, j->worker_no,
                r->lease_token, j->suffix, r->leased_ms, j->wait_ms);
    else
        sql_add(q, "%l,%l,1,%l,0,0,NULL,NULL,0,0,0,created_ms)", j->queued_ms, r->not_before_ms, job_due_ms(j));
}

static void inserts_of(struct store *s, bool queued, void (*insert)(struct sql *q, const struct job *j, bool first))
{
    bool first = true;
    for (uint32_t i = 0; i < s->batch.n_plans; i++) {
        const struct job *j = s->batch.plans[i].job;
        if (!j || !j->visible || (j->row.status == BP_JOB_QUEUED) != queued)
            continue;
        insert(&s->q, j, first);
        first = false;
    }
    if (!first)
        sql_add(&s->q, ";");
    s->batch.wrote = s->batch.wrote || !first;
}

static bool writes(const struct batch *b)
{
    bool any = b->n_dirty != 0;
    for (uint32_t i = 0; i < b->n_plans && !any; i++)
        any = b->plans[i].job != NULL;
    for (size_t i = 0; i < b->n_workers && !any; i++)
        any = b->workers[i].seen_ms != 0;
    return any;
}

/* Now and then, and before a worker goes without a job. */
static void ask(struct store *s)
{
    sql_add(&s->q, "IF ");
    bounds_foreign_text(s);
    sql_add(&s->q, " OR (SELECT version FROM tenants_version)<>%l" SIGNAL_TEXT, s->rules.version);
    s->bounds.asked_ms = store_clock_ms();
}

/* How far the other controllers are. */
static void others(struct store *s)
{
    sql_add(&s->q, "IF (SELECT COALESCE(SUM(batch),0) FROM writers WHERE id<>%l)<>%l" SIGNAL_TEXT, s->writer_id,
            s->bounds.others);
}

/* One statement writes our row, locks those of all others, so that they begin nothing before this ends, and adds up how
 * far they are. Theirs stay as they are; ours adds what is missing at first. */
static void begin(struct store *s)
{
    int64_t me = s->writer_id;
    sql_add(&s->q,
            "START TRANSACTION;SET @others=-1;UPDATE writers SET "
            "seen_ms=IF(id=%l,%l,seen_ms)+((@others:=@others+IF(id=%l,1,batch))<-1), batch=IF(id=%l,%l,batch);"
            "IF @others<>%l" SIGNAL_TEXT,
            me, s->host->now_ms(s->self), me, me, s->batch_no, s->bounds.others);
}

void blind_begin_text(struct store *s, bool windows)
{
    struct batch *b = &s->batch;
    b->begun = windows || writes(b);
    if (b->begun && !s->hasty) {
        sql_add(&s->q, "SET SESSION innodb_lock_wait_timeout=0;");
        s->hasty = true;
    }
    b->body = s->q.n;
    if (b->ask)
        ask(s);
    if (b->begun)
        begin(s);
    else
        others(s);
    inserts_of(s, true, insert_queued);
    inserts_of(s, false, insert_other);
}

void blind_count_text(struct store *s, size_t rows)
{
    if (s->batch.blind)
        sql_add(&s->q, "IF ROW_COUNT()<>%l" SIGNAL_TEXT, (int64_t)rows);
}

void blind_written(struct store *s)
{
    s->recall.next_id = s->batch.next_id;
    recent_note(s);
}
