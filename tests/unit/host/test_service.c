/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, overrides, routes, roles and faults. */
#include "host/rig.h"
#include <bp/scaling.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void settings_come_from_config_with_secrets_resolved(void **state)
{
    const char *sets[] = {"plugin={\"sky\":{\"greeting\":\"salut\",\"password\":\"env:RIG_PASSWORD\"}}", NULL};
    (void)state;
    setenv("RIG_PASSWORD", "open sesame", 1);
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    const char *settings = rig_param(r, "settings");
    assert_non_null(strstr(settings, "\"greeting\":\"salut\""));
    assert_non_null(strstr(settings, "\"count\":3"));
    assert_non_null(strstr(settings, "\"password\":\"open sesame\""));
    rig_free(r);
}

static void refused_settings(const char *config, const char *why)
{
    char set[512], arrow[512];
    const char *sets[] = {set, NULL};
    snprintf(set, sizeof(set), "plugin={\"sky\":%s}", config);
    snprintf(arrow, sizeof(arrow), "sky 0 found>refused config: %s", why);
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    rig_assert_arrow(r, arrow);
    rig_free(r);
}

static void wrong_settings_are_refused_with_the_nearest_key(void **state)
{
    (void)state;
    unsetenv("RIG_NOT_SET");
    refused_settings("{\"greting\":\"x\"}", "unknown key plugin.sky.greting; did you mean \"greeting\"?");
    refused_settings("{\"count\":\"many\"}", "plugin.sky.count must be of type integer");
    refused_settings("{\"count\":10}", "plugin.sky.count is 10, but must be at most 9");
    refused_settings("{\"password\":\"env:RIG_NOT_SET\"}",
                     "plugin.sky.password refers to environment variable RIG_NOT_SET, which is not set");
    refused_settings("{\"password\":\"file:/nowhere/secret\"}",
                     "plugin.sky.password refers to a file: open /nowhere/secret");
    refused_settings("{\"password\":\"param:/x\"}", "plugin.sky.password is a param: reference");
}

/* It was read whoever else could read it, unlike the daemon's own secrets. */
static void a_secret_that_others_can_read_is_refused_to_a_plugin_too(void **state)
{
    char setting[128], why[256], *here = getcwd(NULL, 0);
    (void)state;
    FILE *f = fopen("sky.password", "w");
    assert_true(f && fputs("open sesame\n", f) > 0 && fclose(f) == 0);
    assert_int_equal(chmod("sky.password", 0644), 0);
    snprintf(setting, sizeof setting, "{\"password\":\"file:%.90s/sky.password\"}", here);
    snprintf(why, sizeof why, "plugin.sky.password refers to %.90s/sky.password, which others can read", here);
    refused_settings(setting, why);
    free(here);
}

static void settings_that_are_maps_of_tables_are_checked_inside(void **state)
{
    const char *sets[] = {
        "plugin={\"sky\":{\"places\":{\"one\":{\"host\":\"a\",\"key\":\"env:RIG_PASSWORD\"},\"two\":{}}}}", NULL};
    (void)state;
    setenv("RIG_PASSWORD", "open sesame", 1);
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    assert_non_null(
        strstr(rig_param(r, "settings"), "\"places\":{\"one\":{\"host\":\"a\",\"key\":\"open sesame\"},\"two\":{}}"));
    rig_free(r);
    refused_settings("{\"places\":{\"one\":{\"hots\":\"a\"}}}",
                     "unknown key plugin.sky.places.one.hots; did you mean \"host\"?");
    refused_settings("{\"places\":{\"one\":7}}", "plugin.sky.places.one must be of type object");
    refused_settings("{\"places\":{\"one\":{\"port\":70000}}}",
                     "plugin.sky.places.one.port is 70000, but must be at most 65535");
    refused_settings("{\"places\":{\"one\":{\"key\":\"env:RIG_NOT_SET\"}}}",
                     "plugin.sky.places.one.key refers to environment variable RIG_NOT_SET, which is not set");
    refused_settings("{\"nicknames\":{\"x\":1}}", "plugin.sky.nicknames.x must be of type string");
}

static struct config *config_of(const char *set)
{
    struct bp_err err = {0};
    const char *sets[] = {set};
    struct config_sources src = {.sets = sets, .n_sets = 1};
    struct config *c = config_load(&src, &err);
    if (!c)
        print_error("%s\n", err.text);
    assert_non_null(c);
    return c;
}

