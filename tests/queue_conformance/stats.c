/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers scaling and metrics are made from. */
#include "case.h"

CASE(stats, stats_of_nothing_are_empty)
{
    struct bp_op *op = op_new(BP_OP_STATS);
    op->u.stats.window_ms = 300000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.stats.count, 0);
}

CASE(stats, stats_count_every_state)
{
    worker_any("w");
    for (int i = 0; i < 7; i++)
        submit("a");
    struct bp_op *later = submit_op("a");
    later->u.submit.not_before_ms = world.now + 99;
    CHECK_INT(apply_one(later), BP_OK);
    struct lease l = lease_one("w"), m = lease_one("w"), n = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(apply_one(fail_op(&m, "no", 0)), BP_OK);
    const struct bp_queue_stats_row *s = stats_of("a");
    CHECK_INT(s->queued, 4);
    CHECK_INT(s->leased, 1);
    CHECK_INT(s->scheduled, 1);
    CHECK_INT(s->completed_recent, 1);
    CHECK_INT(s->failed_recent, 1);
    CHECK_INT(s->submitted_recent, 8);
    CHECK_INT(requeue(&n), BP_OK);
    CHECK_INT(stats_of("a")->queued, 5);
    CHECK_INT(stats_of("a")->leased, 0);
}

CASE(stats, stats_keep_workflows_apart)
{
    submit("a");
    submit("b");
    submit("b");
    CHECK_INT(stats_of("a")->queued, 1);
    CHECK_INT(stats_of("b")->queued, 2);
    CHECK(stats_of("c") == NULL);
}

CASE(stats, stats_have_a_row_for_a_workflow_with_workers_only)
{
    worker_put("w", "[\"idle\"]", 2);
    const struct bp_queue_stats_row *s = stats_of("idle");
    CHECK(s != NULL);
    CHECK_INT(s->queued, 0);
    CHECK_INT(s->active_workers, 1);
    CHECK_INT(s->available_capacity, 2);
}

CASE(stats, stats_windows_forget)
{
    worker_any("w");
    submit("a");
    submit("a");
    submit("a");
    struct lease l = lease_one("w"), m = lease_one("w"), n = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(apply_one(fail_op(&m, "no", 0)), BP_OK);
    CHECK_INT(requeue(&n), BP_OK);
    advance(290000);
    const struct bp_queue_stats_row *s = stats_of("a");
    CHECK_INT(s->completed_recent, 1);
    CHECK_INT(s->failed_recent, 1);
    CHECK_INT(s->interrupted_recent, 1);
    CHECK_INT(s->submitted_recent, 3);
    advance(20000);
    s = stats_of("a");
    CHECK_INT(s->completed_recent, 0);
    CHECK_INT(s->failed_recent, 0);
    CHECK_INT(s->interrupted_recent, 0);
    CHECK_INT(s->submitted_recent, 0);
    CHECK_INT(s->queued, 1);
}

CASE(stats, stats_count_interrupted_jobs_once)
{
    worker_any("w");
    submit("a");
    for (int i = 0; i < 3; i++) {
        struct lease l = lease_one("w");
        CHECK_INT(requeue(&l), BP_OK);
        advance(10);
    }
    CHECK_INT(stats_of("a")->interrupted_recent, 1);
    submit("a");
    lease_one("w");
    lease_one("w");
    worker_any("w");
    CHECK_INT(stats_of("a")->interrupted_recent, 2);
}

CASE(stats, stats_count_each_expiry)
{
    worker_any("w");
    submit("a");
    for (int i = 0; i < 2; i++) {
        lease_one("w");
        advance(TTL + 1);
        sweep();
    }
    CHECK_INT(stats_of("a")->lease_expired_recent, 2);
}

CASE(stats, stats_oldest_is_the_one_due_longest)
{
    worker_any("w");
    CHECK(stats_of("a")->oldest_queued_ms == 0);
    submit("a");
    int64_t first = world.now;
    advance(700);
    submit_priority("a", 50);
    CHECK_INT(stats_of("a")->oldest_queued_ms, first);
    lease_one("w");
    CHECK_INT(stats_of("a")->oldest_queued_ms, first);
    lease_one("w");
    CHECK_INT(stats_of("a")->oldest_queued_ms, 0);
}

