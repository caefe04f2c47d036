/* SPDX-License-Identifier: Apache-2.0 */
/* How a policy's wish becomes a plan: limits, holds, stale data, and a plugin's policy that misbehaves. */
#include "scale/rig.h"

#include "scale/scale_priv.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct planner {
    struct rig *rig;
    struct scale scale;
    struct scale_item item;
    struct bp_view view;
    struct bp_plan plan;
};

static struct planner planner_new(const char *const *sets)
{
    struct planner p = {.rig = rig_new(sets)};
    p.scale.bus = p.rig->bus;
    p.scale.config = p.rig->config;
    p.item.hold_size = -1;
    p.item.history = calloc(1, sizeof *p.item.history);
    assert_non_null(p.item.history);
    history_init(p.item.history);
    p.view = (struct bp_view){.size = sizeof p.view,
                              .now_ms = 1700000000000LL,
                              .max_size = 10,
                              .backlog_target = 2,
                              .scale_to_zero_s = 900,
                              .cooldown_s = 180};
    return p;
}

static void planner_free(struct planner *p)
{
    plan_call_forget(&p->item);
    free(p->item.memory);
    free(p->item.history);
    rig_quiet(p->rig);
    rig_free(p->rig);
}

static int32_t plan(struct planner *p)
{
    plan_make(&p->scale, &p->rig->workflows[0], &p->item, &p->view, &p->plan);
    assert_true(p->plan.reason[0]);
    return p->plan.desired;
}

/* ---- a plugin's policy that does what the test says ---- */

static struct {
    int32_t desired, rc;
    int64_t spin_us, wait_us;
    atomic_uint calls;
} wish;
static atomic_int blocked; /* the plugin does not return while it is 1 */

static int32_t plugin_plan(void *inst, const struct bp_view *view, void *memory, struct bp_plan *p, struct bp_err *err)
{
    (void)inst;
    (void)view;
    ++*(unsigned char *)memory;
    p->desired = wish.desired;
    snprintf(p->reason, sizeof p->reason, "the plugin wants %d", wish.desired);
    wish.calls++; /* the wish has been read: the test may make another */
    while (atomic_load(&blocked))
        usleep(1000);
    if (wish.wait_us)
        usleep((useconds_t)wish.wait_us);
    for (clock_t began = clock(); clock() - began < wish.spin_us;)
        continue; /* CLOCKS_PER_SEC is a million */
    if (wish.rc < 0)
        memset(err->text, 'x', sizeof err->text); /* not even terminated */
    return wish.rc;
}

static const struct bp_scaling scaling = {.size = sizeof scaling, .plan = plugin_plan};

static void with_plugin(struct planner *p, int32_t desired)
{
    memset(&wish, 0, sizeof wish);
    wish.desired = desired;
    p->rig->workflows[0].scaling = &scaling;
    p->rig->workflows[0].actor = p->rig->cloud;
}

/* Its answer: a loaded machine may wake its thread later than the loop waits. */
static int32_t answer(struct planner *p)
{
    int32_t desired = plan(p);
    for (int i = 0; i < 2000 && strstr(p->plan.reason, "has not answered"); i++) {
        rig_turn(p->rig, 5);
        desired = plan(p);
    }
    return desired;
}

/* ---- tests ---- */

static void a_plan_stays_between_what_is_busy_and_max_size(void **state)
{
    static const struct {
        int32_t wanted, busy, max_size, desired;
        const char *reason;
    } rows[] = {
        {4, 0, 10, 4, "the plugin wants 4"},  {12, 0, 10, 10, "limited to maxSize 10"},
        {0, 3, 10, 3, "3 are busy"},          {8, 6, 5, 6, "6 are busy"}, /* maxSize was lowered below what is busy */
        {-3, 0, 10, 0, "wants -3"},           {3, 0, 0, 0, "limited to maxSize 0"},
        {3, 0, -1, 0, "limited to maxSize 0"}};
    (void)state;
    struct planner p = planner_new(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        with_plugin(&p, rows[i].wanted);
        p.item.offences = 0;
        p.view.busy = p.view.desired = p.view.running = rows[i].busy;
        p.view.max_size = rows[i].max_size;
        assert_int_equal(answer(&p), rows[i].desired);
        assert_non_null(strstr(p.plan.reason, rows[i].reason));
    }
    planner_free(&p);
}

static void stale_counts_hold_whatever_the_policy_or_the_operator_wants(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    p.view.stale = 1;
    p.view.desired = 3;
    p.view.draining = 1;
    p.view.queued = 100;
    assert_int_equal(plan(&p), 2); /* as decided before */
    assert_non_null(strstr(p.plan.reason, "holding"));
    p.item.hold_size = 7;
    assert_int_equal(plan(&p), 2);
    planner_free(&p);
}

