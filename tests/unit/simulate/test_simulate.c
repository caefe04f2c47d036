/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated fleet, on traces small enough to be worked out by hand. */
#include "cm.h"

#include "simulate/simulate.h"
#include <math.h>
#include <string.h>

struct rig {
    struct model m;
    struct trace t;
    struct simulate_result r;
};

static struct rig *rig(void)
{
    static struct rig it;
    trace_free(&it.t);
    memset(&it, 0, sizeof it);
    model_init(&it.m);
    it.m.interruptions = 0;
    return &it;
}

static void job(struct rig *g, double arrival_s, double duration_s)
{
    struct bp_err err = {0};
    assert_int_equal(trace_add(&g->t, (int64_t)(arrival_s * 1000), (int64_t)(duration_s * 1000), &err), BP_OK);
}

static const struct simulate_result *run(struct rig *g, const char *policy, uint64_t seed)
{
    struct bp_err err = {0};
    assert_int_equal(simulate(&g->m, &g->t, policy_find(policy), seed, &g->r, NULL, &err), BP_OK);
    return &g->r;
}

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

/* Comes at 5 s, is seen at 10 s, an instance is ready at 250 s, runs to 310 s. perjob ends the instance at the next
 * tick; billed from 10 to 320 s. */
static void one_job_waits_for_the_tick_and_the_boot(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 5, 60);
    const struct simulate_result *r = run(g, "perjob", 1);
    NEAR(r->wait_p50_s, 245);
    NEAR(r->wait_mean_s, 245);
    NEAR(r->wait_hours, 245 / 3600.0);
    NEAR(r->completion_s, 310);
    NEAR(r->hours, 310 / 3600.0);
    NEAR(r->cost, r->hours);
    NEAR(r->j, r->hours + r->wait_hours);
    assert_int_equal(r->launches, 1);
    assert_int_equal(r->peak, 1);
    assert_int_equal(r->unfinished, 0);
}

/* At 10 s both are seen. Ready at 250 s, the first runs to 350, the second to 275; its instance goes at the tick at 280
 * s, the other at 360 s. */
static void an_idle_instance_goes_and_a_busy_one_stays(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 1, 100);
    job(g, 2, 25);
    const struct simulate_result *r = run(g, "perjob", 1);
    NEAR(r->hours, (350 + 270) / 3600.0);
    assert_int_equal(r->peak, 2);
}

/* One instance: first in, first out. 250..260, 260..270, 270..280. */
static void jobs_are_leased_in_their_order(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.max = 1;
    for (int i = 0; i < 3; i++)
        job(g, i, 10);
    const struct simulate_result *r = run(g, "direct", 1);
    NEAR(r->wait_p50_s, 259);
    NEAR(r->wait_p99_s, 268);
    NEAR(r->wait_mean_s, (250 + 259 + 268) / 3.0);
    NEAR(r->completion_s, 280);
    assert_int_equal(r->peak, 1);
}

/* direct keeps its instance until nothing of the last 300 s needed one: the tick at 570 s is the first. */
static void it_is_billed_until_the_fleet_is_at_zero(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 5, 20);
    const struct simulate_result *r = run(g, "direct", 1);
    NEAR(r->hours, (570 - 10) / 3600.0);
}

/* The metric at 60 s sees the job, its alarm acts at 120 s, ready at 360 s, done at 420 s. The metric at 420 s comes
 * before that; the one at 480 s is the first zero, the one at 1380 s the sixteenth, and it acts at 1440 s. */
static void deployed_has_its_delays(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 5, 60);
    const struct simulate_result *r = run(g, "deployed", 1);
    NEAR(r->wait_p50_s, 355);
    NEAR(r->hours, (1440 - 120) / 3600.0);
}

static void an_instance_is_billed_a_minute_at_least(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.boot = 1;
    job(g, 9, 1);
    NEAR(run(g, "perjob", 1)->hours, 60 / 3600.0);
    g->m.bill = 0;
    NEAR(run(g, "perjob", 1)->hours, 10 / 3600.0);
}

/* With interruptions far more often than the job is long, what is lost and started again adds up. */
static void an_interrupted_job_starts_again_at_the_head(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.interruptions = 6;
    g->m.max = 1;
    job(g, 0, 600);
    for (int i = 0; i < 20; i++)
        job(g, 1, 5);
    const struct simulate_result *r = run(g, "perjob", 3);
    assert_true(r->interruptions > 0 && r->lost_hours > 0);
    assert_int_equal(r->unfinished, 0);
    assert_true(r->launches > r->interruptions);
    /* the first job ends before any other begins: its restarts hold up all of them */
    assert_true(r->wait_p50_s >= 600 + 250 + r->lost_hours * 3600);
}

