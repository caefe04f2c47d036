/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator imposed and what was measured of instances is there again after a restart, from the queue. */
#include "scale/memo_fixture.h"

#include "log/err.h"
#include "policy/slo.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static int is_known(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items && s->items->planned_ms && s->items->memo.known;
}

static struct scale *begun(struct rig *r)
{
    struct scale *s = begin(r);
    rig_until(r, is_known, s);
    return s;
}

static int decides_slo(struct rig *r, const void *arg)
{
    (void)r;
    return strcmp(((const struct scale *)arg)->items->policy, "slo") == 0;
}

static int said; /* times that a keep was answered with BP_OK */

static void kept(const struct bp_err *err, void *arg)
{
    *(int *)arg = err->rc;
    said++;
}

static int is_said(struct rig *r, const void *arg)
{
    (void)r;
    return said >= *(const int *)arg;
}

/* Until what the operator said is in the queue; how that went. */
static int keep(struct rig *r, struct scale *s)
{
    int rc = 1, wanted = said + 1;
    scale_keep(s, "photo", kept, &rc);
    rig_until(r, is_said, &wanted);
    return rc;
}

/* Ends it as a kill does: nothing more is written; answers under way come into the void. */
static void killed(struct rig *r, struct scale *s)
{
    s->started = 0;
    loop_timer_cancel(s->tick);
    loop_timer_cancel(s->soon);
    rig_turn(r, 30);
    scale_free(s);
}

static void rule(struct scale *s, enum scale_rule_kind k, int32_t value, int64_t until_ms)
{
    struct bp_err err = {0};
    assert_int_equal(scale_rule(s, "photo", &(struct scale_wish){k, value, until_ms, "kim"}, &err), 0);
}

/* The fleet of this test never grows, so the same may be decided more than once. */
static void assert_only_decided(const struct scale_item *i, int32_t to)
{
    assert_true(i->n_decisions > 0);
    for (uint32_t k = 0; k < i->n_decisions && k < SCALE_DECISIONS; k++)
        assert_int_equal(i->decisions[k].to, to);
}

static void what_an_operator_imposed_survives_a_kill(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct bp_err err = {0};
    const char *name;
    struct scale *s = begun(r);
    int64_t later = loop_now_ms(r->loop) + 600000;
    assert_int_equal(scale_hold(s, "photo", 3, later, "ada", &err), 0);
    rule(s, SCALE_MAX, 7, 0);
    rule(s, SCALE_PAUSE_IN, 1, later);
    assert_int_equal(scale_shadow(s, "photo", "direct", &err), 0);
    assert_int_equal(scale_adopt(s, "photo", &name, &err), 0);
    assert_int_equal(scale_shadow(s, "photo", "perjob", &err), 0);
    assert_int_equal(keep(r, s), 0);
    killed(r, s);
    resized = -1;

    s = begun(r);
    const struct scale_item *i = s->items;
    assert_int_equal(i->hold_size, 3);
    assert_int_equal(i->hold_until_ms, later);
    assert_string_equal(i->hold_who, "ada");
    assert_true(i->rules[SCALE_MAX].on && i->rules[SCALE_MAX].value == 7 && !i->rules[SCALE_MAX].until_ms);
    assert_string_equal(i->rules[SCALE_MAX].who, "kim");
    assert_true(i->rules[SCALE_PAUSE_IN].on && i->rules[SCALE_PAUSE_IN].until_ms == later);
    assert_false(i->rules[SCALE_MIN].on || i->rules[SCALE_PAUSE_OUT].on);
    assert_string_equal(i->adopted->name, "direct");
    assert_string_equal(i->policy, "direct");
    assert_string_equal(i->shadow->policy->name, "perjob");
    assert_only_decided(i, 3); /* nothing without the hold before it */
    quit(r, s);
}

static int has_no_rule(struct rig *r, const void *arg)
{
    (void)r;
    const struct scale *s = arg;
    return s->items->hold_size < 0 && !s->items->memo.rules_unsaved;
}

static void what_has_expired_or_was_ended_is_gone_from_the_queue_too(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct bp_err err = {0};
    struct scale *s = begun(r);
    assert_int_equal(scale_hold(s, "photo", 3, loop_now_ms(r->loop) + 100, "ada", &err), 0);
    assert_int_equal(keep(r, s), 0);
    assert_non_null(strstr(r->memos[0].text, "hold"));
    rig_until(r, has_no_rule, s);
    pthread_mutex_lock(&r->lock);
    assert_string_equal(r->memos[0].text, "");
    pthread_mutex_unlock(&r->lock);
    rule(s, SCALE_MIN, 2, 0);
    assert_int_equal(keep(r, s), 0);
    rule(s, SCALE_MIN, -1, 0);
    assert_int_equal(keep(r, s), 0);
    assert_string_equal(r->memos[0].text, "");
    quit(r, s);
}

