/* SPDX-License-Identifier: Apache-2.0 */
/* The on-demand allowance: spent when the wait is at risk and Spot is out, bounded, given back. */
#include "cm.h"

#include "policy/allowance.h"
#include <string.h>

#define NOW    (20000LL * 86400000)
#define MINUTE 60000LL

static const struct allowance_limits limits = {.max = 3, .hours_per_day = 2, .wait_s = 60};

/* Launches fail, two instances lack, a job waits for two minutes. */
static struct allowance_view trouble(int64_t now_ms)
{
    return (struct allowance_view){.now_ms = now_ms,
                                   .failures = 2,
                                   .last_failure_ms = now_ms - 1000,
                                   .lacking = 2,
                                   .depth = 4,
                                   .oldest_wait_ms = 2 * MINUTE};
}

static void it_is_spent_when_spot_is_out_and_the_wait_is_at_risk(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    assert_int_equal(allowance_step(&a, &limits, &v), 1);
    assert_int_equal(a.n, 2);
    assert_non_null(strstr(a.why, "waited for 120 s"));
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
}

static void not_before_both_hold(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    v.oldest_wait_ms = 59999;
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
    v = trouble(NOW);
    v.failures = 0;
    v.last_failure_ms = 0;
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
    v = trouble(NOW);
    v.lacking = 0;
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
    v = trouble(NOW);
    v.last_spot_ms = v.last_failure_ms + 1;
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
    assert_int_equal(a.n, 0);
}

static void never_more_than_the_most_and_off_by_default(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    struct allowance_limits off = {.max = 0, .hours_per_day = 24};
    (void)state;
    assert_int_equal(allowance_step(&a, &off, &v), 0);
    v.lacking = 100;
    assert_int_equal(allowance_step(&a, &limits, &v), 1);
    assert_int_equal(a.n, 3);
    assert_int_equal(allowance_step(&a, &off, &v), 1);
    assert_int_equal(a.n, 0);
}

static void it_is_given_back_when_spot_returns_or_nothing_is_left(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    allowance_step(&a, &limits, &v);
    v.last_spot_ms = v.last_failure_ms + 1;
    assert_int_equal(allowance_step(&a, &limits, &v), 1);
    assert_int_equal(a.n, 0);
    v = trouble(NOW + MINUTE);
    allowance_step(&a, &limits, &v);
    assert_int_equal(a.n, 2);
    v.depth = 0;
    assert_int_equal(allowance_step(&a, &limits, &v), 1);
    assert_int_equal(a.n, 0);
}

static void it_stays_while_the_failures_are_forgotten_but_no_spot_came(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    allowance_step(&a, &limits, &v);
    v.now_ms += 30 * MINUTE;
    v.failures = 0;
    v.oldest_wait_ms = 0;
    v.on_demand = 2;
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
    assert_int_equal(a.n, 2);
}

static void a_days_hours_are_the_end_of_it_and_the_next_day_begins_anew(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    int minutes = 0;
    (void)state;
    allowance_step(&a, &limits, &v);
    v.on_demand = 2;
    while (a.n > 0 && minutes < 600) {
        minutes++;
        v.now_ms = NOW + minutes * MINUTE;
        v.last_failure_ms = v.now_ms - 1000;
        allowance_step(&a, &limits, &v);
    }
    assert_in_range(minutes, 59, 61); /* two instances for an hour */
    assert_non_null(strstr(a.why, "used up"));
    v.now_ms = NOW + 23 * 60 * MINUTE; /* of the same day */
    v.last_failure_ms = v.now_ms - 1000;
    assert_int_equal(allowance_step(&a, &limits, &v), 0);
    assert_int_equal(a.n, 0);
    v.now_ms = NOW + 24 * 60 * MINUTE;
    v.last_failure_ms = v.now_ms - 1000;
    assert_int_equal(allowance_step(&a, &limits, &v), 1);
    assert_int_equal(a.n, 3);
}

static void those_that_live_on_after_it_was_given_back_are_still_charged(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    allowance_step(&a, &limits, &v);
    v.on_demand = 2;
    v.last_spot_ms = v.now_ms;
    allowance_step(&a, &limits, &v);
    assert_int_equal(a.n, 0);
    v.now_ms += 6 * MINUTE;
    allowance_step(&a, &limits, &v);
    assert_true(a.spent_h > 0.19 && a.spent_h < 0.21);
}

static void a_lower_most_counts_at_once(void **state)
{
    struct allowance_limits lower = limits;
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    v.lacking = 3;
    allowance_step(&a, &limits, &v);
    assert_int_equal(a.n, 3);
    lower.max = 1;
    assert_int_equal(allowance_step(&a, &lower, &v), 1);
    assert_int_equal(a.n, 1);
    assert_non_null(strstr(a.why, "lowered"));
}

/* Once none lives, those that come later are of the settings. */
static void what_was_given_back_is_not_charged_again(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    allowance_step(&a, &limits, &v);
    v.last_spot_ms = v.now_ms;
    allowance_step(&a, &limits, &v);
    v.on_demand = 0;
    allowance_step(&a, &limits, &v);
    v.on_demand = 2;
    v.now_ms += 6 * MINUTE;
    allowance_step(&a, &limits, &v);
    assert_true(a.spent_h == 0);
}

static void instances_that_its_settings_give_are_not_charged(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = {.now_ms = NOW, .on_demand = 5, .depth = 1};
    (void)state;
    allowance_step(&a, &limits, &v);
    v.now_ms += 6 * MINUTE;
    allowance_step(&a, &limits, &v);
    assert_true(a.spent_h == 0);
}

static void a_clock_that_jumps_charges_nothing(void **state)
{
    struct allowance a = {0};
    struct allowance_view v = trouble(NOW);
    (void)state;
    allowance_step(&a, &limits, &v);
    v.on_demand = 2;
    v.now_ms += 5 * 60 * MINUTE;
    allowance_step(&a, &limits, &v);
    v.now_ms -= 60 * MINUTE;
    allowance_step(&a, &limits, &v);
    assert_true(a.spent_h == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_spent_when_spot_is_out_and_the_wait_is_at_risk),
        cmocka_unit_test(not_before_both_hold),
        cmocka_unit_test(never_more_than_the_most_and_off_by_default),
        cmocka_unit_test(it_is_given_back_when_spot_returns_or_nothing_is_left),
        cmocka_unit_test(it_stays_while_the_failures_are_forgotten_but_no_spot_came),
        cmocka_unit_test(a_days_hours_are_the_end_of_it_and_the_next_day_begins_anew),
        cmocka_unit_test(those_that_live_on_after_it_was_given_back_are_still_charged),
        cmocka_unit_test(a_lower_most_counts_at_once),
        cmocka_unit_test(what_was_given_back_is_not_charged_again),
        cmocka_unit_test(instances_that_its_settings_give_are_not_charged),
        cmocka_unit_test(a_clock_that_jumps_charges_nothing),
    };
    return cmocka_run_group_tests_name("policy_allowance", tests, NULL, NULL);
}