static void changed_settings_restart_the_plugin_and_wrong_ones_do_not(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    struct config *second = config_of("plugin={\"sky\":{\"greeting\":\"salut\"}}");
    host_reconfigure(r->host, second);
    rig_until_arrow(r, "sky 2 ready>running");
    assert_non_null(strstr(rig_param(r, "settings"), "salut"));
    struct config *third = config_of("plugin={\"sky\":{\"greeting\":7}}");
    host_reconfigure(r->host, third);
    rig_until_arrow(r, "sky 0 found>refused config: plugin.sky.greeting must be of type string");
    assert_non_null(strstr(rig_param(r, "settings"), "salut"));
    host_reconfigure(r->host, second);
    rig_pause(r, 100);
    assert_string_equal(rig_entry(r, "sky", "running", "generation"), "2");
    rig_free(r);
    config_free(second);
    config_free(third);
}

static void every_workflow_key_can_be_overridden(void **state)
{
    const char *sets[] = {"workflows={\"flow\":{\"maxSize\":2,\"policy\":\"target\",\"scaleToZeroSeconds\":1.5,"
                          "\"instanceTypes\":[\"g4dn.xlarge\"],\"displayName\":\"Other\"}}",
                          NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    const struct workflow *w = host_workflow(r->host, "flow");
    assert_non_null(w);
    assert_int_equal(w->max_size, 2);
    assert_string_equal(w->policy, "target");
    assert_string_equal(w->display_name, "Other");
    assert_true(w->scale_to_zero_s > 1.4 && w->scale_to_zero_s < 1.6);
    assert_string_equal(json_text(json_member(w->manifest, "instanceTypes")), "[\"g4dn.xlarge\"]");
    struct config *second = config_of("workflows={\"flow\":{\"maxSize\":9}}");
    host_reconfigure(r->host, second);
    w = host_workflow(r->host, "flow");
    assert_int_equal(w->max_size, 9);
    assert_null(w->policy);
    assert_int_equal(w->generation, 1);
    struct config *third = config_of("workflows={\"flow\":{\"maxsize\":3}}");
    host_reconfigure(r->host, third);
    assert_int_equal(host_workflow(r->host, "flow")->max_size, 9);
    rig_until_log(r, "workflows.flow: unknown key \\\"maxsize\\\"; did you mean \\\"maxSize\\\"?");
    rig_free(r);
    config_free(second);
    config_free(third);
}

static void a_sandbox_is_narrowed_by_an_override_and_never_widened(void **state)
{
    const char *sets[] = {"workflows={\"flow\":{\"sandbox\":{\"network\":\"loopback\",\"exec\":true}}}", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "flow-1", "flow"); /* asks for nothing */
    rig_put(r, "flow-sandbox", "open");
    rig_start(r);
    const struct workflow *w = host_workflow(r->host, "flow");
    assert_string_equal(json_text(w->sandbox), "{\"network\":\"none\",\"exec\":false,\"read\":[]}");
    w = host_workflow(r->host, "open");
    assert_string_equal(json_text(w->sandbox), "{\"network\":\"loopback\",\"exec\":true,\"read\":[\"/opt/x\"]}");
    struct config *second = config_of("workflows={\"open\":{\"sandbox\":{\"exec\":false,\"read\":[\"/srv\"]}}}");
    host_reconfigure(r->host, second);
    w = host_workflow(r->host, "open");
    assert_string_equal(json_text(w->sandbox), "{\"network\":\"loopback\",\"exec\":false,\"read\":[]}");
    rig_free(r);
    config_free(second);
}

static void a_wrong_override_refuses_the_workflow(void **state)
{
    const char *sets[] = {"workflows={\"flow\":{\"maxSize\":-1}}", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    rig_assert_arrow(r, "flow 1 vetted>refused config: workflows.flow: \"maxSize\" is -1, but must be from 0 to 10000");
    rig_free(r);
}

static void of_two_providers_the_first_by_name_keeps_the_service(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-other", "zenith");
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    assert_string_equal(rig_entry(r, "sky", NULL, "services"), "[ \"params\" ]");
    rig_until_log(r, "service params is offered by sky and zenith; sky keeps it, set services.params to choose");
    rig_remove(r, "sky");
    rig_until_arrow(r, "sky 1 draining>retired");
    assert_string_equal(rig_entry(r, "zenith", NULL, "services"), "[ \"params\" ]");
    rig_put(r, "cloud-1", "sky");
    rig_until_arrow(r, "sky 2 ready>running");
    assert_string_equal(rig_entry(r, "zenith", NULL, "services"), "[ \"params\" ]");
    rig_free(r);
}

static void config_chooses_the_provider(void **state)
{
    const char *sets[] = {"services={\"params\":\"zenith\",\"quue\":\"store\"}", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "cloud-other", "zenith");
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    assert_string_equal(rig_entry(r, "zenith", NULL, "services"), "[ \"params\" ]");
    rig_until_log(r, "there is no service \\\"quue\\\"; did you mean \\\"queue\\\"?");
    rig_free(r);
}

static void a_worker_ignores_queue_plugins(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_WORKER, NULL);
    rig_put(r, "queue-1", "store");
    rig_put(r, "cloud-1", "sky");
    rig_put(r, "flow-scaling", "scaler");
    rig_start(r);
    assert_false(bus_has_service(r->bus, "queue"));
    assert_true(bus_has_service(r->bus, "params"));
    assert_string_equal(rig_entry(r, "store", NULL, "state"), "");
    assert_null(host_workflow(r->host, "scaler")->scaling); /* its policy is the controller's affair */
    rig_free(r);
}

static void a_workflow_with_its_own_policy_is_loaded(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "flow-scaling", "scaler");
    rig_start(r);
    const struct workflow *w = host_workflow(r->host, "scaler");
    const struct bp_scaling *s = w->scaling;
    struct bp_view view = {.size = sizeof(view), .queued = 3};
    struct bp_plan plan = {.size = sizeof(plan)};
    char memory[BP_SCALING_MEMORY] = {0};
    struct bp_err err = {0};
    assert_non_null(s);
    assert_int_equal(s->plan(w->scaling_inst, &view, memory, &plan, &err), 0);
    assert_int_equal(plan.desired, 3);
    rig_free(r);
}

