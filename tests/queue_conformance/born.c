/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that is submitted to a worker that waits: its submit and that worker's lease are one transaction, which a store
 * may write as a row that was never queued. Nobody may see the difference.
 */
#include "case.h"

/* So that a store that learns from what it did has done all of it; some look at the clock too. */
static void begin(void)
{
    worker_any("w");
    for (int i = 0; i < 3; i++) {
        submit("a");
        struct lease l = lease_one("w");
        CHECK_INT(complete(&l), BP_OK);
        pass(i == 0 ? 120 : 0);
    }
}

static struct lease born(struct bp_op *sub)
{
    struct lease l;
    struct bp_op *ops[2] = {sub, lease_op("w", "a", 1)};
    apply_all(ops, 2);
    CHECK_INT(ops[0]->u.submit.outcome, BP_SUBMIT_NEW);
    CHECK_INT(leased(ops[1], &l, 1), 1);
    CHECK_INT(l.id, ops[0]->u.submit.id);
    return l;
}

/* Submits and leases in one transaction, so many of each; the number of jobs leased. */
static uint32_t together(struct bp_op *const *subs, uint32_t n, const char *worker, struct lease *out)
{
    struct bp_op *ops[16];
    uint32_t got = 0;
    for (uint32_t i = 0; i < n; i++) {
        ops[i] = subs[i];
        ops[n + i] = lease_op(worker, "a", 1);
    }
    apply_all(ops, 2 * n);
    for (uint32_t i = 0; i < n; i++)
        got += leased(ops[n + i], out + got, 1);
    return got;
}

CASE(batch, a_job_born_leased_is_all_there)
{
    begin();
    struct bp_op *sub = submit_op("a");
    sub->u.submit.effect = "zoom";
    sub->u.submit.params = "{\"it's\":\"\\\\ \\n\"}";
    sub->u.submit.inputs = "[{\"key\":\"k\"}]";
    sub->u.submit.idempotency_key = "once";
    sub->u.submit.max_attempts = 2;
    struct lease l = born(sub);
    const struct bp_job_row *r = l.row;
    CHECK_STR(r->params, sub->u.submit.params);
    CHECK_STR(r->inputs, sub->u.submit.inputs);
    CHECK_STR(r->effect, "zoom");
    CHECK_INT(r->attempts, 1);
    r = job(l.id);
    CHECK_INT(r->status, BP_JOB_LEASED);
    CHECK_INT(r->attempts, 1);
    CHECK_INT(r->max_attempts, 2);
    CHECK_INT(r->created_ms, world.now);
    CHECK_INT(r->leased_ms, world.now);
    CHECK_INT(r->first_leased_ms, world.now);
    CHECK_INT(r->lease_expires_ms, world.now + TTL);
    CHECK_STR(r->worker, "w");
    CHECK_STR(r->lease_token, l.token);
    CHECK_STR(r->params, sub->u.submit.params);
    CHECK_STR(r->idempotency_key, "once");
    CHECK(r->output_key && strstr(r->output_key, "tenants/acme/jobs/"));
    CHECK_STR(timeline(l.id), "submitted leased");
}

CASE(batch, a_job_born_leased_is_counted_like_any_other)
{
    begin();
    struct lease l = born(submit_op("a"));
    const struct bp_queue_stats_row *s = stats_of("a");
    CHECK_INT(s->queued, 0);
    CHECK_INT(s->leased, 1);
    CHECK_INT(worker_row("w")->live_leases, 1);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(complete(&l), BP_OK);
    s = stats_of("a");
    CHECK_INT(s->leased, 0);
    CHECK_INT(worker_row("w")->live_leases, 0);
    CHECK_STR(timeline(l.id), "submitted leased completed");
}

CASE(batch, a_job_born_leased_that_reached_nobody_loses_no_attempt)
{
    begin();
    struct lease l = born(submit_op("a"));
    struct bp_op *op = requeue_op(&l, "the worker went away before its lease reached it");
    op->u.requeue.max_requeues = -1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(status_of(l.id), BP_JOB_QUEUED);
    CHECK_INT(job(l.id)->attempts, 0);
    CHECK_INT(job(l.id)->requeues, 0);
    CHECK_INT(complete(&l), BP_STALE);
    submit("a");
    struct lease again = lease_one("w");
    CHECK_INT(again.id, l.id);
    CHECK_INT(again.row->attempts, 1);
}

