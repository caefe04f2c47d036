/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine tells of launches that fail, and what it tells the provider of on-demand instances. */
#include "fleet/fixture.h"

#include <stdio.h>
#include <string.h>

static void lose(struct fixture *f, const char *reason, int64_t ago_ms)
{
    struct bp_activity *a;
    pthread_mutex_lock(&f->rig->lock);
    memmove(&f->rig->activities[1], &f->rig->activities[0], sizeof f->rig->activities[0] * 7);
    a = &f->rig->activities[0];
    memset(a, 0, sizeof *a);
    a->at_ms = loop_now_ms(f->rig->loop) - ago_ms;
    a->failed = 1;
    snprintf(a->reason, sizeof a->reason, "%s", reason);
    f->rig->n_activities++;
    pthread_mutex_unlock(&f->rig->lock);
    look(f);
    look(f);
}

static struct fleet_trouble trouble(struct fixture *f)
{
    struct fleet_trouble t;
    assert_int_equal(fleet_trouble(f->fleets, "photo", &t), 0);
    return t;
}

static void only_want_of_capacity_and_quota_count_and_for_ten_minutes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    lose(&f, "capacity", 601000);
    assert_int_equal(trouble(&f).failures, 0);
    assert_true(trouble(&f).last_failure_ms > 0);
    lose(&f, "capacity", 1000);
    lose(&f, "quota", 500);
    lose(&f, "image", 200);
    assert_int_equal(trouble(&f).failures, 2);
    end(&f);
}

static void spot_and_on_demand_instances_are_told_apart(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, NEVER);
    pthread_mutex_lock(&f.rig->lock);
    f.rig->machines[0].instance.spot = 1;
    pthread_mutex_unlock(&f.rig->lock);
    look(&f);
    assert_int_equal(trouble(&f).on_demand, 1);
    assert_int_equal(trouble(&f).last_spot_ms, f.rig->machines[0].instance.launched_ms);
    end(&f);
}

static void the_provider_is_told_once_of_each_number(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    for (int i = 0; i < 3; i++) {
        fleet_afford(f.fleets, "photo", 2, "no Spot");
        rig_until_call(f.rig, "afford photo 2");
        rig_turn(f.rig, 20);
    }
    assert_int_equal(rig_calls(f.rig, "afford"), 1);
    assert_string_equal(shown(&f, "on_demand_allowed"), "2");
    fleet_afford(f.fleets, "photo", 0, "Spot is back");
    rig_until_call(f.rig, "afford photo 0");
    end(&f);
}

static void what_failed_is_told_again_and_what_it_does_not_know_never(void **state)
{
    struct fixture f;
    struct fleet_trouble t;
    (void)state;
    begin(&f, 0, NEVER);
    atomic_store(&f.rig->afford_rc, BP_LATER);
    fleet_afford(f.fleets, "photo", 1, "no Spot");
    rig_until_call(f.rig, "afford photo 1");
    rig_turn(f.rig, 20);
    atomic_store(&f.rig->afford_rc, BP_UNSUPPORTED);
    fleet_afford(f.fleets, "photo", 1, "no Spot");
    rig_until_calls(f.rig, "afford photo 1", 2);
    rig_turn(f.rig, 20);
    fleet_afford(f.fleets, "photo", 1, "no Spot");
    rig_turn(f.rig, 20);
    assert_int_equal(rig_calls(f.rig, "afford"), 2);
    assert_int_equal(fleet_trouble(f.fleets, "photo", &t), BP_NOTFOUND);
    end(&f);
}

static void the_penalty_box_is_shown(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    snprintf(f.rig->penalties, sizeof f.rig->penalties, "[{\"type\":\"g5.xlarge\",\"zone\":\"us-east-1a\"}]");
    look(&f);
    look(&f);
    assert_non_null(strstr(shown(&f, "penalties"), "us-east-1a"));
    f.rig->penalties[0] = 0;
    look(&f);
    look(&f);
    assert_string_equal(shown(&f, "penalties"), "");
    end(&f);
}

/* As another process, or this one before, has kept it. */
static void what_the_provider_has_learned_is_kept_and_told_to_it_again(void **state)
{
    struct fixture f;
    struct bp_err err = {0};
    (void)state;
    begin(&f, 0, NEVER);
    snprintf(f.rig->learned, sizeof f.rig->learned, "{\"pools\":[1,2]}");
    look(&f);
    struct json_object *kept = fleet_lives(f.fleets);
    assert_string_equal(json_text(json_member(kept, "provider")), "{\"pools\":[1,2]}");
    assert_int_equal(rig_calls(f.rig, "recall"), 0);

    f.rig->learned[0] = 0; /* it has started anew */
    bus_publish(f.rig->bus, EVENT_PLUGIN_STATE, "aws", "cloud", (int64_t)2, "ready", "running", "");
    rig_until_call(f.rig, "recall {\"pools\":[1,2]}");
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "recall"), 1);

    const char *text = "{\"v\":1,\"pools\":[],\"provider\":{\"pools\":[3]}}";
    struct json_object *other = json_parse(text, strlen(text), &err);
    assert_non_null(other);
    fleet_take_lives(f.fleets, other);
    struct json_object *pending = fleet_lives(f.fleets);
    assert_string_equal(json_text(json_member(pending, "provider")), "{\"pools\":[3]}");
    rig_until_call(f.rig, "recall {\"pools\":[3]}");
    json_object_put(kept);
    json_object_put(pending);
    json_object_put(other);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_want_of_capacity_and_quota_count_and_for_ten_minutes),
        cmocka_unit_test(spot_and_on_demand_instances_are_told_apart),
        cmocka_unit_test(the_provider_is_told_once_of_each_number),
        cmocka_unit_test(what_failed_is_told_again_and_what_it_does_not_know_never),
        cmocka_unit_test(the_penalty_box_is_shown),
        cmocka_unit_test(what_the_provider_has_learned_is_kept_and_told_to_it_again),
    };
    return cmocka_run_group_tests_name("fleet_afford", tests, NULL, NULL);
}
