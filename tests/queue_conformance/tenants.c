/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants: what is set of them, the limits that follow, and their tokens. */
#include <stdlib.h>

#include "case.h"

static struct bp_op *submit_as(const char *tenant)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.tenant = tenant;
    return op;
}

static int64_t submit_for(const char *tenant)
{
    struct bp_op *op = submit_as(tenant);
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.submit.id;
}

static void limit(const char *tenant, int32_t max_pending, int32_t max_running)
{
    struct bp_op *op = tenant_op(tenant);
    op->u.tenant_put.max_pending = max_pending;
    op->u.tenant_put.max_running = max_running;
    CHECK_INT(apply_one(op), BP_OK);
}

static void disable(const char *tenant, int32_t disabled)
{
    struct bp_op *op = tenant_op(tenant);
    op->u.tenant_put.disabled = disabled;
    CHECK_INT(apply_one(op), BP_OK);
}

CASE(tenant, tenant_is_made_by_its_first_submit)
{
    CHECK(tenant_row("acme") == NULL);
    submit("a");
    advance(5000);
    submit("a");
    const struct bp_tenant_row *t = tenant_row("acme");
    CHECK(t != NULL);
    CHECK_INT(t->weight, 1);
    CHECK_INT(t->max_pending, 0);
    CHECK_INT(t->max_running, 0);
    CHECK_INT(t->disabled, 0);
    CHECK_INT(t->webhook_version, 1);
    CHECK_INT(t->created_ms, WORLD_BEGIN);
    CHECK(t->webhook_url == NULL);
}

CASE(tenant, tenant_is_not_made_by_a_refused_submit)
{
    int64_t foreign = submit("a");
    struct bp_op *op = after_op(&foreign, 1);
    op->u.submit.tenant = "zenith";
    CHECK_INT(apply_one(op), BP_NOTFOUND);
    CHECK(tenant_row("zenith") == NULL);
    struct bp_op *put = tenant_op("zenith");
    CHECK_INT(apply_one(put), BP_OK);
    CHECK_INT(put->u.tenant_put.existed, 0);
}

CASE(tenant, tenant_put_makes_one)
{
    struct bp_op *op = tenant_op("acme"), *again = tenant_op("acme");
    op->u.tenant_put.weight = 7;
    op->u.tenant_put.max_pending = 8;
    op->u.tenant_put.max_running = 9;
    op->u.tenant_put.disabled = 1;
    op->u.tenant_put.webhook_version = 3;
    op->u.tenant_put.webhook_url = "https://acme.example/hook";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.tenant_put.existed, 0);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.tenant_put.existed, 1);
    world_restart();
    const struct bp_tenant_row *t = tenant_row("acme");
    CHECK_INT(t->weight, 7);
    CHECK_INT(t->max_pending, 8);
    CHECK_INT(t->max_running, 9);
    CHECK_INT(t->disabled, 1);
    CHECK_INT(t->webhook_version, 3);
    CHECK_INT(t->created_ms, WORLD_BEGIN);
    CHECK_STR(t->webhook_url, "https://acme.example/hook");
}

CASE(tenant, tenant_put_changes_only_what_is_given)
{
    struct bp_op *op = tenant_op("acme");
    op->u.tenant_put.weight = 7;
    op->u.tenant_put.webhook_url = "https://acme.example/hook";
    CHECK_INT(apply_one(op), BP_OK);
    limit("acme", 5, -1);
    limit("acme", -1, 6);
    const struct bp_tenant_row *t = tenant_row("acme");
    CHECK_INT(t->weight, 7);
    CHECK_INT(t->max_pending, 5);
    CHECK_INT(t->max_running, 6);
    CHECK_STR(t->webhook_url, "https://acme.example/hook");
    op = tenant_op("acme");
    op->u.tenant_put.webhook_url = "";
    CHECK_INT(apply_one(op), BP_OK);
    CHECK(tenant_row("acme")->webhook_url == NULL);
    CHECK_INT(tenant_row("acme")->weight, 7);
}

