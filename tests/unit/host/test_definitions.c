/* SPDX-License-Identifier: Apache-2.0 */
/* Files of workflows.d: one template plugin serves as many workflows as there are files for it. */
#include "host/rig.h"

#include <semaphore.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEPIA                                                                                                          \
    "{\n  // what it runs\n  \"plugin\": \"maker\",\n  \"displayName\": \"Sepia\",\n"                                  \
    "  \"settings\": {\"command\": [\"sepia\"]}\n}\n"
#define CROP "{\"plugin\": \"maker\", \"maxSize\": 2, \"settings\": {\"command\": [\"crop\", \"-x\"], \"grace\": 9}}"

static const struct workflow *flow(struct rig *r, const char *slug)
{
    const struct workflow *w = host_workflow(r->host, slug);
    if (!w)
        print_error("no workflow %s; arrows:\n%s", slug, r->arrows);
    assert_non_null(w);
    return w;
}

static const char *setting(struct rig *r, const char *slug, const char *name)
{
    static char text[256];
    struct json_object *v = json_member(json_member(flow(r, slug)->manifest, "settings"), name);
    snprintf(text, sizeof(text), "%s", v ? json_text(v) : "");
    return text;
}

static struct rig *with_maker(const char *const *sets)
{
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "maker-1", "maker");
    return r;
}

static int is_refused(struct rig *r, const void *slug)
{
    return rig_entry(r, slug, "refused", "name")[0] != '\0';
}

static void assert_refused(struct rig *r, const char *slug, const char *text, const char *reason)
{
    rig_define(r, slug, text);
    rig_until(r, is_refused, slug);
    const char *said = rig_entry(r, slug, "refused", "reason");
    if (!strstr(said, reason))
        print_error("%s\n", said);
    assert_non_null(strstr(said, reason));
    rig_define(r, slug, NULL);
}

static void files_found_at_first_are_workflows_when_the_host_has_settled(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_define(r, "crop", CROP);
    rig_start(r);
    assert_int_equal(host_workflow_count(r->host), 2);
    const struct workflow *w = flow(r, "sepia");
    assert_string_equal(w->display_name, "Sepia");
    assert_string_equal(w->plugin, "maker");
    assert_string_equal(w->listed, "sepia");
    assert_string_equal(w->settings_dir, r->workflows);
    assert_int_equal(w->max_size, 7);
    assert_int_equal(w->timeout_s, 90);
    assert_string_equal(setting(r, "sepia", "command"), "[\"sepia\"]");
    assert_string_equal(setting(r, "sepia", "grace"), "5");
    assert_string_equal(flow(r, "crop")->display_name, "crop");
    assert_int_equal(flow(r, "crop")->max_size, 2);
    assert_string_equal(setting(r, "crop", "grace"), "9");
    assert_string_equal(flow(r, "crop")->file, flow(r, "sepia")->file);
    /* A worker tells which code failed: it must know it by the same name, whatever it reads of the file. */
    assert_string_equal(flow(r, "crop")->sha, flow(r, "sepia")->sha);
    assert_string_not_equal(rig_entry(r, "crop", "running", "sha256"), flow(r, "crop")->sha);
    assert_string_equal(rig_entry(r, "maker", "running", "sha256"), flow(r, "crop")->sha);
    assert_string_equal(rig_entry(r, "maker", "running", "template"), "true");
    assert_string_equal(rig_entry(r, "crop", "running", "plugin"), "maker");
    assert_null(host_workflow(r->host, "maker"));
    rig_free(r);
}

/* Counts the turns of a timer between the first and the last of the workflows that come up. */
struct busy {
    int turns, up, turns_at[3];
};

static void on_turn(void *arg)
{
    ((struct busy *)arg)->turns++;
}

/* Takes longer than posts may before timers get their turn. */
static void on_state(const struct event_msg *e, void *arg)
{
    struct busy *b = arg;
    struct json_object *f = event_fields(e);
    int64_t began = mono_us();
    if (strcmp(json_str(f, "to", ""), "running") != 0 || strcmp(json_str(f, "plugin", ""), "maker") == 0)
        return;
    b->turns_at[b->up++ % 3] = b->turns;
    while (mono_us() - began < 10000)
        ;
}

