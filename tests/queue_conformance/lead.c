/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads among several controllers. A store may go by its own clock here: time that is to pass really passes. */
#include "case.h"

#define LEAD_TTL 150 /* ms: short enough to wait for */
#define LONG_TTL 60000

static struct bp_op *lead_op(const char *id, int64_t ttl_ms)
{
    struct bp_op *op = op_new(BP_OP_LEAD);
    op->u.lead.id = id;
    op->u.lead.name = "host";
    op->u.lead.url = "http://host:8080";
    op->u.lead.version = "1.2.3";
    op->u.lead.started_ms = WORLD_BEGIN - 5000;
    op->u.lead.ttl_ms = ttl_ms;
    return op;
}

static struct bp_op_lead *lead(const char *id, int64_t ttl_ms)
{
    struct bp_op *op = lead_op(id, ttl_ms);
    CHECK_INT(apply_one(op), BP_OK);
    return &op->u.lead;
}

static void resign(const char *id)
{
    struct bp_op *op = lead_op(id, LONG_TTL);
    op->u.lead.resign = 1;
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.lead.leader, 0);
}

static const struct bp_controller_row *seen(const struct bp_op_lead *l, const char *id)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (strcmp(l->controllers[i].id, id) == 0)
            return &l->controllers[i];
    return NULL;
}

CASE(lead, lead_goes_to_the_first_who_asks)
{
    const struct bp_op_lead *a = lead("a", LONG_TTL), *b = lead("b", LONG_TTL);
    CHECK_INT(a->leader, 1);
    CHECK(a->epoch >= 1);
    CHECK_INT(b->leader, 0);
    CHECK_INT(b->epoch, a->epoch);
}

CASE(lead, lead_stays_with_who_asks_in_time)
{
    int64_t epoch = lead("a", LEAD_TTL)->epoch;
    for (int i = 0; i < 6; i++) {
        pass(LEAD_TTL / 3);
        const struct bp_op_lead *a = lead("a", LONG_TTL);
        CHECK_INT(a->leader, 1);
        CHECK_INT(a->epoch, epoch);
        CHECK_INT(lead("b", LEAD_TTL)->leader, 0);
    }
}

CASE(lead, lead_is_taken_over_after_its_time)
{
    int64_t epoch = lead("a", LEAD_TTL)->epoch;
    CHECK_INT(lead("b", LEAD_TTL)->leader, 0);
    pass(LEAD_TTL + 50);
    const struct bp_op_lead *b = lead("b", LONG_TTL), *a = lead("a", LEAD_TTL);
    CHECK_INT(b->leader, 1);
    CHECK(b->epoch > epoch);
    CHECK_INT(a->leader, 0);
    CHECK_INT(a->epoch, b->epoch);
}

CASE(lead, lead_epochs_only_grow)
{
    int64_t last = 0;
    for (int i = 0; i < 4; i++) {
        const char *id = i % 2 ? "b" : "a";
        const struct bp_op_lead *l = lead(id, LONG_TTL);
        CHECK_INT(l->leader, 1);
        CHECK(l->epoch > last);
        last = l->epoch;
        resign(id);
    }
    world_restart();
    CHECK(lead("c", LONG_TTL)->epoch > last);
}

CASE(lead, lead_is_given_up_at_once_by_resigning)
{
    int64_t epoch = lead("a", LONG_TTL)->epoch;
    CHECK_INT(lead("b", LONG_TTL)->leader, 0);
    resign("a");
    const struct bp_op_lead *b = lead("b", LONG_TTL);
    CHECK_INT(b->leader, 1);
    CHECK(b->epoch > epoch);
    CHECK(seen(b, "a") == NULL);
    CHECK_INT(b->count, 1);
}

CASE(lead, lead_is_not_lost_when_another_resigns)
{
    int64_t epoch = lead("a", LONG_TTL)->epoch;
    lead("b", LONG_TTL);
    resign("b");
    const struct bp_op_lead *a = lead("a", LONG_TTL);
    CHECK_INT(a->leader, 1);
    CHECK_INT(a->epoch, epoch);
    CHECK_INT(a->count, 1);
}

CASE(lead, lead_tells_who_is_there)
{
    const struct bp_op_lead *a = lead("a", LONG_TTL), *b = lead("b", LONG_TTL);
    CHECK_INT(a->count, 1);
    CHECK_INT(a->controllers[0].leader, 1);
    CHECK_INT(b->count, 2);
    const struct bp_controller_row *one = seen(b, "a"), *two = seen(b, "b");
    CHECK(one && two);
    CHECK_INT(one->leader, 1);
    CHECK_INT(two->leader, 0);
    CHECK_STR(two->name, "host");
    CHECK_STR(two->url, "http://host:8080");
    CHECK_STR(two->version, "1.2.3");
    CHECK_INT(two->started_ms, WORLD_BEGIN - 5000);
    CHECK(two->seen_ms > 0);
}

