/* How a lease ends, and what tenants, operators and time do to a job. */
#include "my_queue.h"

#include <stdio.h>

static int32_t stale(struct bp_op *op, int64_t id)
{
    return refuse(op, BP_STALE, "the lease of job %lld is over", (long long)id);
}

static const char *who_of(const char *worker, char out[160])
{
    snprintf(out, 160, "worker:%.150s", worker);
    return out;
}

int32_t op_complete(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_complete *c = &op->u.complete;
    char who[160];
    struct job *j = job_held(q, c->id, c->token, c->worker_id);
    c->replay = c->status = c->dependents = 0;
    if (!j || (j->row.status != BP_JOB_LEASED && j->ended_by != BP_OP_COMPLETE))
        return stale(op, c->id);
    c->replay = j->row.status != BP_JOB_LEASED;
    if (!c->replay) {
        job_touch(q, j, op->now_ms);
        job_to_end(q, j, op->now_ms, BP_JOB_COMPLETED, NULL);
        text_set(q, &j->row.error, NULL);
        text_set(q, &j->row.output, c->output ? c->output : "{}");
        text_set(q, &j->row.provider_job_id, c->provider_job_id);
        j->row.progress = 1;
        j->ended_by = BP_OP_COMPLETE;
        job_event(q, j, op->now_ms, "completed", who_of(c->worker_id, who), NULL);
        note(q, j->row.workflow, op->now_ms, NOTE_COMPLETED, j->row.id);
        note(q, j->row.workflow, op->now_ms, NOTE_RUN, op->now_ms - j->row.leased_ms);
    }
    c->status = j->row.status;
    c->wait_ms = j->wait_ms;
    c->run_ms = j->row.finished_ms - j->row.leased_ms;
    return BP_OK;
}

/* Where a failed attempt leads: cancelled, back with a delay, or failed for good. */
static void fail_now(struct my_queue_plugin *q, const struct bp_op *op, struct job *j)
{
    const struct bp_op_fail *f = &op->u.fail;
    const char *error = f->error && *f->error ? f->error : "Processing failed.", *what = "failed";
    char who[160];
    job_touch(q, j, op->now_ms);
    j->ended_by = BP_OP_FAIL;
    if (j->row.cancel_requested) {
        job_to_end(q, j, op->now_ms, BP_JOB_CANCELLED, error);
        what = "cancelled";
    } else if (f->retryable && j->row.attempts < j->row.max_attempts) {
        j->row.status = BP_JOB_SCHEDULED;
        j->row.lease_expires_ms = 0;
        j->row.not_before_ms =
            op->now_ms + bp_retry_delay_ms(j->row.attempts, f->retry_base_ms, f->retry_cap_ms, f->jitter);
        text_set(q, &j->row.error, error);
        what = "retry";
    } else {
        job_to_end(q, j, op->now_ms, BP_JOB_FAILED, error);
    }
    job_event(q, j, op->now_ms, what, who_of(f->worker_id, who), error);
}

int32_t op_fail(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_fail *f = &op->u.fail;
    struct job *j = job_held(q, f->id, f->token, f->worker_id);
    f->replay = f->status = f->attempts = f->dependents = 0;
    f->retry_at_ms = 0;
    if (!j || (j->row.status != BP_JOB_LEASED && j->ended_by != BP_OP_FAIL))
        return stale(op, f->id);
    f->replay = j->row.status != BP_JOB_LEASED;
    if (!f->replay)
        fail_now(q, op, j);
    f->status = j->row.status;
    f->attempts = j->row.attempts;
    f->retry_at_ms = j->row.status == BP_JOB_SCHEDULED ? j->row.not_before_ms : 0;
    return BP_OK;
}

int32_t op_requeue(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_requeue *r = &op->u.requeue;
    char who[160];
    struct job *j = job_held(q, r->id, r->token, r->worker_id);
    r->status = r->dependents = 0;
    if (!j || j->row.status != BP_JOB_LEASED)
        return stale(op, r->id);
    job_touch(q, j, op->now_ms);
    if (r->checkpoint_key)
        text_set(q, &j->row.checkpoint_key, r->checkpoint_key);
    job_interrupt(q, j, op->now_ms, who_of(r->worker_id, who), r->reason, r->max_requeues);
    r->status = j->row.status;
    return BP_OK;
}