static void a_hold_is_kept_within_the_limits_and_until_it_expires(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    snprintf(p.item.hold_who, sizeof p.item.hold_who, "uid 0");
    p.item.hold_size = 4;
    p.item.hold_until_ms = p.view.now_ms + 1;
    assert_int_equal(plan(&p), 4);
    assert_string_equal(p.plan.reason, "held at 4 by uid 0");
    p.view.busy = 5;
    assert_int_equal(plan(&p), 5);
    p.item.hold_size = 50;
    assert_int_equal(plan(&p), 10);
    p.view.busy = 0;
    p.view.now_ms += 1;
    assert_int_equal(plan(&p), 0);
    assert_string_equal(p.plan.reason, "no jobs");
    assert_int_equal(p.item.hold_size, -1); /* and is not shown any more */
    planner_free(&p);
}

static void drains_under_way_count_as_gone(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    p.view.desired = p.view.running = p.view.draining = 2;
    p.view.queued = 1;
    assert_int_equal(plan(&p), 1); /* from zero to one */
    planner_free(&p);
}

static void a_plugin_that_misbehaves_three_times_is_replaced(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    with_plugin(&p, 5);
    p.view.desired = 2;
    assert_int_equal(answer(&p), 5);
    assert_string_equal(p.item.policy, "plugin");
    wish.rc = BP_FAIL;
    assert_int_equal(answer(&p), 2); /* a failed plan holds */
    assert_non_null(strstr(p.plan.reason, "holding"));
    wish.rc = 0;
    wish.desired = 11;
    assert_int_equal(answer(&p), 10);
    assert_int_equal(p.item.offences, 2);
    wish.desired = 5;
    wish.spin_us = 8000;
    answer(&p);
    assert_true(p.item.offences >= 3);
    uint32_t calls = wish.calls;
    p.view.desired = 0;
    p.view.queued = 1;
    assert_int_equal(plan(&p), 1);
    assert_int_equal(wish.calls, calls); /* never asked again */
    assert_string_equal(p.item.policy, "direct");
    p.rig->workflows[0].generation++;
    wish.spin_us = 0;
    assert_int_equal(answer(&p), 5); /* but its new version is */
    planner_free(&p);
}

/* Each way to be wrong is an offence, told with the plugin's name. */
static void each_offence_is_counted_and_what_it_asked_for_is_held_to_its_limits(void **state)
{
    static const struct {
        int32_t wanted, busy, rc, desired, offences;
        int64_t spin_us, wait_us;
    } rows[] = {{.wanted = 5, .desired = 5},
                {.wanted = 10, .desired = 10},
                {.wanted = 11, .desired = 10, .offences = 1},
                {.wanted = 1, .busy = 2, .desired = 2, .offences = 1},
                {.wanted = -1, .desired = 0, .offences = 1},
                {.wanted = 5, .desired = 5, .spin_us = 8000, .offences = 1},
                {.wanted = 5, .desired = 5, .wait_us = 8000, .offences = 1},
                {.wanted = 5, .rc = BP_FAIL, .desired = 2, .busy = 1, .offences = 1}};
    (void)state;
    struct planner p = planner_new(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        with_plugin(&p, rows[i].wanted);
        int slow = rows[i].spin_us || rows[i].wait_us; /* an answer that comes too late is one, too */
        wish.rc = rows[i].rc;
        wish.spin_us = rows[i].spin_us;
        wish.wait_us = rows[i].wait_us;
        p.item.offences = 0;
        p.view.desired = 2;
        p.view.busy = rows[i].busy;
        int32_t desired = answer(&p);
        assert_true(desired == rows[i].desired || p.item.offences >= SCALE_OFFENCES);
        assert_in_range(p.item.offences, rows[i].offences, slow ? 1000 : rows[i].offences);
    }
    planner_free(&p);
}

static int first_byte(const struct planner *p)
{
    const unsigned char *memory = p->item.memory;
    return memory ? memory[0] : -1;
}

static void the_price_of_waiting_is_the_workflows(void **state)
{
    (void)state;
    struct planner p = planner_new((const char *const[]){"scale.policy=slo", NULL});
    p.view.queued = 40;
    p.view.boot_s = 240;
    p.view.max_size = 40;
    json_object_object_add(p.rig->workflows[0].manifest, "waitPrice", json_object_new_double(0.05));
    int32_t cheap = plan(&p);
    json_object_object_add(p.rig->workflows[0].manifest, "waitPrice", json_object_new_double(50));
    assert_true(plan(&p) > cheap);
    planner_free(&p);
}

static void a_policy_starts_with_empty_memory(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    with_plugin(&p, 1);
    answer(&p);
    answer(&p);
    assert_int_equal(first_byte(&p), 2);
    p.rig->workflows[0].policy = "step";
    plan(&p);
    p.rig->workflows[0].policy = "plugin";
    answer(&p);
    assert_int_equal(first_byte(&p), 1);
    planner_free(&p);
}

