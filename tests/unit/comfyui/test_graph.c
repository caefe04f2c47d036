/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "graph.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bp_err err;

static struct json_object *parse(const char *text)
{
    struct json_object *o = json_read(text, strlen(text));
    assert_non_null(o);
    return o;
}

/* A graph of one node whose inputs are given. */
static struct json_object *node(const char *inputs)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"1\": {\"class_type\": \"T\", \"inputs\": %s}}", inputs);
    return parse(text);
}

static void expect_inputs(struct json_object *graph, const char *inputs)
{
    struct json_object *got = json_member(graph_node(graph, "1"), "inputs"), *want = parse(inputs);
    if (!json_object_equal(got, want))
        fail_msg("%s is not %s", json_object_to_json_string(got), inputs);
    json_object_put(want);
}

static void put(struct value *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        json_object_put(values[i].json);
}

static void a_whole_placeholder_takes_the_type_of_its_value(void **state)
{
    (void)state;
    struct value v[] = {{"__SEED__", "seed", json_object_new_int64(9007199254740993), 0},
                        {"__STRENGTH__", "strength", json_object_new_double_s(0.8, "0.8"), 0},
                        {"__TILED__", "tiled", json_object_new_boolean(1), 0},
                        {"__PROMPT__", "prompt", json_object_new_string("a \"cat\""), 0}};
    struct json_object *g = node("{\"seed\": \"__SEED__\", \"deep\": [[\"__STRENGTH__\"], {\"x\": \"__TILED__\"}],"
                                 "\"text\": \"__PROMPT__\", \"link\": [\"4\", 0], \"n\": 5}");
    assert_int_equal(graph_fill(g, v, 4, NULL, &err), BP_OK);
    expect_inputs(g, "{\"seed\": 9007199254740993, \"deep\": [[0.8], {\"x\": true}], \"text\": \"a \\\"cat\\\"\","
                     "\"link\": [\"4\", 0], \"n\": 5}");
    put(v, 4);
    json_object_put(g);
}

static void within_a_text_the_text_of_the_value_goes_in(void **state)
{
    (void)state;
    struct value v[] = {{"__SEED__", "seed", json_object_new_int(7), 0},
                        {"__STRENGTH__", "strength", json_object_new_double_s(0.8, "0.8"), 0},
                        {"__TILED__", "tiled", json_object_new_boolean(0), 0},
                        {"__PROMPT__", "prompt", json_object_new_string("cat"), 0}};
    struct json_object *g =
        node("{\"a\": \"photo of a __PROMPT__, __PROMPT__!\", \"b\": \"__SEED____STRENGTH__/__TILED__\"}");
    assert_int_equal(graph_fill(g, v, 4, NULL, &err), BP_OK);
    expect_inputs(g, "{\"a\": \"photo of a cat, cat!\", \"b\": \"70.8/false\"}");
    assert_int_equal(v[3].uses, 2);
    put(v, 4);
    json_object_put(g);
}

/* In the field, a tenant's text with a placeholder in it was filled again, and quotes broke the JSON. */
static void what_a_tenant_writes_is_never_filled_again(void **state)
{
    (void)state;
    struct value v[] = {{"__PROMPT__", "prompt", json_object_new_string("__SECRET__ \"}, {\\ __NOWHERE__"), 0},
                        {"__SECRET__", "secret", json_object_new_string("s3cret"), 0}};
    struct json_object *g = node("{\"a\": \"__PROMPT__\", \"b\": \"x __PROMPT__\", \"c\": \"__SECRET__\"}");
    assert_int_equal(graph_fill(g, v, 2, NULL, &err), BP_OK);
    expect_inputs(g,
                  "{\"a\": \"__SECRET__ \\\"}, {\\\\ __NOWHERE__\", \"b\": \"x __SECRET__ \\\"}, {\\\\ __NOWHERE__\","
                  "\"c\": \"s3cret\"}");
    put(v, 2);
    json_object_put(g);
}

static void the_longest_placeholder_wins(void **state)
{
    (void)state;
    struct value v[] = {{"__A", "short", json_object_new_string("1"), 0},
                        {"__A__B__", "long", json_object_new_string("2"), 0}};
    struct json_object *g = node("{\"a\": \"x__A__B__\", \"b\": \"__A!\"}");
    assert_int_equal(graph_fill(g, v, 2, NULL, &err), BP_OK);
    expect_inputs(g, "{\"a\": \"x2\", \"b\": \"1!\"}");
    put(v, 2);
    json_object_put(g);
}

static void a_placeholder_that_is_nowhere_is_named(void **state)
{
    (void)state;
    struct value v = {"__MASK__", "mask", json_object_new_string("m.png"), 0};
    struct json_object *g = node("{\"a\": \"b\"}");
    assert_int_equal(graph_fill(g, &v, 1, NULL, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "__MASK__"));
    assert_non_null(strstr(err.text, "mask"));
    assert_int_equal(graph_fill(g, &v, 1, "mask", &err), BP_OK);
    json_object_put(v.json);
    json_object_put(g);
}

