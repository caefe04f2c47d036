/* SPDX-License-Identifier: Apache-2.0 */
/* Words and objects become params checked against a command's table of arguments. */
#include "cm.h"

#include "admin/admin_priv.h"
#include "log/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct admin_arg arguments[] = {{ARG_WORD, ARG_TEXT, "workflow", ""},
                                             {ARG_WORD, ARG_INT, "size", ""},
                                             {ARG_OPTIONAL, ARG_JSON, "body", ""},
                                             {ARG_OPTION, ARG_INT, "for", ""},
                                             {ARG_OPTION, ARG_TEXT, "tenant", ""},
                                             {ARG_FLAG, 0, "follow", ""},
                                             {ARG_END, 0, NULL, NULL}};
static const struct admin_command command = {.name = "scale hold", .args = arguments};
static const struct admin_command bare = {.name = "status"};

/* Splits at '|', so that a word may hold blanks. */
static size_t words_of(char *line, char **words)
{
    size_t n = 0;
    for (char *w = strtok(line, "|"); w; w = strtok(NULL, "|"))
        words[n++] = w;
    return n;
}

static void check(const char *what, struct json_object *params, const struct bp_err *err, const char *expected)
{
    const char *got = params ? json_text(params) : err->text;
    if (expected[0] == '{' ? !params || strcmp(got, expected) != 0 : params || !strstr(got, expected))
        fail_msg("%s: got %s, expected %s", what, got, expected);
    if (!params)
        assert_true(err->rc < 0);
    json_object_put(params);
}

static void words_become_params_or_a_sentence(void **state)
{
    static const struct {
        const char *line, *expected; /* JSON, or a part of the error */
    } rows[] = {
        {"photo|3", "{\"workflow\":\"photo\",\"size\":3}"},
        {"photo|-1", "{\"workflow\":\"photo\",\"size\":-1}"},
        {"a b|3|[1,2]", "{\"workflow\":\"a b\",\"size\":3,\"body\":[1,2]}"},
        {"--for|5|photo|3|--follow", "{\"for\":5,\"workflow\":\"photo\",\"size\":3,\"follow\":true}"},
        {"--for=5|photo|3", "{\"for\":5,\"workflow\":\"photo\",\"size\":3}"},
        {"--tenant=a=b|photo|3", "{\"tenant\":\"a=b\",\"workflow\":\"photo\",\"size\":3}"},
        {"--tenant=|photo|3", "{\"tenant\":\"\",\"workflow\":\"photo\",\"size\":3}"},
        {"--for|5|--for|6|photo|3", "{\"for\":6,\"workflow\":\"photo\",\"size\":3}"}, /* the last one counts */
        {"--|3", "{\"workflow\":\"--\",\"size\":3}"},
        {"", "missing workflow; usage: scale hold <workflow> <size> [body] [--for X] [--tenant X] [--follow]"},
        {"photo", "missing size"},
        {"photo|three", "not a whole number: size"},
        {"photo|3x", "not a whole number"},
        {"photo|99999999999999999999", "not a whole number"},
        {"photo|3|{\"a\":", "body is not JSON"},
        {"photo|3|1|extra", "unexpected extra"},
        {"photo|3|--for", "no value for --for"},
        {"photo|3|--for=", "not a whole number: for"},
        {"photo|3|--force", "unknown option --force"},
        {"photo|3|--workflow=x", "unknown option --workflow=x"}, /* it is a word, not an option */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bp_err err = {0};
        char *words[16], *line = strdup(rows[i].line);
        size_t n = words_of(line, words);
        check(rows[i].line, args_from_words(&command, words, n, &err), &err, rows[i].expected);
        free(line);
    }
}

static void members_are_taken_by_name_and_type(void **state)
{
    static const struct {
        const char *given, *expected;
    } rows[] = {
        {"{\"size\":3,\"workflow\":\"photo\"}", "{\"size\":3,\"workflow\":\"photo\"}"},
        {"{\"workflow\":\"photo\",\"size\":3,\"body\":null,\"follow\":false}",
         "{\"workflow\":\"photo\",\"size\":3,\"body\":null,\"follow\":false}"},
        {"{\"workflow\":\"photo\"}", "missing size"},
        {"{\"workflow\":7,\"size\":3}", "wrong type of workflow"},
        {"{\"workflow\":\"photo\",\"size\":\"3\"}", "wrong type of size"},
        {"{\"workflow\":\"photo\",\"size\":3.5}", "wrong type of size"},
        {"{\"workflow\":\"photo\",\"size\":3,\"follow\":1}", "wrong type of follow"},
        {"{\"workflow\":\"photo\",\"size\":3,\"sise\":1}", "unknown member sise"},
        {"[]", "params must be an object"},
        {"7", "params must be an object"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bp_err err = {0};
        struct json_object *given = json_parse(rows[i].given, strlen(rows[i].given), &err);
        assert_non_null(given);
        check(rows[i].given, args_from_object(&command, given, &err), &err, rows[i].expected);
        json_object_put(given);
    }
}

static void a_command_without_arguments_takes_none(void **state)
{
    struct bp_err err = {0};
    char *words[] = {(char[]){"now"}};
    (void)state;
    check("no words", args_from_words(&bare, words, 0, &err), &err, "{}");
    check("no object", args_from_object(&bare, NULL, &err), &err, "{}");
    check("a word", args_from_words(&bare, words, 1, &err), &err, "unexpected now");
}

static void usage_is_cut_to_its_buffer(void **state)
{
    char out[64];
    (void)state;
    for (size_t n = 1; n <= sizeof out; n++) {
        memset(out, 'x', sizeof out);
        args_usage(&command, out, n);
        assert_in_range(strlen(out), 0, n - 1);
    }
    args_usage(&bare, out, sizeof out);
    assert_string_equal(out, "status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_params_or_a_sentence),
        cmocka_unit_test(members_are_taken_by_name_and_type),
        cmocka_unit_test(a_command_without_arguments_takes_none),
        cmocka_unit_test(usage_is_cut_to_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
