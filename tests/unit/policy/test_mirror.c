/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet that is only thought: what jobs would have waited, worked out by hand. */
#include "cm.h"
#include "policy/mirror.h"

#include <math.h>
#include <string.h>

#define NOW INT64_C(1700000000000)

static struct history h;
static struct mirror m;

static int fresh(void **state)
{
    (void)state;
    history_init(&h);
    memset(&m, 0, sizeof m);
    for (int i = 0; i < 8; i++)
        history_finished(&h, NOW + i, 60);
    return 0;
}

static void step(double at_s, int32_t desired)
{
    mirror_step(&m, &h, NOW + (int64_t)(at_s * 1000), desired, 100);
}

static void come(double at_s, uint32_t n)
{
    mirror_arrived(&m, NOW + (int64_t)(at_s * 1000), n);
}

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-6))
        fail_msg("%g, not %g", a, b);
}

/* At 10 s one is launched, ready at 110 s: the first begins then, the second at 170 s. */
static void a_boot_and_a_busy_instance_are_waited_for(void **state)
{
    (void)state;
    step(0, 0);
    come(5, 2);
    step(10, 1);
    assert_int_equal(mirror_sum(&m).waiting, 2);
    step(170, 1);
    struct mirror_sum s = mirror_sum(&m);
    assert_int_equal(s.jobs, 2);
    near(s.wait_mean_s, (105 + 165) / 2.0);
    near(s.wait_hours, (105 + 165) / 3600.0);
    near(s.hours, 160 / 3600.0);
    assert_true(s.wait_p95_s >= 165 && s.wait_p95_s < 165 * 1.1);
}

/* Between two looks jobs begin when they can, not when it is looked. */
static void looks_may_be_far_apart(void **state)
{
    (void)state;
    step(0, 1);
    step(100, 1);
    come(200, 1);
    come(210, 1);
    step(600, 1);
    near(mirror_sum(&m).wait_mean_s, (0 + 50) / 2.0);
}

static void busy_and_booting_ones_stay_until_they_are_idle(void **state)
{
    (void)state;
    step(0, 3);
    step(10, 0);
    assert_int_equal(m.live, 3);
    come(100, 1);
    step(110, 0); /* two came up to nothing, one runs to 160 s */
    assert_int_equal(m.live, 1);
    step(159, 0);
    assert_int_equal(m.live, 1);
    step(160, 0);
    assert_int_equal(m.live, 0);
    near(mirror_sum(&m).hours, (3 * 110 + 50) / 3600.0);
}

/* Time in which nobody looked is billed to nobody, and no run time is no service. */
static void what_is_not_known_is_not_counted(void **state)
{
    (void)state;
    step(0, 1);
    step(4000, 1);
    near(mirror_sum(&m).hours, 0);
    history_init(&h);
    come(4000, 3);
    step(4100, 1);
    assert_int_equal(mirror_sum(&m).jobs, 0);
    assert_int_equal(mirror_sum(&m).waiting, 3);
}

static void a_crowd_is_counted_to_the_last(void **state)
{
    (void)state;
    const uint32_t n = 3 * MIRROR_WAITING;
    step(0, MIRROR_INSTANCES * 2);
    assert_int_equal(m.live, MIRROR_INSTANCES);
    step(100, MIRROR_INSTANCES);
    come(100, n);
    assert_int_equal(mirror_sum(&m).waiting, n);
    for (uint32_t turn = 0; turn < n / MIRROR_INSTANCES; turn++)
        step(100 + 60.0 * turn, MIRROR_INSTANCES);
    assert_int_equal(mirror_sum(&m).jobs, n);
    assert_int_equal(mirror_sum(&m).waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_boot_and_a_busy_instance_are_waited_for, fresh),
        cmocka_unit_test_setup(looks_may_be_far_apart, fresh),
        cmocka_unit_test_setup(busy_and_booting_ones_stay_until_they_are_idle, fresh),
        cmocka_unit_test_setup(what_is_not_known_is_not_counted, fresh),
        cmocka_unit_test_setup(a_crowd_is_counted_to_the_last, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