static void a_policy_that_is_not_there_is_the_configured_one(void **state)
{
    (void)state;
    struct planner p = planner_new((const char *const[]){"scale.policy=target", NULL});
    const char *const names[] = {NULL, "slow", "plugin", "target"};
    p.view.queued = 9;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        p.rig->workflows[0].policy = names[i];
        assert_int_equal(plan(&p), 5);
        assert_string_equal(p.item.policy, "target");
    }
    planner_free(&p);
}

/* The loop goes on, jobs get instances, none is taken away, and three seconds later direct has taken over. */
static void a_plugin_that_never_answers_holds_nobody(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    with_plugin(&p, 1);
    atomic_store(&blocked, 1);
    p.view.queued = 6;
    assert_int_equal(plan(&p), 3);
    assert_non_null(strstr(p.plan.reason, "has not answered"));
    assert_int_equal(p.item.offences, 0); /* the machine may be loaded */
    p.view.queued = 0;
    p.view.desired = p.view.running = 3;
    assert_int_equal(plan(&p), 3); /* nothing is taken away on a guess */
    assert_string_equal(p.item.policy, "plugin");
    for (int i = 0; p.item.offences < SCALE_OFFENCES; i++) {
        assert_in_range(i, 0, 2000);
        rig_turn(p.rig, 10);
        assert_int_equal(plan(&p), 3);
    }
    assert_int_equal(wish.calls, 1); /* nobody else goes there to wait */
    assert_int_equal(plan(&p), 0);
    assert_string_equal(p.item.policy, "direct");
    atomic_store(&blocked, 0);
    p.rig->workflows[0].generation++; /* it was replaced by one that answers */
    assert_int_equal(answer(&p), 1);
    assert_string_equal(p.item.policy, "plugin");
    assert_int_equal(p.item.offences, 0);
    planner_free(&p);
}

/* Its late answer is for a view that is over. */
static void a_plugin_that_answers_late_is_asked_anew(void **state)
{
    (void)state;
    struct planner p = planner_new(NULL);
    with_plugin(&p, 5);
    atomic_store(&blocked, 1);
    assert_int_equal(plan(&p), 0);
    for (int i = 0; atomic_load(&wish.calls) < 1; i++) { /* its thread may be woken late, and then be quick */
        assert_in_range(i, 0, 2000);
        rig_turn(p.rig, 5);
    }
    rig_turn(p.rig, 10);
    atomic_store(&blocked, 0);
    wish.desired = 2;
    for (int i = 0; plan(&p) != 2; i++) {
        assert_in_range(i, 0, 2000);
        assert_non_null(strstr(p.plan.reason, "has not answered"));
        rig_turn(p.rig, 5);
    }
    assert_in_range(p.item.offences, 1, 2); /* it waited for more than 5 ms */
    planner_free(&p);
}

static void rule(struct planner *p, enum scale_rule_kind kind, int32_t value, int64_t until_ms)
{
    p->item.rules[kind] = (struct scale_rule){.on = value >= 0, .value = value, .until_ms = until_ms, .who = "uid 0"};
}

static void limits_and_pauses_hold_until_they_expire(void **state)
{
    (void)state;
    struct planner p = planner_new((const char *const[]){"scale.policy=perjob", NULL});
    p.view.queued = 6;
    rule(&p, SCALE_MAX, 4, p.view.now_ms + 1000);
    assert_int_equal(plan(&p), 4);
    assert_non_null(strstr(p.plan.reason, "at most 4"));
    rule(&p, SCALE_PAUSE_OUT, 1, 0);
    p.view.desired = p.view.running = 2;
    assert_int_equal(plan(&p), 2);
    rule(&p, SCALE_PAUSE_OUT, -1, 0);
    p.view.now_ms += 1000;
    assert_int_equal(plan(&p), 6);
    p.view.queued = 0;
    rule(&p, SCALE_PAUSE_IN, 1, p.view.now_ms + 1000);
    assert_int_equal(plan(&p), 2);
    rule(&p, SCALE_MIN, 3, 0);
    assert_int_equal(plan(&p), 3);
    p.view.now_ms += 1000;
    rule(&p, SCALE_MIN, -1, 0);
    assert_int_equal(plan(&p), 0);
    planner_free(&p);
}

