/* SPDX-License-Identifier: Apache-2.0 */
/* Registrations, their tokens, and what becomes of the leases of a worker that is gone. */
#include "case.h"

static struct bp_op *set_op(const char *id)
{
    struct bp_op *op = op_new(BP_OP_WORKER_SET);
    op->u.worker_set.worker_id = id;
    op->u.worker_set.approved = op->u.worker_set.draining = op->u.worker_set.max_concurrency = -1;
    return op;
}

static struct bp_op *auth_op(const char *hash)
{
    struct bp_op *op = op_new(BP_OP_WORKER_AUTH);
    op->u.worker_auth.token_hash = hash;
    return op;
}

static struct bp_op *del_op(const char *id)
{
    struct bp_op *op = op_new(BP_OP_WORKER_DEL);
    op->u.worker_del.worker_id = id;
    op->u.worker_del.who = "worker:self";
    op->u.worker_del.why = "sigterm";
    return op;
}

static struct bp_op *put_limited(const struct bp_worker_row *w, int32_t limit)
{
    struct bp_op *op = op_new(BP_OP_WORKER_PUT);
    op->u.worker_put.worker = w;
    op->u.worker_put.max_fleet_workers = limit;
    return op;
}

CASE(worker, worker_put_keeps_every_member)
{
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .draining = 1, .max_concurrency = 4};
    w.worker_id = "i-0123";
    w.display_name = "gpu one";
    w.token_hash = "abcdef";
    w.workflows = "[\"a\",\"b\"]";
    w.fleet = "a";
    w.stage = "staging";
    w.capabilities = "{\"gpu\":\"L4\"}";
    w.capacity_type = "spot";
    w.instance_type = "g5.xlarge";
    w.source = "fleet";
    w.last_ip = "10.0.0.7";
    w.registered_ms = world.now - 5;
    w.last_seen_ms = world.now - 3;
    CHECK_INT(apply_one(put_limited(&w, 0)), BP_OK);
    struct bp_op *op = auth_op("abcdef");
    CHECK_INT(apply_one(op), BP_OK);
    const struct bp_worker_row *r = op->u.worker_auth.worker;
    CHECK_INT(r->approved, 1);
    CHECK_INT(r->draining, 1);
    CHECK_INT(r->max_concurrency, 4);
    CHECK_INT(r->live_leases, 0);
    CHECK_INT(r->registered_ms, world.now - 5);
    CHECK_INT(r->last_seen_ms, world.now - 3);
    CHECK_STR(r->worker_id, "i-0123");
    CHECK_STR(r->display_name, "gpu one");
    CHECK_STR(r->token_hash, "abcdef");
    CHECK_STR(r->workflows, "[\"a\",\"b\"]");
    CHECK_STR(r->fleet, "a");
    CHECK_STR(r->stage, "staging");
    CHECK_STR(r->capabilities, "{\"gpu\":\"L4\"}");
    CHECK_STR(r->capacity_type, "spot");
    CHECK_STR(r->instance_type, "g5.xlarge");
    CHECK_STR(r->source, "fleet");
    CHECK_STR(r->last_ip, "10.0.0.7");
}

CASE(worker, worker_put_again_replaces)
{
    worker_put("w", "[\"a\"]", 1);
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 9, .worker_id = "w"};
    w.workflows = "[\"b\"]";
    w.token_hash = "new";
    struct bp_op *op = put_limited(&w, 0);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_put.replaced, 1);
    CHECK_INT(apply_one(auth_op("hash-w")), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("new")), BP_OK);
    const struct bp_worker_row *r = worker_row("w");
    CHECK_STR(r->workflows, "[\"b\"]");
    CHECK_INT(r->max_concurrency, 9);
    op = op_new(BP_OP_WORKER_LIST);
    op->u.worker_list.workflow = "a";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_list.count, 0);
}

