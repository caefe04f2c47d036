/* SPDX-License-Identifier: Apache-2.0 */
/* What time alone changes: expired leases and due jobs; and what other applications put into the queue. */
#include <stdio.h>
#include <string.h>

#include "adopt.h"
#include "content.h"
#include "counters.h"
#include "lead.h"
#include "ops.h"
#include "timeline.h"

#define LIMIT_MAX     10000
#define WORKER_ID_MAX 255 /* never cut, which might leave half a character */

int32_t workflow_list(struct store *s)
{
    struct reply r;
    sql_clear(&s->q);
    sql_clear(&s->workflow_list);
    sql_add(&s->q, "SELECT id FROM workflows");
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r))
        sql_add(&s->workflow_list, s->workflow_list.n ? ",%l" : "%l", column_int(&r, 0));
    reply_done(&r);
    return rc;
}

static int32_t ids_take(struct store *s, uint32_t limit, int64_t *ids, uint32_t *n)
{
    struct reply r;
    *n = 0;
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r) && *n < limit)
        ids[(*n)++] = column_int(&r, 0);
    reply_done(&r);
    return rc;
}

/* Expired leases. All running ones are looked at, in the index alone. */
static int32_t ids_expired(struct store *s, const struct bp_op *op, int64_t *ids, uint32_t *n)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT d.id FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status=3 AND d.due_ms <= %l "
            "ORDER BY d.due_ms LIMIT %l FOR UPDATE SKIP LOCKED",
            op->now_ms, (int64_t)op->u.sweep.limit);
    return ids_take(s, op->u.sweep.limit, ids, n);
}

/* Due jobs. The index leads to them workflow by workflow. */
static int32_t ids_due(struct store *s, const struct bp_op *op, int64_t *ids, uint32_t *n)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT d.id FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status=1 AND d.due_of IN "
            "(%r) AND d.due_ms <= %l ORDER BY d.due_ms LIMIT %l FOR UPDATE SKIP LOCKED",
            s->workflow_list.n ? s->workflow_list.text : "0", op->now_ms, (int64_t)op->u.sweep.limit);
    return ids_take(s, op->u.sweep.limit, ids, n);
}

static int32_t expire_to_end(struct store *s, struct job *j, int64_t now_ms)
{
    if (j->row.cancel_requested) {
        job_to_end(j, now_ms, BP_JOB_CANCELLED, NULL);
        return job_event(s, j, now_ms, EVENT_CANCELLED, "sweeper", "its worker did not answer");
    }
    char text[WORKER_ID_MAX + 80];
    snprintf(text, sizeof text, "lease expired %d times; the last worker was %s", j->row.attempts,
             j->row.worker ? j->row.worker : "unknown");
    const char *error = mem_text(&s->mem, text, strlen(text));
    if (!error)
        return store_nomem(s);
    job_to_end(j, now_ms, BP_JOB_FAILED, error);
    int32_t rc = counter_add(s, j->workflow_id, now_ms, COUNT_FAILED);
    return rc ? rc : job_event(s, j, now_ms, EVENT_FAILED, "sweeper", error);
}

static int32_t expire(struct store *s, struct job *j, int64_t now_ms)
{
    struct bp_job_row *r = &j->row;
    char detail[WORKER_ID_MAX + 80];
    snprintf(detail, sizeof detail, "attempt %d of %d, worker %s did not answer", r->attempts, r->max_attempts,
             r->worker ? r->worker : "unknown");
    int32_t rc = counter_add(s, j->workflow_id, now_ms, COUNT_EXPIRED);
    rc = rc ? rc : job_event(s, j, now_ms, EVENT_EXPIRED, "sweeper", detail);
    if (rc)
        return rc;
    job_drop_lease(j);
    if (r->cancel_requested || r->attempts >= r->max_attempts) {
        rc = expire_to_end(s, j, now_ms);
    } else {
        r->error = "lease expired";
        job_to_queue(j, now_ms, false);
    }
    return rc ? rc : job_save(s, j, now_ms);
}

static int32_t make_due(struct store *s, struct job *j, int64_t now_ms)
{
    if (j->flags & FLAG_DOOMED) {
        job_to_end(j, now_ms, BP_JOB_CANCELLED, NULL);
        int32_t rc = job_event(s, j, now_ms, EVENT_CANCELLED, "sweeper", j->row.error);
        return rc ? rc : job_save(s, j, now_ms);
    }
    job_to_queue(j, job_due_ms(j), false);
    int32_t rc = job_event(s, j, now_ms, EVENT_DUE, "sweeper", NULL);
    return rc ? rc : job_save(s, j, now_ms);
}