static void three_faults_in_ten_minutes_quarantine_until_other_content_comes(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    host_fault(r->host, "sky", 0, "first");
    host_fault(r->host, "sky", 0, "second");
    assert_true(bus_has_service(r->bus, "params"));
    host_fault(r->host, "sky", 0, "third");
    rig_assert_arrow(r, "sky 1 running>quarantined 3 faults in");
    assert_false(bus_has_service(r->bus, "params"));
    rig_until_log(r, "sky: stopped");
    assert_non_null(strstr(rig_entry(r, "sky", "quarantined", "reason"), "the last: third"));
    r->arrows[0] = '\0';
    rig_put(r, "cloud-1", "sky"); /* the same content again changes nothing */
    rig_until_arrow(r, "sky 0 >found");
    rig_pause(r, 200);
    assert_false(bus_has_service(r->bus, "params"));
    rig_put(r, "cloud-2", "sky");
    rig_until_arrow(r, "sky 2 ready>running");
    assert_string_equal(rig_param(r, "version"), "2");
    assert_string_equal(rig_entry(r, "sky", "quarantined", "name"), "");
    host_fault(r->host, "sky", 0, "counts from one again");
    assert_true(bus_has_service(r->bus, "params"));
    rig_free(r);
}

static void an_operator_lets_a_plugin_out_of_quarantine(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    host_release(r->host, "flow", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_CONFLICT);
    for (int i = 0; i < 3; i++)
        host_fault(r->host, "flow", 0, "its runner crashed");
    rig_assert_arrow(r, "flow 1 running>quarantined 3 faults in");
    assert_non_null(strstr(host_workflow(r->host, "flow")->quarantine, "bpctl plugin release flow"));
    host_release(r->host, "flow", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    rig_assert_arrow(r, "flow 1 quarantined>running released by an operator");
    assert_null(host_workflow(r->host, "flow")->quarantine);
    for (int i = 0; i < 2; i++) /* what was before the release is forgotten */
        host_fault(r->host, "flow", 0, "its runner crashed");
    assert_null(host_workflow(r->host, "flow")->quarantine);
    host_fault(r->host, "flow", 0, "its runner crashed");
    assert_non_null(host_workflow(r->host, "flow")->quarantine);
    host_reload(r->host, "flow", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    assert_null(host_workflow(r->host, "flow")->quarantine);
    rig_free(r);
}

static void a_workflow_in_quarantine_keeps_its_settings_and_other_content_ends_it(void **state)
{
    const char *sets[] = {"plugins.faults=2", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    host_fault(r->host, "flow", 7, "its runner crashed");
    host_fault(r->host, "flow", 7, "its runner crashed"); /* one poisonous job counts once */
    assert_null(host_workflow(r->host, "flow")->quarantine);
    host_workflow_fault(r->host, "flow", "other code", 8, "its runner crashed");
    assert_null(host_workflow(r->host, "flow")->quarantine);
    host_workflow_fault(r->host, "flow", host_workflow(r->host, "flow")->sha, 8, "its runner crashed");
    assert_non_null(host_workflow(r->host, "flow")->quarantine);
    struct config *second = config_of("workflows={\"flow\":{\"maxSize\":9}}");
    host_reconfigure(r->host, second);
    assert_int_equal(host_workflow(r->host, "flow")->max_size, 9);
    assert_non_null(strstr(host_workflow(r->host, "flow")->quarantine, "2 faults"));
    rig_put(r, "flow-2", "flow");
    rig_until_arrow(r, "flow 2 ready>running");
    assert_null(host_workflow(r->host, "flow")->quarantine);
    assert_string_equal(host_workflow(r->host, "flow")->version, "2");
    rig_until_arrow(r, "flow 1 draining>retired");
    rig_free(r);
    config_free(second);
}

static void a_workflow_in_quarantine_can_be_removed(void **state)
{
    const char *sets[] = {"plugins.faults=1", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    host_fault(r->host, "flow", 0, "its runner crashed");
    rig_remove(r, "flow");
    rig_until_arrow(r, "flow 1 draining>retired");
    assert_null(host_workflow(r->host, "flow"));
    rig_free(r);
}

static void no_number_of_faults_is_too_many_when_none_is_given(void **state)
{
    const char *sets[] = {"plugins.faults=0", NULL};
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    for (int i = 0; i < 200; i++)
        host_fault(r->host, "flow", 0, "its runner crashed");
    assert_null(host_workflow(r->host, "flow")->quarantine);
    rig_free(r);
}

static void plugins_publish_events_of_the_table_only(void **state);

static int32_t last_job;

static void on_submitted(const struct event_msg *e, void *arg)
{
    (void)arg;
    last_job = (int32_t)json_int(event_fields(e), "job", 0);
}

struct emit {
    const char *event, *fields;
};

static int emit_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct emit *e = args;
    const struct bp_params_like {
        uint32_t size, reserved;
        int32_t (*get)(void *, const char *, char **, struct bp_err *);
        int32_t (*put)(void *, const char *, const char *, int32_t, struct bp_err *);
    } *t = table;
    return t->put(inst, e->event, e->fields, 0, err);
}

static void emit_reply(void *args, const struct bp_err *err, void *arg)
{
    (void)args;
    rig_done(err, arg);
}

static int emit(struct rig *r, const char *event, const char *fields)
{
    struct bp_err err = {0};
    struct emit e = {event, fields};
    struct request_spec spec = {.service = "params",
                                .name = "params.put",
                                .run = emit_run,
                                .args = &e,
                                .reply = emit_reply,
                                .arg = r,
                                .timeout_ms = 20000};
    assert_int_equal(bus_request(r->bus, &spec, &err), 0);
    return rig_outcome(r);
}

static void plugins_publish_events_of_the_table_only(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    rig_start(r);
    bus_subscribe(r->bus, "job.submitted", on_submitted, r);
    assert_int_equal(emit(r, "job.submitted", "{\"job\":7,\"tenant\":\"t\",\"workflow\":\"w\",\"priority\":0}"), 0);
    rig_pause(r, 50);
    assert_int_equal(last_job, 7);
    assert_int_equal(emit(r, "job.invented", "{}"), BP_INVALID);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_come_from_config_with_secrets_resolved),
        cmocka_unit_test(a_secret_that_others_can_read_is_refused_to_a_plugin_too),
        cmocka_unit_test(settings_that_are_maps_of_tables_are_checked_inside),
        cmocka_unit_test(wrong_settings_are_refused_with_the_nearest_key),
        cmocka_unit_test(changed_settings_restart_the_plugin_and_wrong_ones_do_not),
        cmocka_unit_test(every_workflow_key_can_be_overridden),
        cmocka_unit_test(a_sandbox_is_narrowed_by_an_override_and_never_widened),
        cmocka_unit_test(a_wrong_override_refuses_the_workflow),
        cmocka_unit_test(of_two_providers_the_first_by_name_keeps_the_service),
        cmocka_unit_test(config_chooses_the_provider),
        cmocka_unit_test(a_worker_ignores_queue_plugins),
        cmocka_unit_test(a_workflow_with_its_own_policy_is_loaded),
        cmocka_unit_test(three_faults_in_ten_minutes_quarantine_until_other_content_comes),
        cmocka_unit_test(an_operator_lets_a_plugin_out_of_quarantine),
        cmocka_unit_test(a_workflow_in_quarantine_keeps_its_settings_and_other_content_ends_it),
        cmocka_unit_test(a_workflow_in_quarantine_can_be_removed),
        cmocka_unit_test(no_number_of_faults_is_too_many_when_none_is_given),
        cmocka_unit_test(plugins_publish_events_of_the_table_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
