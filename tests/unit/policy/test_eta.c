/* SPDX-License-Identifier: Apache-2.0 */
/* When a job starts and ends, on cases that can be worked out by hand. */
#include "cm.h"
#include "policy/eta.h"

#include <math.h>
#include <string.h>

#define NOW 1700000000000

static struct history h;
static struct policy_fleet fleet;

static int fresh(void **state)
{
    (void)state;
    history_init(&h);
    memset(&fleet, 0, sizeof fleet);
    return 0;
}

static void ran(int n, double run_s)
{
    for (int i = 0; i < n; i++)
        history_finished(&h, NOW + i, run_s);
}

static struct eta_ask ask(int64_t ahead)
{
    return (struct eta_ask){.history = &h, .fleet = &fleet, .ahead = ahead, .boot_s = 200};
}

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-3))
        fail_msg("%g, not %g", a, b);
}

/* What depends on runs is as sure as 64 of them make it: their scale may be off by 3 in a hundred. */
static void about(double a, double b)
{
    if (!(fabs(a - b) < 0.03 * b))
        fail_msg("%g, not about %g", a, b);
}

static void at_most_about(double a, double b)
{
    if (!(a >= 0.98 * b && a < 1.1 * b))
        fail_msg("%g, not %g or a little more", a, b);
}

static void an_idle_instance_takes_it_at_once(void **state)
{
    (void)state;
    struct eta_ask a = ask(0);
    ran(64, 30);
    fleet.n_idle = 1;
    struct eta e = eta_queued(&a);
    near(e.start.p50_s, 0);
    near(e.start.p95_s, 0);
    about(e.finish.p50_s, 30);
    at_most_about(e.finish.p95_s, 30);
}

static void it_waits_for_its_turn(void **state)
{
    (void)state;
    struct eta_ask a = ask(4);
    ran(64, 30);
    fleet.n_busy = 2; /* free in 20 and 10 s: the four before it begin at 10, 20, 40, 50 */
    fleet.busy_s[0] = 20;
    fleet.busy_s[1] = 10;
    struct eta e = eta_queued(&a);
    about(e.start.p50_s, 70);
    at_most_about(e.finish.p95_s, 100);
    about(e.all.p50_s, 100);
    a.ahead = 0; /* it takes the one that is free in 10 s */
    about(eta_queued(&a).all.p50_s, 40);
    fleet.busy_s[0] = 0.0001f; /* the other one runs for 30 s more */
    fleet.busy_s[1] = 29;
    about(eta_queued(&a).finish.p50_s, 31);
    about(eta_queued(&a).all.p50_s, 31);
    fleet.busy_s[1] = 3;
    a.ahead = -1; /* no job: those that run */
    at_most_about(eta_queued(&a).all.p95_s, 30);
}

static void a_boot_counts_from_its_launch(void **state)
{
    (void)state;
    struct eta_ask a = ask(0);
    fleet.n_booting = 1;
    fleet.booting_s[0] = 80;
    near(eta_queued(&a).start.p50_s, 120);           /* as the manifest says */
    assert_true(isinf(eta_queued(&a).finish.p50_s)); /* no run is known */
    for (int i = 0; i < 5; i++)
        history_ready(&h, NOW + i, 100);
    near(eta_queued(&a).start.p50_s, 20); /* as measured */
    fleet.booting_s[0] = 150;
    near(eta_queued(&a).start.p95_s, 5); /* longer than ever: any moment */
}

static void asked_launches_count_and_nothing_means_never(void **state)
{
    (void)state;
    struct eta_ask a = ask(1);
    ran(64, 10);
    assert_true(isinf(eta_queued(&a).start.p50_s));
    a.launches = 1;
    about(eta_queued(&a).start.p50_s, 210);
    a.launches = 2;
    near(eta_queued(&a).start.p50_s, 200);
}

static void the_95th_percentile_is_of_the_long_runs(void **state)
{
    (void)state;
    struct eta_ask a = ask(0);
    for (int i = 0; i < 10; i++) { /* one in six */
        ran(5, 10);
        ran(1, 100);
    }
    ran(4, 10);
    fleet.n_idle = 1;
    struct eta e = eta_queued(&a);
    about(e.finish.p50_s, 10);
    at_most_about(e.finish.p95_s, 100);
    at_most_about(eta_rest(&h, NULL, 40, 0).p50_s, 60); /* only the long ones last longer than 40 s */
}

