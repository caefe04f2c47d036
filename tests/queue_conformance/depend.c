/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that wait for others: when they may run, and what becomes of them when one of those comes to a bad end. */
#include <stdlib.h>

#include "case.h"

static struct bp_op *completed(const char *worker)
{
    struct lease l = lease_one(worker);
    struct bp_op *op = complete_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    return op;
}

static struct bp_op *failed(const char *worker)
{
    struct lease l = lease_one(worker);
    struct bp_op *op = fail_op(&l, "no", 0);
    CHECK_INT(apply_one(op), BP_OK);
    return op;
}

/* Does the text name the job by its number, and by no longer one? */
static bool names_job(const char *text, int64_t id)
{
    char number[32];
    snprintf(number, sizeof number, "%" PRId64, id);
    for (const char *at = text; at && (at = strstr(at, number)); at++) {
        char before = at == text ? ' ' : at[-1], after = at[strlen(number)];
        if ((before < '0' || before > '9') && (after < '0' || after > '9'))
            return true;
    }
    return false;
}

/* The ids of a JSON array of numbers; how many. */
static uint32_t numbers(const char *json, int64_t *out, uint32_t room)
{
    uint32_t n = 0;
    CHECK(json && json[0] == '[');
    for (const char *at = json; *at && *at != ']';) {
        char *end;
        int64_t value = strtoll(at + 1, &end, 10);
        CHECK(end > at + 1 && n < room);
        out[n++] = value;
        for (at = end; *at == ' '; at++)
            ;
    }
    return n;
}

CASE(depend, depend_stays_scheduled_until_all_completed)
{
    worker_any("w");
    int64_t ids[2] = {submit("a"), submit("a")};
    struct bp_op *op = after_op(ids, 2);
    CHECK_INT(apply_one(op), BP_OK);
    int64_t child = op->u.submit.id;
    CHECK_INT(op->u.submit.status, BP_JOB_SCHEDULED);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_NEW);
    CHECK_INT(job(child)->waits_for, 2);
    CHECK_INT(completed("w")->u.complete.dependents, 0);
    advance(INT64_C(1000) * 86400 * 365);
    CHECK_INT(sweep()->count, 0);
    CHECK_INT(status_of(child), BP_JOB_SCHEDULED);
    CHECK_INT(job(child)->waits_for, 1);
    CHECK_INT(completed("w")->u.complete.dependents, 1);
    const struct bp_op_sweep *w = sweep();
    CHECK_INT(w->count, 1);
    CHECK_INT(w->jobs[0].id, child);
    CHECK_INT(w->jobs[0].status, BP_JOB_QUEUED);
    CHECK_INT(job(child)->waits_for, 0);
    CHECK_INT(lease_id("w"), child);
}

CASE(depend, depend_on_completed_jobs_does_not_wait)
{
    worker_any("w");
    int64_t ids[2] = {submit("a"), submit("a")};
    completed("w");
    completed("w");
    struct bp_op *op = after_op(ids, 2);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.status, BP_JOB_QUEUED);
    CHECK_INT(job(op->u.submit.id)->waits_for, 0);
    CHECK_INT(lease_id("w"), op->u.submit.id);
}

CASE(depend, depend_on_some_completed_jobs_waits_for_the_rest)
{
    worker_any("w");
    int64_t ids[2] = {submit("a"), submit("a")};
    completed("w");
    struct bp_op *op = after_op(ids, 2);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.submit.status, BP_JOB_SCHEDULED);
    CHECK_INT(job(op->u.submit.id)->waits_for, 1);
    CHECK_INT(completed("w")->u.complete.dependents, 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(op->u.submit.id), BP_JOB_QUEUED);
}

CASE(depend, depend_counts_all_that_waited)
{
    worker_any("w");
    int64_t parent = submit("a");
    submit_after(parent);
    submit_after(parent);
    submit_after(parent);
    CHECK_INT(completed("w")->u.complete.dependents, 3);
    CHECK_INT(sweep()->count, 3);
}

CASE(depend, depend_repeated_complete_wakes_nobody_again)
{
    worker_any("w");
    submit_after(submit("a"));
    struct lease l = lease_one("w");
    struct bp_op *first = complete_op(&l), *again = complete_op(&l);
    CHECK_INT(apply_one(first), BP_OK);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(first->u.complete.dependents, 1);
    CHECK_INT(again->u.complete.dependents, 0);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(sweep()->count, 0);
}