CASE(worker, worker_put_again_gives_its_leases_back)
{
    worker_any("w");
    int64_t one = submit("a"), two = submit("a");
    lease_one("w");
    struct lease l = lease_one("w");
    int64_t waiting = submit("a");
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 9, .worker_id = "w"};
    w.workflows = "[\"a\"]";
    w.token_hash = "hash-w";
    struct bp_op *op = put_limited(&w, 0);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_put.released, 2);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(job(two)->attempts, 0);
    CHECK_INT(job(two)->requeues, 1);
    CHECK_INT(lease_id("w"), one);
    CHECK_INT(lease_id("w"), two);
    CHECK_INT(lease_id("w"), waiting);
}

CASE(worker, worker_put_first_time_replaces_nothing)
{
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 1, .worker_id = "w"};
    w.workflows = "[]";
    w.token_hash = "h";
    struct bp_op *op = put_limited(&w, 0);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_put.replaced, 0);
    CHECK_INT(op->u.worker_put.released, 0);
}

CASE(worker, worker_put_stops_at_the_fleet_limit)
{
    worker_any("one");
    worker_any("two");
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 1, .worker_id = "three"};
    w.workflows = "[\"a\"]";
    w.token_hash = "h3";
    w.source = "fleet";
    CHECK_INT(apply_one(put_limited(&w, 2)), BP_DENIED);
    CHECK(worker_row("three") == NULL);
    CHECK_INT(apply_one(auth_op("h3")), BP_NOTFOUND);
    CHECK_INT(apply_one(put_limited(&w, 3)), BP_OK);
}

CASE(worker, worker_put_again_does_not_count_itself)
{
    worker_any("one");
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 1, .worker_id = "one"};
    w.workflows = "[\"a\"]";
    w.token_hash = "h";
    w.source = "fleet";
    CHECK_INT(apply_one(put_limited(&w, 1)), BP_OK);
}

CASE(worker, worker_put_does_not_count_the_dead)
{
    worker_any("one");
    advance(3600 * 1000 + 1000);
    struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 1, .worker_id = "two"};
    w.workflows = "[\"a\"]";
    w.token_hash = "h";
    w.source = "fleet";
    CHECK_INT(apply_one(put_limited(&w, 1)), BP_OK);
}

CASE(worker, worker_auth_knows_only_its_tokens)
{
    worker_any("w");
    struct bp_op *op = auth_op("hash-w");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_STR(op->u.worker_auth.worker->worker_id, "w");
    CHECK_INT(apply_one(auth_op("HASH-w")), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("hash-w ")), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("")), BP_NOTFOUND);
}

CASE(worker, worker_auth_finds_the_unapproved_too)
{
    worker_any("w");
    struct bp_op *op = set_op("w");
    op->u.worker_set.approved = 0;
    CHECK_INT(apply_one(op), BP_OK);
    op = auth_op("hash-w");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_auth.worker->approved, 0);
}

CASE(worker, worker_set_changes_only_what_it_names)
{
    worker_any("w");
    advance(50);
    CHECK_INT(apply_one(set_op("w")), BP_OK);
    const struct bp_worker_row *r = worker_row("w");
    CHECK_INT(r->approved, 1);
    CHECK_INT(r->draining, 0);
    CHECK_INT(r->max_concurrency, 1000);
    CHECK_INT(r->last_seen_ms, WORLD_BEGIN);
    struct bp_op *op = set_op("w");
    op->u.worker_set.draining = 1;
    op->u.worker_set.max_concurrency = 0;
    op->u.worker_set.touch = 1;
    op->u.worker_set.display_name = "new name";
    op->u.worker_set.last_ip = "::1";
    CHECK_INT(apply_one(op), BP_OK);
    r = worker_row("w");
    CHECK_INT(r->approved, 1);
    CHECK_INT(r->draining, 1);
    CHECK_INT(r->max_concurrency, 0);
    CHECK_INT(r->last_seen_ms, world.now);
    CHECK_STR(r->display_name, "new name");
    CHECK_STR(r->last_ip, "::1");
    op = set_op("w");
    op->u.worker_set.draining = 0;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(worker_row("w")->draining, 0);
}