static void workflows_that_one_child_proved_do_not_hold_the_loop_together(void **state)
{
    (void)state;
    struct busy busy = {0};
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_define(r, "crop", CROP);
    rig_define(r, "cut", CROP);
    struct subscription *s = bus_subscribe(r->bus, "plugin.state", on_state, &busy);
    struct loop_timer *t = loop_timer_new(r->loop, "turn", on_turn, &busy);
    loop_timer_every(t, 1);
    rig_start(r);
    assert_int_equal(busy.up, 3);
    assert_true(busy.turns_at[2] > busy.turns_at[0]);
    loop_timer_free(t);
    bus_unsubscribe(s);
    rig_free(r);
}

static void a_file_comes_changes_and_goes_while_the_host_runs(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    mkdir(r->workflows, 0755);
    rig_start(r);
    assert_int_equal(host_workflow_count(r->host), 0);
    rig_define(r, "sepia", SEPIA);
    rig_until_arrow(r, "sepia 1 ready>running");
    rig_define(r, "sepia", CROP);
    rig_until_arrow(r, "sepia 1 draining>retired");
    assert_int_equal(flow(r, "sepia")->generation, 2);
    assert_string_equal(setting(r, "sepia", "command"), "[\"crop\",\"-x\"]");
    rig_define(r, "sepia", NULL);
    rig_until_arrow(r, "sepia 2 draining>retired");
    assert_null(host_workflow(r->host, "sepia"));
    rig_free(r);
}

static void a_directory_that_is_made_later_is_found(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_start(r);
    rig_define(r, "sepia", SEPIA);
    rig_until_arrow(r, "sepia 1 ready>running");
    rig_free(r);
}

static void a_workflow_with_leases_drains_when_its_file_goes(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    host_set_leases(r->host, "sepia", 2);
    rig_define(r, "sepia", NULL);
    rig_until_arrow(r, "sepia 1 running>draining its file was removed; 2 leases still run");
    assert_true(flow(r, "sepia")->draining);
    host_set_leases(r->host, "sepia", 0);
    rig_until_arrow(r, "sepia 1 draining>retired");
    rig_free(r);
}

static void a_wrong_file_is_refused_with_its_line_and_the_former_one_stays(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    rig_define(r, "sepia", "{\n  \"plugin\": \"maker\",\n  \"settings\": {\n    \"comand\": [\"x\"]\n  }\n}\n");
    rig_until_arrow(r, "sepia 0 found>refused sepia.json:3: The settings.command field is required. (and 1 more)");
    assert_string_equal(setting(r, "sepia", "command"), "[\"sepia\"]");
    assert_int_equal(flow(r, "sepia")->generation, 1);
    assert_non_null(strstr(rig_entry(r, "sepia", "running", "reason"), "sepia.json:3:"));
    rig_define(r, "sepia", "{\n  \"plugin\": \"maker\",\n");
    rig_until_arrow(r, "sepia 0 found>refused sepia.json: line 3");
    assert_int_equal(flow(r, "sepia")->generation, 1);
    rig_define(r, "sepia", CROP);
    rig_until_arrow(r, "sepia 2 ready>running");
    assert_string_equal(rig_entry(r, "sepia", "running", "reason"), "");
    rig_free(r);
}

