/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of jobs that a tenant is to be told of. */
#include "case.h"

static void hook(const char *tenant, const char *url)
{
    struct bp_op *op = tenant_op(tenant);
    op->u.tenant_put.webhook_url = url;
    CHECK_INT(apply_one(op), BP_OK);
}

static const struct bp_op_webhook_take *take(uint32_t limit)
{
    struct bp_op *op = op_new(BP_OP_WEBHOOK_TAKE);
    op->u.webhook_take.limit = limit;
    op->u.webhook_take.hold_ms = 10000;
    CHECK_INT(apply_one(op), BP_OK);
    return &op->u.webhook_take;
}

static int32_t done(int64_t job_id, int64_t finished_ms, int64_t retry_at_ms)
{
    struct bp_op *op = op_new(BP_OP_WEBHOOK_DONE);
    op->u.webhook_done.job_id = job_id;
    op->u.webhook_done.finished_ms = finished_ms;
    op->u.webhook_done.retry_at_ms = retry_at_ms;
    op->u.webhook_done.delivered = retry_at_ms == 0;
    op->u.webhook_done.detail = retry_at_ms ? "connection refused; again later" : "200 in 31 ms";
    return apply_one(op);
}

/* A job of acme's, completed now. */
static int64_t completed(void)
{
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    return l.id;
}

CASE(webhook, webhook_tells_of_a_completed_job)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    advance(5);
    const struct bp_op_webhook_take *t = take(10);
    CHECK_INT(t->count, 1);
    CHECK_INT(t->rows[0].job_id, id);
    CHECK_INT(t->rows[0].finished_ms, WORLD_BEGIN);
    CHECK_INT(t->rows[0].attempts, 0);
    CHECK_INT(t->rows[0].webhook_version, 1);
    CHECK_STR(t->rows[0].url, "https://acme.example/hook");
    CHECK_INT(t->rows[0].job->id, id);
    CHECK_INT(t->rows[0].job->status, BP_JOB_COMPLETED);
    CHECK_STR(t->rows[0].job->tenant, "acme");
    CHECK_STR(t->rows[0].job->output, job(id)->output);
}

CASE(webhook, webhook_tells_of_failed_and_cancelled_jobs)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t failed = submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    advance(10);
    int64_t gone = submit("a");
    CHECK_INT(cancel(gone), BP_OK);
    const struct bp_op_webhook_take *t = take(10);
    CHECK_INT(t->count, 2);
    CHECK_INT(t->rows[0].job_id, failed);
    CHECK_INT(t->rows[0].job->status, BP_JOB_FAILED);
    CHECK_STR(t->rows[0].job->error, "no");
    CHECK_INT(t->rows[1].job_id, gone);
    CHECK_INT(t->rows[1].job->status, BP_JOB_CANCELLED);
}

CASE(webhook, webhook_tells_of_ends_by_the_sweep)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    struct bp_op *op = submit_op("a");
    op->u.submit.max_attempts = 1;
    CHECK_INT(apply_one(op), BP_OK);
    int64_t child = submit_after(op->u.submit.id);
    lease_one("w");
    advance(TTL + 1);
    sweep();
    advance(1);
    sweep();
    const struct bp_op_webhook_take *t = take(10);
    CHECK_INT(t->count, 2);
    CHECK_INT(t->rows[0].job_id, op->u.submit.id);
    CHECK_INT(t->rows[1].job_id, child);
    CHECK_INT(t->rows[1].job->status, BP_JOB_CANCELLED);
}

CASE(webhook, webhook_is_silent_before_the_end)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "busy", 1)), BP_OK);
    CHECK_INT(take(10)->count, 0);
    CHECK_INT(take(10)->next_due_ms, 0);
}

CASE(webhook, webhook_needs_a_url_when_the_job_ends)
{
    worker_any("w");
    completed();
    hook("acme", "https://acme.example/hook");
    CHECK_INT(take(10)->count, 0);
    completed();
    submit("a");
    hook("acme", "");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(take(10)->count, 0);
}

CASE(webhook, webhook_belongs_to_its_tenant)
{
    worker_any("w");
    hook("zenith", "https://zenith.example/hook");
    completed();
    CHECK_INT(take(10)->count, 0);
}

CASE(webhook, webhook_taken_is_held)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    CHECK_INT(take(10)->count, 1);
    const struct bp_op_webhook_take *t = take(10);
    CHECK_INT(t->count, 0);
    CHECK_INT(t->next_due_ms, world.now + 10000);
    world_restart();
    advance(9999);
    CHECK_INT(take(10)->count, 0);
    advance(1);
    t = take(10);
    CHECK_INT(t->count, 1);
    CHECK_INT(t->rows[0].job_id, id);
}

