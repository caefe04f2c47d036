/* SPDX-License-Identifier: Apache-2.0 */
#include "host/rig.h"
#include <stdlib.h>
#include <sys/stat.h>

static void brings_up_what_it_finds_and_routes_it(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_put(r, "queue-1", "store");
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    assert_true(bus_has_service(r->bus, "queue"));
    assert_string_equal(rig_param(r, "version"), "1");
    assert_non_null(strstr(rig_param(r, "settings"), "\"greeting\":\"hello\""));
    assert_non_null(strstr(rig_param(r, "settings"), "\"_bpd\":{\"role\":\"test\"}"));
    const struct workflow *w = host_workflow(r->host, "flow");
    assert_non_null(w);
    assert_int_equal(w->max_size, 5);
    assert_int_equal(host_workflow_count(r->host), 1);
    assert_string_equal(host_nearest_workflow(r->host, "flwo"), "flow");
    assert_string_equal(rig_entry(r, "sky", "running", "services"), "[ \"params\" ]");
    const char *arrows[] = {"sky 0 >found",        "sky 1 found>vetted",   "sky 1 vetted>loaded",  "sky 1 loaded>ready",
                            "sky 1 ready>running", "flow 1 ready>running", "store 1 ready>running"};
    for (size_t i = 0; i < sizeof(arrows) / sizeof(arrows[0]); i++)
        rig_assert_arrow(r, arrows[i]);
    rig_free(r);
}

static void settles_with_no_plugins_at_all(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    assert_false(bus_has_service(r->bus, "queue"));
    rig_free(r);
}

static void a_file_dropped_in_is_brought_up(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    rig_put(r, "flow-1", "flow");
    rig_until_arrow(r, "flow 1 ready>running");
    assert_non_null(host_workflow(r->host, "flow"));
    rig_free(r);
}

static int is_answered(struct rig *r, const void *arg)
{
    (void)r;
    return ((const char *)arg)[0] != '\0';
}

static void a_request_in_flight_ends_on_the_old_generation_while_routes_flip(void **state)
{
    (void)state;
    char slow[256], gate[600];
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    snprintf(gate, sizeof(gate), "%s/gate", r->dir);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    rig_param_send(r, gate, slow);
    rig_put(r, "cloud-2", "sky");
    rig_until_arrow(r, "sky 2 ready>running");
    assert_string_equal(rig_param(r, "version"), "2");
    assert_string_equal(slow, "");
    assert_string_equal(rig_entry(r, "sky", "draining", "generation"), "1");
    assert_string_equal(rig_entry(r, "sky", "draining", "in_flight"), "1");
    fclose(fopen(gate, "w"));
    rig_until(r, is_answered, slow);
    assert_string_equal(slow, "1");
    rig_until_arrow(r, "sky 1 draining>retired");
    rig_free(r);
}

static void a_broken_replacement_leaves_the_old_one_serving(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    rig_put(r, "cloud-failing", "sky");
    rig_until_arrow(r, "sky 2 loaded>refused its start failed: open the test door");
    assert_string_equal(rig_param(r, "version"), "1");
    assert_string_equal(rig_entry(r, "sky", "running", "generation"), "1");
    assert_non_null(strstr(rig_entry(r, "sky", "running", "reason"), "open the test door"));
    rig_write(r, "cloud-2", "sky", 5000);
    rig_until_arrow(r, "sky 0 found>refused the file ends too early");
    assert_string_equal(rig_param(r, "version"), "1");
    rig_put(r, "cloud-2", "sky");
    rig_until_arrow(r, "sky 3 ready>running");
    assert_string_equal(rig_param(r, "version"), "2");
    assert_string_equal(rig_entry(r, "sky", "running", "reason"), "");
    rig_free(r);
}

static void a_file_still_being_written_is_waited_for(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    rig_write(r, "cloud-1", "sky", 3000);
    int64_t began = mono_ms();
    rig_until_arrow(r, "sky 0 >found");
    rig_pause(r, 300);
    rig_write(r, "cloud-1", "sky", 0);
    int in_time = mono_ms() - began < 1500; /* else this machine was too slow to prove it */
    rig_until_arrow(r, "sky 1 ready>running");
    assert_true(!in_time || !rig_has_arrow(r, "refused"));
    rig_free(r);
}

static void the_same_content_again_is_no_new_generation(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    r->arrows[0] = '\0';
    rig_put(r, "cloud-1", "sky");
    rig_until_arrow(r, "sky 0 >found");
    rig_put(r, "flow-1", "flow");
    rig_until_arrow(r, "flow 1 ready>running");
    assert_string_equal(rig_entry(r, "sky", NULL, "generation"), "1");
    rig_free(r);
}

static void removing_a_file_drains_its_workflow_until_the_last_lease(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    host_set_leases(r->host, "flow", 2);
    rig_remove(r, "flow");
    rig_until_arrow(r, "flow 1 running>draining its file was removed; 2 leases still run");
    assert_int_equal(host_workflow(r->host, "flow")->draining, 1);
    host_set_leases(r->host, "flow", 1);
    assert_non_null(host_workflow(r->host, "flow"));
    host_set_leases(r->host, "flow", 0);
    rig_until_arrow(r, "flow 1 draining>retired");
    assert_null(host_workflow(r->host, "flow"));
    rig_free(r);
}

static void a_workflow_that_comes_back_while_it_drains_serves_on(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "flow-1", "flow");
    host_set_leases(r->host, "flow", 1); /* told before the workflow is up, as after a restart */
    rig_start(r);
    rig_remove(r, "flow");
    rig_until_arrow(r, "flow 1 running>draining its file was removed; 1 lease still runs");
    rig_put(r, "flow-2", "renamed");
    rig_until_arrow(r, "flow 2 ready>running");
    const struct workflow *w = host_workflow(r->host, "flow");
    assert_int_equal(w->draining, 0);
    assert_string_equal(w->version, "2");
    rig_until_arrow(r, "flow 1 draining>retired");
    rig_free(r);
}

