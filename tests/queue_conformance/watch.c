/* SPDX-License-Identifier: Apache-2.0 */
/* Where each workflow's queue stands, for controllers that share the store. */
#include "case.h"

static const struct bp_watch_row *watch(const char *workflow)
{
    struct bp_op *op = op_new(BP_OP_WATCH);
    CHECK_INT(apply_one(op), BP_OK);
    for (uint32_t i = 0; i < op->u.watch.count; i++)
        if (strcmp(op->u.watch.rows[i].workflow, workflow) == 0)
            return &op->u.watch.rows[i];
    return NULL;
}

static int64_t arrivals(const char *workflow)
{
    const struct bp_watch_row *r = watch(workflow);
    return r ? r->arrivals : 0;
}

/* One more became queued since *last. */
static void grew(int64_t *last)
{
    int64_t now = arrivals("a");
    CHECK(now > *last);
    *last = now;
}

CASE(watch, watch_has_a_row_for_each_workflow_with_jobs)
{
    struct bp_op *op = op_new(BP_OP_WATCH);
    worker_any("w");
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.watch.count, 0);
    submit("a");
    struct bp_op *later = submit_op("b");
    later->u.submit.not_before_ms = world.now + 1000;
    CHECK_INT(apply_one(later), BP_OK);
    CHECK_INT(watch("a")->queued, 1);
    CHECK_INT(watch("b")->queued, 0);
    op = op_new(BP_OP_WATCH);
    CHECK_INT(apply_one(op), BP_OK);
    CHECK_INT(op->u.watch.count, 2);
}

CASE(watch, watch_counts_what_is_queued)
{
    worker_any("w");
    for (int i = 0; i < 3; i++)
        submit("a");
    lease_one("w");
    CHECK_INT(watch("a")->queued, 2);
    world_restart();
    CHECK_INT(watch("a")->queued, 2);
}

CASE(watch, watch_keeps_workflows_whose_jobs_are_gone)
{
    worker_any("w");
    submit("a");
    struct lease l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    advance(10);
    struct bp_op *op = op_new(BP_OP_PRUNE);
    op->u.prune.before_ms = world.now;
    op->u.prune.limit = 10;
    CHECK_INT(apply_one(op), BP_OK);
    world_restart();
    CHECK(watch("a") != NULL);
    CHECK_INT(watch("a")->queued, 0);
}

CASE(watch, watch_arrivals_grow_with_every_way_into_the_queue)
{
    int64_t last = 0;
    worker_any("w");
    int64_t id = submit("a");
    grew(&last);
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    grew(&last);
    l = lease_one("w");
    CHECK_INT(apply_one(fail_op(&l, "busy", 1)), BP_OK);
    advance(10000);
    sweep();
    grew(&last);
    lease_one("w");
    advance(TTL + 1);
    sweep();
    grew(&last);
    l = lease_one("w");
    worker_any("w");
    grew(&last);
    CHECK_INT(cancel(id), BP_OK);
    CHECK_INT(retry(id), BP_OK);
    grew(&last);
    int64_t child = submit_after(id);
    l = lease_one("w");
    CHECK_INT(complete(&l), BP_OK);
    sweep();
    CHECK_INT(status_of(child), BP_JOB_QUEUED);
    grew(&last);
}

CASE(watch, watch_arrivals_of_one_workflow_leave_the_others_alone)
{
    submit("a");
    submit("b");
    int64_t b = arrivals("b");
    submit("a");
    CHECK_INT(arrivals("b"), b);
}

CASE(watch, watch_arrivals_rest_while_nothing_arrives)
{
    submit("a");
    submit("a");
    int64_t first = arrivals("a");
    advance(1000);
    sweep();
    CHECK_INT(arrivals("a"), first);
}

CASE(watch, watch_arrivals_do_not_go_back_at_a_restart)
{
    for (int i = 0; i < 5; i++)
        submit("a");
    int64_t last = arrivals("a");
    world_restart();
    CHECK(arrivals("a") >= last);
    submit("a");
    grew(&last);
}

CASE(watch, watch_sees_what_its_own_batch_did)
{
    struct bp_op *ops[2] = {submit_op("a"), op_new(BP_OP_WATCH)};
    apply_all(ops, 2);
    CHECK_INT(ops[1]->u.watch.count, 1);
    CHECK_INT(ops[1]->u.watch.rows[0].queued, 1);
}
