/* SPDX-License-Identifier: Apache-2.0 */
/* The host of bp/test.h, seen through the template of a cloud plugin and through none at all. */
#include "probe.h"

#include <bp/cloud.h>
#include <bp/sdk.h>
#include <sys/stat.h>
#include <unistd.h>

static void what_is_no_plugin_is_told(void **state)
{
    (void)state;
    struct bp_test *t;
    assert_int_equal(bp_test_open("/nowhere/at/all.so", NULL, &t, &err), BP_INVALID);
    assert_null(t);
    assert_int_equal(bp_test_open("libm.so.6", NULL, &t, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "exports no bp_plugin_v1"));
    assert_int_equal(bp_test_open(CLOUD_SO, NULL, &t, &err), BP_OK);
    struct bp_test_job job = {.output = "out"};
    assert_int_equal(bp_test_run(t, &job, &err), BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "my-cloud offers no bp.job/1"));
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
    assert_int_equal(bp_test_close(&t, &err), BP_OK); /* of nothing */
}

static void its_state_directory_is_its_own_and_goes_with_it(void **state)
{
    (void)state;
    struct bp_test *t;
    struct stat st;
    char dir[600];
    assert_int_equal(bp_test_open(CLOUD_SO, NULL, &t, &err), BP_OK);
    const struct bp_notify *notify = bp_test_facet(t, BP_NOTIFY_FACET);
    snprintf(dir, sizeof dir, "%s", bp_test_state_dir(t));
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(notify->send(bp_test_inst(t), "a", "b", NULL, &err), BP_OK);
    assert_null(bp_test_facet(t, "bp.nothing/1"));
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
    assert_int_equal(stat(dir, &st), -1);
}

/* A host function called as a plugin does, by a start() of our own. */
static int32_t emit_start(struct bp_self *self, const struct bp_host *host, void **inst, struct bp_err *e)
{
    *inst = NULL;
    assert_int_equal(host->emit(self, "plugin.fault", "{\"plugin\":\"x\",\"what\":\"y\"}", e), BP_OK);
    assert_int_equal(host->emit(self, "plugin.faulty", "{}", e), BP_INVALID);
    assert_non_null(strstr(e->text, "no event plugin.faulty"));
    assert_int_equal(host->emit(self, "plugin.fault", "[]", e), BP_INVALID);
    return BP_OK;
}

static void emit_stop(void *inst)
{
    (void)inst;
}

static const void *emit_facet(void *inst, const char *id)
{
    (void)inst, (void)id;
    return NULL;
}

BP_PLUGIN("emitter", emit_start, emit_stop, emit_facet);

/* NULL as a file's name is this program, whose own table is found when it exports it. */
static void events_are_those_of_the_table(void **state)
{
    (void)state;
    struct bp_test *t;
    assert_int_equal(bp_test_open(NULL, NULL, &t, &err), BP_OK);
    assert_string_equal(bp_test_events(t), "plugin.fault {\"plugin\":\"x\",\"what\":\"y\"}\n");
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void members_of_settings_are_read_by_name(void **state)
{
    (void)state;
    static const char json[] = "{\"n\": 7, \"x\": -0.5, \"on\": true, \"word\": \"a\\n\\u00e9\", \"in\": {\"n\": 8}}";
    char word[16], cut[2];
    assert_int_equal(bp_json_i(json, "n", 1), 7);
    assert_true(bp_json_f(json, "x", 1) == -0.5);
    assert_int_equal(bp_json_b(json, "on", 0), 1);
    assert_string_equal(bp_json_s(json, "word", word, sizeof word), "a\n\xc3\xa9");
    assert_string_equal(bp_json_s(json, "word", cut, sizeof cut), "a");
    assert_int_equal(bp_json_i(json, "absent", 3), 3);
    assert_int_equal(bp_json_i(json, "word", 3), 3);
    assert_string_equal(bp_json_s(json, "n", word, sizeof word), "");
    assert_int_equal(bp_json_i("no object", "n", 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_plugin_is_told),
        cmocka_unit_test(its_state_directory_is_its_own_and_goes_with_it),
        cmocka_unit_test(events_are_those_of_the_table),
        cmocka_unit_test(members_of_settings_are_read_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
