/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "log/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    const char *text, *says; /* says NULL: accepted */
};

static void expect(const struct sample *s, struct json_object *(*parse)(const char *, size_t, struct bp_err *))
{
    struct bp_err err = {0};
    char *exact = malloc(strlen(s->text) + 1); /* the reader must not rely on a NUL */
    memcpy(exact, s->text, strlen(s->text));
    struct json_object *o = parse(exact, strlen(s->text), &err);
    if (!s->says && !o)
        fail_msg("%s: refused: %s", s->text, err.text);
    if (s->says && (o || err.rc != BP_INVALID || !strstr(err.text, s->says)))
        fail_msg("%s: expected \"%s\", got \"%s\"", s->text, s->says, o ? "accepted" : err.text);
    json_object_put(o);
    free(exact);
}

static void strict_text_is_read_and_everything_else_refused_with_line_and_column(void **state)
{
    static const struct sample samples[] = {
        {"{\"a\":[1,-2.5e3,true,false,null,\"\\u00e9\\n\"]}", NULL},
        {"12", NULL},
        {" \"x\"\n", NULL},
        {"[0,-0,0.5,1E+2]", NULL},
        {"", "line 1, column 1: the text ends"},
        {"{\"a\":1,}", "line 1, column 8: a comma before"},
        {"{\n  \"a\": 1\n  \"b\": 2}", "line 3, column 3: here a comma"},
        {"// x\n1", "comments are not allowed"},
        {"{'a':1}", "double quotes"},
        {"[01]", "must not start with 0"},
        {"[NaN]", "a value is expected"},
        {"-Infinity", "a digit is missing"},
        {"[1e999]", "out of range"},
        {"1 2", "more text follows"},
        {"\"\\u0000\"", "NUL"},
        {"\"a\tb\"", "control character"},
        {"\"\\x\"", "no such escape"},
        {"\"\xe9\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"open", "ends inside a string"},
        {"{\"a\"", "colon"},
        {"truth", "a value is expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        expect(&samples[i], json_parse);
}

/* As bytes of a body may be: strchr() finds the end of its text in any. */
static void a_nul_behind_a_backslash_is_no_escape(void **state)
{
    static const char text[] = "{\"a\":\"\\\0\"}";
    struct bp_err err = {0};
    (void)state;
    assert_null(json_parse(text, sizeof text - 1, &err));
    assert_non_null(strstr(err.text, "column 8: no such escape"));
}

static void config_text_may_have_comments_and_trailing_commas(void **state)
{
    static const struct sample samples[] = {
        {"// first\n{\"a\": /* b */ [1, 2,], # no\n}", "double quotes"},
        {"// first\n{\"a\": /* b\n c */ [1, 2,],\n}", NULL},
        {"{\"url\": \"http://x/*y*/\"}", NULL},
        {"{} /* open", "line 1, column 4: this comment is not closed"},
        {"/* a\n*/ {\"a\" 1}", "line 2, column 9: a colon"},
        {"[,]", "a value is expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        expect(&samples[i], json_parse_config);
    struct json_object *o = json_parse_config("{\"url\":\"http://x/*y*/\",}", 24, NULL);
    assert_string_equal(json_str(o, "url", ""), "http://x/*y*/");
    json_object_put(o);
}

static void depth_ends_at_32(void **state)
{
    char text[128];
    (void)state;
    for (size_t depth = 32; depth <= 33; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = 0;
        struct sample s = {text, depth > 32 ? "deeper than 32" : NULL};
        expect(&s, json_parse);
        text[depth] = '1'; /* a scalar in the deepest bracket is no level */
        memset(text + depth + 1, ']', depth);
        text[2 * depth + 1] = 0;
        expect(&s, json_parse);
    }
}

static void members_of_another_type_give_the_default(void **state)
{
    struct json_object *o = json_parse("{\"s\":\"x\",\"i\":7,\"d\":1.5,\"b\":true,\"n\":null}", 41, NULL);
    (void)state;
    assert_non_null(o);
    assert_string_equal(json_str(o, "s", "-"), "x");
    assert_string_equal(json_str(o, "i", "-"), "-");
    assert_int_equal(json_int(o, "i", -1), 7);
    assert_int_equal(json_int(o, "d", -1), -1);
    assert_true(json_num(o, "i", 0) > 6.9 && json_num(o, "d", 0) > 1.4);
    assert_int_equal(json_truth(o, "b", 0), 1);
    assert_int_equal(json_truth(o, "s", 0), 0);
    assert_null(json_member(o, "n"));
    assert_null(json_member(NULL, "n"));
    assert_int_equal(json_int(json_member(o, "s"), "x", 3), 3);
    json_object_put(o);
}

static void numbers_are_written_short_and_read_back_exactly(void **state)
{
    struct json_object *o = json_object_new_object();
    (void)state;
    json_put_num(o, "a", 0.1);
    json_put_num(o, "b", 1.0 / 3.0);
    json_put_num(o, "c", (double)INFINITY);
    json_put_raw(o, "d", "{\"x\":[1]}");
    json_put_raw(o, "e", "not json");
    json_put_str(o, "f", NULL);
    json_put_str(o, "g", "a/b");
    const char *text = json_text(o);
    assert_non_null(strstr(text, "\"a\":0.1,"));
    assert_non_null(strstr(text, "\"c\":null,\"d\":{\"x\":[1]},\"e\":null,\"f\":null,\"g\":\"a/b\""));
    struct json_object *again = json_parse(text, strlen(text), NULL);
    assert_true(json_num(again, "b", 0) == 1.0 / 3.0);
    json_object_put(again);
    json_object_put(o);
}

static void nearest_name_suggests_a_typo_and_keeps_silent_when_far(void **state)
{
    static const char *const names[] = {"http.listen", "http.url", "stage", "log.path"};
    (void)state;
    assert_string_equal(nearest_name("http.lsiten", names, 4), "http.listen");
    assert_string_equal(nearest_name("STAGE", names, 4), "stage");
    assert_string_equal(nearest_name("stge", names, 4), "stage");
    assert_null(nearest_name("completely.other", names, 4));
    assert_null(nearest_name("", names, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_text_is_read_and_everything_else_refused_with_line_and_column),
        cmocka_unit_test(a_nul_behind_a_backslash_is_no_escape),
        cmocka_unit_test(config_text_may_have_comments_and_trailing_commas),
        cmocka_unit_test(depth_ends_at_32),
        cmocka_unit_test(members_of_another_type_give_the_default),
        cmocka_unit_test(numbers_are_written_short_and_read_back_exactly),
        cmocka_unit_test(nearest_name_suggests_a_typo_and_keeps_silent_when_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
