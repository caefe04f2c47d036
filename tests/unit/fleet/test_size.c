/* SPDX-License-Identifier: Apache-2.0 */
/* Growing and shrinking: what the provider is asked for, and what is left alone. */
#include "fleet/fixture.h"

#include <string.h>

static void a_fleet_grows_by_an_absolute_number(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 1, NEVER);
    assert_int_equal(resize(&f, 3), 0);
    assert_int_equal(resize(&f, 4), BP_LATER); /* one change at a time */
    rig_until_call(f.rig, "grow photo 3");
    until_counts(&f, 1, 0, 0);
    look(&f);
    assert_int_equal(counts(&f).desired, 3);
    assert_int_equal(counts(&f).pending, 2);
    assert_int_equal(rig_calls(f.rig, "grow"), 1);
    end(&f);
}

static void growing_that_fails_can_be_tried_again(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    atomic_store(&f.rig->grow_rc, BP_IO);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "grow photo 1");
    look(&f);
    assert_int_equal(counts(&f).desired, 0);
    atomic_store(&f.rig->grow_rc, 0);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_calls(f.rig, "grow photo 1", 2);
    end(&f);
}

static void shrinking_takes_idle_instances_and_leaves_busy_ones(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3, NEVER);
    rig_lease(f.rig, "i-1", 1);
    rig_lease(f.rig, "i-3", 2);
    until_counts(&f, 3, 0, 2);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "terminate photo i-2");
    look(&f);
    look(&f);
    assert_int_equal(rig_calls(f.rig, "terminate"), 1);
    assert_int_equal(rig_calls(f.rig, "drain"), 1);
    assert_int_equal(resize(&f, 0), BP_LATER); /* the rest is busy */
    end(&f);
}

static void of_idle_instances_the_longest_idle_goes_first(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3, NEVER);
    rig_lease(f.rig, "i-1", 1);
    rig_lease(f.rig, "i-3", 1);
    until_counts(&f, 3, 0, 2);
    rig_turn(f.rig, 5);
    rig_lease(f.rig, "i-1", 0);
    until_counts(&f, 3, 0, 1);
    rig_turn(f.rig, 5);
    rig_lease(f.rig, "i-3", 0);
    until_counts(&f, 3, 0, 0);
    assert_int_equal(resize(&f, 2), 0);
    rig_until_call(f.rig, "terminate photo i-2");
    look(&f);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "terminate photo i-1");
    end(&f);
}

static void an_instance_that_is_still_starting_can_be_ended(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    assert_int_equal(resize(&f, 1), 0);
    rig_until_call(f.rig, "grow photo 1");
    look(&f);
    assert_int_equal(counts(&f).pending, 1);
    assert_int_equal(resize(&f, 0), 0);
    rig_until_call(f.rig, "terminate photo n-1");
    rig_assert_order(f.rig, "drain n-1", "workers", "terminate photo n-1");
    end(&f);
}

/* One that is being ended is not counted twice: the provider lowers desired itself. */
static void growth_while_one_ends_asks_for_no_more_than_wanted(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 3, NEVER);
    unsigned looks = rig_calls(f.rig, "describe");
    assert_int_equal(resize(&f, 2), 0);
    rig_until_calls(f.rig, "describe", looks + 1);
    atomic_store(&f.rig->cloud_closed, 1); /* the terminate stands before the provider, as slow clouds have it */
    while (strstr(shown(&f, "instances"), "draining") == NULL || resize(&f, 4) == BP_LATER)
        rig_turn(f.rig, 2);
    atomic_store(&f.rig->cloud_closed, 0);
    rig_until_call(f.rig, "grow photo");
    look(&f);
    look(&f);
    assert_int_equal(counts(&f).desired, 4);
    end(&f);
}

static void a_fleet_that_was_never_described_is_not_changed(void **state)
{
    struct fixture f;
    struct bp_err err = {0};
    struct fleet_counts c;
    (void)state;
    begin(&f, 0, NEVER);
    assert_int_equal(fleet_resize(f.fleets, "video", 1, "", &err), BP_NOTFOUND);
    assert_int_equal(fleet_counts(f.fleets, "video", &c), BP_NOTFOUND);
    end(&f);
}

