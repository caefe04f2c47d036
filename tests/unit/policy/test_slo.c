/* SPDX-License-Identifier: Apache-2.0 */
/* The slo policy, part by part: what is launched, what a steady load needs, what is kept, what waiting costs. */
#include "cm.h"

#include "policy/decide.h"
#include "policy/slo.h"
#include <math.h>
#include <string.h>

#define T0     1700000100000LL
#define SECOND 1000LL
#define BOOT_S 240.0

static struct history h;
static struct policy_fleet fleet;
static struct bp_view view;
static struct slo_memory memory;
static struct policy_now now;

static int fresh(void **state)
{
    (void)state;
    history_init(&h);
    history_demand(&h, T0, 0);
    memset(&fleet, 0, sizeof fleet);
    memset(&memory, 0, sizeof memory);
    view = (struct bp_view){.size = sizeof view, .now_ms = T0, .boot_s = BOOT_S, .max_size = 32, .backlog_target = 2};
    now = (struct policy_now){&view, &fleet, &h, 0, 1};
    return 0;
}

static void jobs(int64_t queued, int32_t busy, float busy_s)
{
    view.queued = queued;
    view.leased = view.busy = fleet.n_busy = busy;
    for (int32_t i = 0; i < busy; i++)
        fleet.busy_s[i] = busy_s;
}

static void runs(int n, double run_s)
{
    for (int i = 0; i < n; i++)
        history_finished(&h, T0, run_s);
}

static int32_t desired(void)
{
    struct bp_plan p = {.size = sizeof p};
    assert_int_equal(policy_find("slo")->plan(&now, &memory, &p), 0);
    assert_true(p.reason[0]);
    return p.desired;
}

/* ---- launches ---- */

static void nothing_to_do_is_nothing_to_have(void **state)
{
    (void)state;
    assert_int_equal(desired(), 0);
}

static void the_first_job_launches_an_instance(void **state)
{
    (void)state;
    jobs(1, 0, 0);
    assert_true(desired() >= 1);
}

static void jobs_that_are_done_before_a_boot_would_be_launch_nothing(void **state)
{
    (void)state;
    runs(10, 10);
    jobs(4, 1, 5);
    assert_int_equal(desired(), 1);
    runs(64, 900);
    jobs(4, 1, 5);
    assert_true(desired() > 2);
}

static void what_boots_already_is_not_launched_twice(void **state)
{
    (void)state;
    runs(10, 400);
    jobs(6, 0, 0);
    int32_t once = desired();
    assert_in_range(once, 6, 8);
    view.desired = view.pending = fleet.n_booting = once;
    for (int32_t i = 0; i < once; i++)
        fleet.booting_s[i] = 30;
    assert_int_equal(desired(), once);
}

static void one_job_gets_one_instance_however_short_a_boot_is(void **state)
{
    (void)state;
    view.boot_s = 0;
    jobs(1, 0, 0);
    assert_int_equal(desired(), 1);
    view.boot_s = 1; /* less than what an overdue boot is said to take */
    view.pending = 1;
    fleet.n_booting = 1;
    fleet.booting_s[0] = 0.5f;
    assert_int_equal(desired(), 1);
}

static void dearer_waiting_launches_more_and_never_above_the_most(void **state)
{
    (void)state;
    int32_t before = 0;
    runs(10, 60);
    jobs(200, 1, 30);
    for (now.wait_price = 0.01; now.wait_price < 200; now.wait_price *= 4) {
        int32_t n = desired();
        assert_true(n >= before);
        before = n;
    }
    assert_int_equal(before, view.max_size);
    now.wait_price = 0.01;
    assert_true(desired() < before);
}

static void short_runs_and_a_sparing_manner_are_worth_fewer_launches(void **state)
{
    (void)state;
    double unseen = slo_launch_weight(&now, SLO_AHEAD);
    assert_true(fabs(unseen - 2) < 1e-9); /* taken for a boot */
    runs(64, 2 * BOOT_S);
    assert_true(fabs(slo_launch_weight(&now, SLO_AHEAD) - 2) < 1e-9);
    assert_true(fabs(slo_launch_weight(&now, SLO_SPARING) - 0.8) < 1e-9);
    runs(4000, BOOT_S / 3);
    assert_true(fabs(slo_launch_weight(&now, SLO_AHEAD) - 0.8) < 1e-3);
}