typedef int32_t (*change_fn)(struct store *s, struct job *j, int64_t now_ms);

/* Loads, changes and keeps each of the jobs. */
static int32_t change_each(struct store *s, int64_t now_ms, const int64_t *ids, uint32_t n, struct job *jobs,
                           change_fn change)
{
    int32_t rc = batch_load_jobs(s, ids, n);
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct job *j = batch_job(s, ids[i]);
        if (!j)
            return store_fail(s, BP_FAIL, "job %lld was locked and is gone", (long long)ids[i]);
        rc = j->foreign ? job_adopt(s, j, now_ms) : change(s, j, now_ms);
        jobs[i] = *j;
    }
    return rc;
}

static int32_t next_due(struct store *s, int64_t *next_ms)
{
    struct reply r;
    *next_ms = 0;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT MIN(due_ms) FROM ai_job_dispatches FORCE INDEX (dispatches_due) WHERE status=3 UNION ALL "
                   "SELECT (SELECT d.due_ms FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status=1 AND "
                   "d.due_of = w.id ORDER BY d.due_ms LIMIT 1) FROM workflows w");
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        int64_t due = column_int(&r, 0);
        if (due && due != DUE_NEVER && (!*next_ms || due < *next_ms))
            *next_ms = due;
    }
    reply_done(&r);
    return rc;
}

/* Those adopted are written first: one with a time ahead is not to be found as due. */
static int32_t sweep_foreign(struct store *s, struct bp_op *op, int64_t *ids, struct job *jobs, uint32_t *n)
{
    int32_t rc = adopt_find(s, op->u.sweep.limit, ids, n);
    if (rc || !*n)
        return rc;
    rc = change_each(s, op->now_ms, ids, *n, jobs, job_adopt);
    return rc ? rc : batch_flush(s, false);
}

static int32_t sweep_all(struct store *s, struct bp_op *op, int64_t *ids, struct job *jobs, uint32_t *n)
{
    uint32_t n_expired = 0, n_due = 0;
    int32_t rc = sweep_foreign(s, op, ids, jobs, n);
    ids += *n;
    jobs += *n;
    rc = rc ? rc : ids_expired(s, op, ids, &n_expired);
    rc = rc ? rc : ids_due(s, op, ids + n_expired, &n_due);
    rc = rc ? rc : change_each(s, op->now_ms, ids, n_expired, jobs, expire);
    rc = rc ? rc : change_each(s, op->now_ms, ids + n_expired, n_due, jobs + n_expired, make_due);
    *n += n_expired + n_due;
    return rc;
}

static int32_t sweep(struct store *s, struct bp_op *op)
{
    struct bp_op_sweep *w = &op->u.sweep;
    uint32_t n = 0;
    bool leads;
    int32_t rc = batch_begin(s);
    rc = rc ? rc : lead_check(s, op, w->epoch, &leads); /* now under a lock */
    if (rc || !leads)
        return rc;
    int64_t *ids = mem_alloc(&s->mem, 3 * (size_t)w->limit * sizeof *ids);
    struct job *jobs = mem_alloc(&s->mem, 3 * (size_t)w->limit * sizeof *jobs);
    if (!ids || !jobs)
        return store_nomem(s);
    rc = sweep_all(s, op, ids, jobs, &n);
    rc = rc ? rc : contents_of(s, jobs, n);
    rc = rc ? rc : jobs_pack(s, jobs, n, &w->jobs, &w->memory);
    w->count = rc ? 0 : n;
    rc = rc ? rc : batch_flush(s, false);
    return rc ? rc : next_due(s, &w->next_due_ms);
}

/* Most sweeps find nothing, and cost no transaction: they look without locks first. */
int32_t op_sweep(struct store *s, struct bp_op *op)
{
    struct bp_op_sweep *w = &op->u.sweep;
    bool foreign = false;
    w->limit = w->limit < 1 ? 1 : w->limit > LIMIT_MAX ? LIMIT_MAX : w->limit;
    w->count = 0;
    w->jobs = NULL;
    w->memory = NULL;
    w->next_due_ms = 0;
    bool leads;
    int32_t rc = lead_check(s, op, w->epoch, &leads);
    if (rc || !leads)
        return rc;
    rc = next_due(s, &w->next_due_ms);
    rc = rc ? rc : adopt_look(s, &foreign);
    bool due = w->next_due_ms && w->next_due_ms <= op->now_ms;
    if (!rc && (due || foreign))
        rc = sweep(s, op);
    return rc;
}