static void a_new_workflow_gets_its_fleet_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    f.rig->n_workflows = 2;
    bus_publish(f.rig->bus, EVENT_PLUGIN_STATE, "video", "workflow", (int64_t)1, "ready", "running", "");
    rig_until_call(f.rig, "ensure video 10");
    end(&f);
}

static void a_fleet_whose_workflow_is_gone_is_emptied(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 2, OFTEN);
    f.rig->n_workflows = 0;
    rig_until_call(f.rig, "terminate photo i-1");
    rig_until_call(f.rig, "terminate photo i-2");
    end(&f);
}

static void a_larger_max_size_is_told_to_the_provider(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    f.rig->workflows[0].max_size = 20;
    look(&f);
    rig_until_call(f.rig, "ensure photo 20");
    look(&f);
    assert_int_equal(rig_calls(f.rig, "ensure"), 2); /* and once each */
    end(&f);
}

static void a_cloud_that_comes_up_anew_is_asked_again(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, NEVER);
    assert_int_equal(rig_calls(f.rig, "ensure photo"), 1);
    bus_publish(f.rig->bus, EVENT_PLUGIN_STATE, "cloudy", "cloud", (int64_t)2, "ready", "running", "");
    rig_until_calls(f.rig, "ensure photo", 2);
    end(&f);
}

/* The answer to fleet_correct(), as text. */
struct told {
    char text[512];
    int rc;
};

static void tell(const struct bp_err *err, struct json_object *answer, void *arg)
{
    struct told *t = arg;
    t->rc = err->rc;
    snprintf(t->text, sizeof t->text, "%s", answer ? json_object_to_json_string(answer) : err->text);
}

static void a_fleet_is_held_against_its_workflow_when_asked(void **state)
{
    struct fixture f;
    struct told t = {.rc = 1};
    (void)state;
    begin(&f, 0, NEVER);
    fleet_correct(f.fleets, "photo", 1, tell, &t);
    rig_until_calls(f.rig, "ensure photo", 2);
    while (t.rc == 1)
        rig_turn(f.rig, 5);
    assert_int_equal(t.rc, 0);
    assert_non_null(strstr(t.text, "\"state\": \"right\""));
    t.rc = 1;
    atomic_store(&f.rig->ensure_rc, BP_DENIED);
    fleet_correct(f.fleets, NULL, 0, tell, &t);
    while (t.rc == 1)
        rig_turn(f.rig, 5);
    assert_non_null(strstr(t.text, "\"state\": \"failed\", \"text\": \"the test said so\""));
    end(&f);
}

static void an_ensure_that_fails_is_tried_again(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, 0, OFTEN);
    atomic_store(&f.rig->ensure_rc, BP_DENIED);
    f.rig->workflows[0].max_size = 20;
    rig_until_calls(f.rig, "ensure photo 20", 3);
    atomic_store(&f.rig->ensure_rc, 0);
    unsigned n = rig_calls(f.rig, "ensure photo 20");
    rig_until_calls(f.rig, "ensure photo 20", n + 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_grows_by_an_absolute_number),
        cmocka_unit_test(growing_that_fails_can_be_tried_again),
        cmocka_unit_test(shrinking_takes_idle_instances_and_leaves_busy_ones),
        cmocka_unit_test(of_idle_instances_the_longest_idle_goes_first),
        cmocka_unit_test(an_instance_that_is_still_starting_can_be_ended),
        cmocka_unit_test(growth_while_one_ends_asks_for_no_more_than_wanted),
        cmocka_unit_test(a_fleet_that_was_never_described_is_not_changed),
        cmocka_unit_test(a_new_workflow_gets_its_fleet_at_once),
        cmocka_unit_test(a_fleet_whose_workflow_is_gone_is_emptied),
        cmocka_unit_test(a_larger_max_size_is_told_to_the_provider),
        cmocka_unit_test(a_cloud_that_comes_up_anew_is_asked_again),
        cmocka_unit_test(a_fleet_is_held_against_its_workflow_when_asked),
        cmocka_unit_test(an_ensure_that_fails_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
