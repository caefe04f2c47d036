/* SPDX-License-Identifier: Apache-2.0 */
/* Promise 10 and the lists: what can be read, by whom, and what pruning takes away. */
#include "case.h"

static struct bp_op *get_as(int64_t id, const char *tenant)
{
    struct bp_op *op = op_new(BP_OP_GET);
    op->u.get.id = id;
    op->u.get.tenant = tenant;
    return op;
}

static int64_t submit_for(const char *tenant, const char *workflow)
{
    struct bp_op *op = submit_op(workflow);
    op->u.submit.tenant = tenant;
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.submit.id;
}

static uint32_t prune(int64_t before_ms, uint32_t limit)
{
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.before_ms = before_ms;
    op->u.prune.limit = limit;
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.prune.removed;
}

static int64_t completed_job(void)
{
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    return l.id;
}

CASE(read, get_of_an_unknown_job_is_not_found)
{
    CHECK_INT(apply_one(get_as(1, NULL)), BP_NOTFOUND);
    CHECK_INT(apply_one(get_as(0, NULL)), BP_NOTFOUND);
    CHECK_INT(apply_one(get_as(-3, NULL)), BP_NOTFOUND);
}

CASE(read, get_shows_a_tenant_its_own_jobs_only)
{
    int64_t id = submit_for("acme", "a");
    CHECK_INT(apply_one(get_as(id, "acme")), BP_OK);
    struct bp_op *op = get_as(id, "zenith");
    CHECK_INT(apply_one(op), BP_NOTFOUND);
    CHECK(op->u.get.job == NULL && op->u.get.memory == NULL);
}

CASE(read, get_without_events_has_none)
{
    struct bp_op *op = get_as(submit("a"), NULL);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.get.n_events, 0);
}

CASE(read, timeline_tells_every_step_in_order)
{
    worker_any("w");
    int64_t id = submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    CHECK_INT(retry(id), BP_OK);
    l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_STR(timeline(id), "submitted leased requeued leased failed retry leased completed");
}

CASE(read, timelines_of_two_jobs_do_not_mix)
{
    worker_any("w");
    int64_t one = submit("a"), two = submit("a");
    struct lease l = lease_one("w"), m = lease_one("w");
    CHECK_INT(complete(&m), BP_OK);
    CHECK_INT(requeue(&l), BP_OK);
    CHECK_STR(timeline(one), "submitted leased requeued");
    CHECK_STR(timeline(two), "submitted leased completed");
}

CASE(read, events_come_after_a_number)
{
    worker_any("w");
    int64_t id = submit("a");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    int64_t after = 0;
    const char *want[3] = {"submitted", "leased", "completed"};
    for (int i = 0; i < 3; i++) {
        struct bp_op *op = op_new(BP_OP_EVENTS);
        op->u.events.job_id = id;
        op->u.events.after_seq = after;
        op->u.events.limit = 1;
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.events.count, 1);
        CHECK_STR(op->u.events.events[0].what, want[i]);
        CHECK(op->u.events.events[0].seq > after);
        after = op->u.events.events[0].seq;
    }
    struct bp_op *op = op_new(BP_OP_EVENTS);
    op->u.events.job_id = id;
    op->u.events.after_seq = after;
    op->u.events.limit = 10;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.events.count, 0);
}

CASE(read, events_of_all_jobs_ascend)
{
    worker_any("w");
    int64_t one = submit("a"), two = submit("b");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    struct bp_op *op = op_new(BP_OP_EVENTS);
    op->u.events.limit = 100;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.events.count, 4);
    int64_t want[4] = {one, two, one, one};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(op->u.events.events[i].job_id, want[i]);
        CHECK(i == 0 || op->u.events.events[i].seq > op->u.events.events[i - 1].seq);
    }
    int64_t middle = op->u.events.events[1].seq;
    op = op_new(BP_OP_EVENTS);
    op->u.events.after_seq = middle;
    op->u.events.limit = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.events.count, 1);
    CHECK_STR(op->u.events.events[0].what, "leased");
}

CASE(read, list_is_newest_first)
{
    for (int i = 0; i < 5; i++)
        submit("a");
    const struct bp_op_list *l = list_of(NULL, NULL, 0);
    CHECK_INT(l->count, 5);
    for (uint32_t i = 1; i < 5; i++)
        CHECK(l->jobs[i].id < l->jobs[i - 1].id);
    CHECK_STR(l->jobs[0].params, "{\"duration\":5}");
}

