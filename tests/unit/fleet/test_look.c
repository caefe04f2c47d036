/* SPDX-License-Identifier: Apache-2.0 */
/* What a look learns, and that nothing changes while the world does not answer. */
#include "fleet/fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void a_describe_that_fails_holds_what_was_known(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, OFTEN);
    int64_t described_ms = counts(&f).described_ms;
    atomic_store(&f.rig->describe_rc, BP_IO);
    rig_turn(f.rig, 20);
    rig_until_calls(f.rig, "describe", rig_calls(f.rig, "describe") + 2);
    rig_turn(f.rig, 20);
    assert_string_equal(shown(&f, "error"), "\"the test said so\"");
    assert_int_equal(counts(&f).running, 2);
    int64_t held_ms = counts(&f).described_ms;
    assert_true(held_ms >= described_ms);
    rig_until_calls(f.rig, "describe", rig_calls(f.rig, "describe") + 2);
    assert_int_equal(counts(&f).described_ms, held_ms); /* so that the scaling sees how old it is */
    end(&f);
}

static void nothing_is_ended_while_the_queue_does_not_say_who_is_busy(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, OFTEN);
    atomic_store(&f.rig->queue_rc, BP_IO);
    assert_int_equal(resize(&f, 0), 0);
    rig_turn(f.rig, 300);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    atomic_store(&f.rig->queue_rc, 0);
    rig_until_call(f.rig, "terminate photo i-1");
    end(&f);
}

static void the_boot_time_is_learned_once_an_instance(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    assert_true(counts(&f).boot_s == 8);
    rig_machine(f.rig, "i-1", 100000); /* it registers again */
    look(&f);
    assert_true(counts(&f).boot_s == 8);
    rig_machine(f.rig, "i-2", 18000);
    look(&f);
    assert_true(counts(&f).boot_s == 10); /* 8 + (18 - 8) / 5 */
    end(&f);
}

static void at(struct fixture *f, uint32_t k, const char *zone, int interrupting)
{
    pthread_mutex_lock(&f->rig->lock);
    struct bp_instance *i = &f->rig->machines[k].instance;
    i->spot = 1;
    snprintf(i->zone, sizeof i->zone, "%s", zone);
    i->interrupting = interrupting;
    pthread_mutex_unlock(&f->rig->lock);
}

/* In zone a instances are interrupted, in b they live. */
static void lives_are_learned_by_zone(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3, NEVER);
    assert_true(isinf(fleet_life_s(f.fleets, "photo", "i-1"))); /* on demand */
    assert_true(isinf(fleet_life_s(f.fleets, "photo", "elsewhere")));
    for (uint32_t k = 0; k < 3; k++)
        at(&f, k, k ? "b" : "a", 0);
    look(&f);
    double before_s = fleet_life_s(f.fleets, "photo", "i-1");
    assert_true(fabs(before_s - 50 * 3600) < 60);
    rig_lease(f.rig, "i-1", 1); /* which keeps it here */
    at(&f, 0, "a", 1);
    look(&f);
    assert_true(fleet_life_s(f.fleets, "photo", "i-1") < 120); /* on notice */
    at(&f, 0, "a", 0);
    at(&f, 2, "a", 0);
    look(&f);
    assert_true(fleet_life_s(f.fleets, "photo", "i-3") < before_s);
    assert_true(fabs(fleet_life_s(f.fleets, "photo", "i-2") - before_s) < 60);
    assert_int_equal(resize(&f, 1), 0); /* i-1 is going already */
    rig_until_call(f.rig, "terminate photo i-3");
    assert_int_equal(rig_calls(f.rig, "terminate"), 1);
    end(&f);
}

static void launch_failed(struct fixture *f, int64_t at_ms, const char *reason)
{
    pthread_mutex_lock(&f->rig->lock);
    memmove(&f->rig->activities[1], &f->rig->activities[0], f->rig->n_activities * sizeof f->rig->activities[0]);
    f->rig->n_activities++;
    f->rig->activities[0] = (struct bp_activity){.at_ms = at_ms, .failed = 1, .type = "g4dn.xlarge"};
    snprintf(f->rig->activities[0].reason, sizeof f->rig->activities[0].reason, "%s", reason);
    pthread_mutex_unlock(&f->rig->lock);
}