/* Launched at 10 s; with the seed's interruption at x s, replaced at x + 30 s, ready 240 s later. */
static void an_interrupted_instance_is_replaced_after_half_a_minute(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.interruptions = 3;
    job(g, 5, 100);
    for (uint64_t seed = 1; seed < 100; seed++) {
        const struct simulate_result *r = run(g, "perjob", seed);
        if (r->interruptions == 1 && r->lost_hours > 0) {
            NEAR(r->wait_p50_s, 245); /* its first start counts */
            NEAR(r->completion_s, 250 + round(r->lost_hours * 3.6e6) / 1000 + 30 + 240 + 100);
            return;
        }
    }
    fail_msg("no seed of a hundred interrupted the job once");
}

static void equal_seeds_are_equal_runs(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.interruptions = 1;
    g->m.spread = 0.3;
    for (int i = 0; i < 200; i++)
        job(g, i * 40, 100 + i % 7 * 30);
    struct simulate_result first = *run(g, "direct", 7);
    assert_memory_equal(&first, run(g, "direct", 7), sizeof first);
    assert_true(run(g, "direct", 8)->hours != first.hours);
}

static void a_spread_of_boots_keeps_their_mean(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.spread = 0.5;
    for (int i = 0; i < 2000; i++)
        job(g, i * 1000, 1);
    const struct simulate_result *r = run(g, "perjob", 1);
    assert_true(r->wait_mean_s > 235 && r->wait_mean_s < 265); /* 240 and the way to the tick */
    assert_true(r->wait_p99_s > 500);
}

/* Nothing can be had before 100 s: the tick at 100 s is the first that gets one. */
static void a_shortage_fails_launches_until_it_ends(void **state)
{
    (void)state;
    struct rig *g = rig();
    struct bp_err err = {0};
    job(g, 5, 60);
    assert_int_equal(model_add_shortage(&g->m, "0-100", &err), BP_OK);
    const struct simulate_result *r = run(g, "perjob", 1);
    NEAR(r->wait_p50_s, 335);
    assert_int_equal(r->launch_failures, 9); /* 10, 20, ... 90 s */
    assert_int_equal(r->launches, 1);
}

static void types_are_tried_in_their_order(void **state)
{
    (void)state;
    struct rig *g = rig();
    struct bp_err err = {0};
    assert_int_equal(model_add_type(&g->m, "cheap:0.5:1", &err), BP_OK);
    assert_int_equal(model_add_type(&g->m, "fast:2:0:2", &err), BP_OK);
    job(g, 5, 60);
    job(g, 5, 60); /* on the second type: 30 s */
    const struct simulate_result *r = run(g, "perjob", 1);
    NEAR(r->hours, (310 + 280) / 3600.0);
    NEAR(r->cost, (310 * 0.5 + 280 * 2) / 3600.0);
    assert_int_equal(model_add_shortage(&g->m, "0-1000:cheap", &err), BP_OK);
    NEAR(run(g, "perjob", 1)->cost, 2 * 280 * 2 / 3600.0);
}

/* Decided at 10 s, launched at 70 s; the tick at 380 s finds it idle, which acts at 440 s. */
static void a_delay_lies_between_decision_and_action(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.delay = 60;
    job(g, 5, 60);
    const struct simulate_result *r = run(g, "perjob", 1);
    NEAR(r->wait_p50_s, 305);
    NEAR(r->hours, (440 - 70) / 3600.0);
    assert_int_equal(r->launches, 1);
}

static void a_fleet_that_never_comes_is_given_up(void **state)
{
    (void)state;
    struct rig *g = rig();
    struct bp_err err = {0};
    g->m.tick = 600;
    job(g, 5, 60);
    assert_int_equal(model_add_shortage(&g->m, "0-1e9", &err), BP_OK);
    const struct simulate_result *r = run(g, "perjob", 1);
    assert_int_equal(r->unfinished, 1);
    assert_true(r->wait_p50_s > 29 * 86400.0);
}

