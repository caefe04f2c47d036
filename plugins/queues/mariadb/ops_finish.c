/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of a lease: complete, fail, requeue. */
#include <string.h>

#include "content.h"
#include "counters.h"
#include "ops.h"
#include "timeline.h"

static int32_t stale(struct bp_op *op, int64_t id)
{
    return op_error(op, BP_STALE, "the lease of job %lld is over", (long long)id);
}

static int32_t complete_now(struct store *s, struct bp_op *op, struct job *j)
{
    const struct bp_op_complete *c = &op->u.complete;
    int64_t now = op->now_ms, run = now > j->row.leased_ms ? now - j->row.leased_ms : 0;
    job_to_end(j, now, BP_JOB_COMPLETED, NULL);
    j->row.error = NULL;
    j->row.progress = 1;
    j->ended_by = ENDED_COMPLETE;
    int32_t rc = job_event(s, j, now, EVENT_COMPLETED, who_worker(s, c->worker_id), NULL);
    rc = rc ? rc : job_save_as(s, j, now, CHANGE_COMPLETE);
    j->row.output = c->output ? c->output : "{}";
    j->row.provider_job_id = c->provider_job_id;
    rc = rc ? rc : content_output(s, j);
    rc = rc ? rc : counter_add(s, j->workflow_id, now, COUNT_COMPLETED);
    return rc ? rc : counter_sample(s, &(struct workflow_sample){j->workflow_id, j->row.id, now, run, SAMPLE_RUN});
}

static const char TOO_LARGE[] = "the output is larger than the server's max_allowed_packet lets through";

static const char *complete_wrong(const struct store *s, const struct bp_op_complete *c)
{
    if (!text_fits(c->output, SIZE_MAX) || !text_fits(c->provider_job_id, KEY_MAX))
        return "the output must be UTF-8, the provider's job id at most 255 bytes";
    if (c->output && 2 * strlen(c->output) > pools_text_max(s))
        return TOO_LARGE;
    return NULL;
}

int32_t op_complete(struct store *s, struct bp_op *op)
{
    struct bp_op_complete *c = &op->u.complete;
    struct job *j = batch_job(s, c->id);
    c->replay = 0;
    c->status = 0;
    c->wait_ms = c->run_ms = 0;
    c->dependents = 0;
    int32_t rc = BP_OK;
    if (!j || !job_leased_by(j, c->token, c->worker_id))
        return stale(op, c->id);
    const char *why = complete_wrong(s, c);
    if (why)
        return op_error(op, why == TOO_LARGE ? BP_TOOLARGE : BP_INVALID, "%s", why);
    if (j->row.status == BP_JOB_LEASED && !pool_up(j->pool))
        return op_pool_down(op, j->pool);
    if (j->row.status == BP_JOB_LEASED)
        rc = complete_now(s, op, j), c->dependents = j->dependents;
    else if (j->row.status == BP_JOB_COMPLETED && j->ended_by == ENDED_COMPLETE)
        rc = BP_OK, c->replay = 1;
    else
        return stale(op, c->id);
    c->status = j->row.status;
    c->wait_ms = j->wait_ms;
    c->run_ms = j->row.finished_ms > j->row.leased_ms ? j->row.finished_ms - j->row.leased_ms : 0;
    return rc;
}

/* Decides where a failed attempt leads: cancelled, back with a delay, or failed for good. */
static int32_t fail_now(struct store *s, struct bp_op *op, struct job *j)
{
    const struct bp_op_fail *f = &op->u.fail;
    struct bp_job_row *r = &j->row;
    int64_t now = op->now_ms;
    const char *error = text_clean(&s->mem, f->error && *f->error ? f->error : "Processing failed.", ERROR_MAX);
    int what = EVENT_FAILED;
    int32_t rc = BP_OK;
    j->ended_by = ENDED_FAIL;
    if (r->cancel_requested) {
        job_to_end(j, now, BP_JOB_CANCELLED, error);
        what = EVENT_CANCELLED;
    } else if (f->retryable && r->attempts < r->max_attempts) {
        r->status = BP_JOB_SCHEDULED;
        r->lease_expires_ms = 0;
        r->error = error;
        r->not_before_ms = now + bp_retry_delay_ms(r->attempts, f->retry_base_ms, f->retry_cap_ms, f->jitter);
        what = EVENT_RETRY;
    } else {
        job_to_end(j, now, BP_JOB_FAILED, error);
        rc = counter_add(s, j->workflow_id, now, COUNT_FAILED);
    }
    rc = rc ? rc : job_event(s, j, now, what, who_worker(s, f->worker_id), error);
    return rc ? rc : job_save(s, j, now);
}

int32_t op_fail(struct store *s, struct bp_op *op)
{
    struct bp_op_fail *f = &op->u.fail;
    struct job *j = batch_job(s, f->id);
    f->replay = 0;
    f->status = f->attempts = f->dependents = 0;
    f->retry_at_ms = 0;
    int32_t rc = BP_OK;
    if (!j || !job_leased_by(j, f->token, f->worker_id))
        return stale(op, f->id);
    if (j->row.status == BP_JOB_LEASED)
        rc = fail_now(s, op, j), f->dependents = j->dependents;
    else if (j->ended_by == ENDED_FAIL)
        rc = BP_OK, f->replay = 1;
    else
        return stale(op, f->id);
    f->status = j->row.status;
    f->attempts = j->row.attempts;
    f->retry_at_ms = j->row.status == BP_JOB_SCHEDULED ? j->row.not_before_ms : 0;
    return rc;
}

int32_t op_requeue(struct store *s, struct bp_op *op)
{
    struct bp_op_requeue *q = &op->u.requeue;
    struct job *j = batch_job(s, q->id);
    q->status = q->dependents = 0;
    int32_t rc = BP_OK;
    if (!j || j->row.status != BP_JOB_LEASED || !job_leased_by(j, q->token, q->worker_id))
        return stale(op, q->id);
    if (!text_fits(q->checkpoint_key, PATH_TEXT_MAX))
        return op_error(op, BP_INVALID, "a checkpoint key must be at most %d bytes of UTF-8", PATH_TEXT_MAX);
    if (q->checkpoint_key)
        j->row.checkpoint_key = q->checkpoint_key;
    rc = job_interrupt(s, j, op->now_ms, who_worker(s, q->worker_id), q->reason, q->max_requeues);
    q->status = j->row.status;
    q->dependents = j->dependents;
    return rc;
}