/* Where 16 runs in a row have been far from those before, so may those be that are to come. */
static void runs_that_drift_are_less_sure(void **state)
{
    (void)state;
    struct eta_ask a = ask(0);
    fleet.n_idle = 1;
    ran(64, 20);
    struct eta even = eta_queued(&a);
    fresh(NULL);
    fleet.n_idle = 1;
    for (int i = 0; i < 8; i++) {
        ran(32, 10);
        ran(32, 20);
    }
    struct eta e = eta_queued(&a);
    assert_true(e.finish.p95_s > 1.5 * even.finish.p95_s && e.start.p95_s == 0);
}

static void a_long_queue_keeps_its_mean(void **state)
{
    (void)state;
    struct eta_ask a = ask(10000);
    for (int i = 0; i < 64; i++)
        ran(1, i % 2 ? 5 : 15);
    fleet.n_idle = 10;
    struct eta e = eta_queued(&a); /* 10,000 jobs of 10 s by ten instances */
    assert_true(fabs(e.start.p50_s - 10 * 10000 / 10.0) < 300);
    assert_true(e.start.p95_s >= e.start.p50_s && e.start.p95_s < 11500);
}

/* What was learned moves the 95th percentiles of the one job, each on its own; a job still ends after it starts. */
static void promises_move_the_p95_of_starts_and_ends(void **state)
{
    (void)state;
    struct promises p = {0};
    struct eta_ask a = ask(4);
    for (int i = 0; i < 64; i++)
        history_finished(&h, NOW + i, 10 + i);
    fleet.n_idle = 1;
    struct eta drawn = eta_queued(&a);
    a.promises = &p;
    struct eta e = eta_queued(&a);
    assert_memory_equal(&e, &drawn, sizeof e);
    p.of[PROMISE_END].shift = 2;
    e = eta_queued(&a);
    assert_true(e.finish.p95_s > drawn.finish.p95_s && e.start.p95_s == drawn.start.p95_s);
    assert_true(eta_rest(&h, &p, 20, 0).p95_s > eta_rest(&h, NULL, 20, 0).p95_s);
    p.of[PROMISE_START].shift = 6;
    p.of[PROMISE_END].shift = -3;
    e = eta_queued(&a);
    assert_true(e.start.p95_s > 1.5 * drawn.start.p95_s && e.finish.p95_s == e.start.p95_s);
    assert_true(e.start.p50_s == drawn.start.p50_s && e.finish.p50_s == drawn.finish.p50_s);
    p.of[PROMISE_START].middle = 3;
    p.of[PROMISE_END].middle = -3;
    e = eta_queued(&a);
    assert_true(e.start.p50_s > 1.05 * drawn.start.p50_s && e.finish.p50_s == e.start.p50_s);
    assert_true(e.all.p95_s == drawn.all.p95_s && e.instance_s == drawn.instance_s);
}

/* Two instances work off 20 s and 10 s of what they run and four jobs of 30 s; a third one would boot for 200 s. */
static void instance_seconds_are_work_and_boots(void **state)
{
    (void)state;
    struct eta_ask a = ask(3);
    ran(64, 30);
    fleet.n_busy = 2;
    fleet.busy_s[0] = 20;
    fleet.busy_s[1] = 10;
    about(eta_queued(&a).instance_s, 20 + 10 + 4 * 30);
    a.launches = 1;
    about(eta_queued(&a).instance_s, 20 + 10 + 4 * 30 + 200);
    a.steps = 10; /* fewer plays, the same answer */
    about(eta_queued(&a).instance_s, 20 + 10 + 4 * 30 + 200);
}

static void the_same_question_has_the_same_answer(void **state)
{
    (void)state;
    struct eta_ask a = ask(20);
    for (int i = 0; i < 64; i++)
        history_finished(&h, NOW + i, 1 + i);
    fleet.n_idle = 3;
    struct eta one = eta_queued(&a), two = eta_queued(&a);
    assert_memory_equal(&one, &two, sizeof one);
}

