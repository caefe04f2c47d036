/* SPDX-License-Identifier: Apache-2.0 */
/* The policies are pure: a view in, a plan out. Each test is one rule operators rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include <cmocka.h>
#include <string.h>

#define NOW 1700000000000LL

static struct bp_view view(int64_t queued, int64_t leased, int32_t desired, int32_t running)
{
    struct bp_view v = {.size = sizeof v,
                        .now_ms = NOW,
                        .queued = queued,
                        .leased = leased,
                        .desired = desired,
                        .running = running,
                        .pending = desired - running,
                        .max_size = 10,
                        .backlog_target = 2,
                        .scale_to_zero_s = 900,
                        .cooldown_s = 180,
                        .last_scale_ms = NOW - 1000000};
    return v;
}

static struct bp_plan plan(const char *policy, const struct bp_view *v, void *memory)
{
    static _Alignas(16) unsigned char scratch[1 << 20];
    static const struct policy_fleet nobody;
    static struct history none;
    struct bp_plan p = {.size = sizeof p};
    const struct policy *found = policy_find(policy);
    assert_non_null(found);
    assert_true(found->memory_bytes <= sizeof scratch);
    memset(scratch, 0, found->memory_bytes);
    history_init(&none);
    struct policy_now now = {.view = v, .fleet = &nobody, .history = &none, .wait_price = 1};
    assert_int_equal(found->plan(&now, memory ? memory : scratch, &p), 0);
    assert_true(strlen(p.reason) > 0);
    return p;
}

static void step_starts_the_first_instance_at_the_first_job(void **state)
{
    (void)state;
    struct bp_view v = view(1, 0, 0, 0);
    v.last_scale_ms = NOW - 1; /* the rest does not hold the first one back */
    assert_int_equal(plan("step", &v, NULL).desired, 1);
}

/* T = 2 gives the thresholds operators know: above 2 one more, above 5 two more. */
static void step_uses_the_thresholds_of_backlog_target(void **state)
{
    (void)state;
    static const struct {
        int64_t depth;
        int32_t desired;
    } rows[] = {{1, 1}, {2, 1}, {3, 2}, {5, 2}, {6, 3}, {100, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bp_view v = view(rows[i].depth - 1, 1, 1, 1);
        assert_int_equal(plan("step", &v, NULL).desired, rows[i].desired);
    }
}

static void step_honours_another_backlog_target(void **state)
{
    (void)state;
    struct bp_view v = view(9, 1, 1, 1);
    v.backlog_target = 10;
    assert_int_equal(plan("step", &v, NULL).desired, 1);
    v.queued = 10;
    assert_int_equal(plan("step", &v, NULL).desired, 2);
    v.queued = 25;
    assert_int_equal(plan("step", &v, NULL).desired, 3);
}

static void step_rests_after_a_change(void **state)
{
    (void)state;
    struct bp_view v = view(50, 1, 1, 1);
    v.last_scale_ms = NOW - 179000;
    assert_int_equal(plan("step", &v, NULL).desired, 1);
    v.last_scale_ms = NOW - 180000;
    assert_int_equal(plan("step", &v, NULL).desired, 3);
}

static void step_waits_for_the_first_instance_to_come_up(void **state)
{
    (void)state;
    struct bp_view v = view(50, 0, 1, 0);
    assert_int_equal(plan("step", &v, NULL).desired, 1);
}

static void each_policy_goes_to_zero_only_after_the_idle_time(void **state)
{
    (void)state;
    static const char *const names[] = {"step", "target"};
    for (int i = 0; i < 2; i++) {
        struct bp_view v = view(0, 0, 2, 2);
        v.empty_since_ms = NOW - 899000;
        assert_int_equal(plan(names[i], &v, NULL).desired, 2);
        v.empty_since_ms = NOW - 900000;
        assert_int_equal(plan(names[i], &v, NULL).desired, 0);
    }
}

static void a_running_job_is_not_an_empty_queue(void **state)
{
    (void)state;
    struct bp_view v = view(0, 1, 1, 1);
    v.empty_since_ms = 0;
    assert_int_equal(plan("step", &v, NULL).desired, 1);
    assert_int_equal(plan("target", &v, NULL).desired, 1);
}

static void target_is_proportional_and_at_once(void **state)
{
    (void)state;
    struct bp_view v = view(7, 0, 1, 1);
    v.last_scale_ms = NOW - 1;
    assert_int_equal(plan("target", &v, NULL).desired, 4);
    v.queued = 1000;
    assert_int_equal(plan("target", &v, NULL).desired, 10); /* maxSize */
}

static void target_shrinks_only_when_nothing_asked_for_more_within_the_window(void **state)
{
    (void)state;
    _Alignas(16) unsigned char memory[4096] = {0};
    struct bp_view v = view(8, 0, 0, 0);
    assert_int_equal(plan("target", &v, memory).desired, 4);
    v.queued = 2;
    v.desired = v.running = 4;
    v.pending = 0;
    for (int s = 10; s < 160; s += 10) {
        v.now_ms = NOW + s * 1000;
        assert_int_equal(plan("target", &v, memory).desired, 4);
    }
    v.now_ms = NOW + 200000;
    assert_int_equal(plan("target", &v, memory).desired, 1);
}

static void the_same_view_gives_the_same_plan(void **state)
{
    (void)state;
    for (int64_t depth = 0; depth < 40; depth++) {
        struct bp_view v = view(depth, depth / 3, (int32_t)(depth % 5), (int32_t)(depth % 4));
        v.empty_since_ms = depth ? 0 : NOW - 5000;
        assert_int_equal(plan("step", &v, NULL).desired, plan("step", &v, NULL).desired);
        assert_string_equal(plan("target", &v, NULL).reason, plan("target", &v, NULL).reason);
    }
}

static void an_unknown_policy_is_not_found(void **state)
{
    (void)state;
    assert_null(policy_find("steps"));
    assert_null(policy_find(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_starts_the_first_instance_at_the_first_job),
        cmocka_unit_test(step_uses_the_thresholds_of_backlog_target),
        cmocka_unit_test(step_honours_another_backlog_target),
        cmocka_unit_test(step_rests_after_a_change),
        cmocka_unit_test(step_waits_for_the_first_instance_to_come_up),
        cmocka_unit_test(each_policy_goes_to_zero_only_after_the_idle_time),
        cmocka_unit_test(a_running_job_is_not_an_empty_queue),
        cmocka_unit_test(target_is_proportional_and_at_once),
        cmocka_unit_test(target_shrinks_only_when_nothing_asked_for_more_within_the_window),
        cmocka_unit_test(the_same_view_gives_the_same_plan),
        cmocka_unit_test(an_unknown_policy_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