CASE(tenant, tenant_put_refuses_what_is_out_of_range)
{
    static const int32_t weights[] = {0, 1001};
    char name[257];
    for (size_t i = 0; i < 2; i++) {
        struct bp_op *op = tenant_op("acme");
        op->u.tenant_put.weight = weights[i];
        CHECK_INT(apply_one(op), BP_INVALID);
        CHECK(strstr(op->err.text, "weight") != NULL);
    }
    struct bp_op *op = tenant_op("acme");
    op->u.tenant_put.disabled = 2;
    CHECK_INT(apply_one(op), BP_INVALID);
    op = tenant_op("acme");
    op->u.tenant_put.webhook_version = 0;
    CHECK_INT(apply_one(op), BP_INVALID);
    CHECK(tenant_row("acme") == NULL);
    memset(name, 'n', 256);
    name[256] = 0;
    CHECK_INT(apply_one(tenant_op(name)), BP_INVALID);
    CHECK_INT(apply_one(submit_as(name)), BP_INVALID);
    CHECK_INT(apply_one(tenant_op("")), BP_INVALID);
    CHECK_INT(apply_one(tenant_op(NULL)), BP_INVALID);
    name[255] = 0;
    CHECK_INT(apply_one(tenant_op(name)), BP_OK);
    CHECK(tenant_row(name) != NULL);
}

CASE(tenant, tenant_list_is_by_name)
{
    static const char *const names[] = {"m", "Zoe", "b", "a b", "\xc3\xa9"};
    static const char *const want[] = {"Zoe", "a b", "b", "m", "\xc3\xa9"};
    for (size_t i = 0; i < 5; i++)
        CHECK_INT(apply_one(tenant_op(names[i])), BP_OK);
    struct bp_op *op = op_new(BP_OP_TENANT_LIST);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.tenant_list.count, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK_STR(op->u.tenant_list.tenants[i].name, want[i]);
}

CASE(tenant, tenant_list_of_an_unknown_name_is_not_found)
{
    struct bp_op *op = op_new(BP_OP_TENANT_LIST);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.tenant_list.count, 0);
    op = op_new(BP_OP_TENANT_LIST);
    op->u.tenant_list.name = "nobody";
    CHECK_INT(apply_one(op), BP_NOTFOUND);
    CHECK(op->u.tenant_list.memory == NULL);
}

CASE(tenant, tenant_counts_follow_its_jobs)
{
    worker_any("w");
    submit_for("acme");
    submit_for("acme");
    submit_for("zenith");
    struct bp_op *later = submit_as("acme");
    later->u.submit.not_before_ms = world.now + 1000;
    CHECK_INT(apply_one(later), BP_OK);
    struct lease l = lease_one("w");
    const struct bp_tenant_row *t = tenant_row("acme");
    CHECK_INT(t->scheduled, 1);
    CHECK_INT(t->queued, 1);
    CHECK_INT(t->leased, 1);
    CHECK_INT(complete(&l), BP_OK);
    advance(1000);
    sweep();
    world_restart();
    t = tenant_row("acme");
    CHECK_INT(t->scheduled, 0);
    CHECK_INT(t->queued, 2);
    CHECK_INT(t->leased, 0);
    CHECK_INT(tenant_row("zenith")->queued, 1);
}

CASE(tenant, tenant_disabled_submits_nothing_but_runs_on)
{
    worker_any("w");
    struct bp_op *first = submit_as("acme");
    first->u.submit.idempotency_key = "i";
    CHECK_INT(apply_one(first), BP_OK);
    disable("acme", 1);
    struct bp_op *op = submit_as("acme");
    CHECK_INT(apply_one(op), BP_DENIED);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_DISABLED);
    CHECK(strstr(op->err.text, "acme") != NULL);
    struct bp_op *again = submit_as("acme");
    again->u.submit.idempotency_key = "i";
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.outcome, BP_SUBMIT_REPLAY);
    submit_for("zenith");
    struct lease l = lease_one("w");
    CHECK_INT(l.id, first->u.submit.id);
    CHECK_INT(complete(&l), BP_OK);
    disable("acme", 0);
    submit_for("acme");
}

