/* SPDX-License-Identifier: Apache-2.0 */
/* What goes before a policy, what comes after it, and the rules of those policies that are only tested here. */
#include "cm.h"

#include "policy/decide.h"
#include <string.h>

#define NOW 1700000000000LL

static struct policy_fleet nobody;
static struct history none;

static struct bp_view view(int64_t queued, int64_t leased, int32_t desired)
{
    return (struct bp_view){.size = sizeof(struct bp_view),
                            .now_ms = NOW,
                            .queued = queued,
                            .leased = leased,
                            .desired = desired,
                            .running = desired,
                            .busy = (int32_t)leased,
                            .max_size = 10,
                            .backlog_target = 2,
                            .scale_to_zero_s = 900,
                            .cooldown_s = 180};
}

static struct bp_plan decided(const struct decide_rules *r, const char *name, void *memory, const struct bp_view *v)
{
    static _Alignas(16) unsigned char scratch[4096];
    struct bp_plan p;
    memset(scratch, 0, sizeof scratch);
    struct decide_planner by = decide_by(policy_find(name), memory ? memory : scratch);
    struct policy_now now = {.view = v, .fleet = &nobody, .history = &none, .wait_price = 1};
    decide(r, &by, &now, &p);
    assert_true(p.reason[0]);
    return p;
}

static int32_t size(const struct decide_rules *r, const char *name, const struct bp_view *v)
{
    return decided(r, name, NULL, v).desired;
}

static void limits_and_pauses_narrow_what_a_policy_wants(void **state)
{
    (void)state;
    struct bp_view v = view(6, 0, 2);
    struct decide_rules r = DECIDE_NO_RULES;
    assert_int_equal(size(&r, "perjob", &v), 6);
    r.max = 4;
    assert_int_equal(size(&r, "perjob", &v), 4);
    r.pause_out = 1;
    assert_int_equal(size(&r, "perjob", &v), 2);
    r = DECIDE_NO_RULES;
    v = view(1, 0, 5);
    r.min = 3;
    assert_int_equal(size(&r, "perjob", &v), 3);
    r.pause_in = 1;
    assert_int_equal(size(&r, "perjob", &v), 5);
    assert_non_null(strstr(decided(&r, "perjob", NULL, &v).reason, "paused"));
}

static void nothing_goes_below_what_is_busy(void **state)
{
    (void)state;
    struct bp_view v = view(0, 4, 6);
    struct decide_rules r = DECIDE_NO_RULES;
    r.max = 1;
    assert_int_equal(size(&r, "perjob", &v), 4);
    r = DECIDE_NO_RULES;
    r.hold = 0;
    r.hold_who = "an operator";
    assert_int_equal(size(&r, "perjob", &v), 4);
    v.max_size = 2;
    assert_int_equal(size(&r, "perjob", &v), 4);
}

static void stale_counts_hold(void **state)
{
    (void)state;
    struct bp_view v = view(0, 0, 6);
    struct decide_rules r = DECIDE_NO_RULES;
    v.stale = 1;
    v.draining = 1;
    assert_int_equal(size(&r, "perjob", &v), 5);
    r.max = 1;
    assert_int_equal(size(&r, "perjob", &v), 5);
}

static int32_t fails(void *arg, const struct policy_now *now, void *memory, struct bp_plan *p)
{
    (void)arg;
    (void)now;
    (void)memory;
    p->desired = 0;
    memset(p->reason, 'x', sizeof p->reason);
    return BP_FAIL;
}

static void a_policy_that_fails_holds(void **state)
{
    (void)state;
    struct bp_view v = view(0, 0, 6);
    struct decide_rules r = DECIDE_NO_RULES;
    struct decide_planner by = {fails, NULL, NULL};
    struct policy_now now = {.view = &v, .fleet = &nobody, .history = &none, .wait_price = 1};
    struct bp_plan p;
    decide(&r, &by, &now, &p);
    assert_int_equal(p.desired, 6);
    assert_string_equal(p.reason, "holding: the policy failed");
}

/* ---- policies ---- */

