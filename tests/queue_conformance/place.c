/* SPDX-License-Identifier: Apache-2.0 */
/* Where a queued job stands: as many jobs before it as leases come before its own. */
#include "case.h"

static struct bp_op *place_op(int64_t id, const char *tenant)
{
    struct bp_op *op = op_new(BP_OP_PLACE);
    op->u.place.id = id;
    op->u.place.tenant = tenant;
    return op;
}

static int64_t ahead_of(int64_t id)
{
    struct bp_op *op = place_op(id, NULL);
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.place.ahead;
}

static int64_t submit_of(const char *tenant, int32_t fair)
{
    struct bp_op *op = submit_op("a");
    op->u.submit.tenant = tenant;
    op->u.submit.fair = fair;
    CHECK_INT(apply_one(op), BP_OK);
    return op->u.submit.id;
}

CASE(place, place_is_the_number_of_leases_before_its_own)
{
    int64_t ids[12], ahead[12];
    worker_any("w");
    for (int i = 0; i < 12; i++)
        ids[i] = i % 5 == 4 ? submit_priority("a", i) : submit_of(i % 3 ? "x" : "y", 1);
    submit("b");
    struct lease l = lease_one("w");
    CHECK_INT(requeue(&l), BP_OK);
    for (int i = 0; i < 12; i++)
        ahead[i] = ahead_of(ids[i]);
    for (int before = 0; before < 12; before++) {
        int64_t id = lease_id("w");
        for (int i = 0; i < 12; i++)
            if (ids[i] == id)
                CHECK_INT(ahead[i], before);
    }
}

CASE(place, place_leaves_out_what_limits_hold_back)
{
    worker_any("w");
    struct bp_op *op = tenant_op("y");
    op->u.tenant_put.max_running = 1;
    CHECK_INT(apply_one(op), BP_OK);
    submit_of("y", 0);
    struct lease l = lease_one("w");
    for (int i = 0; i < 3; i++)
        submit_of("y", 0);
    int64_t mine = submit_of("x", 0), last = submit_of("y", 0);
    CHECK_INT(ahead_of(mine), 0);
    CHECK_INT(ahead_of(last), 4); /* its own tenant's and mine */
    CHECK_INT(complete(&l), BP_OK);
    CHECK(ahead_of(mine) >= 1);
}

CASE(place, place_is_of_queued_jobs_and_their_tenants_only)
{
    worker_any("w");
    int64_t id = submit_of("x", 0);
    CHECK_INT(apply_one(place_op(id, "x")), BP_OK);
    CHECK_INT(apply_one(place_op(id, "y")), BP_NOTFOUND);
    CHECK_INT(apply_one(place_op(id + 1000, NULL)), BP_NOTFOUND);
    lease_one("w");
    CHECK_INT(apply_one(place_op(id, "x")), BP_CONFLICT);
}