CASE(depend, depend_keeps_its_own_time_too)
{
    worker_any("w");
    int64_t parent = submit("a");
    struct bp_op *op = after_op(&parent, 1);
    op->u.submit.not_before_ms = world.now + 50000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(completed("w")->u.complete.dependents, 0);
    const struct bp_op_sweep *w = sweep();
    CHECK_INT(w->count, 0);
    CHECK_INT(w->next_due_ms, world.now + 50000);
    advance(50000);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(op->u.submit.id), BP_JOB_QUEUED);
}

CASE(depend, depend_wait_time_begins_when_it_became_due)
{
    worker_any("w");
    submit_after(submit("a"));
    advance(70000);
    completed("w");
    CHECK_INT(sweep()->count, 1);
    advance(3000);
    CHECK_INT(completed("w")->u.complete.wait_ms, 3000);
}

CASE(depend, depend_alone_makes_no_sweep_due)
{
    submit_after(submit("a"));
    CHECK_INT(sweep()->next_due_ms, 0);
}

CASE(depend, depend_failure_cancels_at_the_next_sweep)
{
    worker_any("w");
    int64_t parent = submit("a"), child = submit_after(parent);
    CHECK_INT(failed("w")->u.fail.dependents, 1);
    CHECK(status_of(child) == BP_JOB_SCHEDULED);
    const struct bp_op_sweep *w = sweep();
    CHECK_INT(w->count, 1);
    CHECK_INT(w->jobs[0].id, child);
    CHECK_INT(w->jobs[0].status, BP_JOB_CANCELLED);
    CHECK(names_job(job(child)->error, parent));
    CHECK(strstr(job(child)->error, "failed") != NULL);
    CHECK_INT(job(child)->finished_ms, world.now);
    CHECK_STR(timeline(child), "submitted cancelled");
    CHECK_INT(sweep()->count, 0);
}

CASE(depend, depend_cancel_cancels_at_the_next_sweep)
{
    int64_t parent = submit("a"), child = submit_after(parent);
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = parent;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.cancel.dependents, 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(child), BP_JOB_CANCELLED);
    CHECK(names_job(job(child)->error, parent));
    CHECK(strstr(job(child)->error, "cancelled") != NULL);
}

CASE(depend, depend_cancel_of_a_running_job_waits_for_its_end)
{
    worker_any("w");
    int64_t parent = submit("a"), child = submit_after(parent);
    struct lease l = lease_one("w");
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = parent;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.cancel.dependents, 0);
    CHECK_INT(sweep()->count, 0);
    struct bp_op *end = requeue_op(&l, "cancelled");
    CHECK_INT(apply_one(end), BP_OK);
    CHECK_INT(end->u.requeue.status, BP_JOB_CANCELLED);
    CHECK_INT(end->u.requeue.dependents, 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(child), BP_JOB_CANCELLED);
}

CASE(depend, depend_attempt_that_is_retried_dooms_nobody)
{
    worker_any("w");
    int64_t child = submit_after(submit("a"));
    struct lease l = lease_one("w");
    struct bp_op *op = fail_op(&l, "busy", 1);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.fail.dependents, 0);
    advance(10000);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(child), BP_JOB_SCHEDULED);
    CHECK_INT(completed("w")->u.complete.dependents, 1);
}

CASE(depend, depend_interruptions_past_the_limit_doom)
{
    worker_any("w");
    int64_t child = submit_after(submit("a"));
    struct bp_op *op = NULL;
    for (int i = 0; i <= MAX_REQUEUES; i++) {
        struct lease l = lease_one("w");
        op = requeue_op(&l, "spot");
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.requeue.dependents, i == MAX_REQUEUES);
    }
    CHECK_INT(op->u.requeue.status, BP_JOB_FAILED);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(child), BP_JOB_CANCELLED);
}

CASE(depend, depend_expired_for_good_dooms)
{
    worker_any("w");
    struct bp_op *op = submit_op("a");
    op->u.submit.max_attempts = 1;
    CHECK_INT(apply_one(op), BP_OK);
    int64_t child = submit_after(op->u.submit.id);
    lease_one("w");
    advance(TTL + 1);
    sweep();
    CHECK_INT(status_of(op->u.submit.id), BP_JOB_FAILED);
    sweep();
    CHECK_INT(status_of(child), BP_JOB_CANCELLED);
}

CASE(depend, depend_chain_falls_job_by_job)
{
    worker_any("w");
    int64_t first = submit("a"), second = submit_after(first), third = submit_after(second),
            fourth = submit_after(third);
    failed("w");
    uint32_t changed = 0;
    for (int i = 0; i < 3; i++)
        changed += sweep()->count;
    CHECK_INT(changed, 3);
    CHECK_INT(status_of(second), BP_JOB_CANCELLED);
    CHECK_INT(status_of(third), BP_JOB_CANCELLED);
    CHECK_INT(status_of(fourth), BP_JOB_CANCELLED);
    CHECK(names_job(job(fourth)->error, third));
    CHECK_INT(stats_of("a")->scheduled, 0);
}