CASE(tenant, tenant_disabled_is_checked_before_the_unique_key)
{
    struct bp_op *first = submit_as("acme"), *again = submit_as("acme");
    first->u.submit.unique_key = again->u.submit.unique_key = "k";
    CHECK_INT(apply_one(first), BP_OK);
    disable("acme", 1);
    CHECK_INT(apply_one(again), BP_DENIED);
    CHECK_INT(again->u.submit.outcome, BP_SUBMIT_DISABLED);
}

CASE(tenant, tenant_with_max_pending_is_told_to_come_back)
{
    worker_any("w");
    limit("acme", 3, -1);
    submit_for("acme");
    struct lease l = lease_one("w");
    submit_for("acme");
    struct bp_op *later = submit_as("acme"), *op = submit_as("acme");
    later->u.submit.not_before_ms = world.now + 1000;
    CHECK_INT(apply_one(later), BP_OK);
    CHECK_INT(apply_one(op), BP_LATER);
    CHECK_INT(op->u.submit.outcome, BP_SUBMIT_LIMIT);
    CHECK_INT(op->u.submit.id, 0);
    CHECK(strstr(op->err.text, "3") != NULL);
    submit_for("zenith");
    CHECK_INT(complete(&l), BP_OK);
    submit_for("acme");
    CHECK_INT(apply_one(submit_as("acme")), BP_LATER);
    CHECK_INT(cancel(later->u.submit.id), BP_OK);
    submit_for("acme");
    limit("acme", 0, -1);
    submit_for("acme");
}

CASE(tenant, tenant_max_pending_holds_within_one_batch)
{
    struct bp_op *ops[4];
    limit("acme", 2, -1);
    for (int i = 0; i < 4; i++)
        ops[i] = submit_as("acme");
    apply_all(ops, 4);
    CHECK_INT(ops[1]->err.rc, BP_OK);
    CHECK_INT(ops[2]->err.rc, BP_LATER);
    CHECK_INT(ops[3]->err.rc, BP_LATER);
    CHECK_INT(list_of(NULL, NULL, 0)->count, 2);
    world_restart();
    CHECK_INT(apply_one(submit_as("acme")), BP_LATER);
}

CASE(tenant, tenant_max_pending_is_checked_last)
{
    limit("acme", 1, -1);
    struct bp_op *first = submit_as("acme"), *again = submit_as("acme");
    first->u.submit.unique_key = again->u.submit.unique_key = "k";
    first->u.submit.idempotency_key = "i";
    CHECK_INT(apply_one(first), BP_OK);
    CHECK_INT(apply_one(again), BP_OK);
    CHECK_INT(again->u.submit.outcome, BP_SUBMIT_PENDING);
    struct bp_op *replay = submit_as("acme");
    replay->u.submit.idempotency_key = "i";
    CHECK_INT(apply_one(replay), BP_OK);
    CHECK_INT(replay->u.submit.outcome, BP_SUBMIT_REPLAY);
}

CASE(tenant, tenant_at_max_running_is_passed_over)
{
    worker_any("w");
    limit("acme", -1, 2);
    int64_t mine[4], other = 0;
    for (int i = 0; i < 4; i++)
        mine[i] = submit_for("acme");
    other = submit_for("zenith");
    struct lease l = lease_one("w");
    CHECK_INT(l.id, mine[0]);
    CHECK_INT(lease_id("w"), mine[1]);
    CHECK_INT(lease_id("w"), other);
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(complete(&l), BP_OK);
    CHECK_INT(lease_id("w"), mine[2]);
    CHECK_INT(lease_id("w"), 0);
    CHECK_INT(stats_of("a")->queued, 1);
}

CASE(tenant, tenant_max_running_holds_within_one_lease)
{
    struct lease l[8];
    worker_any("w");
    limit("acme", -1, 2);
    for (int i = 0; i < 4; i++)
        submit_for("acme");
    for (int i = 0; i < 2; i++)
        submit_for("zenith");
    struct bp_op *op = lease_op("w", "a", 8);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(leased(op, l, 8), 4);
    CHECK_STR(l[1].row->tenant, "acme");
    CHECK_STR(l[2].row->tenant, "zenith");
}

