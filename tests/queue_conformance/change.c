/* SPDX-License-Identifier: Apache-2.0 */
/* Cancel, retry, and promise 4: what time alone changes. */
#include "case.h"

static int32_t cancel_as(int64_t id, const char *tenant)
{
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = id;
    op->u.cancel.tenant = tenant;
    op->u.cancel.who = "tenant:someone";
    return apply_one(op);
}

static int64_t failed_job(void)
{
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    return l.id;
}

CASE(cancel, cancel_of_a_queued_job_is_immediate)
{
    worker_any("w");
    int64_t id = submit("a");
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = id;
    op->u.cancel.tenant = "acme";
    op->u.cancel.who = "tenant:acme";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.cancel.status, BP_JOB_CANCELLED);
    CHECK_INT(job(id)->finished_ms, world.now);
    CHECK_INT(lease_id("w"), 0);
    CHECK_STR(timeline(id), "submitted cancelled");
}

CASE(cancel, cancel_of_a_scheduled_job_is_immediate)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.not_before_ms = world.now + 1000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(cancel(op->u.submit.id), BP_OK);
    advance(2000);
    CHECK_INT(sweep()->count, 0);
    CHECK_INT(status_of(op->u.submit.id), BP_JOB_CANCELLED);
}

CASE(cancel, cancel_of_a_running_job_waits_for_its_worker)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = l.id;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.cancel.status, BP_JOB_LEASED);
    CHECK_INT(job(l.id)->cancel_requested, 1);
    CHECK_INT(cancel(l.id), BP_OK);
    CHECK_INT(status_of(l.id), BP_JOB_LEASED);
}

CASE(cancel, cancel_of_a_job_waiting_for_its_retry_is_immediate)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 1)), BP_OK);
    CHECK_INT(cancel(l.id), BP_OK);
    CHECK_INT(status_of(l.id), BP_JOB_CANCELLED);
    advance(10000);
    CHECK_INT(sweep()->count, 0);
}

CASE(cancel, cancel_of_a_finished_job_conflicts)
{
    worker_any("w");
    int64_t failed = failed_job();
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(cancel(l.id), BP_CONFLICT);
    CHECK_INT(cancel(failed), BP_CONFLICT);
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
    int64_t id = submit("a");
    CHECK_INT(cancel(id), BP_OK);
    CHECK_INT(cancel(id), BP_CONFLICT);
}

CASE(cancel, cancel_is_the_owners_alone)
{
    int64_t id = submit("a");
    CHECK_INT(cancel_as(id, "zenith"), BP_NOTFOUND);
    CHECK_INT(cancel_as(id, "ACME"), BP_NOTFOUND);
    CHECK_INT(status_of(id), BP_JOB_QUEUED);
    CHECK_INT(cancel_as(id + 1, NULL), BP_NOTFOUND);
    CHECK_INT(cancel_as(id, "acme"), BP_OK);
}

CASE(retry, retry_gives_a_full_set_of_attempts)
{
    worker_any("w");
    int64_t id = failed_job();
    struct bp_op *op = op_new(BP_OP_RETRY);
    op->u.retry.id = id;
    op->u.retry.who = "operator:0";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.retry.status, BP_JOB_QUEUED);
    const struct bp_job_row *j = job(id);
    CHECK_INT(j->attempts, 0);
    CHECK_INT(j->finished_ms, 0);
    CHECK_STR(timeline(id), "submitted leased failed retry");
    for (int i = 1; i <= 3; i++) {
        struct lease l = lease_one("w");
        CHECK_INT(l.row->attempts, i);
        CHECK_INT(apply_one(fail_op(&l, "no", 1)), BP_OK);
        advance(10000);
        sweep();
    }
    CHECK_INT(status_of(id), BP_JOB_FAILED);
}

CASE(retry, retry_of_a_cancelled_job_runs)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(cancel(l.id), BP_OK);
    CHECK_INT(apply_one(fail_op(&l, "stopped", 0)), BP_OK);
    CHECK_INT(retry(l.id), BP_OK);
    CHECK_INT(job(l.id)->cancel_requested, 0);
    l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
}

CASE(retry, retry_of_others_conflicts)
{
    worker_any("w");
    int64_t queued = submit("a");
    CHECK_INT(retry(queued), BP_CONFLICT);
    struct lease l = lease_one("w");
    CHECK_INT(retry(l.id), BP_CONFLICT);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(retry(l.id), BP_CONFLICT);
    CHECK_INT(retry(l.id + 1), BP_NOTFOUND);
    CHECK_INT(status_of(l.id), BP_JOB_COMPLETED);
}

CASE(retry, retry_is_the_owners_alone)
{
    worker_any("w");
    struct bp_op *op = op_new(BP_OP_RETRY);
    op->u.retry.id = failed_job();
    op->u.retry.tenant = "zenith";
    CHECK_INT(apply_one(op), BP_NOTFOUND);
    CHECK_INT(status_of(op->u.retry.id), BP_JOB_FAILED);
}

CASE(retry, retry_ends_the_old_token)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    CHECK_INT(retry(l.id), BP_OK);
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_STALE);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_QUEUED);
}

/* ---- sweep ---- */

CASE(sweep, sweep_returns_expired_leases)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(TTL + 1);
    const struct bp_op_sweep *s = sweep();
    CHECK_INT(s->count, 1);
    CHECK_INT(s->jobs[0].id, l.id);
    CHECK_INT(s->jobs[0].status, BP_JOB_QUEUED);
    CHECK_STR(s->jobs[0].workflow, "a");
    const struct bp_job_row *j = job(l.id);
    CHECK_INT(j->status, BP_JOB_QUEUED);
    CHECK_INT(j->attempts, 1);
    CHECK_INT(j->requeues, 0);
    CHECK(strstr(timeline(l.id), "expired") != NULL);
    CHECK_INT(stats_of("a")->lease_expired_recent, 1);
}