static void each_mistake_is_told_with_its_place_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *slug, *text, *reason;
    } rows[] = {
        {"a", "{\n\"settings\": {}}", "a.json: \"plugin\" is missing: the name of the template that serves it"},
        {"b", "{\"plugin\": \"maker\",\n\"maxsize\": 3}",
         "b.json:2: unknown key \"maxsize\"; did you mean \"maxSize\"?"},
        {"c", "{\"plugin\": \"maker\",\n\n\"maxSize\": -3}",
         "c.json:3: \"maxSize\" is -3, but must be from 0 to 10000"},
        {"d", "{\"plugin\":\n\"makers\", \"settings\": {}}",
         "d.json:1: there is no plugin \"makers\"; did you mean \"maker\"?"},
        {"e", "{\"plugin\": \"painter\"}", "there is no plugin \"painter\": put painter.so into a plugins directory"},
        {"f", "{\"plugin\": \"flow\"}", "plugin \"flow\" is no template"},
        {"g", "{\"plugin\": \"maker\", \"slug\": \"h\"}",
         "\"slug\" is \"h\", but the file's name says \"g\": remove the key"},
        {"i", "{\"plugin\": \"maker\", \"template\": true}", "unknown key \"template\""},
        {"j", "[1]", "j.json: it must hold one object"},
        {"k", "{\"plugin\": \"maker\",\n\"settings\": {\"command\": [\"a\",\n 5]}}",
         "k.json:2: The settings.command.1 field must be a string."},
        {"l", "{\"plugin\": \"maker\",\n\"settings\": {\"command\": [\"a\"],\n\"grace\": 61}}",
         "l.json:3: The settings.grace field must not be greater than 60."},
        {"UP", "{\"plugin\": \"maker\"}", "UP.json: the file's name is the workflow's slug: a-z, 0-9 and '-'"},
        {"maker", CROP, "duplicate name: \"maker\" is already the plugin of"},
        {"flow", CROP, "duplicate name: \"flow\" is already the plugin of"},
    };
    struct rig *r = with_maker(NULL);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(r, rows[i].slug, rows[i].text, rows[i].reason);
    assert_int_equal(host_workflow_count(r->host), 1);
    rig_free(r);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    (void)state;
    char path[1024];
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    snprintf(path, sizeof(path), "%s/sepia.json", r->workflows);
    assert_int_equal(chmod(path, 0646), 0);
    rig_start(r);
    assert_non_null(strstr(rig_entry(r, "sepia", "refused", "reason"), "writable by everybody (mode 0646); run chmod"));
    rig_free(r);
}

static void a_new_version_of_the_template_brings_new_generations_of_its_workflows(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_define(r, "crop", CROP);
    rig_start(r);
    char former[4096];
    snprintf(former, sizeof(former), "%s", flow(r, "sepia")->file);
    rig_put(r, "maker-2", "maker");
    rig_until_arrow(r, "sepia 1 draining>retired");
    rig_until_arrow(r, "crop 1 draining>retired");
    assert_string_equal(flow(r, "sepia")->version, "2");
    assert_string_not_equal(flow(r, "sepia")->file, former);
    assert_string_equal(flow(r, "crop")->file, flow(r, "sepia")->file);
    rig_free(r);
}

static void workflows_drain_with_their_template_and_come_back_with_it(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    host_set_leases(r->host, "sepia", 1);
    rig_remove(r, "maker");
    rig_until_arrow(r, "sepia 1 running>draining its plugin maker runs no more; 1 lease still runs");
    rig_until_arrow(r, "sepia 0 found>refused sepia.json:3: its plugin maker is retired");
    host_set_leases(r->host, "sepia", 0);
    rig_until_arrow(r, "sepia 1 draining>retired");
    assert_null(host_workflow(r->host, "sepia"));
    rig_put(r, "maker-1", "maker");
    rig_until_arrow(r, "sepia 2 ready>running");
    rig_free(r);
}

static void a_file_that_is_there_before_its_template_comes_up_with_it(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    assert_non_null(strstr(rig_entry(r, "sepia", "refused", "reason"), "there is no plugin \"maker\": put maker.so"));
    rig_put(r, "maker-1", "maker");
    rig_until_arrow(r, "sepia 1 ready>running");
    assert_string_equal(rig_entry(r, "sepia", "refused", "name"), "");
    rig_free(r);
}

static void config_overrides_a_files_keys_and_its_settings_are_checked_again(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "workflows={\"sepia\": {\"maxSize\": 1}, \"crop\": {\"settings\": {\"grace\": 1}}}", NULL};
    struct rig *r = with_maker(sets);
    rig_define(r, "sepia", SEPIA);
    rig_define(r, "crop", CROP);
    rig_start(r);
    assert_int_equal(flow(r, "sepia")->max_size, 1);
    assert_non_null(strstr(rig_entry(r, "crop", "refused", "reason"), "The settings.command field is required."));
    rig_free(r);
}

static void a_file_says_a_part_of_its_sandbox_and_the_config_narrows_it(void **state)
{
    (void)state;
    static const char *const sets[] = {"workflows={\"tight\": {\"sandbox\": {\"exec\": false}}}", NULL};
    struct rig *r = with_maker(sets);
    rig_define(r, "sepia", SEPIA);
    rig_define(r, "own",
               "{\"plugin\": \"maker\", \"sandbox\": {\"read\": [\"/srv\"]}, \"settings\": {\"command\": [\"x\"]}}");
    rig_define(r, "tight", SEPIA);
    rig_start(r);
    assert_string_equal(json_text(flow(r, "sepia")->sandbox),
                        "{\"network\":\"none\",\"exec\":true,\"read\":[\"/opt\"]}");
    assert_string_equal(json_text(flow(r, "own")->sandbox), "{\"network\":\"none\",\"exec\":true,\"read\":[\"/srv\"]}");
    assert_string_equal(json_text(flow(r, "tight")->sandbox),
                        "{\"network\":\"none\",\"exec\":false,\"read\":[\"/opt\"]}");
    rig_free(r);
}