CASE(depend, depend_is_doomed_once)
{
    worker_any("w");
    int64_t ids[2] = {submit("a"), submit("a")};
    struct bp_op *op = after_op(ids, 2);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(failed("w")->u.fail.dependents, 1);
    CHECK_INT(failed("w")->u.fail.dependents, 0);
    CHECK_INT(sweep()->count, 1);
    CHECK(names_job(job(op->u.submit.id)->error, ids[0]));
}

CASE(depend, depend_doomed_job_is_cancelled_though_the_rest_completes)
{
    worker_any("w");
    int64_t ids[2] = {submit("a"), submit("a")};
    struct bp_op *op = after_op(ids, 2);
    CHECK_INT(apply_one(op), BP_OK);
    failed("w");
    CHECK_INT(completed("w")->u.complete.dependents, 0);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(op->u.submit.id), BP_JOB_CANCELLED);
}

CASE(depend, depend_waiting_job_can_be_cancelled)
{
    worker_any("w");
    int64_t parent = submit("a"), child = submit_after(parent), grandchild = submit_after(child);
    struct bp_op *op = op_new(BP_OP_CANCEL);
    op->u.cancel.id = child;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.cancel.status, BP_JOB_CANCELLED);
    CHECK_INT(op->u.cancel.dependents, 1);
    CHECK_INT(completed("w")->u.complete.dependents, 0);
    sweep();
    CHECK_INT(status_of(child), BP_JOB_CANCELLED);
    CHECK_INT(status_of(grandchild), BP_JOB_CANCELLED);
}

CASE(depend, depend_on_no_job_of_the_tenant_is_not_found)
{
    int64_t mine = submit("a"), wrong[2] = {mine, mine + 1000};
    struct bp_op *unknown = after_op(wrong, 2), *foreign = after_op(&mine, 1);
    CHECK_INT(apply_one(unknown), BP_NOTFOUND);
    CHECK_INT(unknown->u.submit.outcome, BP_SUBMIT_AFTER);
    CHECK_INT(unknown->u.submit.after_id, mine + 1000);
    CHECK(names_job(unknown->err.text, mine + 1000));
    foreign->u.submit.tenant = "zenith";
    CHECK_INT(apply_one(foreign), BP_NOTFOUND);
    CHECK_INT(foreign->u.submit.outcome, BP_SUBMIT_AFTER);
    CHECK_INT(foreign->u.submit.after_id, mine);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 1);
    CHECK_INT(stats_of("a")->submitted_recent, 1);
}

CASE(depend, depend_on_a_failed_or_cancelled_job_conflicts)
{
    worker_any("w");
    int64_t bad = submit("a"), gone = submit("a");
    failed("w");
    CHECK_INT(cancel(gone), BP_OK);
    struct bp_op *one = after_op(&bad, 1), *two = after_op(&gone, 1);
    CHECK_INT(apply_one(one), BP_CONFLICT);
    CHECK_INT(one->u.submit.outcome, BP_SUBMIT_AFTER);
    CHECK_INT(one->u.submit.after_id, bad);
    CHECK_INT(apply_one(two), BP_CONFLICT);
    CHECK_INT(two->u.submit.after_id, gone);
    CHECK(names_job(two->err.text, gone));
}

CASE(depend, depend_on_too_many_or_one_twice_is_invalid)
{
    int64_t ids[BP_AFTER_MAX + 1];
    for (int i = 0; i <= BP_AFTER_MAX; i++)
        ids[i] = submit("a");
    struct bp_op *most = after_op(ids, BP_AFTER_MAX), *many = after_op(ids, BP_AFTER_MAX + 1);
    CHECK_INT(apply_one(most), BP_OK);
    CHECK_INT(job(most->u.submit.id)->waits_for, BP_AFTER_MAX);
    CHECK_INT(apply_one(many), BP_INVALID);
    CHECK_INT(many->u.submit.outcome, 0);
    ids[1] = ids[0];
    CHECK_INT(apply_one(after_op(ids, 2)), BP_INVALID);
    struct bp_op *none = after_op(ids, 1);
    none->u.submit.after = NULL;
    CHECK_INT(apply_one(none), BP_INVALID);
}

