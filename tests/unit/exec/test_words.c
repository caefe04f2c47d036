/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, and the arguments and environment made of them: what a tenant sends is data and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "words.h"

#include <bp/workflow.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const inputs[] = {"/t/input-1.png", "/t/input-2.txt"};

static struct scope scope_of(const char *params)
{
    return (struct scope){.inputs = inputs,
                          .n_inputs = 2,
                          .output = "/t/out.jpg",
                          .temp = "/t",
                          .params_file = "/t/params.json",
                          .checkpoint = "/t/checkpoint",
                          .dir = "/srv/workflows.d",
                          .assets = "/srv/assets",
                          .slug = "sepia",
                          .device = "cpu",
                          .job = 41,
                          .attempt = 2,
                          .params = json_tokener_parse(params)};
}

/* The arguments of that command, joined by '|'; "rc: words" on error. */
static const char *args(const char *settings, const char *params)
{
    static char text[8192];
    struct settings s;
    struct words w = {0};
    struct bp_err err = {0};
    struct scope scope = scope_of(params);
    static char *const base[] = {"PATH=/bin", NULL};
    text[0] = '\0';
    int32_t rc = settings_open(&s, settings, &err);
    rc = rc < 0 ? rc : words_make(&w, &s, &scope, base, &err);
    for (char **p = w.argv; rc == BP_OK && *p; p++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", p == w.argv ? "" : "|", *p);
    if (rc < 0)
        snprintf(text, sizeof text, "%d: %s", rc, err.text);
    words_free(&w);
    json_object_put(scope.params);
    settings_close(&s);
    return text;
}

/* The value of one variable, NULL when it is not set. */
static const char *variable(const char *settings, const char *params, const char *name)
{
    static char text[8192];
    struct settings s;
    struct words w = {0};
    struct bp_err err = {0};
    struct scope scope = scope_of(params);
    static char *const base[] = {"PATH=/bin", "HOME=/root", "BP_JOB=forged", "BP_CPU_LEVEL=1", "KEEP=me", NULL};
    const char *found = NULL;
    assert_int_equal(settings_open(&s, settings, &err), BP_OK);
    int32_t rc = words_make(&w, &s, &scope, base, &err);
    if (rc < 0)
        found = strcpy(text, err.text);
    for (char **p = w.envp; rc == BP_OK && *p; p++) {
        size_t n = strlen(name);
        if (strncmp(*p, name, n) == 0 && (*p)[n] == '=') {
            assert_null(found);
            found = strcpy(text, *p + n + 1);
        }
    }
    words_free(&w);
    json_object_put(scope.params);
    settings_close(&s);
    return found;
}

static void placeholders_are_filled_in(void **state)
{
    (void)state;
    assert_string_equal(args("{\"command\": [\"run\", \"{input}\", \"-o\", \"{output}\"]}", "{}"),
                        "run|/t/input-1.png|-o|/t/out.jpg");
    assert_string_equal(
        args("{\"command\": [\"run\", \"{input.2}\", \"{inputs}\", \"{temp}/x\", \"{paramsFile}\"]}", "{}"),
        "run|/t/input-2.txt|/t/input-1.png|/t/input-2.txt|/t/x|/t/params.json");
    assert_string_equal(
        args("{\"command\": [\"{dir}/run\", \"{slug}:{job}:{attempt}:{device}\", \"{checkpoint}\"]}", "{}"),
        "/srv/workflows.d/run|sepia:41:2:cpu|/t/checkpoint");
    assert_string_equal(
        args("{\"command\": [\"run\", \"--s={params.s}\", \"{params.n}\", \"{params.b}\", \"{params.o.x}\"]}",
             "{\"s\": \"two words\", \"n\": 0.80, \"b\": true, \"o\": {\"x\": [1, \"a\"]}}"),
        "run|--s=two words|0.80|true|[1,\"a\"]");
}

static void braces_that_are_no_placeholder_stay(void **state)
{
    (void)state;
    assert_string_equal(
        args(
            "{\"command\": [\"run\", \"{\\\"a\\\": 1}\", \"{ print $1 }\", \"${HOME}\", \"{{input}}\", \"{}\", \"{\"]}",
            "{}"),
        "run|{\"a\": 1}|{ print $1 }|${HOME}|{input}|{}|{");
}

static void a_list_is_left_out_when_its_param_is_absent(void **state)
{
    (void)state;
    const char *settings = "{\"command\": [\"run\", [\"--seed\", \"{params.seed}\"], \"end{params.nothing}\"]}";
    assert_string_equal(args(settings, "{}"), "run|end");
    assert_string_equal(args(settings, "{\"seed\": null}"), "run|end");
    assert_string_equal(args(settings, "{\"seed\": 0}"), "run|--seed|0|end");
}

static void each_hostile_param_is_one_argument_unchanged(void **state)
{
    (void)state;
    static const char *const texts[] = {"a b",        "$(reboot)", "`reboot`", "; reboot", "&& reboot", "| reboot",
                                        "' reboot '", "\" x \"",   "a\nb",     "{input}",  "{{input}}", "${HOME}",
                                        "*",          "~root",     "%s%n",     "\\",       "\xc3\xa9"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char wanted[200];
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "p", json_object_new_string(texts[i]));
        snprintf(wanted, sizeof wanted, "run|%s|--p=%s|end", texts[i], texts[i]);
        assert_string_equal(args("{\"command\": [\"run\", \"{params.p}\", \"--p={params.p}\", \"end\"]}",
                                 json_object_to_json_string(o)),
                            wanted);
        json_object_put(o);
    }
}

