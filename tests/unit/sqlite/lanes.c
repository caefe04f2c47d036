/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant that ever had max_running queues in a lane of its own, so that no lease passes over its backlog: every job
 * of it that has not ended, however it came into the queue. */
#include "queue_file.h"

static void put_tenant(struct fake_host *h, const char *name, int32_t max_running)
{
    struct bp_op op = {.kind = BP_OP_TENANT_PUT};
    op.u.tenant_put = (struct bp_op_tenant_put){.name = name,
                                                .weight = -1,
                                                .max_pending = -1,
                                                .max_running = max_running,
                                                .disabled = -1,
                                                .webhook_version = -1};
    queue_run(h, &op);
}

static void cancel(struct fake_host *h, int64_t id)
{
    struct bp_op op = {.kind = BP_OP_CANCEL};
    op.u.cancel.id = id;
    queue_run(h, &op);
}

static int64_t outside(void)
{
    return file_int("queue.db", "SELECT count(*) FROM ai_job_dispatches d JOIN tenants t ON t.id = d.tenant_id "
                                "WHERE d.status < 4 AND d.lane <> iif(t.lane, t.id, 0)");
}

static void every_pending_job_of_a_limited_tenant_is_in_its_lane(void **state)
{
    (void)state;
    int64_t ended, queued;
    directory_fresh();
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 10, &ended), BP_OK);
    assert_int_equal(queue_submit(h, 10, &queued), BP_OK);
    cancel(h, ended);
    put_tenant(h, "other", 0);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM tenants WHERE lane"), 0);
    put_tenant(h, "acme", 2);
    assert_int_equal(outside(), 0);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM ai_job_dispatches WHERE lane <> 0"), 1);
    struct bp_op retry = {.kind = BP_OP_RETRY};
    retry.u.retry.id = ended;
    queue_run(h, &retry);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    assert_int_equal(outside(), 0);
    assert_int_equal(file_int("queue.db", "SELECT count(*) FROM ai_job_dispatches WHERE lane <> 0"), 3);
    put_tenant(h, "acme", 0);
    fake_host_stop(h);
    h = queue_start(NULL);
    assert_int_equal(queue_submit(h, 10, NULL), BP_OK);
    assert_int_equal(outside(), 0);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pending_job_of_a_limited_tenant_is_in_its_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
