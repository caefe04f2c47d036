/* SPDX-License-Identifier: Apache-2.0 */
/* What past days say of a time of day. */
#include "cm.h"

#include "policy/daily.h"
#include <math.h>
#include <string.h>

#define DAY_S  86400LL
#define START  (20000 * DAY_S) /* midnight */
#define BUSY_S (START + 9 * 3600)

static struct daily d;
static uint32_t total;

static void fresh(void)
{
    memset(&d, 0, sizeof d);
    total = 0;
    daily_begin(&d, START, total);
}

/* From `from` to `to`, n arrivals in each slot that is over. */
static void pass(int64_t from, int64_t to, uint32_t n)
{
    for (int64_t t = from + DAILY_SLOT_S; t <= to; t += DAILY_SLOT_S)
        daily_advance(&d, t, total += n);
}

static void a_day_with_a_busy_hour(int64_t midnight, uint32_t busy)
{
    pass(midnight, midnight + 9 * 3600, 1);
    pass(midnight + 9 * 3600, midnight + 10 * 3600, busy);
    pass(midnight + 10 * 3600, midnight + DAY_S, 1);
}

static void each_slot_has_the_mean_of_its_days(void **state)
{
    (void)state;
    fresh();
    a_day_with_a_busy_hour(START, 90);
    a_day_with_a_busy_hour(START + DAY_S, 180);
    assert_true(fabs(daily_rate(&d, BUSY_S + 1800) - 135.0 / DAILY_SLOT_S) < 1e-6);
    assert_true(fabs(daily_rate(&d, BUSY_S + 5 * 3600) - 1.0 / DAILY_SLOT_S) < 1e-6);
    assert_true(fabs(daily_rate(&d, BUSY_S) - 68.0 / DAILY_SLOT_S) < 1e-6); /* between two slots, between their means */
    assert_true(fabs(daily_learned_from(&d, BUSY_S) - 4 * 135) < 1e-3);
    for (int i = 2; i < 12; i++)
        a_day_with_a_busy_hour(START + i * DAY_S, 10); /* forgotten */
    assert_true(daily_rate(&d, BUSY_S + 1800) * DAILY_SLOT_S < 25);
}

static void only_slots_that_were_watched_as_a_whole_are_learned(void **state)
{
    (void)state;
    fresh();
    pass(START, START + 2 * DAILY_SLOT_S, 7); /* the first one had begun before */
    assert_int_equal(d.days[0], 0);
    assert_int_equal(d.days[1], 1);
    daily_advance(&d, START + 5 * DAILY_SLOT_S, total += 70); /* nobody looked in between */
    daily_advance(&d, START + 6 * DAILY_SLOT_S, total += 7);
    for (int k = 2; k < 6; k++)
        assert_int_equal(d.days[k], 0);
    pass(START + 6 * DAILY_SLOT_S, START + 7 * DAILY_SLOT_S, 7);
    assert_int_equal(d.days[6], 1);
}

static void a_time_of_day_is_known_once_its_surroundings_are(void **state)
{
    (void)state;
    fresh();
    pass(START, START + 23 * 3600, 1);
    assert_false(daily_is_known(&d, START + 23 * 3600));
    assert_true(daily_is_known(&d, BUSY_S));
    pass(START + 23 * 3600, START + DAY_S + 3600, 1);
    assert_true(daily_is_known(&d, START + 23 * 3600));
}

static void todays_level_is_what_came_by_what_came_then(void **state)
{
    (void)state;
    fresh();
    pass(START, START + 2 * DAY_S, 90);
    assert_true(fabs(daily_level(&d, BUSY_S, 7000, 700) - 1) < 0.05);
    assert_true(fabs(daily_level(&d, BUSY_S, 7000, 1400) - 2) < 0.1);
    assert_true(fabs(daily_level(&d, BUSY_S, 0, 0) - 1) < 1e-9);
}

static void it_counts_when_it_has_foretold_better_for_an_hour(void **state)
{
    (void)state;
    fresh();
    for (int i = 0; i < 60; i++)
        daily_judge(&d, 10, 20, 10);
    assert_false(daily_is_better(&d));
    daily_judge(&d, 10, 20, 10);
    assert_true(daily_is_better(&d));
    for (int i = 0; i < 720; i++)
        daily_judge(&d, 10, 20, 20);
    assert_false(daily_is_better(&d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_has_the_mean_of_its_days),
        cmocka_unit_test(only_slots_that_were_watched_as_a_whole_are_learned),
        cmocka_unit_test(a_time_of_day_is_known_once_its_surroundings_are),
        cmocka_unit_test(todays_level_is_what_came_by_what_came_then),
        cmocka_unit_test(it_counts_when_it_has_foretold_better_for_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