static void operators_reload_and_retire_a_file_by_its_slug(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    host_reload(r->host, "sepia", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_OK);
    assert_int_equal(flow(r, "sepia")->generation, 2);
    host_retire(r->host, "sepia", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_OK);
    assert_null(host_workflow(r->host, "sepia"));
    rig_put(r, "maker-2", "maker");
    rig_until_arrow(r, "maker 2 ready>running");
    rig_pause(r, 300);
    assert_null(host_workflow(r->host, "sepia"));
    rig_free(r);
}

static void without_auto_files_come_and_go_by_command_alone(void **state)
{
    (void)state;
    static const char *const sets[] = {"plugins.auto=false", NULL};
    struct rig *r = with_maker(sets);
    mkdir(r->workflows, 0755);
    rig_start(r);
    rig_define(r, "sepia", SEPIA);
    rig_until_log(r, "sepia.json changed; plugins.auto is off, so use bpctl plugin load");
    assert_null(host_workflow(r->host, "sepia"));
    host_load(r->host, "sepia.json", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_OK);
    assert_string_equal(setting(r, "sepia", "command"), "[\"sepia\"]");
    rig_define(r, "sepia", NULL);
    rig_until_log(r, "sepia.json was removed; plugins.auto is off, so use bpctl plugin retire");
    assert_non_null(host_workflow(r->host, "sepia"));
    host_retire(r->host, "sepia", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_OK);
    assert_null(host_workflow(r->host, "sepia"));
    rig_free(r);
}

static void three_faults_quarantine_one_workflow_and_not_its_siblings(void **state)
{
    (void)state;
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_define(r, "crop", CROP);
    rig_start(r);
    for (int i = 0; i < 3; i++)
        host_fault(r->host, flow(r, "crop")->listed, 0, "its runner crashed");
    assert_non_null(flow(r, "crop")->quarantine);
    assert_string_equal(rig_entry(r, "crop", NULL, "state"), "quarantined");
    assert_null(flow(r, "sepia")->quarantine);
    rig_define(r, "crop", SEPIA);
    rig_until_arrow(r, "crop 2 ready>running");
    rig_free(r);
}

static void what_serves_is_written_for_the_workers_of_this_machine(void **state)
{
    (void)state;
    char path[1024];
    struct rig *r = with_maker(NULL);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    snprintf(path, sizeof(path), "%s/serving/workflows.d/sepia.json", r->state);
    struct json_object *o = json_object_from_file(path);
    assert_string_equal(json_str(o, "plugin", ""), "maker");
    assert_string_equal(json_str(o, "settingsDir", ""), r->workflows);
    json_object_put(o);
    static const char *const sets[] = {"workflows={\"sepia\": {\"settings\": {\"command\": [\"other\"]}}}", NULL};
    struct config_sources sources = {.sets = sets, .n_sets = 1};
    struct bp_err err;
    struct config *c = config_load(&sources, &err);
    host_reconfigure(r->host, c);
    o = json_object_from_file(path);
    assert_string_equal(json_text(json_member(json_member(o, "settings"), "command")), "[\"other\"]");
    json_object_put(o);
    config_free(r->config);
    r->config = c;
    rig_define(r, "sepia", "{}");
    rig_until_arrow(r, "sepia 0 found>refused");
    assert_int_equal(access(path, F_OK), 0);
    rig_define(r, "sepia", NULL);
    rig_until_arrow(r, "sepia 1 draining>retired");
    assert_int_not_equal(access(path, F_OK), 0);
    rig_free(r);
}

static int hold(const void *table, void *inst, void *args, struct bp_err *err)
{
    (void)table, (void)inst, (void)err;
    while (sem_wait(args))
        ;
    return BP_OK;
}

static void held(void *args, const struct bp_err *err, void *arg)
{
    (void)args, (void)err, (void)arg;
}

