/* SPDX-License-Identifier: Apache-2.0 */
/* What it is said to cost to be done sooner is true: the instances are added, and the backlog and the bill are held
 * against what was said before. */
#include "cm.h"

#include "policy/eta.h"
#include "simulate/simulate.h"
#include <math.h>
#include <stdio.h>

#define THERE 4     /* instances that are there, idle */
#define JOBS  60    /* come at once, */
#define AT_S  595.0 /* at this moment of the run */
#define BOOT  240.0
#define TIMES 80

static uint64_t dice;

static double roll(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return ((double)(dice >> 11) + 0.5) / 9007199254740992.0;
}

/* Runs of three minutes and a long tail. */
static double draw_run_s(void)
{
    return 120 - 60 * log(roll());
}

/* What is known before they come: 64 runs, and boots that all last as long. */
static void learn(struct history *h)
{
    history_init(h);
    for (int i = 0; i < HISTORY_RUNS; i++)
        history_finished(h, 1000 * (i + 1), draw_run_s());
    for (int i = 0; i < HISTORY_BOOTS; i++)
        history_ready(h, 1000000 + i, BOOT);
}

static struct eta said(const struct history *h, int32_t more)
{
    static const struct policy_fleet fleet = {.n_idle = THERE, .idle_s = {100, 100, 100, 100}};
    struct eta_ask ask = {.history = h, .fleet = &fleet, .ahead = JOBS - 1, .launches = more, .steps = 50000};
    return eta_queued(&ask);
}

/* Four instances are there until minute 10; from then on so many at most, each of which goes when there is no job left
 * for it. */
static struct simulate_result come_true(const struct trace *t, int32_t more)
{
    char schedule[256];
    struct bp_err err = {0};
    struct simulate_result r;
    struct model m;
    model_init(&m);
    snprintf(schedule, sizeof schedule,
             "[{\"cron\": \"0 0 * * mon\", \"minutes\": 10, \"min\": %d, \"max\": %d}, {\"cron\": \"10 0 * * mon\", "
             "\"minutes\": 9000, \"max\": %d}]",
             THERE, THERE, THERE + more);
    m.schedule = schedule;
    m.interruptions = 0;
    m.boot = BOOT;
    m.tick = 5;
    assert_int_equal(simulate(&m, t, policy_find("perjob"), 1, &r, NULL, &err), BP_OK);
    assert_int_equal(r.unfinished, 0);
    assert_int_equal(r.launches, THERE + more);
    return r;
}

static void the_backlog_ends_as_said_at_the_price_said(void **state)
{
    static const int32_t tried[] = {0, 1, 2, 4};
    static struct history h;
    int by_p50[4] = {0}, by_p95[4] = {0};
    double said_s[4] = {0}, came_s[4] = {0}, billed_s[4] = {0}, priced_s[4] = {0};
    (void)state;
    dice = 88172645463325252u;
    for (int n = 0; n < TIMES; n++) {
        struct bp_err err = {0};
        struct trace t = {0};
        learn(&h);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(trace_add(&t, (int64_t)(AT_S * 1000), (int64_t)(draw_run_s() * 1000), &err), BP_OK);
        for (int k = 0; k < 4; k++) {
            struct eta e = said(&h, tried[k]);
            struct simulate_result r = come_true(&t, tried[k]);
            double took_s = r.completion_s - AT_S;
            by_p50[k] += took_s <= e.all.p50_s;
            by_p95[k] += took_s <= e.all.p95_s;
            said_s[k] += e.all.p50_s / TIMES;
            came_s[k] += took_s / TIMES;
            priced_s[k] += e.instance_s / TIMES;
            billed_s[k] += r.hours * 3600 / TIMES;
        }
        trace_free(&t);
    }
    for (int k = 0; k < 4; k++) {
        double more_said = priced_s[k] - priced_s[0], more_came = billed_s[k] - billed_s[0];
        print_message(
            "%d more: %.0f s said, %.0f came; by p50 %d, by p95 %d of %d; %.0f s of instances more said, %.0f "
            "came\n",
            tried[k], said_s[k], came_s[k], by_p50[k], by_p95[k], TIMES, more_said, more_came);
        assert_in_range(100 * by_p95[k] / TIMES, 90, 100);
        assert_in_range(100 * by_p50[k] / TIMES, 30, 70);
        assert_true(fabs(said_s[k] - came_s[k]) < 0.05 * came_s[k]);
        assert_true(k == 0 || came_s[k] < came_s[k - 1]); /* it is sooner */
        assert_true(fabs(more_said - more_came) < 30 + 0.05 * more_came);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_backlog_ends_as_said_at_the_price_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
