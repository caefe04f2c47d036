/* SPDX-License-Identifier: Apache-2.0 */
/* Promises 6 and 8: who gets what, in which order, and how much. */
#include "case.h"

CASE(lease, lease_gives_the_oldest_first)
{
    int64_t ids[5];
    worker_any("w");
    for (int i = 0; i < 5; i++)
        ids[i] = submit("a");
    for (int i = 0; i < 5; i++)
        CHECK_INT(lease_id("w"), ids[i]);
    CHECK_INT(lease_id("w"), 0);
}

CASE(lease, lease_gives_high_priority_first)
{
    worker_any("w");
    int64_t low = submit_priority("a", -1000), none = submit_priority("a", 0), high = submit_priority("a", 1000),
            ten = submit_priority("a", 10), also = submit_priority("a", 10);
    int64_t want[5] = {high, ten, also, none, low};
    for (int i = 0; i < 5; i++)
        CHECK_INT(lease_id("w"), want[i]);
}

CASE(lease, lease_of_several_keeps_the_order)
{
    struct lease l[8];
    worker_any("w");
    int64_t one = submit("a"), two = submit_priority("a", 3), three = submit("a"), four = submit_priority("a", 3);
    struct bp_op *op = lease_op("w", "a", 8);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, l, 8), 4);
    CHECK_INT(l[0].id, two);
    CHECK_INT(l[1].id, four);
    CHECK_INT(l[2].id, one);
    CHECK_INT(l[3].id, three);
}

CASE(lease, lease_takes_only_named_workflows)
{
    worker_any("w");
    submit_priority("b", 100);
    int64_t id = submit("a");
    CHECK_INT(lease_id("w"), id);
    CHECK_INT(lease_id("w"), 0);
}

CASE(lease, lease_merges_workflows_in_order)
{
    const char *both[] = {"b", "a"};
    struct lease l[8];
    worker_any("w");
    int64_t a1 = submit("a"), b1 = submit("b"), b2 = submit_priority("b", 5), a2 = submit("a"),
            a3 = submit_priority("a", 5);
    struct bp_op *op = lease_op("w", "a", 8);
    op->u.lease.workflows = both;
    op->u.lease.n_workflows = 2;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, l, 8), 5);
    int64_t want[5] = {b2, a3, a1, b1, a2};
    for (int i = 0; i < 5; i++)
        CHECK_INT(l[i].id, want[i]);
}

CASE(lease, lease_of_a_workflow_named_twice_gives_each_job_once)
{
    const char *twice[] = {"a", "a", "a"};
    struct lease l[8];
    worker_any("w");
    submit("a");
    submit("a");
    struct bp_op *op = lease_op("w", "a", 8);
    op->u.lease.workflows = twice;
    op->u.lease.n_workflows = 3;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, l, 8), 2);
    CHECK(l[0].id != l[1].id);
}

CASE(lease, lease_of_many_workflows)
{
    char slugs[60][16];
    const char *names[60];
    int64_t ids[60];
    worker_any("w");
    for (int i = 0; i < 60; i++) {
        snprintf(slugs[i], sizeof slugs[i], "flow-%d", i * 7 % 60);
        names[i] = slugs[i];
        ids[i] = submit(slugs[i]);
    }
    for (int i = 0; i < 60; i++) {
        struct lease l;
        struct bp_op *op = lease_op("w", "a", 1);
        op->u.lease.workflows = names;
        op->u.lease.n_workflows = 60;
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(leased(op, &l, 1), 1);
        CHECK_INT(l.id, ids[i]);
    }
}

CASE(lease, lease_of_nothing_is_ok)
{
    worker_any("w");
    struct bp_op *op = lease_op("w", "a", 4);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 0);
    CHECK(op->u.lease.memory == NULL);
    op = lease_op("w", "never-heard-of", 4);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 0);
    op = lease_op("w", "a", 4);
    op->u.lease.n_workflows = 0;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 0);
}