/* Both threads that read files are busy for longer than a start may take: a disk that hangs. */
static void a_file_that_could_not_be_read_in_time_comes_up_by_itself(void **state)
{
    static const char *const quick[] = {"plugins.startTimeoutSeconds=1", NULL};
    static sem_t disk;
    struct bp_err err = {0};
    struct request_spec spec = {.service = HOST_FILES_SERVICE,
                                .name = "test.hold",
                                .run = hold,
                                .args = &disk,
                                .reply = held,
                                .timeout_ms = 60000};
    (void)state;
    struct rig *r = with_maker(quick);
    rig_define(r, "sepia", SEPIA);
    rig_start(r);
    assert_int_equal(sem_init(&disk, 0, 0), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(bus_request(r->bus, &spec, &err), BP_OK);
    host_reload(r->host, "sepia", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_TIMEOUT);
    assert_non_null(strstr(r->outcome.text, "it is tried again by itself"));
    assert_int_equal(host_refused_count(r->host), 1);
    sem_post(&disk);
    sem_post(&disk);
    rig_until_arrow(r, "sepia 2 ready>running");
    assert_int_equal(host_refused_count(r->host), 0);
    rig_free(r);
    sem_destroy(&disk);
}

static void a_workflow_that_was_not_proved_in_time_comes_up_by_itself(void **state)
{
    static const char *const quick[] = {"plugins.startTimeoutSeconds=1", NULL};
    char slow[700];
    (void)state;
    struct rig *r = with_maker(quick);
    rig_start(r);
    snprintf(slow, sizeof(slow), "%s.slow", r->runner);
    FILE *f = fopen(slow, "w");
    assert_non_null(f);
    fclose(f);
    rig_define(r, "sepia", SEPIA);
    rig_until_arrow(
        r, "sepia 1 vetted>refused bp-runner --probe did not load it within plugins.startTimeoutSeconds; it is "
           "tried again by itself");
    rig_until_arrow(r, "sepia 2 ready>running");
    rig_free(r);
}

static void templates_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "template-slug", "template-slug");
    rig_put(r, "template-scaling", "template-scaling");
    rig_put(r, "template-cloud", "template-cloud");
    rig_start(r);
    assert_non_null(
        strstr(rig_entry(r, "template-slug", "refused", "reason"), "\"slug\" is for a workflow of its own"));
    assert_non_null(
        strstr(rig_entry(r, "template-scaling", "refused", "reason"), "cannot offer the facet bp.scaling/1"));
    assert_non_null(strstr(rig_entry(r, "template-cloud", "refused", "reason"), "\"template\" is for workflows only"));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_found_at_first_are_workflows_when_the_host_has_settled),
        cmocka_unit_test(workflows_that_one_child_proved_do_not_hold_the_loop_together),
        cmocka_unit_test(a_file_comes_changes_and_goes_while_the_host_runs),
        cmocka_unit_test(a_directory_that_is_made_later_is_found),
        cmocka_unit_test(a_workflow_with_leases_drains_when_its_file_goes),
        cmocka_unit_test(a_wrong_file_is_refused_with_its_line_and_the_former_one_stays),
        cmocka_unit_test(each_mistake_is_told_with_its_place_and_remedy),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(a_new_version_of_the_template_brings_new_generations_of_its_workflows),
        cmocka_unit_test(workflows_drain_with_their_template_and_come_back_with_it),
        cmocka_unit_test(a_file_that_is_there_before_its_template_comes_up_with_it),
        cmocka_unit_test(config_overrides_a_files_keys_and_its_settings_are_checked_again),
        cmocka_unit_test(a_file_says_a_part_of_its_sandbox_and_the_config_narrows_it),
        cmocka_unit_test(operators_reload_and_retire_a_file_by_its_slug),
        cmocka_unit_test(without_auto_files_come_and_go_by_command_alone),
        cmocka_unit_test(three_faults_quarantine_one_workflow_and_not_its_siblings),
        cmocka_unit_test(what_serves_is_written_for_the_workers_of_this_machine),
        cmocka_unit_test(a_file_that_could_not_be_read_in_time_comes_up_by_itself),
        cmocka_unit_test(a_workflow_that_was_not_proved_in_time_comes_up_by_itself),
        cmocka_unit_test(templates_that_contradict_themselves_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