static void a_schedule_is_served_by_whoever_is_free_first(void **state)
{
    (void)state;
    struct slo_schedule s = {.free_s = {100, 0}, .n = 2, .group = 1, .queued = 3, .run_s = 30};
    assert_true(fabs(slo_schedule_waits(&s).wait_s - (0 + 30 + 60)) < 1e-9);
    assert_true(fabs(slo_schedule_waits(&s).square_s2 - (30 * 30 + 60 * 60)) < 1e-9);
    s.queued = 0;
    s.arrivals_per_s = 0.1; /* at 5 and 15 s */
    s.within_s = 20;
    assert_true(fabs(slo_schedule_waits(&s).wait_s - (0 + 20)) < 1e-9);
}

/* The same minutes spared: of a few jobs that would wait for two boots, or of many that wait for half of one more. */
static void few_long_waits_are_more_reason_than_many_short_ones(void **state)
{
    (void)state;
    runs(64, 2 * BOOT_S);
    jobs(2, 2, 0); /* two runs to wait for */
    assert_int_equal(slo_launch(&now, 1, 2).size, 4);
    runs(4000, BOOT_S / 40);
    jobs(40, 10, 0); /* four short ones each: 240 s of waiting more than with twice as many */
    assert_int_equal(slo_launch(&now, 1, 10).size, 10);
}

static void instances_are_free_when_their_job_or_boot_ends(void **state)
{
    (void)state;
    struct slo_schedule s = {.group = 1};
    runs(64, 100);
    jobs(0, 1, 30);
    fleet.n_idle = 1;
    fleet.n_booting = 2;
    fleet.booting_s[0] = 300; /* overdue */
    fleet.booting_s[1] = 200;
    slo_schedule_fill(&s, &now, 5);
    assert_int_equal(s.n, 5);
    const double free_s[] = {0, 70, 5, 40, BOOT_S};
    for (int i = 0; i < 5; i++)
        assert_true(fabs(s.free_s[i] - free_s[i]) < 1e-3);
}

static void the_rest_of_a_job_is_that_of_those_that_ran_longer(void **state)
{
    (void)state;
    assert_true(slo_rest(&h, 0, BOOT_S) > 0);
    runs(1, 100);
    runs(1, 300);
    assert_true(fabs(slo_rest(&h, 0, BOOT_S) - 200) < 1e-3);
    assert_true(fabs(slo_rest(&h, 100, BOOT_S) - 200) < 1e-3);
    assert_true(fabs(slo_rest(&h, 500, BOOT_S) - 100) < 1e-3); /* half the mean */
}

static void a_large_fleet_is_weighed_in_groups(void **state)
{
    (void)state;
    runs(10, 600);
    view.max_size = 5000;
    jobs(1000000, POLICY_INSTANCES, 10);
    view.leased = view.busy = view.running = 4000;
    assert_in_range(slo_launch(&now, 1, 4000).size, 4900, 5000);
    assert_int_equal(slo_launch(&now, 1, 5000).size, 5000);
    view.queued = 0;
    assert_int_equal(desired(), 4000);
}

/* ---- floor ---- */

static void erlang_c_is_as_in_the_tables(void **state)
{
    (void)state;
    assert_true(fabs(slo_erlang_queue(2, 3) - 0.8889) < 1e-4);
    assert_true(fabs(slo_erlang_queue(0.5, 1) - 0.5) < 1e-9); /* M/M/1: load^2 / (1 - load) */
    assert_true(slo_erlang_queue(3, 3) > 1e6);
    /* M/M/1: of the jobs load * e^(-(1 - load) t / run) wait longer than t; M/M/3 at 2: 4 in 9 wait */
    assert_true(fabs(slo_erlang_p95(0.5, 1, 60) - 60 * log(10) / 0.5) < 1e-9);
    assert_true(fabs(slo_erlang_p95(2, 3, 60) - 60 * log(4.0 / 9 / 0.05)) < 1e-9);
    assert_true(slo_erlang_p95(0.5, 3, 60) < 1e-9);
    assert_true(slo_erlang_p95(3, 3, 60) > 1e6);
}

static void a_steady_load_is_awaited_and_batches_are_not(void **state)
{
    (void)state;
    runs(20, 60);
    for (int i = 0; i < 720; i++)
        history_arrived(&h, T0 + i * 10 * SECOND, 1); /* 6 Erlang */
    struct slo_floor f = slo_floor(&now, 1);
    assert_in_range(f.size, 6, 8);
    assert_true(slo_floor(&now, 16).size > f.size);
    view.now_ms = h.now_ms;
    assert_int_equal(desired(), f.size);
    fresh(state);
    runs(20, 60);
    for (int i = 0; i < 720; i++)
        history_arrived(&h, T0 + i * 10 * SECOND, i % 180 == 0 ? 180 : 0);
    history_demand(&h, T0 + 7200 * SECOND, 0);
    assert_int_equal(slo_floor(&now, 1).size, 0);
}