static void failed_launches_are_told_once_and_counted_for_ten_minutes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, OFTEN);
    launch_failed(&f, loop_now_ms(f.rig->loop) - 10, "capacity");
    rig_until_event(f.rig, EVENT_FLEET_LAUNCH_FAILED, 1);
    launch_failed(&f, loop_now_ms(f.rig->loop), "quota");
    rig_until_event(f.rig, EVENT_FLEET_LAUNCH_FAILED, 2);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_LAUNCH_FAILED], "g4dn.xlarge"));
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_LAUNCH_FAILED], "quota"));
    rig_until_calls(f.rig, "describe", rig_calls(f.rig, "describe") + 4);
    assert_int_equal(f.rig->events[EVENT_FLEET_LAUNCH_FAILED], 2);
    assert_int_equal(counts(&f).launch_failures, 2);
    const char *list = shown(&f, "activities");
    assert_true(strstr(list, "quota") < strstr(list, "capacity")); /* newest first */
    f.rig->clock_ahead_ms += 600001;
    assert_int_equal(counts(&f).launch_failures, 0);
    end(&f);
}

static void each_change_of_an_instance_is_an_event(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    assert_int_equal(f.rig->events[EVENT_FLEET_INSTANCE], 1);
    look(&f);
    assert_int_equal(f.rig->events[EVENT_FLEET_INSTANCE], 1);
    rig_lease(f.rig, "i-1", 1); /* else it would be ended */
    pthread_mutex_lock(&f.rig->lock);
    f.rig->machines[0].instance.interrupting = 1;
    pthread_mutex_unlock(&f.rig->lock);
    look(&f);
    look(&f);
    assert_int_equal(f.rig->events[EVENT_FLEET_INSTANCE], 2);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_INSTANCE], "interruption notice"));
    pthread_mutex_lock(&f.rig->lock);
    f.rig->n_machines = 0;
    f.rig->desired = 0;
    pthread_mutex_unlock(&f.rig->lock);
    look(&f);
    assert_int_equal(f.rig->events[EVENT_FLEET_INSTANCE], 3);
    assert_non_null(strstr(f.rig->last_event[EVENT_FLEET_INSTANCE], "\"to\":\"terminated\""));
    until_counts(&f, 0, 0, 0);
    end(&f);
}

static void is_left(void *arg)
{
    ++*(int *)arg;
}

static int has_left(struct rig *r, const void *arg)
{
    (void)r;
    return *(const int *)arg;
}

static void stopping_lets_the_provider_end_its_instances_and_changes_no_more(void **state)
{
    struct fixture f;
    int left = 0;
    (void)state;
    begin(&f, 1, OFTEN);
    atomic_store(&f.rig->cloud_closed, 1);
    rig_completed(f.rig);
    rig_turn(f.rig, 60); /* a look is under way */
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "drain i-1");
    fleets_stop(f.fleets, &(struct fleets_ending){NULL, is_left, &left});
    atomic_store(&f.rig->cloud_closed, 0);
    rig_until(f.rig, has_left, &left);
    assert_int_equal(rig_calls(f.rig, "leave"), 1);
    rig_forget_calls(f.rig);
    rig_completed(f.rig);
    rig_turn(f.rig, 200);
    assert_int_equal(rig_calls(f.rig, "terminate"), 0);
    assert_int_equal(rig_calls(f.rig, "describe"), 0);
    assert_int_equal(left, 1);
    end(&f);
}

static void stopping_without_a_provider_ends_too(void **state)
{
    struct fixture f;
    int left = 0;
    (void)state;
    begin(&f, 0, NEVER);
    bus_route(f.rig->bus, "fleet", NULL, NULL, NULL);
    fleets_stop(f.fleets, &(struct fleets_ending){NULL, is_left, &left});
    rig_until(f.rig, has_left, &left);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_describe_that_fails_holds_what_was_known),
        cmocka_unit_test(nothing_is_ended_while_the_queue_does_not_say_who_is_busy),
        cmocka_unit_test(the_boot_time_is_learned_once_an_instance),
        cmocka_unit_test(lives_are_learned_by_zone),
        cmocka_unit_test(failed_launches_are_told_once_and_counted_for_ten_minutes),
        cmocka_unit_test(each_change_of_an_instance_is_an_event),
        cmocka_unit_test(stopping_lets_the_provider_end_its_instances_and_changes_no_more),
        cmocka_unit_test(stopping_without_a_provider_ends_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