static void a_param_does_not_become_an_option(void **state)
{
    (void)state;
    const char *params = "{\"p\": \"--output=/etc/passwd\", \"n\": -5}";
    assert_non_null(strstr(args("{\"command\": [\"run\", \"{params.p}\"]}", params), "the param p begins with '-'"));
    assert_true(strncmp(args("{\"command\": [\"run\", \"{params.p}x\"]}", params), "-12:", 4) == 0);
    assert_string_equal(args("{\"command\": [\"run\", \"--p={params.p}\"]}", params), "run|--p=--output=/etc/passwd");
    assert_string_equal(args("{\"command\": [\"run\", \"--\", \"{params.p}\"]}", params),
                        "run|--|--output=/etc/passwd");
    assert_string_equal(args("{\"command\": [\"run\", \"{params.n}\"]}", params), "run|-5");
    assert_string_equal(args("{\"dashes\": \"allow\", \"command\": [\"run\", \"{params.p}\"]}", params),
                        "run|--output=/etc/passwd");
}

static void a_program_in_an_argument_takes_no_param(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\"sh\", \"-c\", \"echo {params.p}\"",
        "\"/bin/bash\", \"-euc\", \"echo '{params.p}'\"",
        "\"timeout\", \"5\", \"sh\", \"-c\", \"x {params.p}\"",
        "\"python3\", \"-c\", \"print('{params.p}')\"",
        "\"python3.11\", \"-u\", \"-c\", \"{params.p}\"",
        "\"perl\", \"-ne\", \"{params.p}\"",
        "\"node\", \"--eval={params.p}\"",
        "\"sed\", \"s/a/{params.p}/\"",
        "\"awk\", \"-F,\", \"{params.p}\"",
        "\"env\", \"A=1\", \"sh\", [\"-c\", \"echo {params.p}\"]",
    };
    static const char *const right[] = {
        "\"sh\", \"-c\", \"echo \\\"$1\\\"\", \"name\", \"{params.p}\"",
        "\"sh\", \"-e\", \"script.sh\", \"{params.p}\"",
        "\"python3\", \"run.py\", \"-c\", \"{params.p}\"",
        "\"run\", \"-c\", \"{params.p}\"",
        "\"sh\", \"-c\", \"cp {input} {output}\"",
    };
    char settings[400];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(settings, sizeof settings, "{\"command\": [%s]}", wrong[i]);
        if (!strstr(args(settings, "{\"p\": \"x\"}"), "puts a param into a program's text"))
            fail_msg("%s gave %s", settings, args(settings, "{\"p\": \"x\"}"));
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        snprintf(settings, sizeof settings, "{\"command\": [%s]}", right[i]);
        if (strstr(args(settings, "{\"p\": \"x\"}"), "-2:") == args(settings, "{\"p\": \"x\"}"))
            fail_msg("%s gave %s", settings, args(settings, "{\"p\": \"x\"}"));
    }
}