/* The answer to a write that still had the hold is no word on its end. */
static void what_expires_while_a_write_is_under_way_is_written_too(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct bp_err err = {0};
    struct scale *s = begun(r);
    int rc = 1;
    int64_t until = loop_now_ms(r->loop) + 60000;
    assert_int_equal(scale_hold(s, "photo", 3, until, "ada", &err), 0);
    scale_keep(s, "photo", kept, &rc);
    rules_forget(s, s->items, until);
    rig_until(r, has_no_rule, s);
    pthread_mutex_lock(&r->lock);
    assert_string_equal(r->memos[0].text, "");
    pthread_mutex_unlock(&r->lock);
    assert_int_equal(rc, 0);
    quit(r, s);
}

static const char *memo_text(const struct rig *r, const char *kind)
{
    for (uint32_t k = 0; k < r->n_memos; k++)
        if (strcmp(r->memos[k].kind, kind) == 0)
            return r->memos[k].text;
    return "";
}

/* An operator is answered at the write of what was said, not at that of what has changed since. */
static void each_command_is_answered_at_its_own_write(void **state)
{
    (void)state;
    static const char *const sets[] = {"scale.tickMilliseconds=600000", "scale.policy=target", NULL};
    struct rig *r = remembering_as(sets);
    struct bp_err err = {0};
    struct scale *s = begun(r);
    int rc = 1, wanted = said + 1;
    int64_t until = loop_now_ms(r->loop) + 60000;
    assert_int_equal(scale_hold(s, "photo", 3, until, "ada", &err), 0);
    scale_keep(s, "photo", kept, &rc);
    rules_forget(s, s->items, until); /* no tick will write that in time */
    rig_until(r, is_said, &wanted);
    assert_int_equal(rc, 0);
    assert_true(s->items->memo.rules_unsaved);

    int first = 1, second = 1;
    wanted = said + 2;
    rule(s, SCALE_MAX, 7, 0);
    scale_keep(s, "photo", kept, &first);
    rule(s, SCALE_MAX, 8, 0);
    scale_keep(s, "photo", kept, &second);
    rig_until(r, is_said, &wanted);
    assert_true(first == 0 && second == 0);
    assert_non_null(strstr(memo_text(r, "scale.rules"), "8"));
    assert_false(s->items->memo.rules_unsaved);
    quit(r, s);
}

static int is_held(struct rig *r, const void *arg)
{
    (void)r;
    return ((const struct scale *)arg)->items->hold_size == 4;
}

static void what_is_said_at_another_controller_counts_at_the_next_tick(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct scale *s = begun(r);
    remember(r, 0, "scale.rules", "photo", "{\"v\":1,\"rules\":[{\"rule\":\"hold\",\"value\":4,\"by\":\"bob\"}]}");
    rig_until(r, is_held, s);
    assert_string_equal(s->items->hold_who, "bob");
    remember(r, 0, "scale.rules", "photo", "");
    rig_until(r, has_no_rule, s);
    quit(r, s);
}

static void an_adoption_ends_when_the_settings_name_another_policy(void **state)
{
    (void)state;
    struct rig *r = remembering();
    remember(r, 0, "scale.rules", "photo", "{\"v\":1,\"rules\":[],\"adopted\":\"direct\",\"adopted_over\":\"step\"}");
    struct scale *s = begun(r);
    assert_null(s->items->adopted);
    assert_string_equal(s->items->policy, "target");
    quit(r, s);
}

/* Three boots by stage, failures, interruptions, on-demand hours. */
static void measure(struct rig *r, struct scale *s)
{
    struct scale_item *i = s->items;
    int64_t now = loop_now_ms(r->loop);
    for (int k = 0; k < 40; k++)
        history_ready(i->history, now, 200 + k);
    history_staged(i->history, now, HISTORY_RUNNING, 60);
    history_staged(i->history, now, HISTORY_REGISTERED, 200);
    history_staged(i->history, now, HISTORY_DEVICE, 210);
    history_launched(i->history, now, 41);
    history_launch_failed(i->history, now);
    history_interrupted(i->history, now);
    i->history->instance_s = 7200;
    i->allowance = (struct allowance){.n = 2, .most = 3, .day = now / 86400000, .spent_h = 1.5};
    snprintf(i->allowance.why, sizeof i->allowance.why, "no Spot");
    i->last_scale_ms = now;
    snprintf(lives, sizeof lives, "{\"v\":1,\"pools\":[7]}");
}