CASE(batch, a_job_born_leased_expires)
{
    begin();
    struct lease l = born(submit_op("a"));
    advance(TTL + 1);
    CHECK_INT(sweep()->count, 1);
    CHECK_INT(status_of(l.id), BP_JOB_QUEUED);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(lease_id("w"), l.id);
}

CASE(batch, a_job_born_leased_fails_and_comes_again)
{
    begin();
    struct lease l = born(submit_op("a"));
    CHECK_INT(apply_one(fail_op(&l, "no memory", 1)), BP_OK);
    CHECK_INT(status_of(l.id), BP_JOB_SCHEDULED);
    advance(600000);
    sweep();
    struct lease again = lease_one("w");
    CHECK_INT(again.id, l.id);
    CHECK_INT(again.row->attempts, 2);
}

CASE(batch, a_job_born_leased_can_be_cancelled_and_kept_alive)
{
    begin();
    struct lease l = born(submit_op("a"));
    CHECK_INT(cancel(l.id), BP_OK);
    struct bp_op *op = extend_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.extend.cancel_requested, 1);
    CHECK_INT(job(l.id)->lease_expires_ms, world.now + TTL);
}

CASE(batch, a_job_born_leased_outlives_a_restart)
{
    begin();
    struct lease l = born(submit_op("a"));
    world_restart();
    CHECK_INT(status_of(l.id), BP_JOB_LEASED);
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_STR(timeline(l.id), "submitted leased completed");
}

CASE(batch, what_waits_longer_goes_to_the_worker_that_waits)
{
    struct lease l[3];
    begin();
    int64_t old = submit("a");
    struct bp_op *subs[] = {submit_op("a"), submit_op("a")};
    CHECK_INT(together(subs, 2, "w", l), 2);
    CHECK_INT(l[0].id, old);
    CHECK_INT(l[1].id, subs[0]->u.submit.id);
    CHECK_INT(lease_id("w"), subs[1]->u.submit.id);
}

CASE(batch, the_most_urgent_submit_goes_to_the_worker_that_waits)
{
    struct lease l[3];
    begin();
    struct bp_op *subs[] = {submit_op("a"), submit_op("a"), submit_op("a")};
    subs[1]->u.submit.priority = 5;
    subs[2]->u.submit.priority = 9;
    CHECK_INT(together(subs, 3, "w", l), 3);
    CHECK_INT(l[0].id, subs[2]->u.submit.id);
    CHECK_INT(l[1].id, subs[1]->u.submit.id);
    CHECK_INT(l[2].id, subs[0]->u.submit.id);
}

CASE(batch, a_worker_without_room_leaves_the_submit_queued)
{
    struct lease l[3];
    begin();
    worker_put("full", "[\"a\"]", 1);
    struct bp_op *subs[] = {submit_op("a"), submit_op("a")};
    CHECK_INT(together(subs, 2, "full", l), 1);
    CHECK_INT(l[0].id, subs[0]->u.submit.id);
    CHECK_INT(status_of(subs[1]->u.submit.id), BP_JOB_QUEUED);
    subs[0] = submit_op("a");
    CHECK_INT(together(subs, 1, "full", l), 0);
    CHECK_INT(stats_of("a")->queued, 2);
    CHECK_INT(lease_id("w"), subs[1]->u.submit.id);
}

CASE(batch, a_draining_worker_leaves_the_submit_queued)
{
    begin();
    struct bp_op *drain = op_new(BP_OP_WORKER_SET);
    drain->u.worker_set =
        (struct bp_op_worker_set){.worker_id = "w", .approved = -1, .draining = 1, .max_concurrency = -1, .touch = 0};
    CHECK_INT(apply_one(drain), BP_OK);
    struct bp_op *ops[2] = {submit_op("a"), lease_op("w", "a", 1)};
    apply_all(ops, 2);
    CHECK_INT(ops[0]->err.rc, BP_OK);
    CHECK_INT(ops[1]->err.rc, BP_DENIED);
    CHECK_INT(status_of(ops[0]->u.submit.id), BP_JOB_QUEUED);
}

CASE(batch, one_that_is_not_due_is_not_born_leased)
{
    struct lease l[2];
    begin();
    int64_t before = submit("b");
    struct bp_op *subs[] = {submit_op("a"), after_op(&before, 1)};
    subs[0]->u.submit.not_before_ms = world.now + 5000;
    CHECK_INT(together(subs, 2, "w", l), 0);
    CHECK_INT(status_of(subs[0]->u.submit.id), BP_JOB_SCHEDULED);
    CHECK_INT(status_of(subs[1]->u.submit.id), BP_JOB_SCHEDULED);
    advance(5000);
    sweep();
    CHECK_INT(lease_id("w"), subs[0]->u.submit.id);
}

