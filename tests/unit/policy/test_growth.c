/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy that adds a few at a time is going to add is foreseen by its own plans. */
#include "cm.h"

#include "policy/eta.h"
#include "policy/growth.h"
#include <math.h>
#include <string.h>

#define NOW   1700000000000LL
#define RUN_S 600

static struct history h;
static struct policy_fleet fleet;
static struct bp_view view;
static struct growth growth;
static _Alignas(16) char memory[4096];

/* 40 jobs, one of them on the one instance; the last change was just now. */
static int fresh(void **state)
{
    (void)state;
    history_init(&h);
    memset(&fleet, 0, sizeof fleet);
    memset(memory, 0, sizeof memory);
    fleet.n_busy = 1;
    for (int i = 0; i < HISTORY_RUNS; i++)
        history_finished(&h, NOW, RUN_S);
    view = (struct bp_view){.size = sizeof view,
                            .now_ms = NOW,
                            .queued = 39,
                            .leased = 1,
                            .boot_s = 240,
                            .desired = 1,
                            .running = 1,
                            .busy = 1,
                            .max_size = 10,
                            .backlog_target = 2,
                            .cooldown_s = 180,
                            .last_scale_ms = NOW};
    return 0;
}

static int foresee(const char *policy)
{
    struct policy_now now = {.view = &view, .fleet = &fleet, .history = &h, .wait_price = 1};
    growth_foresee(policy_find(policy), memory, &now, RUN_S, &growth);
    return growth.n;
}

/* Two at a time above 2.5 T, with a rest of 180 s: nine more by 900 s. */
static void step_adds_until_the_most_with_a_rest_between(void **state)
{
    (void)state;
    assert_int_equal(foresee("step"), 9);
    for (int i = 0; i < growth.n; i++) {
        int rests = i / 2 + 1;
        assert_true(fabsf(growth.at_s[i] - 180.0f * (float)rests) <= 10);
    }
    assert_int_equal(view.desired, 1);
}

static void it_ends_where_nothing_waits_any_more(void **state)
{
    (void)state;
    view.queued = 3; /* one more, and another before the first is ready; then it is 2 each */
    assert_int_equal(foresee("step"), 2);
    view.queued = 1; /* as it is now */
    assert_int_equal(foresee("step"), 0);
}

static void what_boots_already_is_not_foreseen_again(void **state)
{
    (void)state;
    view.desired = view.max_size;
    assert_int_equal(foresee("step"), 0);
    view.desired = 8;
    view.pending = 7;
    fleet.n_booting = 7;
    assert_int_equal(foresee("step"), 2);
}

/* Its metrics are of each minute, its alarms act a minute later, and what it remembers of them is not touched. */
static void the_alarms_of_deployed_are_foreseen_from_what_it_remembers(void **state)
{
    static const char untouched[sizeof memory];
    (void)state;
    assert_int_equal(foresee("deployed"), 9);
    assert_true(growth.at_s[0] >= 60 && growth.at_s[0] <= 130);
    assert_memory_equal(memory, untouched, sizeof memory);
}

static void one_that_asks_for_all_at_once_grows_no_more(void **state)
{
    (void)state;
    static const char *const at_once[] = {"slo", "direct", "target", "perjob"};
    for (size_t i = 0; i < sizeof at_once / sizeof at_once[0]; i++)
        assert_int_equal(foresee(at_once[i]), 0);
}

/* 20 jobs before it on one instance take 12,000 s. */
static void an_estimate_counts_what_comes_later(void **state)
{
    (void)state;
    struct eta_ask a = {.history = &h, .fleet = &fleet, .ahead = 19, .boot_s = 240};
    double alone_s = eta_queued(&a).start.p50_s;
    assert_int_equal(foresee("step"), 9);
    a.growth = &growth;
    struct eta e = eta_queued(&a);
    assert_true(alone_s > 11000 && e.start.p50_s < 3000 && e.start.p50_s > 1000);
    assert_true(e.instance_s > 20 * RUN_S && e.instance_s < 50 * RUN_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(step_adds_until_the_most_with_a_rest_between, fresh),
        cmocka_unit_test_setup(it_ends_where_nothing_waits_any_more, fresh),
        cmocka_unit_test_setup(what_boots_already_is_not_foreseen_again, fresh),
        cmocka_unit_test_setup(the_alarms_of_deployed_are_foreseen_from_what_it_remembers, fresh),
        cmocka_unit_test_setup(one_that_asks_for_all_at_once_grows_no_more, fresh),
        cmocka_unit_test_setup(an_estimate_counts_what_comes_later, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
