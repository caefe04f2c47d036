/* SPDX-License-Identifier: Apache-2.0 */
/* What time alone changes: expired leases, due and doomed jobs. */
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "depend.h"
#include "lead.h"
#include "ops.h"
#include "timeline.h"

#define WORKER_ID_MAX 255 /* never cut, which might leave half a character */

/* The ids a query gives, in s->mem with room for `limit`. */
static int32_t ids_due(struct store *s, int statement, int64_t now_ms, int64_t *ids, uint32_t limit, uint32_t *n)
{
    sqlite3_stmt *q = statement_query(s, statement, "ll", now_ms, (int64_t)limit);
    int32_t rc;
    *n = 0;
    while ((rc = statement_next(s, q)) > 0 && *n < limit)
        ids[(*n)++] = sqlite3_column_int64(q, 0);
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
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
        return store_fail(s, BP_NOMEM, "out of memory while sweeping");
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
    int32_t rc;
    if (j->doomed_by) {
        rc = depend_cancel(s, j, now_ms);
        return rc ? rc : job_save(s, j, now_ms);
    }
    job_to_queue(j, j->row.not_before_ms, false);
    rc = job_event(s, j, now_ms, EVENT_DUE, "sweeper", NULL);
    return rc ? rc : job_save(s, j, now_ms);
}

typedef int32_t (*change_fn)(struct store *s, struct job *j, int64_t now_ms);

/* Loads, changes and keeps each of the jobs. */
static int32_t change_each(struct store *s, int64_t now_ms, const int64_t *ids, uint32_t n, struct job *jobs,
                           change_fn change)
{
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = job_load(s, ids[i], JOB_WHOLE, &jobs[i]);
        if (rc == 0)
            rc = store_fail(s, BP_IO, "job %lld has no row; the file is damaged", (long long)ids[i]);
        rc = rc < 0 ? rc : change(s, &jobs[i], now_ms);
        if (rc)
            return rc;
    }
    return BP_OK;
}

static int32_t next_due(struct store *s, int64_t *next_ms)
{
    int64_t expiry, due;
    int32_t rc = statement_int(s, ST_NEXT_EXPIRY, &expiry, 0);
    rc = rc ? rc : statement_int(s, ST_NEXT_DUE, &due, 0);
    if (rc)
        return rc;
    due = due < DUE_NEVER ? due : 0;
    *next_ms = expiry && (!due || expiry < due) ? expiry : due;
    return BP_OK;
}

int32_t op_sweep(struct store *s, struct bp_op *op)
{
    struct bp_op_sweep *w = &op->u.sweep;
    uint32_t n_expired = 0, n_due = 0, limit = w->limit ? w->limit : 1;
    w->count = 0;
    w->jobs = NULL;
    w->memory = NULL;
    w->next_due_ms = 0;
    int32_t rc = lead_check(s, op, w->epoch);
    if (rc || op->err.rc)
        return rc;
    limit = limit < 10000 ? limit : 10000;
    int64_t *ids = mem_alloc(&s->mem, 2 * (size_t)limit * sizeof *ids);
    if (!ids)
        return store_fail(s, BP_NOMEM, "out of memory while sweeping");
    rc = ids_due(s, ST_EXPIRED, op->now_ms, ids, limit, &n_expired);
    rc = rc ? rc : ids_due(s, ST_DUE, op->now_ms, ids + n_expired, limit, &n_due);
    struct job *jobs = mem_alloc(&s->mem, ((size_t)n_expired + n_due + 1) * sizeof *jobs);
    if (!jobs)
        return store_fail(s, BP_NOMEM, "out of memory while sweeping");
    rc = rc ? rc : change_each(s, op->now_ms, ids, n_expired, jobs, expire);
    rc = rc ? rc : change_each(s, op->now_ms, ids + n_expired, n_due, jobs + n_expired, make_due);
    rc = rc ? rc : next_due(s, &w->next_due_ms);
    rc = rc ? rc : jobs_pack(s, jobs, n_expired + n_due, &w->jobs, &w->memory);
    w->count = rc ? 0 : n_expired + n_due;
    return rc;
}
