/* SPDX-License-Identifier: Apache-2.0 */
/* What a workflow's history keeps of the events it is fed with, and for how long. */
#include "cm.h"

#include "policy/history.h"
#include <math.h>
#include <string.h>

#define T0 1700000100000LL /* begin of a bin */

static struct history *fresh(void)
{
    static struct history h;
    history_init(&h);
    return &h;
}

static void arrivals_are_counted_in_bins(void **state)
{
    (void)state;
    struct history *h = fresh();
    history_arrived(h, T0, 2);
    history_arrived(h, T0 + 9999, 1);
    history_arrived(h, T0 + 10000, 4);
    assert_int_equal(h->arrivals, 7);
    assert_int_equal(h->forecast.total, 7);
    assert_true(history_rate(h, 10) == 0.4); /* the bin under way */
    assert_true(history_rate(h, 20) == 0.7);
    history_demand(h, T0 + 35000, 0); /* time passes */
    assert_true(history_rate(h, 10) == 0);
    assert_true(history_rate(h, 30) == 4 / 30.0);
    assert_true(history_rate(h, 40) == 7 / 35.0);
}

static void an_arrival_is_forgotten_after_an_hour(void **state)
{
    (void)state;
    struct history *h = fresh();
    history_arrived(h, T0, 5);
    history_demand(h, T0 + 3590000, 0);
    assert_true(history_rate(h, 3600) == 5 / 3590.0);
    history_demand(h, T0 + 3600000, 0);
    assert_true(history_rate(h, 1e9) == 0);
    history_arrived(h, T0 + 100 * 604800000LL, 1); /* long silence */
    assert_true(history_rate(h, 3600) == 1 / 3600.0);
}

static void each_level_has_its_own_gaps_and_spells(void **state)
{
    (void)state;
    struct history *h = fresh();
    history_demand(h, T0, 2);         /* 1 and 2 go high */
    history_demand(h, T0 + 30000, 1); /* 2 ends after 30 s */
    history_demand(h, T0 + 50000, 3); /* 2 again after 20 s; 3 for the first time */
    history_demand(h, T0 + 110000, 0);
    assert_int_equal(h->level[2].spells, 2);
    assert_true(h->level[2].hot_s[0] == 30 && h->level[2].gap_s[0] == HISTORY_UNKNOWN_S);
    assert_true(h->level[2].hot_s[1] == 60 && h->level[2].gap_s[1] == 20);
    assert_int_equal(h->level[1].spells, 1);
    assert_true(h->level[1].hot_s[0] == 110);
    assert_true(h->level[3].hot_s[0] == 60 && h->level[3].gap_s[0] == HISTORY_UNKNOWN_S);
    assert_int_equal(h->level[2].low_since_ms, T0 + 110000);
    assert_int_equal(h->level[4].spells, 0);
}

static void only_the_last_sixty_spells_are_kept(void **state)
{
    (void)state;
    struct history *h = fresh();
    for (int i = 0; i < 100; i++) {
        history_demand(h, T0 + i * 100000LL, 1);
        history_demand(h, T0 + i * 100000LL + 1000 * (i + 1), 0);
    }
    assert_int_equal(h->level[1].spells, 100);
    assert_int_equal(history_kept_spells(&h->level[1]), HISTORY_SPELLS);
    assert_true(h->level[1].hot_s[99 % HISTORY_SPELLS] == 100);
    assert_true(h->level[1].hot_s[40 % HISTORY_SPELLS] == 41);
}

static void demand_above_the_highest_level_disturbs_nothing(void **state)
{
    (void)state;
    struct history *h = fresh();
    history_demand(h, T0, 100000000);
    history_demand(h, T0 + 5000, -3);
    assert_true(h->level[HISTORY_LEVELS].hot_s[0] == 5);
    assert_int_equal(h->demand, 0);
}

