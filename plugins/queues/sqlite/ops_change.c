/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants and operators do to a job: cancel it, retry it. */
#include <string.h>

#include "depend.h"
#include "ops.h"
#include "tenant.h"
#include "timeline.h"

/* Loads a job this tenant may see; when there is none the operation is answered and 0 returned. */
static int32_t load_for(struct store *s, struct bp_op *op, int64_t id, const char *tenant, struct job *j)
{
    int32_t rc = job_load(s, id, JOB_DISPATCH, j);
    if (rc > 0 && tenant && strcmp(tenant, j->row.tenant) != 0)
        rc = 0;
    if (rc == 0)
        op_error(op, BP_NOTFOUND, "no job %lld", (long long)id);
    return rc;
}

static const char *state_word(int32_t status)
{
    return status == BP_JOB_COMPLETED ? "completed"
           : status == BP_JOB_FAILED  ? "failed"
           : status == BP_JOB_LEASED  ? "running"
                                      : "waiting or cancelled";
}

int32_t op_cancel(struct store *s, struct bp_op *op)
{
    struct bp_op_cancel *c = &op->u.cancel;
    struct job j;
    c->status = c->dependents = 0;
    int32_t rc = load_for(s, op, c->id, c->tenant, &j);
    if (rc <= 0)
        return rc;
    c->status = j.row.status;
    if (j.row.status >= BP_JOB_COMPLETED)
        return op_error(op, BP_CONFLICT, "job %lld is already %s", (long long)c->id,
                        j.row.status == BP_JOB_CANCELLED ? "cancelled" : state_word(j.row.status));
    if (j.row.status == BP_JOB_LEASED && j.row.cancel_requested)
        return BP_OK;
    if (j.row.status == BP_JOB_LEASED) {
        j.row.cancel_requested = 1;
        rc = job_event(s, &j, op->now_ms, EVENT_CANCEL, c->who, "until its worker stops");
    } else {
        job_to_end(&j, op->now_ms, BP_JOB_CANCELLED, NULL);
        job_drop_lease(&j);
        rc = job_event(s, &j, op->now_ms, EVENT_CANCELLED, c->who, NULL);
    }
    rc = rc ? rc : job_save(s, &j, op->now_ms);
    c->status = j.row.status;
    c->dependents = j.dependents;
    return rc;
}

/* May the job have its unique key again? Answers the operation when not. key: NULL when it has none. */
static int32_t key_free(struct store *s, struct bp_op *op, const struct job *j, const char **key, bool *refused)
{
    int64_t holder = 0;
    *key = NULL;
    if (!(j->flags & JOB_HAS_UNIQUE))
        return BP_OK;
    sqlite3_stmt *q = statement_query(s, ST_UNIQUE_OF, "l", j->row.id);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        *key = mem_text(&s->mem, sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    statement_done(q);
    if (rc > 0 && !*key)
        return store_fail(s, BP_NOMEM, "out of memory retrying a job");
    if (rc <= 0)
        return rc;
    q = statement_query(s, ST_UNIQUE_FIND, "ls", j->tenant_id, *key);
    rc = statement_next(s, q);
    holder = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
    statement_done(q);
    *refused = rc > 0;
    if (rc <= 0)
        return rc;
    return op_error(op, BP_CONFLICT, "job %lld cannot be retried while job %lld is pending, which has its unique key",
                    (long long)j->row.id, (long long)holder);
}

/* What the job had given up at its end. */
static int32_t take_back(struct store *s, const struct job *j, const char *key)
{
    struct tenant *t;
    int32_t rc = tenant_of(s, j->tenant_id, &t);
    if (!rc && t->lane)
        rc = statement_run(s, ST_LANE_JOB, "l", j->row.id);
    if (!rc && key)
        rc = statement_run(s, ST_UNIQUE_INSERT, "lsl", j->tenant_id, key, j->row.id);
    return rc;
}

/* As submitted, except for what it waits for. */
static void begin_anew(struct job *j, int64_t now_ms, int32_t waits_for)
{
    job_drop_lease(j);
    job_to_queue(j, now_ms, false);
    j->row.attempts = j->row.requeues = j->row.cancel_requested = 0;
    j->row.finished_ms = j->row.not_before_ms = 0;
    j->row.progress = 0;
    j->row.error = j->row.progress_text = j->row.checkpoint_key = NULL;
    j->row.waits_for = waits_for;
    j->doomed_by = 0;
    if (waits_for) {
        j->row.status = BP_JOB_SCHEDULED;
        j->due_ms = DUE_NEVER;
    }
}

int32_t op_retry(struct store *s, struct bp_op *op)
{
    struct bp_op_retry *t = &op->u.retry;
    struct job j;
    t->status = 0;
    int32_t rc = load_for(s, op, t->id, t->tenant, &j);
    if (rc <= 0)
        return rc;
    t->status = j.row.status;
    if (j.row.status != BP_JOB_FAILED && j.row.status != BP_JOB_CANCELLED)
        return op_error(op, BP_CONFLICT, "job %lld is %s; only failed and cancelled jobs can be retried",
                        (long long)t->id, state_word(j.row.status));
    const char *key;
    bool refused = false;
    int32_t waits_for = 0;
    rc = key_free(s, op, &j, &key, &refused);
    if (!rc && !refused && j.flags & JOB_HAS_AFTER)
        rc = depend_check_again(s, op, &j, &waits_for, &refused);
    if (rc || refused)
        return rc;
    begin_anew(&j, op->now_ms, waits_for);
    rc = take_back(s, &j, key);
    rc = rc ? rc : job_event(s, &j, op->now_ms, EVENT_RETRY, t->who, "by hand, with a full set of attempts");
    rc = rc ? rc : job_save(s, &j, op->now_ms);
    t->status = j.row.status;
    return rc;
}