static int is_written(struct rig *r, const void *arg)
{
    (void)arg;
    return rig_calls(r, "memo scale.view photo") > 0;
}

static void what_was_measured_of_instances_survives_a_restart(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct scale *s = begun(r);
    measure(r, s);
    struct history was = *s->items->history;
    scale_stop(s); /* writes */
    rig_until(r, is_written, NULL);
    killed(r, s);
    snprintf(lives, sizeof lives, "{}");

    s = begun(r);
    const struct history *h = s->items->history;
    assert_int_equal(h->boots, 40);
    assert_memory_equal(h->boot_s, was.boot_s, sizeof h->boot_s);
    assert_memory_equal(h->stage_s, was.stage_s, sizeof h->stage_s);
    assert_int_equal(h->launches, 41);
    assert_int_equal(h->launch_failures, 1);
    assert_int_equal(h->launch_failed_ms, was.launch_failed_ms);
    assert_int_equal(h->interruptions, 1);
    assert_true(fabs(h->instance_s - 7200) < 4);
    const struct allowance *a = &s->items->allowance;
    assert_true(a->n == 2 && a->most == 3 && fabs(a->spent_h - 1.5) < 1e-9);
    assert_string_equal(a->why, "no Spot");
    assert_non_null(strstr(lives, "[7]"));
    assert_true(s->items->last_scale_ms > 0);
    quit(r, s);
}

static void what_was_learned_of_promises_survives_a_restart(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct scale *s = begun(r);
    struct promises *p = scale_promises(s, "photo");
    assert_null(scale_promises(s, "nobody"));
    for (int k = 0; k < 40; k++) {
        promise_judge(p, &(struct promise){k, 1, 1, PROMISE_START, 1}, k % 2 ? 1 : INT64_MAX);
        promise_judge(p, &(struct promise){k, 1, 1, PROMISE_END, 1}, 1);
    }
    double start = p->of[PROMISE_START].shift, end = p->of[PROMISE_END].shift, middle = p->of[PROMISE_END].middle;
    assert_true(start > 1 && end < -0.5 && middle < -1);
    scale_stop(s);
    rig_until(r, is_written, NULL);
    killed(r, s);

    s = begun(r);
    p = scale_promises(s, "photo");
    assert_true(fabs(p->of[PROMISE_START].shift - start) < 0.001 && fabs(p->of[PROMISE_END].shift - end) < 0.001);
    assert_true(fabs(p->of[PROMISE_END].middle - middle) < 0.001);
    assert_true(p->of[PROMISE_START].judged == 40 && p->of[PROMISE_END].kept == 1);
    quit(r, s);
}

/* A shadow of slo beside slo, both with a past. */
static void learn(struct rig *r, struct scale *s)
{
    struct bp_err err = {0};
    struct scale_item *i = s->items;
    int64_t now = loop_now_ms(r->loop);
    assert_int_equal(scale_shadow(s, "photo", "slo", &err), 0);
    assert_int_equal(keep(r, s), 0);
    assert_string_equal(i->policy, "slo");
    struct slo_memory *its = i->memory, *shadows = i->shadow->memory;
    its->price.log_factor = 1.25;
    its->price.late = 0.0625;
    its->price.seen = 321;
    shadows->price.late = 0.5;
    shadows->price.seen = 7;
    struct shadow *sh = i->shadow;
    for (int k = 0; k < 3; k++)
        history_finished(i->history, now, 60);
    *sh = (struct shadow){.policy = sh->policy, .memory = sh->memory, .desired = 3, .since_ms = now - 900000};
    sh->at_ms = now - 1;
    sh->hours = 1.5;
    sh->live_hours = 2.25;
    mirror_step(&sh->its, i->history, now - 800000, 2, 100);
    mirror_arrived(&sh->its, now - 700000, 20);
    mirror_step(&sh->its, i->history, now - 500000, 3, 100);
    mirror_step(&sh->live, i->history, now - 500000, 1, 100);
    sh->its.at_ms = sh->live.at_ms = sh->at_ms;
}