/* Independent arrivals of one every every_s on average, for two hours; the same ones each time. */
static void arrivals(double every_s)
{
    uint64_t state = 1;
    double at_s = 0;
    for (;; history_arrived(&h, T0 + (int64_t)(at_s * 1000), 1)) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        at_s -= every_s * log((double)((state >> 33) + 1) / 2147483649.0);
        if (at_s > 7200)
            return;
    }
}

static void a_large_load_that_is_known_gets_what_makes_its_p95_small(void **state)
{
    (void)state;
    runs(20, 300);
    arrivals(15);
    struct slo_floor f = slo_floor(&now, 1);
    assert_in_range((int)f.load, 15, 20);
    double p95_s = slo_erlang_p95(f.load, f.size, 300) / 2; /* half: runs are alike */
    assert_true(p95_s < BOOT_S / 2);
    assert_true(slo_floor(&now, 0.01).size < f.size); /* where waiting is worth next to nothing */
}

static void one_more_for_a_small_load_costs_more_than_its_p95_is_worth(void **state)
{
    (void)state;
    runs(20, 60);
    arrivals(40); /* 1.5 Erlang */
    struct slo_floor f = slo_floor(&now, 1);
    assert_true(f.load > 1);
    assert_int_equal(f.size, 2);
}

/* ---- keep ---- */

/* Spells of level 1 that last 60 s each, gap_s apart. */
static void spells(int n, int gap_s)
{
    int64_t t = T0;
    for (int i = 0; i < n; i++, t += (60 + gap_s) * SECOND) {
        history_demand(&h, t, 1);
        history_demand(&h, t + 60 * SECOND, 0);
    }
    view.now_ms = h.now_ms;
}

static void with_nothing_learned_an_instance_is_kept_for_about_a_boot(void **state)
{
    (void)state;
    double s = slo_keep_s(&memory.keep, &h, 1, BOOT_S, 1);
    assert_true(s > 0.9 * BOOT_S && s < 1.1 * BOOT_S);
}

static void short_gaps_are_bridged_and_long_ones_are_not(void **state)
{
    (void)state;
    spells(20, 100);
    double s = slo_keep_s(&memory.keep, &h, 1, BOOT_S, 1);
    assert_true(s > 100 && s < 241);
    fresh(state);
    spells(20, 7200);
    assert_true(slo_keep_s(&memory.keep, &h, 1, BOOT_S, 1) < 1);
}

static void dearer_waiting_bridges_longer_gaps(void **state)
{
    (void)state;
    spells(30, 500);
    assert_true(slo_keep_s(&memory.keep, &h, 1, BOOT_S, 1) < 500);
    assert_true(slo_keep_s(&memory.keep, &h, 1, BOOT_S, 16) > 500);
}

static void an_idle_instance_goes_when_its_time_is_over(void **state)
{
    (void)state;
    double left_s;
    spells(20, 100);
    fleet.n_idle = 1;
    double kept = slo_keep_s(&memory.keep, &h, 1, BOOT_S, 1);
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 1, &left_s), 1);
    assert_true(fabs(left_s - kept) < 1);
    assert_int_equal(desired(), 1);
    view.now_ms += (int64_t)(kept * 1000) + SECOND;
    fleet.idle_s[0] = (float)kept;
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 1, &left_s), 0);
    assert_int_equal(desired(), 0);
}

static void one_that_nobody_has_needed_yet_goes_by_its_own_time(void **state)
{
    (void)state;
    double left_s;
    fleet.n_booting = 1; /* for jobs that were expected: demand has never been there */
    fleet.booting_s[0] = 100;
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 1, &left_s), 1);
    fleet.booting_s[0] = 2 * BOOT_S; /* never comes */
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 1, &left_s), 0);
    fleet.n_booting = 0;
    fleet.n_idle = 2; /* the longest idle goes first */
    fleet.idle_s[0] = BOOT_S;
    fleet.idle_s[1] = 20;
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 2, &left_s), 1);
    fleet.idle_s[1] = BOOT_S;
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 2, &left_s), 0);
}

static void one_that_has_just_worked_stays_though_its_level_is_low_for_long(void **state)
{
    (void)state;
    double left_s;
    spells(20, 100);
    double kept = slo_keep_s(&memory.keep, &h, 1, BOOT_S, 1);
    view.now_ms += (int64_t)(kept * 1000) + SECOND;
    fleet.n_idle = 1;
    fleet.idle_s[0] = 5;
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 1, &left_s), 1);
    assert_true(left_s > 0 && left_s < kept);
}

