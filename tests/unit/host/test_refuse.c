/* SPDX-License-Identifier: Apache-2.0 */
/* Each way a plugin can be bad, and the words an operator gets for it; the sound plugin beside it is unaffected. */
#include "host/rig.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct broken {
    const char *promise, *file, *why;
};

static struct broken broken[] = {
    {"refuses_another_abi_in_the_manifest", "wrong-abi",
     "wrong-abi 0 found>refused manifest: built for plugin ABI 2.0"},
    {"refuses_an_unknown_kind", "wrong-kind",
     "wrong-kind 0 found>refused manifest: \"kind\" is \"gadget\", but must be one of workflow|cloud|queue"},
    {"refuses_a_facet_of_another_kind", "kind-mismatch",
     "kind-mismatch 0 found>refused wrong kind: bp.queue/1 is offered by queue plugins, but \"kind\" is \"cloud\""},
    {"refuses_a_workflow_that_offers_checks", "checking-flow",
     "checking-flow 0 found>refused wrong kind: bp.check/1 is offered by queue and cloud plugins, but \"kind\" is "
     "\"workflow\""},
    {"refuses_a_plugin_that_offers_nothing_but_checks", "only-checks",
     "only-checks 0 found>refused manifest: none of its \"facets\" is known to this bpd"},
    {"refuses_a_manifest_that_is_no_json", "bad-json", "bad-json 0 found>refused manifest: "},
    {"refuses_a_manifest_without_a_name", "no-name", "no-name 0 found>refused manifest: \"name\" is missing"},
    {"refuses_an_unknown_key_and_names_the_nearest", "unknown-key",
     "unknown-key 0 found>refused manifest: unknown key \"batchmax\"; did you mean \"batchMax\"?"},
    {"refuses_a_setting_of_unknown_type", "bad-setting",
     "bad-setting 0 found>refused manifest: setting \"x\" has the unknown type \"blob\""},
    {"refuses_a_file_without_manifest", "no-manifest", "no-manifest 0 found>refused no section .bp.manifest in it"},
    {"refuses_a_plugin_without_its_symbol", "no-symbol",
     "no-symbol 1 vetted>refused it exports no symbol bp_plugin_v1"},
    {"refuses_an_unresolved_symbol", "unresolved",
     "unresolved 1 vetted>refused it cannot be loaded: undefined symbol: nobody_defines_this"},
    {"refuses_code_of_another_abi", "code-abi",
     "code-abi 1 vetted>refused its code is built for plugin ABI 3.0, this bpd speaks 1"},
    {"refuses_a_name_that_differs_from_the_manifest", "name-mismatch",
     "said 1 vetted>refused name mismatch: its manifest says \"said\", its code \"meant\""},
    {"refuses_a_slow_start", "slow-start",
     "slow 1 loaded>refused it did not start within 1 s (plugins.startTimeoutSeconds)"},
    {"refuses_a_failing_start_in_its_own_words", "failing-start",
     "failing 1 loaded>refused its start failed: open the test door: it is locked; bring the key"},
    {"refuses_a_start_that_reports_a_timeout_itself", "odd-start",
     "odd 1 loaded>refused its start failed: open the test door"},
    {"refuses_a_facet_listed_but_not_offered", "no-facet",
     "no-facet 1 loaded>refused its manifest lists the facet bp.params/1, but its code does not offer it"},
    {"refuses_a_table_shorter_than_1_0", "short-table",
     "short-table 1 loaded>refused its table of bp.params/1 has 16 bytes, but 1.0 has 24"},
    {"refuses_a_store_whose_schema_cannot_be_migrated", "failing-migrate",
     "failing-migrate 1 loaded>refused the schema is newer"},
    {"refuses_a_workflow_the_runner_cannot_load", "probe-refused", "refuse-me 1 vetted>refused the plugin needs a GPU"},
    {"refuses_a_workflow_that_crashes_the_runner", "probe-crash",
     "crash-me 1 vetted>refused bp-runner --probe crashed when it loaded it (signal 11"},
    {"refuses_a_workflow_that_hangs_the_runner", "probe-hang",
     "hang-me 1 vetted>refused bp-runner --probe did not load it within"},
};
#define BROKEN (sizeof(broken) / sizeof(broken[0]))