CASE(tenant, tenant_max_running_holds_over_workflows_and_workers)
{
    const char *both[] = {"a", "b"};
    worker_any("w");
    worker_any("v");
    limit("acme", -1, 1);
    submit("a");
    submit("b");
    submit("b");
    struct bp_op *op = lease_op("w", "a", 8);
    op->u.lease.workflows = both;
    op->u.lease.n_workflows = 2;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 1);
    op = lease_op("v", "b", 8);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lease.count, 0);
}

CASE(tenant, tenant_max_running_is_freed_by_every_end_of_a_lease)
{
    worker_any("w");
    limit("acme", -1, 1);
    for (int i = 0; i < 3; i++)
        submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "no", 0)), BP_OK);
    lease_one("w");
    CHECK_INT(lease_id("w"), 0);
    advance(TTL + 1);
    CHECK_INT(sweep()->count, 1);
    lease_one("w");
    worker_any("w");
    lease_one("w");
    CHECK_INT(lease_id("w"), 0);
}

CASE(tenant, tenant_max_running_counts_for_jobs_queued_before_it)
{
    worker_any("w");
    for (int i = 0; i < 5; i++)
        submit_for("acme");
    int64_t other = submit_for("zenith");
    lease_one("w");
    limit("acme", -1, 1);
    CHECK_INT(lease_id("w"), other);
    CHECK_INT(lease_id("w"), 0);
    limit("acme", -1, 3);
    CHECK(lease_id("w") != 0);
    CHECK(lease_id("w") != 0);
    CHECK_INT(lease_id("w"), 0);
    limit("acme", -1, 0);
    CHECK(lease_id("w") != 0);
    CHECK(lease_id("w") != 0);
}

CASE(tenant, tenant_max_running_keeps_the_order)
{
    worker_any("w");
    limit("acme", -1, 10);
    limit("zenith", -1, 10);
    int64_t want[5] = {submit_for("acme"), submit_for("zenith"), submit_for("other"), submit_for("acme"),
                       submit_for("zenith")};
    for (int i = 0; i < 5; i++)
        CHECK_INT(lease_id("w"), want[i]);
}

/* ---- tokens ---- */

static struct bp_op *token_op(const char *tenant, const char *hash)
{
    struct bp_op *op = op_new(BP_OP_TOKEN_PUT);
    op->u.token_put.tenant = tenant;
    op->u.token_put.token_hash = hash;
    return op;
}

static struct bp_op *auth_op(const char *hash)
{
    struct bp_op *op = op_new(BP_OP_TOKEN_AUTH);
    op->u.token_auth.token_hash = hash;
    return op;
}

static const struct bp_op_token_list *tokens_of(const char *tenant)
{
    struct bp_op *op = op_new(BP_OP_TOKEN_LIST);
    op->u.token_list.tenant = tenant;
    CHECK_INT(apply_one(op), BP_OK);
    return &op->u.token_list;
}

CASE(tenant, token_tells_whose_it_is)
{
    limit("acme", 17, -1);
    CHECK_INT(apply_one(tenant_op("zenith")), BP_OK);
    CHECK_INT(apply_one(token_op("acme", "aa01")), BP_OK);
    CHECK_INT(apply_one(token_op("acme", "aa02")), BP_OK);
    CHECK_INT(apply_one(token_op("zenith", "aa03")), BP_OK);
    world_restart();
    struct bp_op *op = auth_op("aa02");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_STR(op->u.token_auth.tenant->name, "acme");
    CHECK_INT(op->u.token_auth.tenant->max_pending, 17);
    op = auth_op("aa03");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_STR(op->u.token_auth.tenant->name, "zenith");
}

CASE(tenant, token_of_nobody_is_not_found)
{
    struct bp_op *op = auth_op("aa01");
    CHECK_INT(apply_one(op), BP_NOTFOUND);
    CHECK(op->u.token_auth.tenant == NULL && op->u.token_auth.memory == NULL);
    CHECK_INT(apply_one(token_op("nobody", "aa01")), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("aa01")), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op(NULL)), BP_NOTFOUND);
}

CASE(tenant, token_is_there_once)
{
    CHECK_INT(apply_one(tenant_op("acme")), BP_OK);
    CHECK_INT(apply_one(tenant_op("zenith")), BP_OK);
    CHECK_INT(apply_one(token_op("acme", "aa01")), BP_OK);
    CHECK_INT(apply_one(token_op("acme", "aa01")), BP_CONFLICT);
    CHECK_INT(apply_one(token_op("zenith", "aa01")), BP_CONFLICT);
    CHECK_INT(tokens_of("acme")->count, 1);
}