static void a_run_older_than_all_ends_at_any_moment(void **state)
{
    (void)state;
    assert_true(isinf(eta_rest(&h, NULL, 3, 0).p50_s));
    near(eta_rest(&h, NULL, 3, 10).p50_s, 7);
    ran(64, 20);
    struct eta_span e = eta_rest(&h, NULL, 500, 0); /* half by 20 ln 2 = 14 s, 95 % by 20 ln 20 = 60 s */
    assert_true(e.p50_s > 10 && e.p50_s < 18 && e.p95_s > 45 && e.p95_s < 80);
}

/* ---- calibration: a backlog that is worked off, asked about at its moments ---- */

#define SERVERS 4
#define BACKLOG 160
#define AHEAD   24 /* the farthest place asked about */

static uint64_t dice = 88172645463325252u;

static double roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return ((double)(dice >> 11) + 0.5) / 9007199254740992.0;
}

/* Run times as they come: most about a minute, with a long tail. */
static double a_run(void)
{
    return 20 - 40 * log(roll()) * (roll() < 0.1 ? 5 : 1);
}

static double start_s[BACKLOG], end_s[BACKLOG];

static void work_off(void)
{
    double free_s[SERVERS] = {0};
    for (int i = 0; i < BACKLOG; i++) {
        int first = 0;
        for (int k = 1; k < SERVERS; k++)
            first = free_s[k] < free_s[first] ? k : first;
        start_s[i] = free_s[first];
        end_s[i] = free_s[first] = start_s[i] + a_run();
    }
}

/* Job `now` was leased this moment; the place of job now + 1 + ahead is asked about. */
static struct eta ask_at(int now, int ahead)
{
    struct eta_ask a = ask(ahead);
    fresh(NULL);
    for (int i = 0; i <= now; i++) {
        if (end_s[i] <= start_s[now])
            history_finished(&h, NOW + i, end_s[i] - start_s[i]);
        else
            fleet.busy_s[fleet.n_busy++] = (float)(start_s[now] - start_s[i]);
    }
    return eta_queued(&a);
}

static void of_estimates_p95_holds_for_90_to_98_in_a_hundred(void **state)
{
    (void)state;
    int n = 0, start_ok = 0, finish_ok = 0, early = 0;
    for (int round = 0; round < 60; round++) {
        work_off();
        for (int now = 80; now + AHEAD + 1 < BACKLOG; now += 11) {
            int ahead = (int)(roll() * AHEAD), job = now + 1 + ahead;
            struct eta e = ask_at(now, ahead);
            n++;
            start_ok += start_s[job] - start_s[now] <= e.start.p95_s;
            finish_ok += end_s[job] - start_s[now] <= e.finish.p95_s;
            early += start_s[job] - start_s[now] <= e.start.p50_s;
        }
    }
    print_message("of %d: start p50 %.1f %%, start p95 %.1f %%, finish p95 %.1f %%\n", n, 100.0 * early / n,
                  100.0 * start_ok / n, 100.0 * finish_ok / n);
    assert_in_range(100 * start_ok / n, 90, 98);
    assert_in_range(100 * finish_ok / n, 90, 98);
    assert_in_range(100 * early / n, 40, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_idle_instance_takes_it_at_once, fresh),
        cmocka_unit_test_setup(it_waits_for_its_turn, fresh),
        cmocka_unit_test_setup(a_boot_counts_from_its_launch, fresh),
        cmocka_unit_test_setup(asked_launches_count_and_nothing_means_never, fresh),
        cmocka_unit_test_setup(the_95th_percentile_is_of_the_long_runs, fresh),
        cmocka_unit_test_setup(runs_that_drift_are_less_sure, fresh),
        cmocka_unit_test_setup(a_long_queue_keeps_its_mean, fresh),
        cmocka_unit_test_setup(promises_move_the_p95_of_starts_and_ends, fresh),
        cmocka_unit_test_setup(the_same_question_has_the_same_answer, fresh),
        cmocka_unit_test_setup(instance_seconds_are_work_and_boots, fresh),
        cmocka_unit_test_setup(a_run_older_than_all_ends_at_any_moment, fresh),
        cmocka_unit_test_setup(of_estimates_p95_holds_for_90_to_98_in_a_hundred, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