static const char *const quick[] = {"plugins.startTimeoutSeconds=1", NULL};

static void refuses(void **state)
{
    const struct broken *b = *state;
    struct rig *r = rig_new(HOST_CONTROLLER, quick);
    rig_put(r, "cloud-1", "sky");
    rig_put(r, b->file, b->file);
    rig_start(r);
    rig_assert_arrow(r, b->why);
    assert_string_equal(rig_entry(r, "sky", "running", "generation"), "1");
    assert_string_equal(rig_param(r, "version"), "1");
    struct json_object *list = host_describe(r->host);
    assert_int_equal(json_object_array_length(list), 2);
    int told = 0;
    for (size_t i = 0; i < 2; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        told |= strcmp(json_str(o, "state", ""), "refused") == 0 && strlen(json_str(o, "reason", "")) > 10 &&
                strstr(json_str(o, "file", ""), b->file);
    }
    assert_true(told);
    json_object_put(list);
    rig_free(r);
}

static void comes(struct rig *r, const char *store)
{
    char path[700];
    snprintf(path, sizeof path, "%s/plugin/%s/there", r->state, store);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static int runs(struct rig *r, const void *name)
{
    return strcmp(rig_entry(r, name, "running", "state"), "running") == 0;
}

static void a_store_whose_server_comes_later_comes_up_by_itself(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "late-store", "late-store");
    rig_start(r); /* and settles: a daemon is not kept from starting */
    rig_assert_arrow(r,
                     "late-store 1 loaded>refused there is no server at db.example.com; it is tried again by itself");
    rig_until_arrow(r, "late-store 2 loaded>refused");
    assert_false(bus_has_service(r->bus, "queue"));
    comes(r, "late-store");
    rig_until(r, runs, "late-store");
    assert_true(bus_has_service(r->bus, "queue"));
    rig_free(r);
}

/* "it resumes by itself when there is room" was said, and it did not: the plugin had been refused for good. */
static void a_store_whose_disk_is_full_at_its_start_comes_up_when_there_is_room(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "full-store", "full-store");
    rig_start(r);
    rig_assert_arrow(r, "full-store 1 loaded>refused the disk is full; it is tried again by itself");
    comes(r, "full-store");
    rig_until(r, runs, "full-store");
    assert_true(bus_has_service(r->bus, "queue"));
    rig_free(r);
}

static void a_reload_does_not_wait_for_the_next_try(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "late-store", "late-store");
    rig_start(r);
    comes(r, "late-store");
    host_reload(r->host, "late-store", rig_done, r);
    assert_int_equal(rig_outcome(r), BP_OK);
    assert_true(runs(r, "late-store"));
    rig_pause(r, 1500); /* the try that was due starts nothing more */
    assert_string_equal(rig_entry(r, "late-store", "running", "generation"), "2");
    rig_free(r);
}

/* Puts sky.so, spoils it, and looks for the reason. */
static void spoilt(void (*spoil)(struct rig *r), const char *const *sets, const char *why)
{
    struct rig *r = rig_new(HOST_CONTROLLER, sets);
    rig_put(r, "cloud-1", "sky");
    spoil(r);
    rig_start(r);
    rig_assert_arrow(r, why);
    assert_false(bus_has_service(r->bus, "params"));
    rig_free(r);
}

static void not_readable(struct rig *r)
{
    assert_int_equal(chmod(rig_path(r, "sky"), 0200), 0);
}

static void refuses_an_unreadable_file(void **state)
{
    (void)state;
    spoilt(not_readable, NULL,
           geteuid() == 0 ? "sky 0 found>refused it is not readable by its owner (mode 0200)"
                          : "sky 0 found>refused it cannot be read: Permission denied");
}