CASE(batch, repetitions_of_one_submit_are_one_job_for_one_worker)
{
    struct lease l[4];
    begin();
    struct bp_op *subs[] = {submit_op("a"), submit_op("a"), submit_op("a"), submit_op("a")};
    subs[0]->u.submit.idempotency_key = subs[1]->u.submit.idempotency_key = "k";
    subs[2]->u.submit.unique_key = subs[3]->u.submit.unique_key = "u";
    CHECK_INT(together(subs, 4, "w", l), 2);
    CHECK_INT(subs[1]->u.submit.outcome, BP_SUBMIT_REPLAY);
    CHECK_INT(subs[1]->u.submit.id, subs[0]->u.submit.id);
    CHECK_INT(subs[3]->u.submit.outcome, BP_SUBMIT_PENDING);
    subs[0] = submit_op("a");
    subs[0]->u.submit.idempotency_key = "k";
    CHECK_INT(together(subs, 1, "w", l), 0);
    CHECK_INT(subs[0]->u.submit.outcome, BP_SUBMIT_REPLAY);
    CHECK_INT(subs[0]->u.submit.status, BP_JOB_LEASED);
}

CASE(batch, a_tenant_at_its_limit_gets_no_job_born_leased)
{
    struct lease l[2];
    begin();
    struct bp_op *op = tenant_op("acme");
    op->u.tenant_put.max_running = 1;
    op->u.tenant_put.max_pending = 2;
    CHECK_INT(apply_one(op), BP_OK);
    struct bp_op *ops[] = {submit_op("a"), lease_op("w", "a", 1), submit_op("a"), submit_op("a"),
                           lease_op("w", "a", 1)};
    apply_all(ops, 5);
    CHECK_INT(leased(ops[1], l, 1), 1);
    CHECK_INT(leased(ops[4], l + 1, 1), 0);
    CHECK_INT(ops[2]->err.rc, BP_OK);
    CHECK_INT(ops[3]->u.submit.outcome, BP_SUBMIT_LIMIT);
    CHECK_INT(complete(&l[0]), BP_OK);
    CHECK_INT(lease_id("w"), ops[2]->u.submit.id);
}

CASE(batch, the_end_of_a_job_born_leased_is_told_to_its_webhook)
{
    begin();
    struct bp_op *op = tenant_op("acme");
    op->u.tenant_put.webhook_url = "https://example.com/hook";
    CHECK_INT(apply_one(op), BP_OK);
    struct lease l = born(submit_op("a"));
    CHECK_INT(complete(&l), BP_OK);
    struct bp_op *take = op_new(BP_OP_WEBHOOK_TAKE);
    take->u.webhook_take.limit = 10;
    take->u.webhook_take.hold_ms = 1000;
    CHECK_INT(apply_one(take), BP_OK);
    CHECK_INT(take->u.webhook_take.count, 1);
    CHECK_INT(take->u.webhook_take.rows[0].job_id, l.id);
}

/* ---- the queue is empty now ---- */

static int emptied_by_one(const char *workflow)
{
    struct bp_op *op = lease_op("w", workflow, 1);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 1);
    return op->u.lease.emptied;
}

CASE(lease, a_queue_with_jobs_is_not_said_to_be_empty)
{
    begin();
    submit("a");
    submit("a");
    CHECK_INT(emptied_by_one("a"), 0);
    submit_priority("a", -3);
    CHECK_INT(emptied_by_one("a"), 0);
    if (emptied_by_one("a"))
        CHECK_INT(lease_id("w"), 0);
}

CASE(lease, a_queue_is_not_said_to_be_empty_for_what_a_limit_holds_back)
{
    begin();
    struct bp_op *op = tenant_op("acme");
    op->u.tenant_put.max_running = 1;
    CHECK_INT(apply_one(op), BP_OK);
    submit("a");
    submit("a");
    CHECK_INT(emptied_by_one("a"), 0);
}

CASE(lease, a_queue_is_not_said_to_be_empty_while_another_named_one_is_not)
{
    begin();
    const char *both[] = {"a", "b"};
    int64_t first = submit("a");
    submit("b");
    struct bp_op *op = lease_op("w", "a", 1);
    op->u.lease.workflows = both;
    op->u.lease.n_workflows = 2;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.jobs[0].id, first);
    CHECK_INT(op->u.lease.emptied, 0);
}