static void wrong_settings_are_told_by_name(void **state)
{
    (void)state;
    assert_non_null(strstr(args("{}", "{}"), "settings.command is missing"));
    assert_non_null(strstr(args("{\"command\": [\"run\", \"{imput}\"]}", "{}"),
                           "settings.command[1]: unknown placeholder {imput}; there are {params.NAME} {input}"));
    assert_non_null(strstr(args("{\"command\": [\"run\", \"{input.3}\"]}", "{}"),
                           "-12: the job has 2 input files, but the workflow needs number 3"));
    assert_non_null(strstr(args("{\"command\": [[\"{params.x}\"]]}", "{}"), "settings.command names no program"));
    assert_non_null(strstr(args("{\"command\": [\"x\"], \"exitCodes\": {\"terminal\": [3], \"badInput\": [3]}}", "{}"),
                           "settings.exitCodes has 3 twice"));
    assert_non_null(strstr(args("{\"command\": [\"x\"], \"progress\": {\"pattern\": \"(\"}}", "{}"),
                           "settings.progress.pattern is no extended regular expression"));
    assert_non_null(
        strstr(args("{\"command\": [\"x\"], \"progress\": {\"pattern\": \"[0-9]+\"}}", "{}"), "has no group"));
    assert_non_null(
        strstr(args("{\"command\": [\"x\"], \"env\": {\"A=B\": \"\"}}", "{}"), "settings.env.A=B is no name"));
    assert_non_null(strstr(args("{\"command\": [\"x\"], \"env\": {\"LD_PRELOAD\": \"{params.p}\"}}", "{}"),
                           "settings.env.LD_PRELOAD must not hold a param"));
}

static void the_environment_names_the_job_and_its_params(void **state)
{
    (void)state;
    const char *plain =
        "{\"command\": [\"x\"], \"env\": {\"KEEP\": \"you\", \"MODEL\": \"{dir}/m.pt\", \"P\": \"{params.a-b}\"}}";
    const char *params = "{\"a-b\": \"$(x) y\", \"n\": 3, \"none\": null}";
    assert_string_equal(variable(plain, params, "BP_PARAM_A_B"), "$(x) y");
    assert_string_equal(variable(plain, params, "BP_PARAM_N"), "3");
    assert_null(variable(plain, params, "BP_PARAM_NONE"));
    assert_string_equal(variable(plain, params, "KEEP"), "you");
    assert_string_equal(variable(plain, params, "MODEL"), "/srv/workflows.d/m.pt");
    assert_string_equal(variable(plain, params, "P"), "$(x) y");
    assert_string_equal(variable(plain, params, "HOME"), "/t");
    assert_string_equal(variable(plain, params, "PATH"), "/bin");
    assert_string_equal(variable(plain, params, "BP_JOB"), "41");
    assert_string_equal(variable(plain, params, "BP_INPUT_2"), "/t/input-2.txt");
    assert_string_equal(variable(plain, params, "BP_CPU_LEVEL"), "1");
}

static void a_value_too_long_for_a_variable_is_left_to_the_file(void **state)
{
    (void)state;
    static char params[300000];
    int n = snprintf(params, sizeof params, "{\"p\": \"");
    memset(params + n, 'x', 200000);
    snprintf(params + n + 200000, 10, "\"}");
    assert_null(variable("{\"command\": [\"x\"]}", params, "BP_PARAM_P"));
}

static void programs_are_found_and_their_absence_told(void **state)
{
    (void)state;
    char out[4096];
    struct bp_err err = {0};
    char *const envp[] = {"PATH=/nowhere:.", NULL};
    FILE *f = fopen("runme", "we");
    assert_non_null(f);
    fclose(f);
    struct words w = {.argv = (char *[]){"runme", NULL}, .envp = (char **)envp};
    assert_int_equal(words_program(&w, "/", out, sizeof out, &err), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "there is no program runme in the worker's PATH"));
    chmod("runme", 0755);
    assert_int_equal(words_program(&w, "/", out, sizeof out, &err), BP_OK);
    assert_string_equal(out, "./runme");
    w.argv = (char *[]){"bin/model", NULL};
    assert_int_equal(words_program(&w, "/srv/w", out, sizeof out, &err), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "cannot run /srv/w/bin/model: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_are_filled_in),
        cmocka_unit_test(braces_that_are_no_placeholder_stay),
        cmocka_unit_test(a_list_is_left_out_when_its_param_is_absent),
        cmocka_unit_test(each_hostile_param_is_one_argument_unchanged),
        cmocka_unit_test(a_param_does_not_become_an_option),
        cmocka_unit_test(a_program_in_an_argument_takes_no_param),
        cmocka_unit_test(wrong_settings_are_told_by_name),
        cmocka_unit_test(the_environment_names_the_job_and_its_params),
        cmocka_unit_test(a_value_too_long_for_a_variable_is_left_to_the_file),
        cmocka_unit_test(programs_are_found_and_their_absence_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
