/* SPDX-License-Identifier: Apache-2.0 */
/* Lives that are expected of instances, and who takes a job. */
#include "cm.h"
#include "policy/risk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOUR 3600.0

static struct risk r;

static int fresh(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    return 0;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-6 * fabs(b)))
        fail_msg("%.9g, not %.9g", a, b);
}

static void before_anything_was_seen_it_is_fifty_hours(void **state)
{
    (void)state;
    near(risk_life_s(&r, "g5.xlarge", "a", 0), 50 * HOUR);
    near(risk_life_s(&r, "g5.xlarge", "a", 100 * HOUR), 50 * HOUR);
}

/* 9 more interruptions in 450 h: 10 in 500 h, at any age. */
static void each_pool_has_its_own(void **state)
{
    (void)state;
    risk_lived(&r, "g5.xlarge", "a", 10 * HOUR, 460 * HOUR);
    for (int i = 0; i < 9; i++)
        risk_interrupted(&r, "g5.xlarge", "a", 20 * HOUR);
    double young = risk_life_s(&r, "g5.xlarge", "a", 0), old = risk_life_s(&r, "g5.xlarge", "a", 7 * HOUR);
    near(old, (20 + 450) / (20 * 10 / 500.0 + 9) * HOUR);
    assert_true(young > 40 * HOUR && young < 60 * HOUR);
    near(risk_life_s(&r, "g5.xlarge", "b", 0), 50 * HOUR);
    near(risk_life_s(&r, "g6.xlarge", "a", 0), 50 * HOUR);
}

/* Pools that kill the young: who has survived the first hour is safe. */
static void age_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        risk_lived(&r, "p5", "a", 0, 3 * HOUR);
        if (i % 2)
            risk_interrupted(&r, "p5", "a", 0.5 * HOUR);
    }
    assert_true(risk_life_s(&r, "p5", "a", 0) < risk_life_s(&r, "p5", "a", 1.5 * HOUR));
    near(r.pools[0].hours[0], 100);
    near(r.pools[0].hours[1], 200);
}

static void pools_are_bounded(void **state)
{
    (void)state;
    char zone[32];
    risk_lived(&r, "g5.xlarge", "keep", 0, 1000 * HOUR);
    for (int i = 0; i < 1000; i++) {
        snprintf(zone, sizeof zone, "z%d", i);
        risk_lived(&r, "g5.xlarge", zone, 0, HOUR);
    }
    assert_int_equal(r.n, RISK_POOLS);
    assert_true(risk_life_s(&r, "g5.xlarge", "keep", 0) > 1000 * HOUR);
}

static void a_job_goes_to_the_machine_that_lives_longest(void **state)
{
    (void)state;
    const struct risk_choice two[] = {{10 * HOUR, 0}, {100 * HOUR, 0}, {120 * HOUR, 0}};
    assert_int_equal(risk_choose(two, 3, 60), 1); /* the third is not so much safer that it may pass the second */
    assert_int_equal(risk_choose(two, 1, 60), 0);
    assert_int_equal(risk_choose(two, 3, 0), 0); /* nobody knows how long it runs: in their order */
    const struct risk_choice on_demand[] = {{50 * HOUR, 0}, {INFINITY, 0}};
    assert_int_equal(risk_choose(on_demand, 2, 60), 1);
}

/* Both serve a workflow of hours too: the short job goes to the doomed one, unless it would not end there. */
static void short_jobs_go_to_doomed_machines_when_long_ones_may_come(void **state)
{
    (void)state;
    const struct risk_choice two[] = {{100 * HOUR, 4 * HOUR}, {1 * HOUR, 4 * HOUR}};
    assert_int_equal(risk_choose(two, 2, 60), 1);
    assert_int_equal(risk_choose(two, 2, 600), 0); /* one in seven would lose it */
    assert_int_equal(risk_choose(two, 2, 4 * HOUR), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(before_anything_was_seen_it_is_fifty_hours, fresh),
        cmocka_unit_test_setup(each_pool_has_its_own, fresh),
        cmocka_unit_test_setup(age_counts, fresh),
        cmocka_unit_test_setup(pools_are_bounded, fresh),
        cmocka_unit_test_setup(a_job_goes_to_the_machine_that_lives_longest, fresh),
        cmocka_unit_test_setup(short_jobs_go_to_doomed_machines_when_long_ones_may_come, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