CASE(depend, depend_get_tells_what_it_waits_and_waited_for)
{
    worker_any("w");
    int64_t ids[3] = {submit("a"), submit("a"), submit("a")}, got[4];
    struct bp_op *op = after_op(ids, 3);
    CHECK_INT(apply_one(op), BP_OK);
    for (int round = 0; round < 2; round++) {
        CHECK_INT(numbers(job(op->u.submit.id)->after, got, 4), 3);
        for (int i = 0; i < 3; i++)
            CHECK_INT(got[i], ids[i]);
        completed("w");
    }
    CHECK(job(ids[0])->after == NULL);
}

CASE(depend, depend_timeline_tells_what_it_waits_for)
{
    int64_t parent = submit("a");
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = submit_after(parent);
    op->u.get.with_events = 1;
    CHECK_INT(apply_one(op), BP_OK);
    bool told = false;
    for (uint32_t i = 0; i < op->u.get.n_events; i++)
        told |= op->u.get.events[i].detail && names_job(op->u.get.events[i].detail, parent);
    CHECK(told);
}

CASE(depend, depend_retry_of_a_job_waits_for_what_is_pending)
{
    worker_any("w");
    int64_t ids[2] = {submit("a"), submit("a")};
    struct bp_op *op = after_op(ids, 2);
    CHECK_INT(apply_one(op), BP_OK);
    int64_t child = op->u.submit.id;
    CHECK_INT(cancel(child), BP_OK);
    completed("w");
    struct bp_op *again = op_new(BP_OP_RETRY);
    again->u.retry.id = child;
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.retry.status, BP_JOB_SCHEDULED);
    CHECK_INT(job(child)->waits_for, 1);
    CHECK_INT(sweep()->count, 0);
    CHECK_INT(completed("w")->u.complete.dependents, 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(lease_id("w"), child);
}

CASE(depend, depend_retry_conflicts_while_one_it_waits_for_is_bad)
{
    worker_any("w");
    int64_t parent = submit("a"), child = submit_after(parent);
    failed("w");
    sweep();
    struct bp_op *op = op_new(BP_OP_RETRY);
    op->u.retry.id = child;
    CHECK_INT(apply_one(op), BP_CONFLICT);
    CHECK(names_job(op->err.text, parent));
    CHECK_INT(status_of(child), BP_JOB_CANCELLED);
    CHECK_INT(retry(parent), BP_OK);
    CHECK_INT(retry(child), BP_OK);
    CHECK_INT(status_of(child), BP_JOB_SCHEDULED);
    CHECK(job(child)->error == NULL);
    CHECK_INT(completed("w")->u.complete.dependents, 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(lease_id("w"), child);
}

CASE(depend, depend_retry_after_all_completed_is_queued)
{
    worker_any("w");
    int64_t parent = submit("a"), child = submit_after(parent);
    completed("w");
    advance(1000);
    sweep();
    failed("w");
    CHECK_INT(status_of(child), BP_JOB_FAILED);
    CHECK_INT(retry(child), BP_OK);
    CHECK_INT(status_of(child), BP_JOB_QUEUED);
    failed("w");
    struct bp_op *prune = op_new(BP_OP_PRUNE);
    prune->u.prune.before_ms = world.now;
    prune->u.prune.limit = 10;
    CHECK_INT(apply_one(prune), BP_OK);
    CHECK_INT(prune->u.prune.removed, 1);
    CHECK_INT(prune->u.prune.jobs[0].id, parent);
    CHECK_INT(retry(child), BP_OK);
    CHECK_INT(status_of(child), BP_JOB_QUEUED);
}

CASE(depend, depend_survives_a_restart)
{
    worker_any("w");
    int64_t parent = submit("a"), child = submit_after(parent);
    world_restart();
    CHECK_INT(completed("w")->u.complete.dependents, 1);
    world_restart();
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(lease_id("w"), child);
}

CASE(depend, depend_in_one_batch_with_the_end_it_waits_for)
{
    worker_any("w");
    int64_t parent = submit("a");
    submit_after(parent);
    struct lease l = lease_one("w");
    struct bp_op *ops[4] = {after_op(&parent, 1), complete_op(&l), after_op(&parent, 1), op_new(BP_OP_SWEEP)};
    ops[3]->u.sweep.limit = 10;
    apply_all(ops, 4);
    CHECK_INT(ops[0]->u.submit.status, BP_JOB_SCHEDULED);
    CHECK_INT(ops[1]->u.complete.dependents, 2);
    CHECK_INT(ops[2]->u.submit.status, BP_JOB_QUEUED);
    CHECK_INT(ops[3]->u.sweep.count, 2);
}