static void a_timeline_says_how_it_went(void **state)
{
    (void)state;
    static struct simulate_timeline line;
    struct rig *g = rig();
    struct bp_err err = {0};
    int32_t peak = 0;
    for (int i = 0; i < 3; i++)
        job(g, i * 50000, 600);
    assert_int_equal(simulate(&g->m, &g->t, policy_find("perjob"), 1, &g->r, &line, &err), BP_OK);
    assert_true(line.n > 500 && line.n <= SIMULATE_POINTS);
    for (uint32_t i = 1; i < line.n; i++) {
        assert_true(line.points[i].at_s > line.points[i - 1].at_s);
        peak = line.points[i].live > peak ? line.points[i].live : peak;
    }
    assert_int_equal(peak, 1);
    assert_true(line.points[line.n - 1].at_s > 100000);
}

/* ---- the clairvoyant ---- */

static double best(struct rig *g, double wait_s)
{
    struct bp_err err = {0};
    assert_int_equal(simulate_clairvoyant(&g->m, &g->t, wait_s, &g->r, &err), BP_OK);
    return g->r.j;
}

/* Boot 240 s, run 60 s; ready when the job comes. The second comes 100 s after the first has ended: keeping is cheaper
 * than a boot; the third 1000 s later: a boot is. */
static void the_clairvoyant_keeps_through_short_gaps_and_boots_before_long_ones_end(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 1000, 60);
    job(g, 1160, 60);
    job(g, 2220, 60);
    NEAR(best(g, 0), (240 + 60 + 100 + 60 + 240 + 60) / 3600.0);
    NEAR(g->r.wait_p99_s, 0);
    assert_int_equal(g->r.launches, 2);
}

/* Nobody launches before the trace begins. */
static void the_clairvoyant_cannot_begin_before_the_trace(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 40, 60);
    best(g, 0);
    NEAR(g->r.wait_p50_s, 200);
}

/* Two at once: the second waits 60 s for the first's instance, or has one of its own for 240 s. */
static void the_clairvoyant_weighs_waits_against_boots(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 1000, 60);
    job(g, 1000, 60);
    NEAR(best(g, 0), 600 / 3600.0);
    NEAR(best(g, 60), (360 + 60) / 3600.0);
    NEAR(best(g, -1), (360 + 60) / 3600.0);
}

static void the_clairvoyant_is_bound_by_the_most_instances(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.max = 2;
    for (int i = 0; i < 4; i++)
        job(g, 1000, 100);
    best(g, 0);
    NEAR(g->r.wait_p99_s, 100);
    NEAR(g->r.hours, (2 * 240 + 4 * 100) / 3600.0);
}

static void no_policy_beats_the_clairvoyant(void **state)
{
    (void)state;
    struct rig *g = rig();
    for (int i = 0; i < 500; i++) {
        int batch = i / 10;
        job(g, i * 97 % 1000 + batch * 1000, 30 + i * 53 % 400);
    }
    for (uint32_t i = 1; i < g->t.n; i++)
        if (g->t.arrival_ms[i] < g->t.arrival_ms[i - 1])
            g->t.arrival_ms[i] = g->t.arrival_ms[i - 1];
    double bound = best(g, -1);
    for (const struct policy *p = policies; p->name; p++)
        assert_true(run(g, p->name, 1)->j > bound);
}

/* ---- risk ---- */

/* A week of jobs of ten minutes on two types: one is interrupted each hour, the other seldom. */
static const struct simulate_result *risky_week(double risk, double notice_s)
{
    struct bp_err err = {0};
    struct rig *g = rig();
    for (int i = 0; i < 2000; i++)
        job(g, i * 300, 600);
    assert_int_equal(model_add_type(&g->m, "g5:0.42:3:1:1", &err), BP_OK);
    assert_int_equal(model_add_type(&g->m, "g6:0.5:32:1:0.02", &err), BP_OK);
    g->m.risk = risk;
    g->m.notice = notice_s;
    return run(g, "slo", 1);
}

static void less_work_is_lost_when_jobs_go_by_lives(void **state)
{
    (void)state;
    double blind = risky_week(0, 600)->lost_hours, by_lives = risky_week(1, 0)->lost_hours;
    double noticed = risky_week(1, 600)->lost_hours;
    print_message("lost hours: %g, by lives %g, with notices %g\n", blind, by_lives, noticed);
    assert_true(blind > 1);
    assert_true(by_lives <= blind);
    assert_true(noticed < blind / 4);
}

/* ---- estimates ---- */

static double roll(uint64_t *dice)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return ((double)(*dice >> 11) + 0.5) / 9007199254740992.0;
}