static void direct_keeps_what_the_last_five_minutes_needed(void **state)
{
    (void)state;
    _Alignas(16) unsigned char memory[4096] = {0};
    struct decide_rules r = DECIDE_NO_RULES;
    struct bp_view v = view(7, 0, 0);
    assert_int_equal(decided(&r, "direct", memory, &v).desired, 4);
    v = view(0, 0, 4);
    v.now_ms = NOW + 290000;
    assert_int_equal(decided(&r, "direct", memory, &v).desired, 4);
    v.now_ms = NOW + 300000;
    assert_int_equal(decided(&r, "direct", memory, &v).desired, 0);
}

/* Decides each 10 s from `from_s` up to `to_s`; what the view's desired then is. */
static int32_t run_deployed(struct bp_view *v, void *memory, int from_s, int to_s)
{
    struct decide_rules r = DECIDE_NO_RULES;
    for (int s = from_s; s <= to_s; s += 10) {
        v->now_ms = NOW + s * 1000;
        v->desired = decided(&r, "deployed", memory, v).desired;
    }
    return v->desired;
}

static void deployed_acts_a_minute_after_the_metric_and_rests_three(void **state)
{
    (void)state;
    _Alignas(16) unsigned char memory[4096] = {0};
    struct bp_view v = view(12, 0, 0);
    v.running = 0;
    assert_int_equal(run_deployed(&v, memory, 0, 50), 0);
    assert_int_equal(run_deployed(&v, memory, 60, 60), 1); /* from zero to one */
    assert_int_equal(run_deployed(&v, memory, 70, 230), 1);
    assert_int_equal(run_deployed(&v, memory, 240, 240), 3); /* backlog 12 > 5, after 180 s */
    v.running = 3;
    assert_int_equal(run_deployed(&v, memory, 250, 410), 3);
    assert_int_equal(run_deployed(&v, memory, 420, 420), 4); /* backlog 4 > 2 */
}

static void deployed_goes_to_zero_a_minute_after_fifteen_empty_ones(void **state)
{
    (void)state;
    _Alignas(16) unsigned char memory[4096] = {0};
    struct bp_view v = view(0, 0, 3);
    assert_int_equal(run_deployed(&v, memory, 0, 950), 3);
    assert_int_equal(run_deployed(&v, memory, 960, 960), 0);
}

static void a_name_finds_its_policy(void **state)
{
    (void)state;
    for (const struct policy *p = policies; p->name; p++)
        assert_ptr_equal(policy_find(p->name), p);
    assert_null(policy_find("steps"));
    assert_null(policy_find(NULL));
}

/* ---- which instance goes first ---- */

static void the_longest_idle_goes_first_then_the_youngest_boot(void **state)
{
    (void)state;
    struct scale_in_candidate idle = {1, 1000, 10, 0}, longer = {1, 500, 20, 0};
    struct scale_in_candidate boot = {0, 0, 700, 0}, younger = {0, 0, 800, 0};
    struct scale_in_candidate safe = {1, 500, 20, 9000}, doomed = {1, 1000, 10, 600};
    assert_true(scale_in_before(&longer, &idle) && !scale_in_before(&idle, &longer));
    assert_true(scale_in_before(&idle, &boot) && !scale_in_before(&boot, &longer));
    assert_true(scale_in_before(&younger, &boot) && !scale_in_before(&boot, &younger));
    assert_true(scale_in_before(&doomed, &safe) && !scale_in_before(&safe, &doomed));
    doomed.life_s = 7000; /* about as safe */
    assert_true(scale_in_before(&safe, &doomed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_and_pauses_narrow_what_a_policy_wants),
        cmocka_unit_test(nothing_goes_below_what_is_busy),
        cmocka_unit_test(stale_counts_hold),
        cmocka_unit_test(a_policy_that_fails_holds),
        cmocka_unit_test(direct_keeps_what_the_last_five_minutes_needed),
        cmocka_unit_test(deployed_acts_a_minute_after_the_metric_and_rests_three),
        cmocka_unit_test(deployed_goes_to_zero_a_minute_after_fifteen_empty_ones),
        cmocka_unit_test(a_name_finds_its_policy),
        cmocka_unit_test(the_longest_idle_goes_first_then_the_youngest_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