CASE(stats, stats_oldest_of_a_scheduled_job_is_its_due_time)
{
    struct bp_op *later = submit_op("a");
    later->u.submit.not_before_ms = world.now + 5000;
    CHECK_INT(apply_one(later), BP_OK);
    CHECK_INT(stats_of("a")->oldest_queued_ms, 0);
    advance(6000);
    submit("a");
    sweep();
    CHECK_INT(stats_of("a")->oldest_queued_ms, WORLD_BEGIN + 5000);
}

CASE(stats, stats_active_workers_were_seen_or_are_busy)
{
    worker_put("idle", "[\"a\"]", 3);
    worker_put("busy", "[\"a\"]", 3);
    worker_put("other", "[\"b\"]", 3);
    submit("a");
    struct bp_op *op = lease_op("busy", "a", 1);
    op->u.lease.ttl_ms = 3600000;
    CHECK_INT(apply_one(op), BP_OK);
    const struct bp_queue_stats_row *s = stats_of("a");
    CHECK_INT(s->active_workers, 2);
    CHECK_INT(s->available_capacity, 5);
    advance(5 * 60000 + 1000);
    s = stats_of("a");
    CHECK_INT(s->active_workers, 1);
    CHECK_INT(s->available_capacity, 2);
}

CASE(stats, stats_leave_the_unapproved_out)
{
    worker_put("w", "[\"a\"]", 3);
    struct bp_op *op = op_new(BP_OP_WORKER_SET);
    op->u.worker_set.worker_id = "w";
    op->u.worker_set.draining = op->u.worker_set.max_concurrency = -1;
    CHECK_INT(apply_one(op), BP_OK);
    submit("a");
    CHECK_INT(stats_of("a")->active_workers, 0);
    CHECK_INT(stats_of("a")->available_capacity, 0);
}

CASE(stats, stats_capacity_is_never_negative)
{
    worker_put("w", "[\"a\"]", 1);
    for (int i = 0; i < 3; i++)
        submit("a");
    struct bp_op *op = lease_op("w", "a", 3);
    op->u.lease.max_concurrency = 3;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 3);
    worker_put("v", "[\"a\"]", 2);
    CHECK_INT(stats_of("a")->available_capacity, 2);
}

CASE(stats, stats_percentiles_of_run_and_wait)
{
    worker_any("w");
    CHECK(stats_of("a")->run_p50_s == 0);
    for (int i = 1; i <= 9; i++) {
        submit("a");
        advance(i * 1000);
        struct lease l = lease_one("w");
        advance(i * 100);
        CHECK_INT(complete(&l), BP_OK);
    }
    const struct bp_queue_stats_row *s = stats_of("a");
    CHECK(s->run_p50_s == 0.5);
    CHECK(s->wait_p95_s == 9.0);
    advance(11 * 60000);
    s = stats_of("a");
    CHECK(s->run_p50_s == 0 && s->wait_p95_s == 0);
}

CASE(stats, stats_survive_a_restart)
{
    worker_any("w");
    submit("a");
    submit("a");
    struct lease l = lease_one("w");
    advance(400);
    CHECK_INT(complete(&l), BP_OK);
    struct bp_queue_stats_row before = *stats_of("a");
    world_restart();
    const struct bp_queue_stats_row *after = stats_of("a");
    CHECK_INT(after->queued, before.queued);
    CHECK_INT(after->completed_recent, before.completed_recent);
    CHECK_INT(after->oldest_queued_ms, before.oldest_queued_ms);
    CHECK(after->run_p50_s == before.run_p50_s);
}

CASE(stats, stats_after_prune_count_what_is_left)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    submit("a");
    advance(1000);
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.before_ms = world.now;
    op->u.prune.limit = 10;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(stats_of("a")->queued, 1);
    CHECK_INT(stats_of("a")->leased, 0);
}

CASE(stats, stats_have_no_row_once_all_jobs_are_pruned)
{
    worker_put("w", "[\"b\"]", 5);
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK(stats_of("a") != NULL);
    advance(1000);
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.before_ms = world.now;
    op->u.prune.limit = 10;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK(stats_of("a") == NULL);
}
