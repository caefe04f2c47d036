/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants and operators do to a job: cancel it, retry it. */
#include <string.h>

#include "adopt.h"
#include "depend.h"
#include "ops.h"
#include "timeline.h"
#include "unique.h"

/* A job this tenant may see; when there is none the operation is answered and NULL returned. */
static struct job *job_for(struct store *s, struct bp_op *op, int64_t id, const char *tenant)
{
    struct job *j = batch_job(s, id);
    if (j && tenant && strcmp(tenant, j->row.tenant) != 0)
        j = NULL;
    if (!j)
        op_error(op, BP_NOTFOUND, "no job %lld", (long long)id);
    return j;
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
    int32_t rc;
    c->status = c->dependents = 0;
    struct job *j = job_for(s, op, c->id, c->tenant);
    if (!j)
        return BP_OK;
    if (j->foreign && !pool_up(j->pool))
        return op_pool_down(op, j->pool);
    if ((rc = job_adopt(s, j, op->now_ms)) != BP_OK)
        return rc;
    c->status = j->row.status;
    if (j->row.status >= BP_JOB_COMPLETED)
        return op_error(op, BP_CONFLICT, "job %lld is already %s", (long long)c->id,
                        j->row.status == BP_JOB_CANCELLED ? "cancelled" : state_word(j->row.status));
    if (j->row.status == BP_JOB_LEASED && j->row.cancel_requested)
        return BP_OK;
    if (j->row.status == BP_JOB_LEASED) {
        j->row.cancel_requested = 1;
        rc = job_event(s, j, op->now_ms, EVENT_CANCEL, c->who, "until its worker stops");
    } else {
        job_to_end(j, op->now_ms, BP_JOB_CANCELLED, NULL);
        job_drop_lease(j);
        rc = job_event(s, j, op->now_ms, EVENT_CANCELLED, c->who, NULL);
    }
    rc = rc ? rc : job_save(s, j, op->now_ms);
    c->status = j->row.status;
    c->dependents = j->dependents;
    return rc;
}

/* May it wait or run again? Else the operation is answered and *ok false. */
static int32_t retry_check(struct store *s, struct bp_op *op, struct job *j, struct unique_known **key, bool *ok)
{
    int64_t rival, bad = 0;
    int32_t rc = unique_rival(s, j, &rival, key);
    *ok = !rival;
    if (rc || rival)
        return rc ? rc
                  : op_error(op, BP_CONFLICT, "job %lld has the unique key of job %lld now", (long long)rival,
                             (long long)j->row.id);
    rc = depend_retry(s, j, &bad);
    *ok = !bad;
    if (rc || bad)
        return rc ? rc
                  : op_error(op, BP_CONFLICT, "job %lld waits for job %lld, which failed or was cancelled; retry that",
                             (long long)j->row.id, (long long)bad);
    return BP_OK;
}

static int32_t retry_now(struct store *s, struct bp_op *op, struct job *j, struct unique_known *key)
{
    job_drop_lease(j);
    job_to_queue(j, op->now_ms, false);
    if (j->row.waits_for)
        j->row.status = BP_JOB_SCHEDULED;
    j->row.attempts = j->row.requeues = j->row.cancel_requested = 0;
    j->row.finished_ms = j->row.not_before_ms = 0;
    j->row.progress = 0;
    j->row.error = j->row.progress_text = j->row.checkpoint_key = NULL;
    int32_t rc = job_event(s, j, op->now_ms, EVENT_RETRY, op->u.retry.who, "by hand, with a full set of attempts");
    rc = rc ? rc : job_save(s, j, op->now_ms);
    return rc ? rc : unique_again(s, j, key);
}

int32_t op_retry(struct store *s, struct bp_op *op)
{
    struct bp_op_retry *t = &op->u.retry;
    struct unique_known *key;
    bool ok;
    t->status = 0;
    struct job *j = job_for(s, op, t->id, t->tenant);
    if (!j)
        return BP_OK;
    t->status = j->row.status;
    if (j->row.status != BP_JOB_FAILED && j->row.status != BP_JOB_CANCELLED)
        return op_error(op, BP_CONFLICT, "job %lld is %s; only failed and cancelled jobs can be retried",
                        (long long)t->id, state_word(j->row.status));
    int32_t rc = retry_check(s, op, j, &key, &ok);
    if (rc || !ok)
        return rc;
    rc = retry_now(s, op, j, key);
    t->status = j->row.status;
    return rc;
}