static void same_mirror(const struct mirror *a, const struct mirror *b)
{
    struct mirror_sum x = mirror_sum(a), y = mirror_sum(b);
    assert_true(x.hours > 0 || a->jobs == 0);
    assert_true(fabs(x.hours - y.hours) < 1e-9 && fabs(x.wait_hours - y.wait_hours) < 1e-9);
    assert_true(x.jobs == y.jobs && x.waiting == y.waiting && fabs(x.wait_p95_s - y.wait_p95_s) < 1e-9);
    assert_true(a->live == b->live && a->run == b->run);
    for (int32_t k = 0; k < a->live; k++)
        assert_int_equal(a->free_ms[k], b->free_ms[k]);
    assert_int_equal(a->waiting_ms[a->first], b->waiting_ms[b->first]);
}

static void what_policies_learned_and_a_shadow_cost_survive_a_kill(void **state)
{
    (void)state;
    static const char *const sets[] = {"scale.tickMilliseconds=60000", "scale.policy=slo", "scale.rememberSeconds=0.1",
                                       NULL};
    struct rig *r = remembering_as(sets);
    struct scale *s = begun(r);
    learn(r, s);
    struct scale_decision decided[2] = {{.at_ms = 1000, .from = 1, .to = 4, .policy = "slo", .reason = "\"four\" wait"},
                                        {.at_ms = 2000, .from = 4, .to = 3, .policy = "slo", .reason = "one went"}};
    memcpy(s->items->shadow->decisions, decided, sizeof decided);
    s->items->shadow->n_decisions = 2;
    struct mirror its = s->items->shadow->its, live = s->items->shadow->live;
    assert_true(its.jobs > 0 && its.waiting > 0 && its.live == 3);
    rig_forget_calls(r);
    rig_until_call(r, "memo scale.view photo"); /* by itself, of the timer */
    rig_turn(r, 20);
    struct json_object *text = memo_view_whole(s->items);
    killed(r, s);

    struct scale_item *i = scale_item_new("photo");
    struct bp_err err = {0};
    const char *written = memo_text(r, "scale.view");
    struct json_object *o = json_parse(written, strlen(written), &err);
    assert_non_null(o);
    assert_string_equal(json_text(o), json_text(text));
    assert_true(shadow_begin(i, policy_find("slo")));
    memo_view_take(i, o, loop_now_ms(r->loop));
    assert_int_equal(i->shadow->desired, 3);
    assert_true(fabs(i->shadow->hours - 1.5) < 1e-9 && fabs(i->shadow->live_hours - 2.25) < 1e-9);
    same_mirror(&its, &i->shadow->its);
    same_mirror(&live, &i->shadow->live);
    assert_int_equal(i->shadow->n_decisions, 2);
    assert_memory_equal(i->shadow->decisions, decided, sizeof decided);
    assert_true(((const struct slo_memory *)i->shadow->memory)->price.late == 0.5);
    json_object_put(text);
    json_object_put(o);
    scale_item_free(i);

    s = begun(r);
    const struct slo_memory *m = s->items->memory;
    assert_true(m->price.log_factor == 1.25 && m->price.late == 0.0625 && m->price.seen == 321);
    assert_true(mirror_sum(&s->items->shadow->its).wait_hours >= mirror_sum(&its).wait_hours);
    quit(r, s);
}

/* As a window of a schedule, or an operator, has another one decide for a while. */
static void what_a_policy_learned_waits_while_another_decides(void **state)
{
    (void)state;
    static const char *const sets[] = {"scale.tickMilliseconds=60000", "scale.policy=slo", NULL};
    struct rig *r = remembering_as(sets);
    struct bp_err err = {0};
    const char *name;
    struct scale *s = begun(r);
    ((struct slo_memory *)s->items->memory)->price.late = 0.25;
    assert_int_equal(scale_shadow(s, "photo", "direct", &err), 0);
    assert_int_equal(scale_adopt(s, "photo", &name, &err), 0);
    assert_string_equal(s->items->policy, "direct");
    struct json_object *o = memo_view_whole(s->items);
    assert_true(json_num(json_member(json_member(o, "learned"), "slo"), "late_share", 0) == 0.25);
    json_object_put(o);
    assert_int_equal(scale_disown(s, "photo", &err), 0);
    rig_until(r, decides_slo, s);
    assert_true(((struct slo_memory *)s->items->memory)->price.late == 0.25);
    quit(r, s);
}