static void what_is_needed_stays_and_what_is_not_there_is_not_kept(void **state)
{
    (void)state;
    double left_s = 1;
    jobs(0, 3, 10);
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 5, &left_s), 3);
    assert_true(left_s == 0);
    assert_int_equal(slo_keep_level(&memory.keep, &now, 1, 2, &left_s), 2);
}

/* ---- price ---- */

/* One job comes and starts after wait_s, n times. Returns the price then. */
static double waits(int n, int wait_s)
{
    double price = 0;
    for (int i = 0; i < n; i++) {
        history_arrived(&h, view.now_ms, 1);
        view.queued = 1;
        view.oldest_wait_ms = 0;
        slo_price_now(&memory.price, &now);
        view.now_ms += wait_s * SECOND;
        view.queued = 0;
        price = slo_price_now(&memory.price, &now);
    }
    return price;
}

static void a_missed_wait_target_makes_waiting_dearer_until_it_is_met(void **state)
{
    (void)state;
    assert_true(fabs(waits(200, 300) - 1) < 1e-9); /* no target, no change */
    now.wait_target_s = 60;
    double dear = waits(20, 300);
    assert_true(dear > 2);
    assert_true(waits(400, 300) <= 16.001);
    assert_true(waits(400, 10) < 8);
    assert_true(fabs(waits(2000, 10) - 1) < 1e-9);
    now.wait_price = 3;
    assert_true(fabs(waits(1, 10) - 3) < 1e-9);
}

/* ---- the manner ---- */

static enum slo_manner manner(void)
{
    return slo_manner(&memory.price, &now, slo_price_now(&memory.price, &now));
}

static void a_boots_wait_is_the_rule_only_when_enough_jobs_had_it(void **state)
{
    (void)state;
    runs(64, 30);
    waits(90, 250);
    assert_int_equal(manner(), SLO_AHEAD); /* too few to say */
    waits(20, 250);
    assert_int_equal(manner(), SLO_SPARING);
    waits(2000, 100);
    assert_int_equal(manner(), SLO_AHEAD); /* forgotten */
    for (int i = 0; i < 100; i++) {
        waits(1, 250);
        waits(49, 100);
    }
    assert_int_equal(manner(), SLO_AHEAD); /* one in fifty */
    for (int i = 0; i < 100; i++) {
        waits(1, 250);
        waits(9, 100);
    }
    assert_int_equal(manner(), SLO_SPARING); /* one in ten */
}

static void the_waits_of_the_first_boots_are_no_rule(void **state)
{
    (void)state;
    runs(64, 30);
    history_arrived(&h, view.now_ms, 200);
    view.queued = 200;
    slo_price_now(&memory.price, &now);
    view.now_ms += 300 * SECOND;
    history_demand(&h, view.now_ms, 0);
    view.queued = 0; /* all of them start, after more than a boot */
    assert_int_equal(manner(), SLO_AHEAD);
    assert_true(memory.price.late < 1e-9);
    view.now_ms += 3600 * SECOND;
    history_demand(&h, view.now_ms, 0);
    waits(200, 250);
    assert_int_equal(manner(), SLO_SPARING);
}

static void dear_waiting_is_spared_though_a_boots_wait_is_the_rule(void **state)
{
    (void)state;
    runs(64, 30);
    waits(200, 250);
    assert_int_equal(manner(), SLO_SPARING);
    now.wait_price = 4;
    assert_int_equal(manner(), SLO_AHEAD);
    now.wait_price = 1;
    now.wait_target_s = 60;
    waits(200, 250);
    assert_int_equal(manner(), SLO_AHEAD);
}

static void a_steady_load_is_held_for_though_its_first_jobs_waited(void **state)
{
    (void)state;
    runs(64, 600);
    waits(200, 250);
    assert_int_equal(manner(), SLO_PER_JOB);
    for (int i = 0; i < 720; i++)
        history_arrived(&h, view.now_ms + i * 10 * SECOND, 1); /* 60 Erlang */
    view.now_ms = h.now_ms;
    view.queued = 720;
    assert_int_equal(manner(), SLO_AHEAD);
}

static void long_jobs_that_wait_a_boot_anyway_get_one_instance_each(void **state)
{
    (void)state;
    struct bp_plan p = {.size = sizeof p};
    runs(64, 600);
    waits(200, 250);
    assert_int_equal(manner(), SLO_PER_JOB);
    view.running = fleet.n_idle = 9;
    jobs(3, 2, 10);
    policy_find("slo")->plan(&now, &memory, &p);
    assert_int_equal(p.desired, 5);
    assert_non_null(strstr(p.reason, "an instance for each of 5"));
    jobs(0, 0, 0); /* nothing is kept either, though the gap has only begun */
    history_demand(&h, view.now_ms, 9);
    history_demand(&h, view.now_ms, 0);
    assert_int_equal(desired(), 0);
    jobs(500, 2, 10);
    assert_int_equal(desired(), view.max_size);
}