static void group_writable(struct rig *r)
{
    assert_int_equal(chmod(rig_path(r, "sky"), 0664), 0);
}

static void refuses_a_group_writable_file(void **state)
{
    (void)state;
    spoilt(group_writable, NULL, "sky 0 found>refused it is writable by its group (mode 0664); run chmod g-w");
}

static void world_writable(struct rig *r)
{
    assert_int_equal(chmod(rig_path(r, "sky"), 0646), 0);
}

static void refuses_a_world_writable_file(void **state)
{
    (void)state;
    spoilt(world_writable, NULL, "sky 0 found>refused it is writable by everybody (mode 0646)");
}

static void directory_writable(struct rig *r)
{
    assert_int_equal(chmod(r->plugins, 0775), 0);
}

static void refuses_files_in_a_writable_directory(void **state)
{
    (void)state;
    spoilt(directory_writable, NULL, "sky 0 found>refused its directory is writable by its group (mode 0775)");
}

static void given_away(struct rig *r)
{
    assert_int_equal(chown(rig_path(r, "sky"), 12345, 0), 0);
}

static void refuses_a_file_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    spoilt(given_away, NULL, "sky 0 found>refused it belongs to user 12345; it must belong to root");
}

static void no_change(struct rig *r)
{
    (void)r;
}

static void refuses_a_file_beyond_the_size_limit(void **state)
{
    static const char *const sets[] = {"plugins.maxBytes=4096", NULL};
    (void)state;
    spoilt(no_change, sets, "more than plugins.maxBytes (4096)");
}

static void not_elf(struct rig *r)
{
    FILE *f = fopen(rig_path(r, "sky"), "w");
    fputs("#!/bin/sh\necho I am a script\n", f);
    fclose(f);
}

static void refuses_a_file_that_is_no_elf(void **state)
{
    (void)state;
    spoilt(not_elf, NULL, "sky 0 found>refused not an ELF file");
}

static void cut_off(struct rig *r)
{
    rig_write(r, "cloud-1", "sky", 9000);
}

static void refuses_a_truncated_elf_after_waiting_for_the_rest(void **state)
{
    (void)state;
    spoilt(cut_off, NULL, "sky 0 found>refused the file ends too early (9000 bytes)");
}

static void empty(struct rig *r)
{
    assert_int_equal(truncate(rig_path(r, "sky"), 0), 0);
}

static void refuses_an_empty_file_after_waiting(void **state)
{
    (void)state;
    spoilt(empty, NULL, "sky 0 found>refused it is empty");
}

static void a_link(struct rig *r)
{
    char target[700];
    snprintf(target, sizeof(target), "%s/elsewhere", r->dir);
    assert_int_equal(rename(rig_path(r, "sky"), target), 0);
    assert_int_equal(symlink(target, rig_path(r, "sky")), 0);
}

static void refuses_a_symbolic_link(void **state)
{
    (void)state;
    spoilt(a_link, NULL, "sky 0 found>refused it is a symbolic link");
}

static void a_fifo(struct rig *r)
{
    assert_int_equal(unlink(rig_path(r, "sky")), 0);
    assert_int_equal(mkfifo(rig_path(r, "sky"), 0600), 0);
}

static void refuses_a_fifo_without_hanging_on_it(void **state)
{
    (void)state;
    spoilt(a_fifo, NULL, "sky 0 found>refused it is no regular file");
}

static void refuses_a_second_file_with_the_same_name(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "first");
    rig_start(r);
    rig_put(r, "cloud-2", "second");
    rig_until_arrow(r, "sky 0 found>refused duplicate name: \"sky\" is already the plugin of");
    assert_string_equal(rig_param(r, "version"), "1");
    rig_remove(r, "first"); /* then the name is free for whoever asks */
    rig_until_arrow(r, "sky 1 draining>retired");
    host_load(r->host, "second.so", rig_done, r);
    assert_int_equal(rig_outcome(r), 0);
    assert_string_equal(rig_param(r, "version"), "2");
    rig_free(r);
}