CASE(worker, worker_set_rotates_the_token)
{
    worker_any("w");
    struct bp_op *op = set_op("w");
    op->u.worker_set.token_hash = "rotated";
    op->u.worker_set.who = "operator:0";
    op->u.worker_set.why = "leaked";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(apply_one(auth_op("hash-w")), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("rotated")), BP_OK);
}

CASE(worker, worker_set_of_an_unknown_worker_is_not_found)
{
    CHECK_INT(apply_one(set_op("nobody")), BP_NOTFOUND);
}

CASE(worker, worker_set_to_draining_leaves_its_leases)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = set_op("w");
    op->u.worker_set.draining = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(complete(&l), BP_OK);
}

CASE(worker, worker_set_to_unapproved_gives_its_leases_back)
{
    worker_any("w");
    worker_any("v");
    int64_t id = submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = set_op("w");
    op->u.worker_set.approved = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_set.released, 0);
    op = set_op("w");
    op->u.worker_set.approved = 0;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_set.released, 1);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(job(id)->attempts, 0);
    CHECK_INT(job(id)->requeues, 1);
    CHECK_INT(lease_id("v"), id);
}

CASE(worker, worker_del_gives_its_leases_back)
{
    worker_any("w");
    worker_any("v");
    int64_t id = submit("a");
    struct lease l = lease_one("w");
    struct bp_op *op = del_op("w");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_del.released, 1);
    CHECK(worker_row("w") == NULL);
    CHECK_INT(apply_one(auth_op("hash-w")), BP_NOTFOUND);
    CHECK_INT(complete(&l), BP_STALE);
    CHECK_INT(job(id)->attempts, 0);
    CHECK_INT(lease_id("v"), id);
    CHECK_INT(apply_one(lease_op("w", "a", 1)), BP_DENIED);
    CHECK_INT(apply_one(del_op("w")), BP_NOTFOUND);
}

CASE(worker, worker_del_then_put_starts_anew)
{
    worker_any("w");
    CHECK_INT(apply_one(del_op("w")), BP_OK);
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
}

CASE(worker, worker_is_remembered_by_its_finished_jobs)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(apply_one(del_op("w")), BP_OK);
    world_restart();
    CHECK_STR(job(l.id)->worker, "w");
}

CASE(worker, worker_release_is_capped_too)
{
    worker_any("w");
    int64_t id = submit("a");
    int rounds = 0;
    for (; rounds < 100 && status_of(id) != BP_JOB_FAILED; rounds++) {
        lease_one("w");
        worker_any("w");
    }
    CHECK(rounds >= 2 && rounds < 100);
    CHECK_INT(status_of(id), BP_JOB_FAILED);
}

CASE(worker, worker_list_counts_live_leases)
{
    worker_any("w");
    worker_put("v", "[\"b\"]", 5);
    for (int i = 0; i < 3; i++)
        submit("a");
    struct lease l = lease_one("w");
    lease_one("w");
    CHECK_INT(worker_row("w")->live_leases, 2);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(worker_row("w")->live_leases, 1);
    CHECK_INT(worker_row("v")->live_leases, 0);
}

CASE(worker, worker_list_by_workflow)
{
    worker_put("w", "[\"a\"]", 1);
    worker_put("v", "[\"b\",\"a\"]", 1);
    worker_put("u", "[\"c\"]", 1);
    struct bp_op *op = op_new(BP_OP_WORKER_LIST);
    op->u.worker_list.workflow = "a";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_list.count, 2);
    op = op_new(BP_OP_WORKER_LIST);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_list.count, 3);
    op = op_new(BP_OP_WORKER_LIST);
    op->u.worker_list.workflow = "never-heard-of";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_list.count, 0);
}

CASE(worker, worker_ids_differ_by_case)
{
    worker_put("W", "[\"a\"]", 1);
    worker_put("w", "[\"a\"]", 1);
    struct bp_op *op = op_new(BP_OP_WORKER_LIST);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.worker_list.count, 2);
}
