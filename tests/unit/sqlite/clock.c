/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that was set back: nobody who is gone stays in power by it. */
#include "queue_file.h"

static int32_t lead(struct fake_host *h, const char *id, int64_t now_ms, uint32_t *seen)
{
    struct bp_op op = {.kind = BP_OP_LEAD, .now_ms = now_ms};
    op.u.lead = (struct bp_op_lead){.id = id, .ttl_ms = 5000};
    queue_run(h, &op);
    fake_host_free(op.u.lead.memory);
    if (seen)
        *seen = op.u.lead.count;
    return op.u.lead.leader;
}

static void a_leader_from_the_future_is_not_waited_for(void **state)
{
    (void)state;
    uint32_t seen;
    directory_fresh();
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(lead(h, "one", NOW, NULL), 1);
    assert_int_equal(lead(h, "two", NOW - 3600000, &seen), 1);
    assert_int_equal(seen, 1);
    assert_int_equal(lead(h, "one", NOW - 3600000 + 10, &seen), 0);
    assert_int_equal(seen, 2);
    fake_host_stop(h);
}

static void a_clock_set_back_a_little_changes_no_leader(void **state)
{
    (void)state;
    directory_fresh();
    struct fake_host *h = queue_start(NULL);
    assert_int_equal(lead(h, "one", NOW, NULL), 1);
    assert_int_equal(lead(h, "two", NOW - 4000, NULL), 0);
    assert_int_equal(lead(h, "one", NOW - 4000, NULL), 1);
    assert_int_equal(lead(h, "two", NOW, NULL), 0);
    assert_int_equal(lead(h, "two", NOW + 1000, NULL), 1);
    fake_host_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_from_the_future_is_not_waited_for),
        cmocka_unit_test(a_clock_set_back_a_little_changes_no_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