int32_t op_cancel(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_cancel *c = &op->u.cancel;
    struct job *j = job_find(q, c->id, c->tenant);
    c->status = j ? j->row.status : 0;
    c->dependents = 0;
    if (!j)
        return refuse(op, BP_NOTFOUND, "no job %lld", (long long)c->id);
    if (j->row.status >= BP_JOB_COMPLETED)
        return refuse(op, BP_CONFLICT, "job %lld has already ended", (long long)c->id);
    if (j->row.cancel_requested)
        return BP_OK;
    job_touch(q, j, op->now_ms);
    if (j->row.status == BP_JOB_LEASED) {
        j->row.cancel_requested = 1;
        job_event(q, j, op->now_ms, "cancel", c->who, "until its worker stops");
    } else {
        job_to_end(q, j, op->now_ms, BP_JOB_CANCELLED, NULL);
        text_set(q, &j->row.lease_token, NULL);
        job_event(q, j, op->now_ms, "cancelled", c->who, NULL);
    }
    c->status = j->row.status;
    return BP_OK;
}

int32_t op_retry(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_retry *t = &op->u.retry;
    struct job *j = job_find(q, t->id, t->tenant);
    t->status = j ? j->row.status : 0;
    if (!j)
        return refuse(op, BP_NOTFOUND, "no job %lld", (long long)t->id);
    if (j->row.status != BP_JOB_FAILED && j->row.status != BP_JOB_CANCELLED)
        return refuse(op, BP_CONFLICT, "job %lld has not failed and is not cancelled", (long long)t->id);
    job_touch(q, j, op->now_ms);
    job_to_queue(j, op->now_ms, 0);
    j->row.attempts = j->row.requeues = j->row.cancel_requested = 0;
    j->row.finished_ms = j->row.not_before_ms = 0;
    j->row.progress = 0;
    text_set(q, &j->row.lease_token, NULL);
    text_set(q, &j->row.error, NULL);
    text_set(q, &j->row.progress_text, NULL);
    text_set(q, &j->row.checkpoint_key, NULL);
    job_event(q, j, op->now_ms, "retry", t->who, "by hand, with a full set of attempts");
    t->status = j->row.status;
    return BP_OK;
}

/* ---- sweep: what time alone changes ---- */

static void expire(struct my_queue_plugin *q, struct job *j, int64_t now_ms)
{
    char error[320];
    snprintf(error, sizeof error, "lease expired %d times; the last worker was %.255s", j->row.attempts, j->row.worker);
    job_event(q, j, now_ms, "expired", "sweeper", j->row.worker);
    note(q, j->row.workflow, now_ms, NOTE_EXPIRED, j->row.id);
    text_set(q, &j->row.lease_token, NULL);
    if (j->row.cancel_requested) {
        job_to_end(q, j, now_ms, BP_JOB_CANCELLED, NULL);
        job_event(q, j, now_ms, "cancelled", "sweeper", "its worker did not answer");
    } else if (j->row.attempts >= j->row.max_attempts) {
        job_to_end(q, j, now_ms, BP_JOB_FAILED, error);
        job_event(q, j, now_ms, "failed", "sweeper", error);
    } else {
        job_to_queue(j, now_ms, 0);
        text_set(q, &j->row.error, "lease expired");
    }
}

/* When the job is due for a sweep; 0: never. */
static int64_t due_of(const struct job *j)
{
    if (j->row.status == BP_JOB_LEASED)
        return j->row.lease_expires_ms;
    return j->row.status == BP_JOB_SCHEDULED ? j->row.not_before_ms : 0;
}

static void sweep_one(struct my_queue_plugin *q, struct job *j, int64_t now_ms)
{
    job_touch(q, j, now_ms);
    if (j->row.status == BP_JOB_LEASED) {
        expire(q, j, now_ms);
    } else {
        job_to_queue(j, j->row.not_before_ms, 0);
        job_event(q, j, now_ms, "due", "sweeper", NULL);
    }
}

int32_t op_sweep(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_sweep *w = &op->u.sweep;
    uint32_t done[2] = {0, 0}; /* of each kind */
    struct list rows = {calloc(q->jobs.n + 1, sizeof(void *)), 0, q->jobs.n};
    w->count = 0;
    w->jobs = NULL;
    w->next_due_ms = 0;
    q->no_memory |= !rows.at;
    if (w->epoch)
        refuse(op, BP_STALE, "nobody leads: this queue has one controller");
    for (size_t i = 0; i < q->jobs.n && op->err.rc == BP_OK && !q->no_memory; i++) {
        struct job *j = q->jobs.at[i];
        int64_t due = j->gone ? 0 : due_of(j);
        uint32_t *n = &done[j->row.status == BP_JOB_LEASED];
        if (due && due <= op->now_ms && *n < w->limit) {
            (*n)++;
            sweep_one(q, j, op->now_ms);
            rows.at[rows.n++] = j;
        } else if (due && (!w->next_due_ms || due < w->next_due_ms)) {
            w->next_due_ms = due;
        }
    }
    struct part part = {&rows, &job_shape, NULL};
    if (rows.n)
        pack(q, &part, 1, &w->memory);
    w->count = (uint32_t)rows.n;
    w->jobs = part.out;
    free(rows.at);
    return op->err.rc;
}