static void run_times_have_a_mean_and_the_last_ones(void **state)
{
    (void)state;
    struct history *h = fresh();
    for (int i = 0; i < 100; i++)
        history_finished(h, T0, i % 2 ? 10 : 30);
    history_finished(h, T0, -1); /* is no time */
    assert_int_equal(h->runs, 100);
    assert_int_equal(history_kept_runs(h), HISTORY_RUNS);
    assert_true(h->run_mean_s > 19.9 && h->run_mean_s < 20.1);
    assert_true(h->run_square_s2 > 499 && h->run_square_s2 < 501);
}

/* Runs of 10 to 40 s in no order, then 64 of 10 s by turns with 64 of 40 s: what is to come is not what has ended. */
static void how_far_runs_drift_from_those_before_is_measured(void **state)
{
    (void)state;
    struct history *h = fresh();
    uint32_t dice = 1;
    for (int i = 0; i < 1600; i++) {
        dice = dice * 1664525u + 1013904223u;
        history_finished(h, T0 + i, 10 + 30.0 * (dice >> 8) / (1 << 24));
    }
    assert_true(fabsf(h->run_drift) < 0.01f);
    for (int i = 0; i < 1600; i++)
        history_finished(h, T0 + 1600 + i, i / 64 % 2 ? 10 : 40);
    assert_true(h->run_drift > 0.2f);
}

static void boots_are_their_median(void **state)
{
    (void)state;
    struct history *h = fresh();
    assert_true(history_boot_s(h, 77) == 77);
    history_ready(h, T0, 200);
    history_ready(h, T0, 9000); /* one that hung */
    history_ready(h, T0, 240);
    assert_true(history_boot_s(h, 77) == 240);
    history_staged(h, T0, HISTORY_RUNNING, 40);
    history_staged(h, T0, HISTORY_RUNNING, 60);
    assert_true(h->stage_s[HISTORY_RUNNING] == 41);
}

static void interruptions_are_counted_beside_the_hours_they_came_from(void **state)
{
    (void)state;
    struct history *h = fresh();
    history_instances(h, T0, 10);
    history_instances(h, T0 + 100 * 3600000LL, 10); /* a thousand instance-hours */
    for (int i = 0; i < 104; i++)
        history_interrupted(h, T0 + 100 * 3600000LL);
    assert_int_equal(h->interruptions, 104);
    assert_true(h->instance_s == 1000 * 3600.0);
}

static void a_clock_set_back_changes_no_past(void **state)
{
    (void)state;
    struct history *h = fresh();
    history_arrived(h, T0 + 100000, 3);
    history_arrived(h, T0, 2);
    history_demand(h, T0 - 5000, 1);
    history_demand(h, T0 - 9000, 0);
    assert_int_equal(h->now_ms, T0 + 100000);
    assert_true(history_rate(h, 10) == 0.5);
    assert_true(h->level[1].hot_s[0] == 0);
}

static void what_is_known_of_instances_can_be_taken_over_alone(void **state)
{
    (void)state;
    static struct history from, to;
    history_init(&from);
    history_init(&to);
    history_arrived(&from, T0, 3);
    history_ready(&from, T0, 240);
    history_interrupted(&from, T0);
    history_arrived(&to, T0, 1);
    history_take_fleet(&to, &from);
    assert_int_equal(to.arrivals, 1);
    assert_true(history_boot_s(&to, 0) == 240);
    assert_int_equal(to.interruptions, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrivals_are_counted_in_bins),
        cmocka_unit_test(an_arrival_is_forgotten_after_an_hour),
        cmocka_unit_test(each_level_has_its_own_gaps_and_spells),
        cmocka_unit_test(only_the_last_sixty_spells_are_kept),
        cmocka_unit_test(demand_above_the_highest_level_disturbs_nothing),
        cmocka_unit_test(run_times_have_a_mean_and_the_last_ones),
        cmocka_unit_test(how_far_runs_drift_from_those_before_is_measured),
        cmocka_unit_test(boots_are_their_median),
        cmocka_unit_test(interruptions_are_counted_beside_the_hours_they_came_from),
        cmocka_unit_test(a_clock_set_back_changes_no_past),
        cmocka_unit_test(what_is_known_of_instances_can_be_taken_over_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