CASE(webhook, webhook_delivered_is_over)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    CHECK_INT(take(10)->count, 1);
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_OK);
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_NOTFOUND);
    advance(100000);
    CHECK_INT(take(10)->count, 0);
    CHECK_STR(timeline(id), "submitted leased completed webhook");
}

CASE(webhook, webhook_that_failed_comes_again_at_its_time)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    for (int i = 0; i < 3; i++) {
        const struct bp_op_webhook_take *t = take(10);
        CHECK_INT(t->count, 1);
        CHECK_INT(t->rows[0].attempts, i);
        CHECK_INT(done(id, WORLD_BEGIN, world.now + 30000), BP_OK);
        CHECK_INT(take(10)->next_due_ms, world.now + 30000);
        advance(29999);
        CHECK_INT(take(10)->count, 0);
        advance(1);
    }
    CHECK_STR(timeline(id), "submitted leased completed webhook webhook webhook");
}

CASE(webhook, webhook_line_says_how_it_went)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_OK);
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = id;
    op->u.get.with_events = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_STR(op->u.get.events[3].detail, "200 in 31 ms");
    CHECK_INT(op->u.get.job->status, BP_JOB_COMPLETED);
}

CASE(webhook, webhook_of_nothing_is_not_found)
{
    worker_any("w");
    int64_t id = completed();
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_NOTFOUND);
    CHECK_INT(done(id + 1000, WORLD_BEGIN, 0), BP_NOTFOUND);
    CHECK_STR(timeline(id), "submitted leased completed");
}

CASE(webhook, webhook_of_an_end_before_a_retry_is_not_found)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = submit("a");
    CHECK_INT(cancel(id), BP_OK);
    CHECK_INT(take(10)->count, 1);
    advance(1000);
    CHECK_INT(retry(id), BP_OK);
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_NOTFOUND);
    const struct bp_op_webhook_take *t = take(10);
    CHECK_INT(t->count, 1);
    CHECK_INT(t->rows[0].finished_ms, world.now);
    CHECK_INT(t->rows[0].attempts, 0);
    CHECK_INT(t->rows[0].job->status, BP_JOB_COMPLETED);
    CHECK_INT(done(id, world.now, 0), BP_OK);
}

CASE(webhook, webhook_take_is_oldest_first_and_limited)
{
    int64_t ids[5];
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    for (int i = 0; i < 5; i++) {
        ids[i] = completed();
        advance(10);
    }
    for (int i = 0; i < 5; i += 2) {
        const struct bp_op_webhook_take *t = take(2);
        CHECK_INT(t->count, i == 4 ? 1 : 2);
        CHECK_INT(t->rows[0].job_id, ids[i]);
        if (i < 4)
            CHECK_INT(t->rows[1].job_id, ids[i + 1]);
    }
}

CASE(webhook, webhook_limit_is_1_to_100)
{
    static const uint32_t limits[] = {0, 101};
    for (size_t i = 0; i < 2; i++) {
        struct bp_op *op = op_new(BP_OP_WEBHOOK_TAKE);
        op->u.webhook_take.limit = limits[i];
        CHECK_INT(apply_one(op), BP_INVALID);
    }
}

CASE(webhook, webhook_goes_to_the_present_url)
{
    worker_any("w");
    hook("acme", "https://acme.example/old");
    completed();
    struct bp_op *op = tenant_op("acme");
    op->u.tenant_put.webhook_url = "https://acme.example/new";
    op->u.tenant_put.webhook_version = 2;
    CHECK_INT(apply_one(op), BP_OK);
    const struct bp_op_webhook_take *t = take(10);
    CHECK_STR(t->rows[0].url, "https://acme.example/new");
    CHECK_INT(t->rows[0].webhook_version, 2);
}

CASE(webhook, webhook_without_url_any_more_is_dropped)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    hook("acme", "");
    CHECK_INT(take(10)->count, 0);
    hook("acme", "https://acme.example/hook");
    CHECK_INT(take(10)->count, 0);
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_NOTFOUND);
}

CASE(webhook, webhook_is_pruned_with_its_job)
{
    worker_any("w");
    hook("acme", "https://acme.example/hook");
    int64_t id = completed();
    advance(1000);
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.before_ms = world.now;
    op->u.prune.limit = 10;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.prune.removed, 1);
    CHECK_INT(take(10)->count, 0);
    CHECK_INT(done(id, WORLD_BEGIN, 0), BP_NOTFOUND);
}