CASE(lead, lead_forgets_who_is_gone_for_three_times_its_ttl)
{
    lead("a", LONG_TTL);
    lead("b", LEAD_TTL);
    CHECK(seen(lead("a", LONG_TTL), "b") != NULL);
    pass(3 * LEAD_TTL + 100);
    CHECK(seen(lead("a", LONG_TTL), "b") == NULL);
}

CASE(lead, lead_survives_a_restart_of_the_store)
{
    int64_t epoch = lead("a", LONG_TTL)->epoch;
    world_restart();
    CHECK_INT(lead("b", LONG_TTL)->leader, 0);
    const struct bp_op_lead *a = lead("a", LONG_TTL);
    CHECK_INT(a->leader, 1);
    CHECK_INT(a->epoch, epoch);
}

CASE(lead, lead_needs_an_id_and_a_ttl)
{
    CHECK_INT(apply_one(lead_op(NULL, LONG_TTL)), BP_INVALID);
    CHECK_INT(apply_one(lead_op("", LONG_TTL)), BP_INVALID);
    CHECK_INT(apply_one(lead_op("a", 0)), BP_INVALID);
    CHECK_INT(lead("b", LONG_TTL)->leader, 1);
}

/* ---- fencing ---- */

static struct bp_op *sweep_as(int64_t epoch)
{
    struct bp_op *op = op_new(BP_OP_SWEEP);
    op->u.sweep.limit = 10;
    op->u.sweep.epoch = epoch;
    return op;
}

static struct bp_op *prune_as(int64_t epoch)
{
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.limit = 10;
    op->u.prune.before_ms = world.now;
    op->u.prune.epoch = epoch;
    return op;
}

static struct bp_op *take_as(int64_t epoch)
{
    struct bp_op *op = op_new(BP_OP_WEBHOOK_TAKE);
    op->u.webhook_take.limit = 10;
    op->u.webhook_take.epoch = epoch;
    return op;
}

CASE(lead, lead_that_is_over_sweeps_nothing)
{
    worker_any("w");
    int64_t id = submit("a");
    lease_one("w");
    int64_t old = lead("a", LONG_TTL)->epoch;
    resign("a");
    int64_t epoch = lead("b", LONG_TTL)->epoch;
    advance(TTL + 1);
    struct bp_op *op = sweep_as(old);
    CHECK_INT(apply_one(op), BP_STALE);
    CHECK_INT(op->u.sweep.count, 0);
    CHECK_INT(status_of(id), BP_JOB_LEASED);
    CHECK_INT(apply_one(sweep_as(epoch + 1)), BP_STALE);
    lead("b", LONG_TTL);
    op = sweep_as(epoch);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.sweep.count, 1);
}

CASE(lead, lead_that_is_over_prunes_and_delivers_nothing)
{
    struct bp_op *hook = tenant_op("acme");
    hook->u.tenant_put.webhook_url = "https://acme.example/hook";
    CHECK_INT(apply_one(hook), BP_OK);
    int64_t id = submit("a");
    CHECK_INT(cancel(id), BP_OK);
    advance(1);
    int64_t old = lead("a", LONG_TTL)->epoch;
    resign("a");
    int64_t epoch = lead("b", LONG_TTL)->epoch;
    CHECK_INT(apply_one(prune_as(old)), BP_STALE);
    CHECK_INT(apply_one(take_as(old)), BP_STALE);
    CHECK_INT(status_of(id), BP_JOB_CANCELLED);
    struct bp_op *op = take_as(epoch);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.webhook_take.count, 1);
    op = prune_as(epoch);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.prune.removed, 1);
}

CASE(lead, lead_that_was_resigned_is_over_for_its_epoch)
{
    int64_t epoch = lead("a", LONG_TTL)->epoch;
    CHECK_INT(apply_one(sweep_as(epoch)), BP_OK);
    resign("a");
    CHECK_INT(apply_one(sweep_as(epoch)), BP_STALE);
}

CASE(lead, lead_is_not_asked_of_epoch_0)
{
    CHECK_INT(apply_one(sweep_as(0)), BP_OK);
    CHECK_INT(apply_one(sweep_as(1)), BP_STALE);
    lead("a", LONG_TTL);
    CHECK_INT(apply_one(sweep_as(0)), BP_OK);
    CHECK_INT(apply_one(prune_as(0)), BP_OK);
    CHECK_INT(apply_one(take_as(0)), BP_OK);
}

CASE(lead, lead_fences_each_operation_of_a_batch)
{
    int64_t epoch = lead("a", LONG_TTL)->epoch;
    struct bp_op *gone = lead_op("a", LONG_TTL), *ops[3] = {sweep_as(epoch), gone, sweep_as(epoch)};
    gone->u.lead.resign = 1;
    apply_all(ops, 3);
    CHECK_INT(ops[0]->err.rc, BP_OK);
    CHECK_INT(ops[2]->err.rc, BP_STALE);
}