CASE(lease, lease_row_tells_everything)
{
    worker_any("w");
    int64_t id = submit("a");
    advance(2500);
    struct bp_op *op = lease_op("w", "a", 1);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.live_leases, 1);
    const struct bp_job_row *j = op->u.lease.jobs;
    char key[128];
    snprintf(key, sizeof key, "tenants/acme/jobs/%lld/%s", (long long)id, op->u.lease.output_keys[0]);
    CHECK_INT(j->id, id);
    CHECK_INT(j->status, BP_JOB_LEASED);
    CHECK_INT(j->attempts, 1);
    CHECK_INT(j->leased_ms, world.now);
    CHECK_INT(j->first_leased_ms, world.now);
    CHECK_INT(j->lease_expires_ms, world.now + TTL);
    CHECK_STR(j->lease_token, op->u.lease.tokens[0]);
    CHECK_STR(j->output_key, key);
    CHECK_STR(j->worker, "w");
    CHECK_STR(j->params, "{\"duration\":5}");
    CHECK(strstr(j->inputs, "photo.jpg") != NULL);
    const struct bp_job_row *stored = job(id);
    CHECK_STR(stored->lease_token, op->u.lease.tokens[0]);
    CHECK_STR(stored->output_key, key);
    CHECK_INT(stored->lease_expires_ms, world.now + TTL);
}

CASE(lease, lease_gives_each_attempt_its_own_output_key)
{
    char first[256];
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    snprintf(first, sizeof first, "%s", l.row->output_key);
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    CHECK(strcmp(first, l.row->output_key) != 0);
    CHECK_STR(job(l.id)->output_key, l.row->output_key);
}

CASE(lease, lease_stops_at_max)
{
    worker_any("w");
    for (int i = 0; i < 10; i++)
        submit("a");
    struct bp_op *op = lease_op("w", "a", 4);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 4);
    CHECK_INT(op->u.lease.live_leases, 4);
    CHECK_INT(stats_of("a")->queued, 6);
}

CASE(lease, lease_takes_sixty_four_at_once)
{
    struct lease l[64];
    worker_any("w");
    for (int i = 0; i < 70; i++)
        submit("a");
    struct bp_op *op = lease_op("w", "a", 64);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, l, 64), 64);
    for (int i = 1; i < 64; i++) {
        CHECK(l[i].id > l[i - 1].id);
        CHECK(strcmp(l[i].token, l[i - 1].token) != 0);
    }
}

CASE(lease, lease_counts_live_leases_itself)
{
    worker_put("w", "[\"a\"]", 2);
    for (int i = 0; i < 5; i++)
        submit("a");
    struct bp_op *op = lease_op("w", "a", 5);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 2);
    op = lease_op("w", "a", 5);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 0);
    CHECK_INT(op->u.lease.live_leases, 2);
}

CASE(lease, lease_room_comes_back_when_a_lease_ends)
{
    worker_put("w", "[\"a\"]", 1);
    for (int i = 0; i < 4; i++)
        submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(complete(&l), BP_OK);
    l = lease_one("w");
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    advance(TTL + 1);
    sweep();
    lease_one("w");
}

CASE(lease, lease_concurrency_of_the_request_counts)
{
    worker_put("w", "[\"a\"]", 1);
    for (int i = 0; i < 5; i++)
        submit("a");
    struct bp_op *op = lease_op("w", "a", 5);
    op->u.lease.max_concurrency = 3;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 3);
}

CASE(lease, lease_room_zero_gets_nothing)
{
    worker_put("w", "[\"a\"]", 0);
    submit("a");
    CHECK_INT(lease_id("w"), 0);
}

CASE(lease, lease_denies_an_unknown_worker)
{
    submit("a");
    CHECK_INT(apply_one(lease_op("nobody", "a", 1)), BP_DENIED);
    CHECK_INT(stats_of("a")->queued, 1);
}

static void deny_after(int32_t approved, int32_t draining)
{
    worker_any("w");
    submit("a");
    struct bp_op *op = op_new(BP_OP_WORKER_SET);
    op->u.worker_set.worker_id = "w";
    op->u.worker_set.approved = approved;
    op->u.worker_set.draining = draining;
    op->u.worker_set.max_concurrency = -1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(apply_one(lease_op("w", "a", 1)), BP_DENIED);
    CHECK_INT(stats_of("a")->queued, 1);
}

CASE(lease, lease_denies_an_unapproved_worker)
{
    deny_after(0, -1);
}

CASE(lease, lease_denies_a_draining_worker)
{
    deny_after(-1, 1);
}

CASE(lease, lease_leaves_scheduled_jobs)
{
    worker_any("w");
    struct bp_op *op = submit_op("a");
    op->u.submit.not_before_ms = world.now + 1000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(lease_id("w"), 0);
    advance(1001);
    sweep();
    CHECK_INT(lease_id("w"), op->u.submit.id);
}

CASE(lease, lease_gives_a_job_to_one_worker)
{
    worker_any("w");
    worker_any("v");
    int64_t one = submit("a"), two = submit("a");
    CHECK_INT(lease_id("w"), one);
    CHECK_INT(lease_id("v"), two);
    CHECK_INT(lease_id("v"), 0);
}