CASE(read, list_filters_by_tenant_and_workflow)
{
    submit_for("acme", "a");
    submit_for("acme", "b");
    submit_for("zenith", "a");
    CHECK_INT(list_of("acme", NULL, 0)->count, 2);
    CHECK_INT(list_of(NULL, "a", 0)->count, 2);
    CHECK_INT(list_of("acme", "b", 0)->count, 1);
    CHECK_INT(list_of("zenith", "b", 0)->count, 0);
    CHECK_INT(list_of("nobody", NULL, 0)->count, 0);
    CHECK_INT(list_of(NULL, "nothing", 0)->count, 0);
}

CASE(read, list_filters_by_state)
{
    worker_any("w");
    int64_t done = completed_job();
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    int64_t failed = l.id, gone = submit("a");
    CHECK_INT(cancel(gone), BP_OK);
    struct bp_op *later = submit_op("a");
    later->u.submit.not_before_ms = world.now + 1000;
    CHECK_INT(apply_one(later), BP_OK);
    int64_t running = submit("a");
    CHECK_INT(lease_id("w"), running);
    int64_t waiting = submit("a");
    int64_t want[7] = {0, later->u.submit.id, waiting, running, done, failed, gone};
    for (int32_t s = BP_JOB_SCHEDULED; s <= BP_JOB_CANCELLED; s++) {
        const struct bp_op_list *by_state = list_of(NULL, NULL, s), *both = list_of("acme", "a", s);
        CHECK_INT(by_state->count, 1);
        CHECK_INT(by_state->jobs[0].id, want[s]);
        CHECK_INT(by_state->jobs[0].status, s);
        CHECK_INT(both->count, 1);
        CHECK_INT(list_of("zenith", "a", s)->count, 0);
    }
}

static void page_through(const char *tenant, int32_t status, uint32_t total)
{
    int64_t before = 0, last = INT64_MAX;
    uint32_t seen = 0;
    for (;;) {
        struct bp_op *op = op_new(BP_OP_LIST);
        op->u.list.tenant = tenant;
        op->u.list.status = status;
        op->u.list.limit = 4;
        op->u.list.before_id = before;
        CHECK_INT(apply_one(op), BP_OK);
        if (op->u.list.count == 0)
            break;
        CHECK(op->u.list.count <= 4);
        for (uint32_t i = 0; i < op->u.list.count; i++, seen++) {
            CHECK(op->u.list.jobs[i].id < last);
            last = op->u.list.jobs[i].id;
        }
        before = last;
    }
    CHECK_INT(seen, total);
}

CASE(read, list_pages_meet_every_job_once)
{
    worker_any("w");
    for (int i = 0; i < 23; i++)
        submit_for(i % 2 ? "acme" : "zenith", i % 3 ? "a" : "b");
    for (int i = 0; i < 6; i++)
        lease_one("w");
    page_through(NULL, 0, 23);
    page_through("acme", 0, 11);
    page_through(NULL, BP_JOB_QUEUED, 17);
    page_through(NULL, BP_JOB_LEASED, 6);
}

CASE(read, prune_removes_old_finished_jobs)
{
    worker_any("w");
    int64_t old = completed_job();
    advance(10000);
    int64_t young = completed_job(), waiting = submit("a");
    prune(world.now - 5000, 100);
    CHECK_INT(apply_one(get_as(old, NULL)), BP_NOTFOUND);
    CHECK_INT(status_of(young), BP_JOB_COMPLETED);
    CHECK_INT(status_of(waiting), BP_JOB_QUEUED);
    struct bp_op *op = op_new(BP_OP_EVENTS);
    op->u.events.limit = 100;
    CHECK_INT(apply_one(op), BP_OK);
    for (uint32_t i = 0; i < op->u.events.count; i++)
        CHECK(op->u.events.events[i].job_id != old);
}

CASE(read, prune_leaves_unfinished_jobs_however_old)
{
    worker_any("w");
    int64_t waiting = submit("a"), running = submit_priority("a", 1);
    CHECK_INT(lease_id("w"), running);
    advance(INT64_C(365) * 86400 * 1000);
    prune(world.now, 100);
    CHECK_INT(status_of(waiting), BP_JOB_QUEUED);
    CHECK_INT(status_of(running), BP_JOB_LEASED);
    CHECK_INT(stats_of("a")->queued, 1);
}

