/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "config/config.h"
#include "log/json.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every test has its own directory inside the program's temporary one. */
static int setup(void **state)
{
    char name[] = "t.XXXXXX";
    (void)state;
    return !mkdtemp(name) || chdir(name) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return chdir("..");
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static struct config *load_all(const char *text, char *const *env, const char *const *sets, uint32_t n_sets,
                               struct bp_err *err)
{
    struct config_sources src = {.environ_ = env, .sets = sets, .n_sets = n_sets};
    memset(err, 0, sizeof *err);
    if (text) {
        write_file("bpd.json", text, 0644);
        src.file = "bpd.json";
    }
    return config_load(&src, err);
}

static struct config *load_file(const char *text)
{
    struct bp_err err;
    struct config *c = load_all(text, NULL, NULL, 0, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static struct config *load_set(const char *set)
{
    struct bp_err err;
    struct config *c = load_all(NULL, NULL, &set, 1, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* ---- what is accepted ---- */

static void without_any_source_every_key_has_its_default(void **state)
{
    struct config *c = load_file("{}");
    const char *const *list;
    (void)state;
    assert_string_equal(config_str(c, CONFIG_HTTP_LISTEN), "127.0.0.1:8080");
    assert_int_equal(config_int(c, CONFIG_HTTP_MAX_CONNECTIONS), 10000);
    assert_true(config_num(c, CONFIG_DISPATCH_LEASE_TTL_S) == 900);
    assert_int_equal(config_bool(c, CONFIG_PLUGINS_AUTO), 1);
    assert_string_equal(config_str(c, CONFIG_LOG_FORM), "auto");
    assert_int_equal(config_strs(c, CONFIG_PLUGINS_DIRS, &list), 0);
    assert_int_equal(json_object_object_length(config_map(c, CONFIG_SERVICES)), 0);
    assert_string_equal(config_origin(c, CONFIG_HTTP_LISTEN), "default");
    assert_null(config_secret_param(c, CONFIG_WORKERS_FLEET_SECRET));
    config_free(c);
}

static void nested_and_dotted_keys_mean_the_same(void **state)
{
    struct config *a = load_file("{\"http\": {\"listen\": \"[::1]:9\", \"maxConnections\": 5}}");
    struct config *b = load_file("{\"http.listen\": \"[::1]:9\", \"http\": {\"maxConnections\": 5}, }");
    enum config_key changed[4];
    (void)state;
    assert_string_equal(config_str(b, CONFIG_HTTP_LISTEN), "[::1]:9");
    assert_int_equal(config_int(b, CONFIG_HTTP_MAX_CONNECTIONS), 5);
    assert_int_equal(config_diff(a, b, changed, 4), 0);
    config_free(a);
    config_free(b);
}

static void the_origin_names_file_and_line(void **state)
{
    struct config *c = load_file("// settings\n{\n  \"http\": {\n    \"listen\": \"x:1\" /* here */\n  },\n"
                                 "  \"stage\": \"staging\"\n}");
    (void)state;
    assert_string_equal(config_origin(c, CONFIG_HTTP_LISTEN), "file bpd.json:4");
    assert_string_equal(config_origin(c, CONFIG_STAGE), "file bpd.json:6");
    config_free(c);
}

static void the_stronger_source_wins_file_confd_environment_set(void **state)
{
    static const char text[] = "{\"http\": {\"maxConnections\": 1, \"maxBodyBytes\": 2000, \"timeoutSeconds\": 3},"
                               "\"worker.waitSeconds\": 4, \"stage\": \"a\"}";
    char *const env[] = {"PATH=/bin", "BPD_HTTP_MAXCONNECTIONS=30", "BPD_HTTP_MAX_BODY_BYTES=3000", "BPD_STAGE=env",
                         NULL};
    const char *const sets[] = {"http.maxConnections=40", "stage=set"};
    struct bp_err err;
    (void)state;
    mkdir("conf.d", 0755);
    write_file("conf.d/20-b.json", "{\"http.timeoutSeconds\": 22}", 0644);
    write_file("conf.d/10-a.json",
               "{\"http.timeoutSeconds\": 11, \"http.maxConnections\": 11, \"worker.waitSeconds\": 11}", 0644);
    write_file("conf.d/README", "not json", 0644);
    struct config *c = load_all(text, env, sets, 2, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(config_int(c, CONFIG_HTTP_MAX_CONNECTIONS), 40);
    assert_int_equal(config_int(c, CONFIG_HTTP_MAX_BODY), 3000);
    assert_int_equal(config_int(c, CONFIG_HTTP_TIMEOUT_S), 22);
    assert_int_equal(config_int(c, CONFIG_WORKER_WAIT_S), 11);
    assert_string_equal(config_str(c, CONFIG_STAGE), "set");
    assert_string_equal(config_origin(c, CONFIG_STAGE), "--set");
    assert_string_equal(config_origin(c, CONFIG_HTTP_MAX_BODY), "environment BPD_HTTP_MAX_BODY_BYTES");
    assert_string_equal(config_origin(c, CONFIG_HTTP_TIMEOUT_S), "file conf.d/20-b.json:1");
    config_free(c);
}

static void maps_merge_member_by_member_and_null_removes(void **state)
{
    const char *const sets[] = {"plugin.sqlite.path=/set", "plugin.sqlite.size=7", "workflows.a.maxSize=3",
                                "plugin.gone=null"};
    struct bp_err err;
    (void)state;
    mkdir("conf.d", 0755);
    write_file("conf.d/a.json", "{\"plugin\": {\"sqlite\": {\"mode\": \"fast\"}, \"other\": {\"x\": 1}}}", 0644);
    struct config *c = load_all("{\"plugin\": {\"sqlite\": {\"path\": \"/file\", \"keep\": true}, \"gone\": {}}}", NULL,
                                sets, 4, &err);
    assert_string_equal(err.text, "");
    struct json_object *map = config_map(c, CONFIG_PLUGIN_CONFIG), *sqlite = json_member(map, "sqlite");
    assert_string_equal(json_str(sqlite, "path", ""), "/set");
    assert_string_equal(json_str(sqlite, "mode", ""), "fast");
    assert_int_equal(json_truth(sqlite, "keep", 0), 1);
    assert_int_equal(json_int(sqlite, "size", 0), 7);
    assert_int_equal(json_int(json_member(map, "other"), "x", 0), 1);
    assert_null(json_member(map, "gone"));
    assert_int_equal(json_int(json_member(config_map(c, CONFIG_WORKFLOWS), "a"), "maxSize", 0), 3);
    config_free(c);
}

static void a_list_is_given_with_commas_or_as_json(void **state)
{
    const char *const *list;
    struct config *c = load_set("plugins.dirs=/a,/b c");
    (void)state;
    assert_int_equal(config_strs(c, CONFIG_PLUGINS_DIRS, &list), 2);
    assert_string_equal(list[1], "/b c");
    config_free(c);
    c = load_set("plugins.dirs=[\"/a,b\"]");
    assert_int_equal(config_strs(c, CONFIG_PLUGINS_DIRS, &list), 1);
    assert_string_equal(list[0], "/a,b");
    config_free(c);
}

static void truth_has_many_words(void **state)
{
    static const char *const no[] = {"false", "no", "off", "0", "FALSE"};
    static const char *const yes[] = {"true", "yes", "on", "1", "Yes"};
    char set[64];
    (void)state;
    for (int i = 0; i < 5; i++) {
        snprintf(set, sizeof set, "plugins.auto=%s", no[i]);
        struct config *c = load_set(set);
        assert_int_equal(config_bool(c, CONFIG_PLUGINS_AUTO), 0);
        config_free(c);
        snprintf(set, sizeof set, "scale.dryRun=%s", yes[i]);
        c = load_set(set);
        assert_int_equal(config_bool(c, CONFIG_SCALE_DRY_RUN), 1);
        config_free(c);
    }
}

/* ---- what is refused ---- */

struct refusal {
    const char *file, *env, *set;
    const char *says[3];
};

static void check_refusal(const struct refusal *r)
{
    char *env[] = {(char *)(uintptr_t)r->env, NULL};
    struct bp_err err;
    struct config *c = load_all(r->file, r->env ? env : NULL, &r->set, r->set ? 1 : 0, &err);
    if (c)
        fail_msg("accepted: %s%s%s", r->file ? r->file : "", r->env ? r->env : "", r->set ? r->set : "");
    assert_true(err.rc < 0);
    for (int i = 0; i < 3 && r->says[i]; i++) {
        if (!strstr(err.text, r->says[i]))
            fail_msg("\"%s\" does not say \"%s\"", err.text, r->says[i]);
    }
}

static void a_refusal_names_file_line_key_and_the_nearest(void **state)
{
    static const struct refusal refusals[] = {
        {.file = "{\n\"http\": {\n\"lsiten\": \"x\"}}",
         .says = {"bpd.json:3: ", "\"http.lsiten\"", "did you mean \"http.listen\""}},
        {.file = "{\"htpp\": {\"listen\": \"x:1\"}}", .says = {"bpd.json:1: ", "\"htpp\""}},
        {.file = "{\"listen\": \"x:1\"}", .says = {"did you mean \"http.listen\""}},
        {.file = "{\n\n\"http.maxConnections\": 0}",
         .says = {"bpd.json:3: http.maxConnections: ", "from 1 to 1000000", "not 0"}},
        {.file = "{\"http.maxConnections\": 1.5}", .says = {"must be an integer"}},
        {.file = "{\"http.maxConnections\": \"5\"}", .says = {"must be an integer", "not \"5\""}},
        {.file = "{\"plugins.auto\": \"yes\"}", .says = {"must be true or false"}},
        {.file = "{\"log.form\": \"jsn\"}", .says = {"bpd.json:1: log.form: ", "one of auto, text, json", "not jsn"}},
        {.file = "{\"plugins.dirs\": [\"/a\", 1]}", .says = {"a list of texts"}},
        {.file = "{\"services\": []}", .says = {"services: must be an object"}},
        {.file = "{\"http\": 3}", .says = {"bpd.json:1: http is a section"}},
        {.file = "{\"stage\": null}", .says = {"stage: must be text"}},
        {.file = "{\n\"stage\": \"a\"\n\"x\": 1}", .says = {"bpd.json: line 3, column 1", "comma"}},
        {.file = "[]", .says = {"must hold one object"}},
        {.file = "", .says = {"bpd.json: line 1"}},
        {.set = "http.maxConections=5", .says = {"--set: ", "did you mean \"http.maxConnections\""}},
        {.set = "http.maxConnections=0x10", .says = {"--set: http.maxConnections: must be an integer", "not 0x10"}},
        {.set = "http.maxConnections=", .says = {"must be an integer"}},
        {.set = "dispatch.leaseTtlSeconds=nan", .says = {"must be a number"}},
        {.set = "dispatch.leaseTtlSeconds=0.1", .says = {"from 0.2 to 86400"}},
        {.set = "plugins.auto=maybe", .says = {"must be true or false"}},
        {.set = "services={", .says = {"--set: services: line 1"}},
        {.set = "novalue", .says = {"must be key=value"}},
        {.set = "=5", .says = {"must be key=value"}},
        {.env = "BPD_HTTP_LISTN=x:1", .says = {"environment BPD_HTTP_LISTN", "did you mean BPD_HTTP_LISTEN?"}},
        {.env = "BPD_NOTHING_LIKE_IT=1", .says = {"there is no such setting", "--help-config"}},
        {.env = "BPD_HTTP_MAX_CONNECTIONS=many",
         .says = {"environment BPD_HTTP_MAX_CONNECTIONS: http.maxConnections: "}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        check_refusal(&refusals[i]);
}

static void an_absent_file_is_an_error_and_so_is_a_directory(void **state)
{
    struct config_sources src = {.file = "absent.json"};
    struct bp_err err;
    (void)state;
    assert_null(config_load(&src, &err));
    assert_non_null(strstr(err.text, "absent.json: No such file"));
    src.file = ".";
    assert_null(config_load(&src, &err));
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_null(config_load(&src, NULL));
}

static void a_bad_file_in_confd_is_named(void **state)
{
    struct bp_err err;
    (void)state;
    mkdir("conf.d", 0755);
    write_file("conf.d/a.json", "{\n\"stagee\": 1}", 0644);
    assert_null(load_all("{}", NULL, NULL, 0, &err));
    assert_non_null(strstr(err.text, "conf.d/a.json:2: "));
    assert_non_null(strstr(err.text, "did you mean \"stage\""));
}

static void file_names_keys_and_texts_of_any_length_are_survived(void **state)
{
    size_t room = 100000;
    char *text = malloc(room + 64);
    struct bp_err err;
    (void)state;
    int at = sprintf(text, "{\"");
    memset(text + at, 'k', room);
    strcpy(text + at + room, "\": 1}");
    assert_null(load_all(text, NULL, NULL, 0, &err));
    at = sprintf(text, "{\"stage\": \"");
    memset(text + at, 's', room);
    strcpy(text + at + room, "\"}");
    assert_null(load_all(text, NULL, NULL, 0, &err));
    assert_non_null(strstr(err.text, "stage: must be text of 1 to 32 bytes"));
    free(text);
}

/* ---- secrets ---- */

static void secrets_come_from_environment_file_or_stay_a_param(void **state)
{
    char *const env[] = {"FLEET=from-env", "BPD_WORKER_FLEETSECRET=env:FLEET", NULL};
    const char *const sets[] = {"workers.fleetSecret=file:secret", "worker.token=param:/bp/token"};
    struct bp_err err;
    (void)state;
    write_file("secret", "from-file\n", 0600);
    struct config *c = load_all(NULL, env, sets, 2, &err);
    assert_string_equal(err.text, "");
    assert_string_equal(config_str(c, CONFIG_WORKERS_FLEET_SECRET), "from-file");
    assert_string_equal(config_str(c, CONFIG_WORKER_SECRET), "from-env");
    assert_string_equal(config_str(c, CONFIG_WORKER_TOKEN), "param:/bp/token");
    assert_string_equal(config_secret_param(c, CONFIG_WORKER_TOKEN), "/bp/token");
    assert_null(config_secret_param(c, CONFIG_WORKER_SECRET));
    config_free(c);
}

static void a_secret_that_others_can_read_or_that_is_absent_is_refused(void **state)
{
    static const struct refusal refusals[] = {
        {.set = "workers.fleetSecret=file:open",
         .says = {"workers.fleetSecret: ", "others can read or change", "chmod 600 open"}},
        {.set = "workers.fleetSecret=file:absent", .says = {"workers.fleetSecret: ", "absent"}},
        {.set = "workers.fleetSecret=file:empty", .says = {"holds nothing"}},
        {.set = "workers.fleetSecret=env:NOT_SET", .says = {"NOT_SET, which is not set"}},
    };
    (void)state;
    write_file("open", "hunter2", 0644);
    write_file("empty", "\n", 0600);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        check_refusal(&refusals[i]);
}

static void a_reference_that_a_stronger_source_replaces_is_never_followed(void **state)
{
    const char *set = "workers.fleetSecret=plain";
    struct bp_err err;
    (void)state;
    struct config *c = load_all("{\"workers.fleetSecret\": \"env:NOT_SET\"}", NULL, &set, 1, &err);
    assert_non_null(c);
    assert_string_equal(config_str(c, CONFIG_WORKERS_FLEET_SECRET), "plain");
    config_free(c);
}

static void secrets_inside_a_map_are_resolved_by_their_owner(void **state)
{
    char *const env[] = {"TOKEN=abc", NULL};
    struct bp_err err;
    (void)state;
    char *value = config_secret_resolve("env:TOKEN", env, &err);
    assert_string_equal(value, "abc");
    free(value);
    value = config_secret_resolve("plain", NULL, &err);
    assert_string_equal(value, "plain");
    free(value);
    assert_null(config_secret_resolve("env:TOKEN", NULL, &err));
}

static void secrets_are_never_printed(void **state)
{
    static const char *const too_long_or_wrong[] = {"{\"workers.fleetSecret\": [\"hunter2\"]}",
                                                    "{\"workers.fleetSecret\": {\"hunter2\": 1}}",
                                                    "{\"worker.token\": 42424242}"};
    struct bp_err err;
    (void)state;
    struct config *c =
        load_file("{\"workers.fleetSecret\": \"hunter2\", \"tenants\": {\"a\": {\"token\": \"hunter2\", \"name\": "
                  "\"seen\"}, \"b\": {\"token\": \"env:B\", \"tokens\": [\"hunter2\"]}}}");
    struct json_object *d = config_describe(c);
    const char *text = json_text(d);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\"***\""));
    assert_non_null(strstr(text, "env:B"));
    assert_non_null(strstr(text, "seen"));
    json_object_put(d);
    config_free(c);
    for (size_t i = 0; i < 3; i++) {
        assert_null(load_all(too_long_or_wrong[i], NULL, NULL, 0, &err));
        assert_null(strstr(err.text, "hunter2"));
        assert_null(strstr(err.text, "42424242"));
    }
}

/* ---- reload, description, help ---- */

static void diff_names_the_keys_whose_values_differ_and_only_those(void **state)
{
    struct config *a = load_file("{\"stage\": \"a\", \"tenants\": {\"x\": {\"n\": 1}}, \"plugins.dirs\": [\"/a\"]}");
    struct config *b =
        load_file("{\n\n\"stage\": \"a\", \"tenants\": {\"x\": {\"n\": 2}}, \"plugins.dirs\": [\"/a\", \"/b\"],"
                  "\"http.maxConnections\": 10000, \"scale.cooldownSeconds\": 1.5, \"plugins.auto\": false}");
    enum config_key changed[8];
    (void)state;
    assert_int_equal(config_diff(a, b, changed, 8), 4);
    assert_int_equal(changed[0], CONFIG_PLUGINS_DIRS);
    assert_int_equal(changed[1], CONFIG_PLUGINS_AUTO);
    assert_int_equal(changed[2], CONFIG_TENANTS);
    assert_int_equal(changed[3], CONFIG_SCALE_COOLDOWN_S);
    assert_int_equal(config_diff(a, b, changed, 1), 4);
    assert_int_equal(config_diff(b, b, changed, 8), 0);
    config_free(a);
    config_free(b);
}

static void every_row_of_the_table_is_sound(void **state)
{
    struct config *c = load_file("{}");
    struct json_object *d = config_describe(c);
    (void)state;
    assert_int_equal(json_object_array_length(d), CONFIG_END - 1);
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const struct config_info *info = config_info((enum config_key)i);
        assert_true(info->help[0] && info->name[0]);
        assert_true(info->min <= info->max);
        struct json_object *row = json_object_array_get_idx(d, (size_t)i - 1);
        assert_string_equal(json_str(row, "key", ""), info->name);
        assert_true(json_object_object_length(row) == 6);
    }
    json_object_put(d);
    config_free(c);
}

/* BPD_HTTP_MAX_BODY_BYTES finds its key without case and separators, so no two keys may look the same that way. */
static void no_two_keys_share_an_environment_name(void **state)
{
    char seen[CONFIG_END][128];
    (void)state;
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        size_t n = 0;
        for (const char *s = config_info((enum config_key)i)->name; *s; s++) {
            if (*s != '.')
                seen[i][n++] = (char)tolower((unsigned char)*s);
        }
        seen[i][n] = 0;
        for (int j = CONFIG_NONE + 1; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

static char *help(int form)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    config_help(f, form);
    fclose(f);
    return text;
}

static void help_lists_every_key_in_both_forms(void **state)
{
    char *plain = help(0), *markdown = help(1), cell[256];
    (void)state;
    for (int i = CONFIG_NONE + 1; i < CONFIG_END; i++) {
        const struct config_info *info = config_info((enum config_key)i);
        assert_non_null(strstr(plain, info->name));
        snprintf(cell, sizeof cell, "| `%s` | ", info->name);
        assert_non_null(strstr(markdown, cell));
    }
    assert_non_null(strstr(markdown, "## http\n"));
    assert_non_null(strstr(plain, "a change needs a restart"));
    free(plain);
    free(markdown);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(without_any_source_every_key_has_its_default),
        T(nested_and_dotted_keys_mean_the_same),
        T(the_origin_names_file_and_line),
        T(the_stronger_source_wins_file_confd_environment_set),
        T(maps_merge_member_by_member_and_null_removes),
        T(a_list_is_given_with_commas_or_as_json),
        T(truth_has_many_words),
        T(a_refusal_names_file_line_key_and_the_nearest),
        T(an_absent_file_is_an_error_and_so_is_a_directory),
        T(a_bad_file_in_confd_is_named),
        T(file_names_keys_and_texts_of_any_length_are_survived),
        T(secrets_come_from_environment_file_or_stay_a_param),
        T(a_secret_that_others_can_read_or_that_is_absent_is_refused),
        T(a_reference_that_a_stronger_source_replaces_is_never_followed),
        T(secrets_inside_a_map_are_resolved_by_their_owner),
        T(secrets_are_never_printed),
        T(diff_names_the_keys_whose_values_differ_and_only_those),
        T(every_row_of_the_table_is_sound),
        T(no_two_keys_share_an_environment_name),
        T(help_lists_every_key_in_both_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
