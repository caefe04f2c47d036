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

static void an_idle_instance_takes_it_at_once(void **state)
{
    (void)state;
    struct eta_ask a = ask(0);
    ran(10, 30);
    fleet.n_idle = 1;
    struct eta e = eta_queued(&a);
    near(e.start.p50_s, 0);
    near(e.start.p95_s, 0);
    near(e.finish.p50_s, 30);
    near(e.finish.p95_s, 30);
}

static void it_waits_for_its_turn(void **state)
{
    (void)state;
    struct eta_ask a = ask(4);
    ran(10, 30);
    fleet.n_busy = 2; /* free in 20 and 10 s: the four before it begin at 10, 20, 40, 50 */
    fleet.busy_s[0] = 20;
    fleet.busy_s[1] = 10;
    struct eta e = eta_queued(&a);
    near(e.start.p50_s, 70);
    near(e.finish.p95_s, 100);
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
    ran(4, 10);
    assert_true(isinf(eta_queued(&a).start.p50_s));
    a.launches = 1;
    near(eta_queued(&a).start.p50_s, 210);
    a.launches = 2;
    near(eta_queued(&a).start.p50_s, 200);
}

static void the_95th_percentile_is_of_the_long_runs(void **state)
{
    (void)state;
    struct eta_ask a = ask(0);
    ran(54, 10);
    ran(10, 100); /* 10 of 64: one in six */
    fleet.n_idle = 1;
    struct eta e = eta_queued(&a);
    near(e.finish.p50_s, 10);
    near(e.finish.p95_s, 100);
    near(eta_rest(&h, 40, 0).p50_s, 60); /* only the long ones last longer than 40 s */
}

static void a_long_queue_keeps_its_mean(void **state)
{
    (void)state;
    struct eta_ask a = ask(10000);
    ran(32, 5);
    ran(32, 15);
    fleet.n_idle = 10;
    struct eta e = eta_queued(&a); /* 10,000 jobs of 10 s by ten instances */
    assert_true(fabs(e.start.p50_s - 10 * 10000 / 10.0) < 300);
    assert_true(e.start.p95_s >= e.start.p50_s && e.start.p95_s < 10600);
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

static void a_run_older_than_all_has_half_a_mean_left(void **state)
{
    (void)state;
    assert_true(isinf(eta_rest(&h, 3, 0).p50_s));
    near(eta_rest(&h, 3, 10).p50_s, 7);
    near(eta_rest(&h, 30, 10).p50_s, 5);
    ran(3, 20);
    near(eta_rest(&h, 500, 0).p95_s, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_idle_instance_takes_it_at_once, fresh),
        cmocka_unit_test_setup(it_waits_for_its_turn, fresh),
        cmocka_unit_test_setup(a_boot_counts_from_its_launch, fresh),
        cmocka_unit_test_setup(asked_launches_count_and_nothing_means_never, fresh),
        cmocka_unit_test_setup(the_95th_percentile_is_of_the_long_runs, fresh),
        cmocka_unit_test_setup(a_long_queue_keeps_its_mean, fresh),
        cmocka_unit_test_setup(the_same_question_has_the_same_answer, fresh),
        cmocka_unit_test_setup(a_run_older_than_all_has_half_a_mean_left, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