/* Bursts of jobs that resemble each other more than those of others, at random moments of three days. */
static void bursts(struct rig *g, uint64_t dice)
{
    double at_s = 0;
    while (at_s < 3 * 86400) {
        int n = 1 + (int)(roll(&dice) * 30);
        double about_s = 90 + 60 * roll(&dice);
        for (int i = 0; i < n; i++)
            job(g, at_s + i, about_s * (0.7 + 0.6 * roll(&dice)));
        at_s -= 3000 * log(roll(&dice));
    }
}

/* A job every 25 s or so; all run for as long as each other. */
static void steady(struct rig *g, uint64_t dice)
{
    double at_s = 0;
    while (at_s < 86400) {
        job(g, at_s, 300);
        at_s -= 25 * log(roll(&dice));
    }
}

/* Sessions whose runs differ from those of others by powers of ten, as an operator's and a scheduler's tests do. */
static void sessions(struct rig *g, uint64_t dice)
{
    double at_s = 0;
    while (at_s < 7 * 86400) {
        int n = 1 + (int)(roll(&dice) * 12);
        double about_s = 20 * pow(10, 2 * roll(&dice));
        for (int i = 0; i < n; i++) {
            job(g, at_s, about_s * pow(4, roll(&dice)));
            at_s -= 40 * log(roll(&dice));
        }
        at_s -= 5000 * log(roll(&dice));
    }
}

static void assert_holds(const char *what, const struct simulate_kept *k)
{
    double percent = 100.0 * k->by_p95 / k->said;
    print_message("  %s: %u, by p95 %.1f %%\n", what, k->said, percent);
    assert_true(k->said > 100);
    if (percent < 90 || percent > 98)
        fail_msg("%s: %.1f %% by p95", what, percent);
}

/* Of each trace, not in the sum: of one that never is late by much, and of one whose next session is not like the last
 * ones. */
static void what_is_said_of_jobs_holds_as_often_as_it_says(void **state)
{
    static void (*const traces[])(struct rig *, uint64_t) = {bursts, steady, sessions};
    static const char *const names[] = {"bursts", "steady", "sessions"}, *const tried[] = {"slo", "direct", "perjob"};
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct rig *g = rig();
        traces[i / 3](g, 88172645463325252u);
        g->m.spread = 0.2;
        g->m.estimates = 1000;
        const struct simulate_result *r = run(g, tried[i % 3], 1);
        print_message("%s, %s\n", names[i / 3], tried[i % 3]);
        assert_holds("starts", &r->estimates.start);
        assert_holds("ends", &r->estimates.finish);
    }
}

/* Launched at 10 s; on notice the job goes back, and the next decision launches another, ready 240 s later. Else that
 * is done 30 s after the loss. */
static void one_under_notice_is_replaced_before_it_is_taken(void **state)
{
    (void)state;
    for (int early = 0; early <= 1; early++) {
        struct rig *g = rig();
        g->m.interruptions = 3;
        g->m.warn = 100;
        g->m.early = early;
        job(g, 5, 100);
        const struct simulate_result *r = &g->r;
        for (uint64_t seed = 1; seed < 100 && (r->interruptions != 1 || r->lost_hours <= 0); seed++)
            r = run(g, "perjob", seed);
        double noticed_s = 250 + round(r->lost_hours * 3.6e6) / 1000, decided_s = ceil(noticed_s / 10) * 10;
        assert_int_equal(r->interruptions, 1);
        assert_int_equal(r->launches, 2);
        assert_true(r->lost_hours > 0);
        NEAR(r->completion_s, (early ? decided_s : noticed_s + 100 + 30) + 240 + 100);
    }
}

static void replacements_on_notice_spare_waiting(void **state)
{
    double wait_h[2];
    (void)state;
    for (int early = 0; early <= 1; early++) {
        struct rig *g = rig();
        bursts(g, 88172645463325252u);
        g->m.interruptions = 1;
        g->m.warn = 120;
        g->m.early = early;
        const struct simulate_result *r = run(g, "slo", 1);
        assert_true(r->interruptions > 20 && r->unfinished == 0);
        wait_h[early] = r->wait_hours;
    }
    print_message("hours waited: %g on loss, %g on notice\n", wait_h[0], wait_h[1]);
    assert_true(wait_h[1] < wait_h[0]);
}