CASE(sweep, sweep_leaves_live_leases)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(TTL - 1);
    CHECK_INT(sweep()->count, 0);
    CHECK_INT(status_of(l.id), BP_JOB_LEASED);
}

CASE(sweep, sweep_again_changes_nothing)
{
    worker_any("w");
    submit("a");
    lease_one("w");
    advance(TTL + 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(sweep()->count, 0);
}

CASE(sweep, sweep_puts_expired_jobs_where_they_were)
{
    worker_any("w");
    int64_t old = submit("a");
    lease_one("w");
    int64_t young = submit("a");
    advance(TTL + 1);
    sweep();
    CHECK_INT(lease_id("w"), old);
    CHECK_INT(lease_id("w"), young);
}

CASE(sweep, sweep_fails_a_job_whose_attempts_are_used_up)
{
    worker_any("w");
    int64_t id = submit("a");
    for (int i = 0; i < 3; i++) {
        lease_one("w");
        advance(TTL + 1);
        sweep();
    }
    const struct bp_job_row *j = job(id);
    CHECK_INT(j->status, BP_JOB_FAILED);
    CHECK(j->error && strstr(j->error, "lease expired 3 times"));
    CHECK_INT(j->finished_ms, world.now);
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(stats_of("a")->failed_recent, 1);
    CHECK_INT(stats_of("a")->lease_expired_recent, 3);
}

/* A long id in characters of three bytes: words about it must not end within one. */
CASE(sweep, sweep_fails_a_job_of_a_worker_with_a_long_name_in_whole_characters)
{
    char name[256] = "";
    for (int i = 0; i < 80; i++)
        memcpy(name + 3 * i, "\xe4\xb8\xad", 3);
    worker_any(name);
    struct bp_op *op = submit_op("a"), *last = lease_op(name, "a", 1);
    op->u.submit.max_attempts = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(apply_one(last), BP_OK);
    CHECK_INT(last->u.lease.count, 1);
    advance(TTL + 1);
    CHECK_INT(sweep()->count, 1);
    const struct bp_job_row *j = job(op->u.submit.id);
    CHECK_INT(j->status, BP_JOB_FAILED);
    CHECK(strstr(j->error, name) != NULL);
}

CASE(sweep, sweep_reports_failed_rows_as_they_are)
{
    worker_any("w");
    struct bp_op *op = submit_op("a");
    op->u.submit.max_attempts = 1;
    CHECK_INT(apply_one(op), BP_OK);
    struct lease l = lease_one("w");
    advance(TTL + 1);
    const struct bp_op_sweep *s = sweep();
    CHECK_INT(s->count, 1);
    CHECK_INT(s->jobs[0].status, BP_JOB_FAILED);
    CHECK(s->jobs[0].error != NULL);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(apply_one(fail_op(&l, "late", 1)), BP_STALE);
    CHECK_INT(status_of(l.id), BP_JOB_FAILED);
}

CASE(sweep, sweep_cancels_a_job_to_be_cancelled)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(cancel(l.id), BP_OK);
    advance(TTL + 1);
    CHECK_INT(sweep()->jobs[0].status, BP_JOB_CANCELLED);
    CHECK_INT(status_of(l.id), BP_JOB_CANCELLED);
}

CASE(sweep, sweep_makes_due_jobs_queued)
{
    struct bp_op *early = submit_op("a"), *late = submit_op("a");
    early->u.submit.not_before_ms = world.now + 1000;
    late->u.submit.not_before_ms = world.now + 9000;
    CHECK_INT(apply_one(early), BP_OK);
    CHECK_INT(apply_one(late), BP_OK);
    advance(1001);
    const struct bp_op_sweep *s = sweep();
    CHECK_INT(s->count, 1);
    CHECK_INT(s->jobs[0].id, early->u.submit.id);
    CHECK_INT(s->jobs[0].status, BP_JOB_QUEUED);
    CHECK_INT(status_of(late->u.submit.id), BP_JOB_SCHEDULED);
}

CASE(sweep, sweep_tells_what_is_due_next)
{
    worker_any("w");
    CHECK_INT(sweep()->next_due_ms, 0);
    submit("a");
    CHECK_INT(sweep()->next_due_ms, 0);
    lease_one("w");
    CHECK_INT(sweep()->next_due_ms, world.now + TTL);
    struct bp_op *op = submit_op("a");
    op->u.submit.not_before_ms = world.now + 500;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(sweep()->next_due_ms, world.now + 500);
}

CASE(sweep, sweep_stops_at_its_limit)
{
    worker_any("w");
    for (int i = 0; i < 10; i++) {
        submit("a");
        lease_one("w");
    }
    advance(TTL + 1);
    uint32_t total = 0;
    for (int i = 0; i < 4; i++) {
        struct bp_op *op = op_new(BP_OP_SWEEP);
        op->u.sweep.limit = 3;
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.sweep.count, i < 3 ? 3 : 1);
        CHECK(i == 3 || op->u.sweep.next_due_ms <= world.now);
        total += op->u.sweep.count;
    }
    CHECK_INT(total, 10);
}

CASE(sweep, sweep_frees_nothing_twice)
{
    worker_put("w", "[\"a\"]", 1);
    worker_any("v");
    submit("a");
    lease_one("w");
    advance(TTL + 1);
    sweep();
    struct lease l = lease_one("v");
    CHECK_INT(worker_row("w")->live_leases, 0);
    CHECK_INT(worker_row("v")->live_leases, 1);
    CHECK_INT(sweep()->count, 0);
    CHECK_INT(complete(&l), BP_OK);
}