static void removing_a_provider_takes_its_service_away(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    rig_remove(r, "sky");
    rig_until_arrow(r, "sky 1 draining>retired");
    assert_false(bus_has_service(r->bus, "params"));
    assert_non_null(strstr(rig_param(r, "version"), "no running plugin offers"));
    rig_free(r);
}

static void automatic_loading_can_be_turned_off(void **state)
{
    (void)state;
    const char *sets[] = {"plugins.auto=false", NULL};
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    rig_put(r, "cloud-2", "sky");
    rig_put(r, "flow-1", "flow");
    rig_pause(r, 600);
    assert_string_equal(rig_param(r, "version"), "1");
    assert_null(host_workflow(r->host, "flow"));
    host_load(r->host, "flow.so", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    assert_non_null(host_workflow(r->host, "flow"));
    host_reload(r->host, "sky", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    assert_string_equal(rig_param(r, "version"), "2");
    rig_free(r);
}

static void an_operator_loads_reloads_and_retires(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    host_reload(r->host, "sky", rig_done, r); /* the same content, but asked for */
    assert_int_equal(rig_outcome(r), 0);
    rig_assert_arrow(r, "sky 2 ready>running");
    host_reload(r->host, "skye", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_NOTFOUND);
    assert_non_null(strstr(r->outcome.text, "did you mean \"sky\""));
    host_load(r->host, "/nowhere/x.so", rig_done, r);
    assert_int_not_equal(rig_outcome(r), 0);
    host_load(r->host, "a/b.so", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_INVALID);
    host_retire(r->host, "sky", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    assert_false(bus_has_service(r->bus, "params"));
    host_retire(r->host, "sky", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_CONFLICT);
    assert_string_equal(rig_entry(r, "sky", NULL, "state"), "retired");
    host_reload(r->host, "sky", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    assert_string_equal(rig_param(r, "version"), "1");
    struct json_object *one = host_describe_one(r->host, "sky");
    assert_non_null(json_member(one, "manifest"));
    assert_true(json_object_array_length(json_member(one, "history")) > 8);
    json_object_put(one);
    rig_free(r);
}

static void a_failed_reload_tells_why(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    assert_int_equal(chmod(rig_path(r, "sky"), 0666), 0);
    host_reload(r->host, "sky", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_DENIED);
    assert_non_null(strstr(r->outcome.text, "writable by its group"));
    assert_string_equal(rig_param(r, "version"), "1");
    rig_free(r);
}

static void a_slow_older_generation_does_not_replace_a_newer_one(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    rig_put(r, "slow-start", "slow");
    rig_until_arrow(r, "slow 1 vetted>loaded");
    rig_put(r, "quick-start", "slow");
    rig_until_arrow(r, "slow 2 ready>running");
    rig_until_arrow(r, "slow 1 ready>draining a newer generation runs already");
    rig_until_arrow(r, "slow 1 draining>retired");
    assert_string_equal(rig_param(r, "version"), "2");
    rig_free(r);
}

static void a_plugin_whose_file_goes_while_it_starts_never_serves(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    rig_put(r, "slow-start", "slow");
    rig_until_arrow(r, "slow 1 vetted>loaded");
    rig_remove(r, "slow");
    rig_until_arrow(r, "slow 1 ready>draining its file was removed while it started");
    assert_false(rig_has_arrow(r, ">running"));
    rig_until_arrow(r, "slow 1 draining>retired");
    rig_free(r);
}

static void a_stop_waits_for_what_is_starting(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    rig_put(r, "slow-start", "slow");
    rig_until_arrow(r, "slow 1 vetted>loaded");
    rig_free(r);
}

static void a_growing_file_is_found_once_a_change(void **state)
{
    int found = 0;
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_start(r);
    rig_write(r, "cloud-1", "sky", 3000);
    rig_until_arrow(r, "found>refused the file ends too early");
    for (const char *p = r->arrows; (p = strstr(p, ">found")); p++)
        found++;
    assert_in_range(found, 1, 3); /* a slow machine may see it twice while it is written; never each retry */
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brings_up_what_it_finds_and_routes_it),
        cmocka_unit_test(settles_with_no_plugins_at_all),
        cmocka_unit_test(a_file_dropped_in_is_brought_up),
        cmocka_unit_test(a_request_in_flight_ends_on_the_old_generation_while_routes_flip),
        cmocka_unit_test(a_broken_replacement_leaves_the_old_one_serving),
        cmocka_unit_test(a_file_still_being_written_is_waited_for),
        cmocka_unit_test(the_same_content_again_is_no_new_generation),
        cmocka_unit_test(removing_a_file_drains_its_workflow_until_the_last_lease),
        cmocka_unit_test(a_workflow_that_comes_back_while_it_drains_serves_on),
        cmocka_unit_test(removing_a_provider_takes_its_service_away),
        cmocka_unit_test(automatic_loading_can_be_turned_off),
        cmocka_unit_test(an_operator_loads_reloads_and_retires),
        cmocka_unit_test(a_failed_reload_tells_why),
        cmocka_unit_test(a_slow_older_generation_does_not_replace_a_newer_one),
        cmocka_unit_test(a_plugin_whose_file_goes_while_it_starts_never_serves),
        cmocka_unit_test(a_stop_waits_for_what_is_starting),
        cmocka_unit_test(a_growing_file_is_found_once_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