CASE(lease, lease_is_in_the_timeline_with_its_worker)
{
    worker_any("w");
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = submit("a");
    op->u.get.with_events = 1;
    lease_one("w");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.get.n_events, 2);
    CHECK_STR(op->u.get.events[1].what, "leased");
    CHECK_STR(op->u.get.events[1].who, "worker:w");
}

CASE(lease, lease_goes_on_in_order_when_jobs_come_between)
{
    worker_any("w");
    int64_t first = submit("a"), second = submit("a");
    CHECK_INT(lease_id("w"), first);
    int64_t urgent = submit_priority("a", 1), third = submit("a");
    CHECK_INT(lease_id("w"), urgent);
    CHECK_INT(lease_id("w"), second);
    CHECK_INT(lease_id("w"), third);
}

/* ---- extend ---- */

CASE(extend, extend_sets_now_plus_ttl_and_never_adds)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    for (int i = 0; i < 20; i++) {
        advance(1000);
        struct bp_op *op = extend_op(&l);
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.extend.lease_expires_ms, world.now + TTL);
    }
    CHECK_INT(job(l.id)->lease_expires_ms, world.now + TTL);
}

CASE(extend, extend_may_shorten)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = extend_op(&l);
    op->u.extend.ttl_ms = 1000;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(job(l.id)->lease_expires_ms, world.now + 1000);
}

CASE(extend, extend_keeps_a_job_from_being_swept)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(TTL - 1);
    CHECK_INT(apply_one(extend_op(&l)), BP_OK);
    advance(TTL - 1);
    CHECK_INT(sweep()->count, 0);
    CHECK_INT(complete(&l), BP_OK);
}

CASE(extend, extend_changes_only_what_it_names)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = extend_op(&l);
    op->u.extend.progress = 0.25;
    op->u.extend.progress_text = "frame 30 of 120";
    op->u.extend.checkpoint_key = "ckpt/30";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(apply_one(extend_op(&l)), BP_OK);
    const struct bp_job_row *j = job(l.id);
    CHECK(j->progress == 0.25);
    CHECK_STR(j->progress_text, "frame 30 of 120");
    CHECK_STR(j->checkpoint_key, "ckpt/30");
    CHECK_INT(j->status, BP_JOB_LEASED);
}

CASE(extend, extend_returns_what_urls_are_signed_from)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = extend_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_STR(op->u.extend.output_key, l.row->output_key);
    CHECK_STR(op->u.extend.inputs, l.row->inputs);
    CHECK_STR(op->u.extend.tenant, "acme");
    CHECK_STR(op->u.extend.workflow, "a");
}

CASE(extend, extend_tells_of_a_cancel)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = extend_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.extend.cancel_requested, 0);
    CHECK_INT(cancel(l.id), BP_OK);
    op = extend_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.extend.cancel_requested, 1);
}

CASE(extend, extend_tells_of_draining)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *set = op_new(BP_OP_WORKER_SET);
    set->u.worker_set.worker_id = "w";
    set->u.worker_set.draining = 1;
    set->u.worker_set.approved = set->u.worker_set.max_concurrency = -1;
    CHECK_INT(apply_one(set), BP_OK);
    struct bp_op *op = extend_op(&l);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.extend.worker_draining, 1);
}

CASE(extend, extend_with_another_token_or_worker_is_stale)
{
    worker_any("w");
    worker_any("v");
    submit("a");
    struct lease l = lease_one("w"), other = l;
    int64_t before = job(l.id)->lease_expires_ms;
    advance(500);
    snprintf(other.worker, sizeof other.worker, "v");
    CHECK_INT(apply_one(extend_op(&other)), BP_STALE);
    other = l;
    other.token[0] ^= 0x20;
    CHECK_INT(apply_one(extend_op(&other)), BP_STALE);
    other = l;
    other.id++;
    CHECK_INT(apply_one(extend_op(&other)), BP_STALE);
    CHECK_INT(job(l.id)->lease_expires_ms, before);
}

CASE(extend, extend_after_the_end_is_stale)
{
    worker_any("w");
    submit("a");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(apply_one(extend_op(&l)), BP_STALE);
    l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    CHECK_INT(apply_one(extend_op(&l)), BP_STALE);
}

CASE(extend, extend_of_an_expired_lease_nobody_took_works)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    advance(TTL + 10);
    CHECK_INT(apply_one(extend_op(&l)), BP_OK);
    CHECK_INT(sweep()->count, 0);
}