static void a_boot_is_measured_by_stage(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct scale *s = begun(r);
    static const char *const told[] = {"requested", "running", "registered", "device_ready", "ready", "first_job"};
    for (int k = 0; k < 6; k++)
        bus_publish(r->bus, EVENT_FLEET_BOOT, "photo", "i-1", told[k], (int64_t)k * 1000);
    rig_turn(r, 20);
    const float *stage = s->items->history->stage_s;
    for (int k = 0; k < HISTORY_STAGES; k++)
        assert_true(stage[k] > (k ? stage[k - 1] : 0));
    assert_int_equal(s->items->history->launches, 1);
    assert_int_equal(s->items->history->boots, 1);
    assert_true(s->items->history->boot_s[0] == 4);
    struct json_object *o = scale_describe(s, "photo");
    struct json_object *measured = json_member(json_object_array_get_idx(o, 0), "measured");
    assert_true(json_num(json_member(measured, "stage_s"), "device_ready", 0) > 0);
    json_object_put(o);
    quit(r, s);
}

static void what_is_the_same_is_not_written_again(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct scale *s = begun(r);
    measure(r, s);
    memos_stop(s);
    rig_until(r, is_written, NULL);
    rig_turn(r, 20);
    rig_forget_calls(r);
    memos_stop(s);
    rig_turn(r, 50);
    assert_int_equal(rig_calls(r, "memo"), 0);
    s->items->history->launches++;
    memos_stop(s);
    rig_until_call(r, "memo scale.view photo");
    quit(r, s);
}

static void text_that_makes_no_sense_counts_for_nothing(void **state)
{
    (void)state;
    struct rig *r = remembering();
    remember(r, 0, "scale.rules", "photo",
             "{\"v\":1,\"rules\":[{\"rule\":\"hold\",\"value\":-7},3,{\"rule\":\"moon\"}]}");
    remember(r, 1, "scale.view", "photo",
             "{\"v\":1,\"boots\":-4,\"boot_s\":[1,\"x\",null,-3,1e999],\"stage_s\":7,\"instance_hours\":-1,"
             "\"on_demand\":{\"n\":-9,\"most\":1e300,\"spent_h\":-2}}");
    remember(r, 2, "fleet.lives", "", "not JSON");
    remember(r, 3, "scale.view", "nobody", "{\"v\":1}");
    struct scale *s = begun(r);
    const struct scale_item *i = s->items;
    assert_int_equal(i->hold_size, -1);
    for (uint64_t k = 0; k < i->history->boots; k++)
        assert_true(isfinite(i->history->boot_s[k]) && i->history->boot_s[k] >= 0);
    assert_true(i->history->instance_s >= 0 && i->allowance.n == 0 && i->allowance.most == 0);
    assert_true(i->allowance.spent_h >= 0);
    quit(r, s);
    r = remembering();
    remember(r, 0, "scale.rules", "photo", "{\"v\":2,\"rules\":[{\"rule\":\"hold\",\"value\":4}]}");
    s = begun(r);
    assert_int_equal(s->items->hold_size, -1);
    quit(r, s);
}

static int is_resized_to_two(struct rig *r, const void *arg)
{
    (void)r, (void)arg;
    return resized == 2;
}

static void a_queue_that_keeps_no_memos_is_told_of_and_works(void **state)
{
    (void)state;
    struct rig *r = remembering();
    struct bp_err err = {0};
    r->keeps_memos = 0;
    struct scale *s = begin(r);
    rig_turn(r, 150);
    assert_int_equal(scale_hold(s, "photo", 2, 0, "ada", &err), 0);
    assert_int_equal(keep(r, s), BP_UNSUPPORTED);
    rig_until(r, is_resized_to_two, NULL);
    quit(r, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_operator_imposed_survives_a_kill),
        cmocka_unit_test(what_has_expired_or_was_ended_is_gone_from_the_queue_too),
        cmocka_unit_test(what_expires_while_a_write_is_under_way_is_written_too),
        cmocka_unit_test(each_command_is_answered_at_its_own_write),
        cmocka_unit_test(what_is_said_at_another_controller_counts_at_the_next_tick),
        cmocka_unit_test(an_adoption_ends_when_the_settings_name_another_policy),
        cmocka_unit_test(what_was_measured_of_instances_survives_a_restart),
        cmocka_unit_test(what_was_learned_of_promises_survives_a_restart),
        cmocka_unit_test(what_policies_learned_and_a_shadow_cost_survive_a_kill),
        cmocka_unit_test(what_a_policy_learned_waits_while_another_decides),
        cmocka_unit_test(a_boot_is_measured_by_stage),
        cmocka_unit_test(what_is_the_same_is_not_written_again),
        cmocka_unit_test(text_that_makes_no_sense_counts_for_nothing),
        cmocka_unit_test(a_queue_that_keeps_no_memos_is_told_of_and_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