static void short_jobs_that_wait_a_boot_anyway_launch_fewer(void **state)
{
    (void)state;
    runs(64, 60);
    jobs(16, 1, 10);
    int32_t ahead = desired();
    jobs(0, 0, 0);
    waits(200, 250);
    view.now_ms += 7200 * SECOND; /* what came is no longer expected again */
    history_demand(&h, view.now_ms, 0);
    jobs(16, 1, 10);
    int32_t sparing = desired();
    assert_true(sparing >= 1);
    assert_true(sparing < ahead);
}

static void a_run_that_nobody_saw_is_taken_to_last_a_boot(void **state)
{
    (void)state;
    assert_true(fabs(slo_run(&h, BOOT_S) - BOOT_S) < 1e-9);
    runs(1, 30);
    assert_true(fabs(slo_run(&h, BOOT_S) - 30) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_to_do_is_nothing_to_have, fresh),
        cmocka_unit_test_setup(the_first_job_launches_an_instance, fresh),
        cmocka_unit_test_setup(jobs_that_are_done_before_a_boot_would_be_launch_nothing, fresh),
        cmocka_unit_test_setup(what_boots_already_is_not_launched_twice, fresh),
        cmocka_unit_test_setup(one_job_gets_one_instance_however_short_a_boot_is, fresh),
        cmocka_unit_test_setup(dearer_waiting_launches_more_and_never_above_the_most, fresh),
        cmocka_unit_test_setup(short_runs_and_a_sparing_manner_are_worth_fewer_launches, fresh),
        cmocka_unit_test_setup(a_schedule_is_served_by_whoever_is_free_first, fresh),
        cmocka_unit_test_setup(few_long_waits_are_more_reason_than_many_short_ones, fresh),
        cmocka_unit_test_setup(instances_are_free_when_their_job_or_boot_ends, fresh),
        cmocka_unit_test_setup(the_rest_of_a_job_is_that_of_those_that_ran_longer, fresh),
        cmocka_unit_test_setup(a_large_fleet_is_weighed_in_groups, fresh),
        cmocka_unit_test_setup(erlang_c_is_as_in_the_tables, fresh),
        cmocka_unit_test_setup(a_large_load_that_is_known_gets_what_makes_its_p95_small, fresh),
        cmocka_unit_test_setup(one_more_for_a_small_load_costs_more_than_its_p95_is_worth, fresh),
        cmocka_unit_test_setup(a_steady_load_is_awaited_and_batches_are_not, fresh),
        cmocka_unit_test_setup(with_nothing_learned_an_instance_is_kept_for_about_a_boot, fresh),
        cmocka_unit_test_setup(short_gaps_are_bridged_and_long_ones_are_not, fresh),
        cmocka_unit_test_setup(dearer_waiting_bridges_longer_gaps, fresh),
        cmocka_unit_test_setup(an_idle_instance_goes_when_its_time_is_over, fresh),
        cmocka_unit_test_setup(one_that_nobody_has_needed_yet_goes_by_its_own_time, fresh),
        cmocka_unit_test_setup(one_that_has_just_worked_stays_though_its_level_is_low_for_long, fresh),
        cmocka_unit_test_setup(what_is_needed_stays_and_what_is_not_there_is_not_kept, fresh),
        cmocka_unit_test_setup(a_missed_wait_target_makes_waiting_dearer_until_it_is_met, fresh),
        cmocka_unit_test_setup(a_boots_wait_is_the_rule_only_when_enough_jobs_had_it, fresh),
        cmocka_unit_test_setup(the_waits_of_the_first_boots_are_no_rule, fresh),
        cmocka_unit_test_setup(dear_waiting_is_spared_though_a_boots_wait_is_the_rule, fresh),
        cmocka_unit_test_setup(a_steady_load_is_held_for_though_its_first_jobs_waited, fresh),
        cmocka_unit_test_setup(long_jobs_that_wait_a_boot_anyway_get_one_instance_each, fresh),
        cmocka_unit_test_setup(short_jobs_that_wait_a_boot_anyway_launch_fewer, fresh),
        cmocka_unit_test_setup(a_run_that_nobody_saw_is_taken_to_last_a_boot, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