static void refuses_a_second_workflow_with_the_same_slug(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "flow-1", "flow");
    rig_start(r);
    rig_put(r, "flow-other", "other");
    rig_until_arrow(r, "flow-other 0 found>refused duplicate slug: workflow \"flow\" is already served by plugin flow");
    rig_free(r);
}

static void refuses_a_replacement_of_another_kind(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "queue-1", "store");
    rig_start(r);
    rig_put(r, "store-as-cloud", "store");
    rig_until_arrow(r, "store 0 found>refused wrong kind: the running plugin store is of kind queue");
    assert_true(bus_has_service(r->bus, "queue"));
    rig_free(r);
}

static void a_slow_start_that_returns_after_all_is_stopped(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, quick);
    rig_put(r, "slow-start", "slow");
    rig_start(r);
    rig_assert_arrow(r, "slow 1 loaded>refused");
    rig_until_log(r, "slow 1: its start has returned at last; it is stopped");
    rig_until_log(r, "slow: stopped");
    assert_false(bus_has_service(r->bus, "params"));
    rig_free(r);
}

static void a_refused_file_is_looked_at_again_when_it_changes(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "cloud-1", "sky");
    group_writable(r);
    rig_start(r);
    assert_int_equal(chmod(rig_path(r, "sky"), 0644), 0);
    rig_until_arrow(r, "sky 1 ready>running");
    assert_string_equal(rig_entry(r, "sky", "running", "reason"), "");
    rig_free(r);
}

static void a_newer_minor_is_welcome_with_keys_and_facets_unknown_here(void **state)
{
    (void)state;
    struct rig *r = rig_new(HOST_CONTROLLER, NULL);
    rig_put(r, "newer-minor", "newer");
    rig_start(r);
    rig_assert_arrow(r, "newer 1 ready>running");
    rig_free(r);
}

static const struct CMUnitTest single[] = {
    cmocka_unit_test(a_store_whose_server_comes_later_comes_up_by_itself),
    cmocka_unit_test(a_store_whose_disk_is_full_at_its_start_comes_up_when_there_is_room),
    cmocka_unit_test(a_reload_does_not_wait_for_the_next_try),
    cmocka_unit_test(refuses_an_unreadable_file),
    cmocka_unit_test(refuses_a_group_writable_file),
    cmocka_unit_test(refuses_a_world_writable_file),
    cmocka_unit_test(refuses_files_in_a_writable_directory),
    cmocka_unit_test(refuses_a_file_of_another_user),
    cmocka_unit_test(refuses_a_file_beyond_the_size_limit),
    cmocka_unit_test(refuses_a_file_that_is_no_elf),
    cmocka_unit_test(refuses_a_truncated_elf_after_waiting_for_the_rest),
    cmocka_unit_test(refuses_an_empty_file_after_waiting),
    cmocka_unit_test(refuses_a_symbolic_link),
    cmocka_unit_test(refuses_a_fifo_without_hanging_on_it),
    cmocka_unit_test(refuses_a_second_file_with_the_same_name),
    cmocka_unit_test(refuses_a_second_workflow_with_the_same_slug),
    cmocka_unit_test(refuses_a_replacement_of_another_kind),
    cmocka_unit_test(a_slow_start_that_returns_after_all_is_stopped),
    cmocka_unit_test(a_refused_file_is_looked_at_again_when_it_changes),
    cmocka_unit_test(a_newer_minor_is_welcome_with_keys_and_facets_unknown_here),
};
#define SINGLE (sizeof(single) / sizeof(single[0]))

int main(void)
{
    struct CMUnitTest tests[BROKEN + SINGLE];
    for (size_t i = 0; i < BROKEN; i++)
        tests[i] = (struct CMUnitTest){broken[i].promise, refuses, NULL, NULL, &broken[i]};
    memcpy(tests + BROKEN, single, sizeof(single));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