static void a_shadow_decides_nothing_and_counts_what_it_would_have_had(void **state)
{
    (void)state;
    struct bp_err err = {0};
    const char *adopted = NULL;
    struct planner p = planner_new((const char *const[]){"scale.policy=perjob", NULL});
    p.scale.host = (struct host *)p.rig;
    struct scale_item *i = scale_item_get(&p.scale, "photo");
    assert_int_equal(scale_shadow(&p.scale, "photo", "derect", &err), BP_INVALID);
    assert_non_null(strstr(err.text, "did you mean direct?"));
    assert_int_equal(scale_adopt(&p.scale, "photo", &adopted, &err), BP_CONFLICT);
    assert_int_equal(scale_shadow(&p.scale, "photo", "direct", &err), 0);
    p.view.queued = 6;
    p.view.desired = p.view.running = 6;
    for (int k = 0; k < 7; k++) { /* an hour at six, of which the shadow wanted three */
        plan_make(&p.scale, &p.rig->workflows[0], i, &p.view, &p.plan);
        assert_int_equal(p.plan.desired, 6);
        assert_string_equal(i->policy, "perjob");
        p.view.now_ms += 600000;
    }
    struct json_object *list = scale_describe(&p.scale, "photo");
    struct json_object *shadow = json_member(json_object_array_get_idx(list, 0), "shadow");
    assert_string_equal(json_str(shadow, "policy", ""), "direct");
    assert_int_equal(json_int(shadow, "desired", 0), 3);
    assert_true(json_num(shadow, "instance_hours", 0) == 3 && json_num(shadow, "live_instance_hours", 0) == 6);
    assert_int_equal(json_object_array_length(json_member(shadow, "decisions")), 1);
    /* In thought: six instances at first, of which the shadow's fleet lets three go ten minutes later. */
    struct json_object *its = json_member(shadow, "modelled"), *live = json_member(shadow, "live_modelled");
    assert_true(fabs(json_num(its, "instance_hours", 0) - (1 + 5 * 0.5)) < 1e-6);
    assert_true(fabs(json_num(live, "instance_hours", 0) - 6) < 1e-6);
    assert_int_equal(json_int(its, "waiting", 0), 6); /* no run was measured */
    json_object_put(list);
    assert_int_equal(scale_adopt(&p.scale, "photo", &adopted, &err), 0);
    assert_string_equal(adopted, "direct");
    plan_make(&p.scale, &p.rig->workflows[0], i, &p.view, &p.plan);
    assert_int_equal(p.plan.desired, 3);
    assert_string_equal(i->policy, "direct");
    assert_null(i->shadow);
    name_map_free(&p.scale.by_slug);
    scale_item_free(i);
    planner_free(&p);
}

static void a_schedules_window_gives_other_limits_and_another_policy(void **state)
{
    (void)state;
    struct planner p = planner_new((const char *const[]){"scale.policy=perjob", NULL});
    struct workflow *w = &p.rig->workflows[0];
    p.view.now_ms = 1764144000000LL; /* 2025-11-26 08:00 UTC, a Wednesday */
    p.view.queued = 9;
    const char *text = "[{\"cron\":\"0 8 * * wed\",\"minutes\":30,\"min\":2,\"max\":4,\"policy\":\"direct\"}]";
    w->schedule = json_tokener_parse(text);
    p.view.now_ms -= 60000;
    assert_int_equal(plan(&p), 9);
    p.view.now_ms += 60000;
    assert_int_equal(plan(&p), 4);
    assert_string_equal(p.item.policy, "direct");
    rule(&p, SCALE_MAX, 3, 0); /* an operator's goes before */
    assert_int_equal(plan(&p), 3);
    rule(&p, SCALE_MAX, -1, 0);
    p.view.now_ms += 30 * 60000;
    assert_int_equal(plan(&p), 9);
    assert_string_equal(p.item.policy, "perjob");
    json_object_put(w->schedule);
    w->schedule = NULL;
    p.view.now_ms -= 60000;
    assert_int_equal(plan(&p), 9);
    rules_free(&p.item);
    planner_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_stays_between_what_is_busy_and_max_size),
        cmocka_unit_test(stale_counts_hold_whatever_the_policy_or_the_operator_wants),
        cmocka_unit_test(a_hold_is_kept_within_the_limits_and_until_it_expires),
        cmocka_unit_test(drains_under_way_count_as_gone),
        cmocka_unit_test(a_plugin_that_misbehaves_three_times_is_replaced),
        cmocka_unit_test(each_offence_is_counted_and_what_it_asked_for_is_held_to_its_limits),
        cmocka_unit_test(the_price_of_waiting_is_the_workflows),
        cmocka_unit_test(a_policy_starts_with_empty_memory),
        cmocka_unit_test(a_policy_that_is_not_there_is_the_configured_one),
        cmocka_unit_test(a_plugin_that_never_answers_holds_nobody),
        cmocka_unit_test(a_plugin_that_answers_late_is_asked_anew),
        cmocka_unit_test(limits_and_pauses_hold_until_they_expire),
        cmocka_unit_test(a_schedules_window_gives_other_limits_and_another_policy),
        cmocka_unit_test(a_shadow_decides_nothing_and_counts_what_it_would_have_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