CASE(tenant, token_expires)
{
    CHECK_INT(apply_one(tenant_op("acme")), BP_OK);
    struct bp_op *op = token_op("acme", "aa01");
    op->u.token_put.expires_ms = world.now + 5000;
    CHECK_INT(apply_one(op), BP_OK);
    advance(4999);
    CHECK_INT(apply_one(auth_op("aa01")), BP_OK);
    advance(2);
    CHECK_INT(apply_one(auth_op("aa01")), BP_NOTFOUND);
    CHECK_INT(tokens_of("acme")->tokens[0].expires_ms, WORLD_BEGIN + 5000);
}

CASE(tenant, token_list_is_oldest_first_and_of_one_tenant)
{
    CHECK_INT(apply_one(tenant_op("acme")), BP_OK);
    CHECK_INT(apply_one(tenant_op("zenith")), BP_OK);
    struct bp_op *first = token_op("acme", "ff01"), *other = token_op("zenith", "bb01"),
                 *second = token_op("acme", "aa01");
    first->u.token_put.label = "ci";
    CHECK_INT(apply_one(first), BP_OK);
    CHECK_INT(apply_one(other), BP_OK);
    advance(1000);
    CHECK_INT(apply_one(second), BP_OK);
    const struct bp_op_token_list *l = tokens_of("acme");
    CHECK_INT(l->count, 2);
    CHECK_INT(l->tokens[0].id, first->u.token_put.id);
    CHECK_INT(l->tokens[1].id, second->u.token_put.id);
    CHECK(l->tokens[0].id != l->tokens[1].id && l->tokens[0].id > 0);
    CHECK_STR(l->tokens[0].label, "ci");
    CHECK_STR(l->tokens[0].tenant, "acme");
    CHECK(l->tokens[1].label == NULL);
    CHECK_INT(l->tokens[0].created_ms, WORLD_BEGIN);
    CHECK_INT(l->tokens[0].last_used_ms, 0);
    CHECK_INT(l->tokens[0].expires_ms, 0);
}

CASE(tenant, token_deleted_is_worth_nothing)
{
    CHECK_INT(apply_one(tenant_op("acme")), BP_OK);
    CHECK_INT(apply_one(tenant_op("zenith")), BP_OK);
    struct bp_op *put = token_op("acme", "aa01"), *del = op_new(BP_OP_TOKEN_DEL);
    CHECK_INT(apply_one(put), BP_OK);
    del->u.token_del.id = put->u.token_put.id;
    del->u.token_del.tenant = "zenith";
    CHECK_INT(apply_one(del), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("aa01")), BP_OK);
    del->u.token_del.tenant = "acme";
    CHECK_INT(apply_one(del), BP_OK);
    CHECK_INT(apply_one(del), BP_NOTFOUND);
    CHECK_INT(apply_one(auth_op("aa01")), BP_NOTFOUND);
    CHECK_INT(tokens_of("acme")->count, 0);
    CHECK_INT(apply_one(token_op("zenith", "aa01")), BP_OK);
}

CASE(tenant, token_use_is_known_to_within_ten_minutes)
{
    CHECK_INT(apply_one(tenant_op("acme")), BP_OK);
    CHECK_INT(apply_one(token_op("acme", "aa01")), BP_OK);
    for (int minute = 0; minute < 60; minute += 3) {
        CHECK_INT(apply_one(auth_op("aa01")), BP_OK);
        int64_t used = tokens_of("acme")->tokens[0].last_used_ms;
        CHECK(used <= world.now && used > world.now - INT64_C(600000));
        advance(INT64_C(180000));
    }
}

CASE(tenant, token_of_a_disabled_tenant_is_told_so)
{
    CHECK_INT(apply_one(tenant_op("acme")), BP_OK);
    CHECK_INT(apply_one(token_op("acme", "aa01")), BP_OK);
    disable("acme", 1);
    struct bp_op *op = auth_op("aa01");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.token_auth.tenant->disabled, 1);
}
