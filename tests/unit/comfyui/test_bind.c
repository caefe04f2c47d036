/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "bind.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

static struct settings s;
static struct bound b;
static struct bp_err err;

static struct json_object *parse(const char *text)
{
    struct json_object *o = json_read(text, strlen(text));
    assert_non_null(o);
    return o;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Binds the job of these properties, params and first n of the files one.JPG and two; release() when it worked. */
static int32_t bind(const char *properties, const char *params, uint32_t n, const char *node_inputs)
{
    static const struct bp_job_input inputs[] = {
        {"one", "image/jpeg", "Holiday Photo.JPG"}, {"two", "image/png", "mask"}, {"one", "", "x.a/b"}};
    char text[4096], graph_text[1024];
    write_file("one", "the first");
    write_file("two", "the second");
    write_file("style.PNG", "a style");
    write_file("empty", "");
    snprintf(text, sizeof text, "{\"graph\": \"g\", %s}", properties);
    snprintf(graph_text, sizeof graph_text, "{\"1\": {\"class_type\": \"T\", \"inputs\": %s}}", node_inputs);
    struct json_object *p = parse(params), *g = parse(graph_text);
    struct bp_job job = {.size = sizeof job, .n_inputs = n, .inputs = inputs};
    assert_int_equal(settings_read(&s, text, ".", &err), BP_OK);
    int32_t rc = bind_job(&b, &s, &job, p, g, &err);
    json_object_put(p);
    json_object_put(g);
    return rc;
}

static void release(void)
{
    bound_free(&b);
    settings_free(&s);
}

static const char *value(const char *key)
{
    for (uint32_t i = 0; i < b.n_values; i++)
        if (strcmp(b.values[i].key, key) == 0)
            return json_object_to_json_string_ext(b.values[i].json, JSON_C_TO_STRING_PLAIN);
    return "none";
}

static void refused(int32_t rc, const char *properties, const char *params, uint32_t n, const char *words)
{
    assert_int_equal(bind(properties, params, n, "{}"), rc);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    release();
}

static void params_go_before_defaults_and_keep_their_types(void **state)
{
    (void)state;
    assert_int_equal(
        bind("\"properties\": [{\"key\": \"prompt\", \"placeholder\": \"__P__\", \"default_value\": \"a\"},"
             "{\"key\": \"steps\", \"placeholder\": \"__S__\", \"type\": \"integer\", \"default_value\": \"20\"},"
             "{\"key\": \"cfg\", \"placeholder\": \"__C__\", \"type\": \"number\", \"default_value\": \"7.5\"},"
             "{\"key\": \"tiled\", \"placeholder\": \"__T__\", \"type\": \"boolean\", \"default_value\": \"true\"},"
             "{\"key\": \"count\", \"placeholder\": \"__N__\"},"
             "{\"key\": \"more\", \"placeholder\": \"__M__\"}]",
             "{\"prompt\": \"b\", \"count\": 4, \"tiled\": null}", 0, "{}"),
        BP_OK);
    assert_string_equal(value("prompt"), "\"b\"");
    assert_string_equal(value("steps"), "20");
    assert_string_equal(value("cfg"), "7.5");
    assert_string_equal(value("tiled"), "true");
    assert_string_equal(value("count"), "4");
    assert_string_equal(value("more"), "\"\"");
    release();
}

/* Also where the workflow has no schema of its params, and takes any. */
static void what_a_tenant_may_not_set_keeps_its_default(void **state)
{
    (void)state;
#define FIXED(more)                                                                                                    \
    "\"properties\": [{\"key\": \"p\", \"placeholder\": \"__P__\", \"user_configurable\": false" more "}]"
    assert_int_equal(bind(FIXED(", \"default_value\": \"ours\""), "{\"p\": \"theirs\"}", 0, "{}"), BP_OK);
    assert_string_equal(value("p"), "\"ours\"");
    release();
    refused(BP_INVALID, FIXED(", \"required\": true"), "{\"p\": \"theirs\"}", 0, "p has no default_value");
}

static void values_that_do_not_fit_are_refused(void **state)
{
    (void)state;
#define ONE(type, more)                                                                                                \
    "\"properties\": [{\"key\": \"steps\", \"placeholder\": \"__S__\", \"type\": \"" type "\"" more "}]"
    refused(BP_BADINPUT, ONE("integer", ""), "{}", 0, "steps is needed");
    refused(BP_BADINPUT, ONE("text", ", \"required\": true"), "{}", 0, "steps is needed");
    refused(BP_INVALID, ONE("integer", ""), "{\"steps\": \"many\"}", 0, "must be a number");
    refused(BP_INVALID, ONE("integer", ""), "{\"steps\": 1.5}", 0, "must be a number");
    refused(BP_INVALID, ONE("integer", ""), "{\"steps\": \"99999999999999999999\"}", 0, "must be a number");
    refused(BP_INVALID, ONE("number", ""), "{\"steps\": \"inf\"}", 0, "must be a number");
    refused(BP_INVALID, ONE("boolean", ""), "{\"steps\": \"yes\"}", 0, "true or false");
    refused(BP_INVALID, ONE("text", ""), "{\"steps\": [\"4\", 0]}", 0, "must be a text");
    assert_int_equal(bind(ONE("integer", ""), "{\"steps\": 3.0}", 0, "{}"), BP_OK);
    assert_string_equal(value("steps"), "3");
    release();
}

/* The name is a hash of the content, so the same file has one name, and ComfyUI mixes no two up. */
static void a_file_is_named_after_what_is_in_it(void **state)
{
    (void)state;
    char first[FILE_NAME_MAX];
    assert_int_equal(bind("\"input_reference_prefix\": \"in/\"", "{}", 1, "{\"image\": \"__INPUT_PATH__\"}"), BP_OK);
    assert_int_equal(b.n_files, 1);
    /* printf 'the first' | sha256sum */
    assert_string_equal(b.files[0].name, "bpd-6fa2c9ea02d6b6cc4aeb86495d9a1bea.jpg");
    assert_string_equal(b.primary, "in/bpd-6fa2c9ea02d6b6cc4aeb86495d9a1bea.jpg");
    assert_int_equal(b.files[0].bytes, 9);
    snprintf(first, sizeof first, "%s", b.files[0].name);
    release();
    assert_int_equal(bind("\"input_path_placeholder\": \"@in\"", "{}", 1, "{\"image\": \"@in\"}"), BP_OK);
    assert_string_equal(b.files[0].name, first);
    release();
}

static void the_first_file_is_the_primary_ones_wherever_that_stands(void **state)
{
    (void)state;
    assert_int_equal(
        bind("\"properties\": ["
             "{\"key\": \"style\", \"placeholder\": \"__STYLE__\", \"type\": \"image\", \"user_configurable\": false,"
             " \"default_value\": \"style.PNG\"},"
             "{\"key\": \"mask\", \"placeholder\": \"__MASK__\", \"type\": \"image\"},"
             "{\"key\": \"photo\", \"placeholder\": \"__PHOTO__\", \"type\": \"image\", \"is_primary_input\": true},"
             "{\"key\": \"lut\", \"placeholder\": \"__LUT__\", \"type\": \"file\", \"user_configurable\": false,"
             " \"in_comfyui\": \"luts/warm.cube\"}]",
             "{}", 2, "{}"),
        BP_OK);
    assert_int_equal(b.n_files, 4);
    assert_string_equal(b.files[0].path, "./style.PNG");
    assert_non_null(strstr(b.files[0].name, ".png"));
    assert_string_equal(b.files[1].path, "two");
    assert_non_null(strstr(b.files[1].name, ".png")); /* by its MIME type */
    assert_string_equal(b.files[2].path, "one");
    assert_string_equal(b.files[3].name, "luts/warm.cube");
    assert_string_equal(b.files[3].path, "");
    assert_string_equal(value("lut"), "\"luts\\/warm.cube\"");
    release();
}

static void files_that_are_missing_or_too_many_are_named(void **state)
{
    (void)state;
#define FILES(more) "\"properties\": [{\"key\": \"photo\", \"placeholder\": \"__P__\", \"type\": \"image\"" more "}]"
    refused(BP_BADINPUT, FILES(", \"required\": true"), "{}", 0, "photo is needed");
    refused(BP_BADINPUT, FILES(""), "{}", 2, "at most 1");
    refused(BP_BADINPUT, "\"properties\": []", "{}", 1, "at most 0");
    refused(BP_INVALID, FILES(", \"user_configurable\": false, \"required\": true"), "{}", 0, "neither default_value");
    refused(BP_INVALID, FILES(", \"default_value\": \"none.png\""), "{}", 0, "cannot be read");
    refused(BP_INVALID, FILES(", \"default_value\": \"empty\""), "{}", 0, "is empty");
    refused(BP_INVALID, FILES(", \"in_comfyui\": \"../models/x\""), "{}", 0, "in_comfyui");
    refused(BP_INVALID, FILES(", \"in_comfyui\": \"/etc/passwd\""), "{}", 0, "in_comfyui");
    /* Not given, not needed, and nowhere in the graph. */
    assert_int_equal(bind(FILES(""), "{}", 0, "{}"), BP_OK);
    assert_int_equal(b.n_files, 0);
    release();
    assert_int_equal(bind(FILES(""), "{}", 0, "{\"image\": \"__P__\"}"), BP_BADINPUT);
    release();
}

static void a_name_that_means_no_good_gives_no_ending(void **state)
{
    (void)state;
    assert_int_equal(bind("\"properties\": [{\"key\": \"a\", \"placeholder\": \"__A__\", \"type\": \"file\"},"
                          "{\"key\": \"b\", \"placeholder\": \"__B__\", \"type\": \"file\"},"
                          "{\"key\": \"c\", \"placeholder\": \"__C__\", \"type\": \"file\"}]",
                          "{}", 3, "{}"),
                     BP_OK);
    assert_int_equal(strlen(b.files[2].name), 36);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_go_before_defaults_and_keep_their_types),
        cmocka_unit_test(what_a_tenant_may_not_set_keeps_its_default),
        cmocka_unit_test(values_that_do_not_fit_are_refused),
        cmocka_unit_test(a_file_is_named_after_what_is_in_it),
        cmocka_unit_test(the_first_file_is_the_primary_ones_wherever_that_stands),
        cmocka_unit_test(files_that_are_missing_or_too_many_are_named),
        cmocka_unit_test(a_name_that_means_no_good_gives_no_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