/* One job comes to an idle instance, and nobody was asked about it. */
static void without_the_wish_nothing_is_said(void **state)
{
    (void)state;
    struct rig *g = rig();
    job(g, 5, 60);
    assert_int_equal(run(g, "perjob", 1)->estimates.finish.said, 0);
    g->m.estimates = 10;
    assert_int_equal(run(g, "perjob", 1)->estimates.start.said, 0); /* no run was measured when it was asked about */
}

/* A trace begins on a Monday at 0:00. What comes at a tick is seen at the next one, 10 s later, and a boot is 240 s.
 * Alone, direct has an instance for two jobs. */
static void windows_of_a_schedule_count_as_they_do_live(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.schedule = "[{\"cron\": \"0 1 * * mon\", \"minutes\": 60, \"min\": 2},"
                    " {\"cron\": \"0 3,5 * * mon\", \"minutes\": 60, \"policy\": \"perjob\"},"
                    " {\"cron\": \"0 5 * * mon\", \"minutes\": 60, \"max\": 1}]";
    job(g, 3600 + 600, 60); /* 0 s: an instance is there */
    for (int hour = 3; hour <= 7; hour += 2) {
        job(g, hour * 3600 + 60, 100); /* 250 s each */
        job(g, hour * 3600 + 60, 100); /* by perjob 250 s; with one at most, and by direct at 7:01, 350 s */
    }
    const struct simulate_result *r = run(g, "direct", 1);
    assert_int_equal(r->peak, 2);
    NEAR(r->wait_mean_s, (0 + 250 + 250 + 250 + 350 + 250 + 350) / 7.0);
    struct bp_err err = {0};
    g->m.schedule = "[{\"cron\": \"0 25 * * *\", \"minutes\": 60}]";
    assert_int_equal(simulate(&g->m, &g->t, policy_find("direct"), 1, &g->r, NULL, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "window 1"));
}

/* The same trace, from a Tuesday on: no window opens. */
static void a_schedule_goes_by_the_day_on_which_a_trace_begins(void **state)
{
    (void)state;
    struct rig *g = rig();
    g->m.schedule = "[{\"cron\": \"0 1 * * mon\", \"minutes\": 60, \"min\": 2}]";
    job(g, 3600 + 600, 60);
    NEAR(run(g, "direct", 1)->wait_mean_s, 0);
    g->t.begin_ms = SIMULATE_EPOCH_MS + 86400000;
    NEAR(run(g, "direct", 1)->wait_mean_s, 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_job_waits_for_the_tick_and_the_boot),
        cmocka_unit_test(an_idle_instance_goes_and_a_busy_one_stays),
        cmocka_unit_test(jobs_are_leased_in_their_order),
        cmocka_unit_test(it_is_billed_until_the_fleet_is_at_zero),
        cmocka_unit_test(deployed_has_its_delays),
        cmocka_unit_test(an_instance_is_billed_a_minute_at_least),
        cmocka_unit_test(an_interrupted_job_starts_again_at_the_head),
        cmocka_unit_test(an_interrupted_instance_is_replaced_after_half_a_minute),
        cmocka_unit_test(equal_seeds_are_equal_runs),
        cmocka_unit_test(a_spread_of_boots_keeps_their_mean),
        cmocka_unit_test(a_shortage_fails_launches_until_it_ends),
        cmocka_unit_test(types_are_tried_in_their_order),
        cmocka_unit_test(a_delay_lies_between_decision_and_action),
        cmocka_unit_test(a_fleet_that_never_comes_is_given_up),
        cmocka_unit_test(a_timeline_says_how_it_went),
        cmocka_unit_test(the_clairvoyant_keeps_through_short_gaps_and_boots_before_long_ones_end),
        cmocka_unit_test(the_clairvoyant_cannot_begin_before_the_trace),
        cmocka_unit_test(the_clairvoyant_weighs_waits_against_boots),
        cmocka_unit_test(the_clairvoyant_is_bound_by_the_most_instances),
        cmocka_unit_test(no_policy_beats_the_clairvoyant),
        cmocka_unit_test(less_work_is_lost_when_jobs_go_by_lives),
        cmocka_unit_test(one_under_notice_is_replaced_before_it_is_taken),
        cmocka_unit_test(replacements_on_notice_spare_waiting),
        cmocka_unit_test(what_is_said_of_jobs_holds_as_often_as_it_says),
        cmocka_unit_test(without_the_wish_nothing_is_said),
        cmocka_unit_test(windows_of_a_schedule_count_as_they_do_live),
        cmocka_unit_test(a_schedule_goes_by_the_day_on_which_a_trace_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