static void a_placeholder_that_nothing_fills_is_named(void **state)
{
    (void)state;
    static const char *const unknown[] = {"__MASK__", "a __MASK_2__ b", "__X__Y"};
    static const char *const plain[] = {"__init__", "____", "__A_", "a__b__c", "__ A __", "__1__", "_MASK_"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char inputs[100];
        snprintf(inputs, sizeof inputs, "{\"a\": \"%s\"}", unknown[i]);
        struct json_object *g = node(inputs);
        assert_int_equal(graph_fill(g, NULL, 0, NULL, &err), BP_INVALID);
        assert_non_null(strstr(err.text, i == 1 ? "__MASK_2__" : i == 2 ? "__X__" : "__MASK__"));
        json_object_put(g);
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        char inputs[100];
        snprintf(inputs, sizeof inputs, "{\"a\": \"%s\"}", plain[i]);
        struct json_object *g = node(inputs);
        assert_int_equal(graph_fill(g, NULL, 0, NULL, &err), BP_OK);
        expect_inputs(g, inputs);
        json_object_put(g);
    }
}

/* A node's title is for people, and may well say what a placeholder is. */
static void titles_are_left_alone(void **state)
{
    (void)state;
    struct json_object *g =
        parse("{\"1\": {\"class_type\": \"T\", \"inputs\": {}, \"_meta\": {\"title\": \"__MASK__\"}}}");
    assert_int_equal(graph_fill(g, NULL, 0, NULL, &err), BP_OK);
    assert_false(graph_has(g, "__MASK__"));
    json_object_put(g);
}

static void a_graph_that_grows_beyond_its_bound_is_refused(void **state)
{
    (void)state;
    size_t n = 3 << 20;
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    struct value v = {"__P__", "p", json_object_new_string(text), 0};
    struct json_object *g = node("{\"a\": \"-__P____P____P____P____P____P__\"}");
    assert_int_equal(graph_fill(g, &v, 1, NULL, &err), BP_BADINPUT);
    json_object_put(v.json);
    json_object_put(g);
    free(text);
}

/* ---- reading ---- */

static int32_t read_text(const char *text, struct json_object **g)
{
    FILE *f = fopen("g.json", "w");
    fputs(text, f);
    fclose(f);
    struct json_object *name = json_object_new_string("g.json");
    int32_t rc = graph_read(name, ".", g, &err);
    json_object_put(name);
    return rc;
}

static void a_graph_comes_from_a_file_or_stands_in_the_settings(void **state)
{
    (void)state;
    struct json_object *g, *in = node("{\"a\": 1}");
    assert_int_equal(read_text("{\"1\": {\"class_type\": \"T\", \"inputs\": {\"a\": 1}}}", &g), BP_OK);
    assert_true(json_object_equal(g, in));
    json_object_put(g);
    assert_int_equal(graph_read(in, "", &g, &err), BP_OK);
    assert_true(g != in && json_object_equal(g, in));
    json_object_put(g);
    json_object_put(in);
}

/* What PHP made of {}. */
static void empty_lists_become_empty_objects_again(void **state)
{
    (void)state;
    struct json_object *g;
    assert_int_equal(read_text("{\"1\": {\"class_type\": \"T\", \"inputs\": []}, \"2\": {\"class_type\": \"U\"}}", &g),
                     BP_OK);
    assert_string_equal(json_object_to_json_string(json_member(graph_node(g, "1"), "inputs")), "{ }");
    assert_string_equal(json_object_to_json_string(json_member(graph_node(g, "2"), "inputs")), "{ }");
    assert_string_equal(graph_class(g, "2"), "U");
    assert_string_equal(graph_class(g, "3"), "");
    json_object_put(g);
}

static void a_graph_that_is_none_says_why(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{\"nodes\": [], \"links\": []}", "Export (API)"},
        {"[]", "no JSON object"},
        {"{", "no JSON object"},
        {"{} x", "no JSON object"},
        {"{}", "no node"},
        {"{\"1\": {}}", "class_type"},
        {"{\"1\": 5}", "class_type"},
        {"{\"1\": {\"class_type\": \"T\", \"inputs\": [1]}}", "no object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct json_object *g = NULL;
        assert_int_equal(read_text(bad[i][0], &g), BP_INVALID);
        assert_null(g);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("\"%s\" does not say \"%s\"", err.text, bad[i][1]);
    }
    struct json_object *g, *name = json_object_new_string("none.json");
    assert_int_equal(graph_read(name, "/nowhere", &g, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "none.json cannot be read"));
    json_object_put(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_placeholder_takes_the_type_of_its_value),
        cmocka_unit_test(within_a_text_the_text_of_the_value_goes_in),
        cmocka_unit_test(what_a_tenant_writes_is_never_filled_again),
        cmocka_unit_test(the_longest_placeholder_wins),
        cmocka_unit_test(a_placeholder_that_is_nowhere_is_named),
        cmocka_unit_test(a_placeholder_that_nothing_fills_is_named),
        cmocka_unit_test(titles_are_left_alone),
        cmocka_unit_test(a_graph_that_grows_beyond_its_bound_is_refused),
        cmocka_unit_test(a_graph_comes_from_a_file_or_stands_in_the_settings),
        cmocka_unit_test(empty_lists_become_empty_objects_again),
        cmocka_unit_test(a_graph_that_is_none_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