CASE(read, prune_stops_at_its_limit)
{
    worker_any("w");
    for (int i = 0; i < 5; i++)
        completed_job();
    advance(1000);
    prune(world.now, 2);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 3);
    prune(world.now, 100);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 0);
    CHECK_INT(prune(world.now, 100), 0);
}

/* How many steps of two a pruning of nothing but what is beside jobs takes. */
static int rest_steps(void)
{
    int steps = 0;
    struct bp_op *op;
    do {
        op = op_new(BP_OP_PRUNE);
        op->u.prune.limit = 2;
        CHECK_INT(apply_one(op), BP_OK);
        CHECK_INT(op->u.prune.audit_removed, 0);
        CHECK(op->u.prune.other_removed <= 2);
    } while (op->u.prune.other_removed == 2 && ++steps < 100);
    return steps;
}

CASE(read, prune_tells_audit_lines_apart_from_what_else_is_old)
{
    worker_any("w");
    for (int i = 0; i < 6; i++) {
        completed_job();
        advance(1000);
    }
    stats_of("a");
    advance(3 * 3600 * 1000);
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.audit_before_ms = world.now;
    op->u.prune.limit = 100;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.prune.audit_removed, 1); /* the worker's */
}

/* How much there is, is the store's business; that each step is bounded and that they come to an end, is not. */
CASE(read, prune_of_what_statistics_need_no_more_goes_in_steps)
{
    worker_any("w");
    for (int i = 0; i < 6; i++) {
        completed_job();
        advance(1000);
    }
    stats_of("a");
    CHECK_INT(rest_steps(), 0);
    advance(3 * 3600 * 1000);
    CHECK(rest_steps() < 100);
    CHECK_INT(rest_steps(), 0);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 6);
}

CASE(read, prune_never_lets_an_id_be_used_again)
{
    worker_any("w");
    int64_t id = completed_job();
    advance(1000);
    CHECK(prune(world.now, 100) >= 1);
    world_restart();
    CHECK(submit("a") > id);
}

CASE(read, prune_frees_the_idempotency_key)
{
    worker_any("w");
    struct bp_op *first = submit_op("a"), *again = submit_op("a");
    first->u.submit.idempotency_key = again->u.submit.idempotency_key = "k";
    again->u.submit.request_hash = "other";
    CHECK_INT(apply_one(first), BP_OK);
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    advance(1000);
    prune(world.now, 100);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.existed, 0);
}

CASE(read, prune_tells_what_it_removed)
{
    worker_any("w");
    int64_t first = completed_job();
    advance(1000);
    int64_t second = completed_job();
    advance(1000);
    completed_job();
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.before_ms = world.now;
    op->u.prune.limit = 10;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.prune.removed, 2);
    CHECK_INT(op->u.prune.jobs[0].id, first);
    CHECK_INT(op->u.prune.jobs[1].id, second);
    CHECK_STR(op->u.prune.jobs[0].tenant, "acme");
    CHECK(op->u.prune.jobs[0].output && op->u.prune.jobs[0].output_key && op->u.prune.jobs[0].inputs);
}

CASE(read, prune_of_audit_lines_is_separate_and_limited)
{
    for (int i = 0; i < 5; i++)
        worker_any("w");
    advance(1000);
    worker_any("w");
    struct bp_op *none = op_new(BP_OP_PRUNE), *some = op_new(BP_OP_PRUNE), *rest = op_new(BP_OP_PRUNE);
    none->u.prune.before_ms = world.now;
    some->u.prune.audit_before_ms = rest->u.prune.audit_before_ms = world.now;
    none->u.prune.limit = rest->u.prune.limit = 100;
    some->u.prune.limit = 3;
    CHECK_INT(apply_one(none), BP_OK);
    CHECK_INT(none->u.prune.audit_removed, 0);
    CHECK_INT(apply_one(some), BP_OK);
    CHECK_INT(some->u.prune.audit_removed, 3);
    CHECK_INT(apply_one(rest), BP_OK);
    CHECK_INT(rest->u.prune.audit_removed, 2);
    CHECK_INT(rest->u.prune.removed, 0);
}

CASE(read, prune_of_jobs_before_0_is_none)
{
    worker_any("w");
    int64_t id = completed_job();
    advance(1000);
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.audit_before_ms = world.now;
    op->u.prune.limit = 100;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.prune.removed, 0);
    CHECK(op->u.prune.audit_removed > 0);
    CHECK_INT(status_of(id), BP_JOB_COMPLETED);
}
