/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "history.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

static struct bp_err err;

static struct json_object *parse(const char *text)
{
    struct json_object *o = json_read(text, strlen(text));
    assert_non_null(o);
    return o;
}

/* The file of `node` in an entry with these outputs: "type/subfolder/name of node", or the error. */
static const char *found(const char *outputs, const char *node)
{
    static char text[2000];
    struct output_file f;
    snprintf(text, sizeof text, "{\"outputs\": %s}", outputs);
    struct json_object *entry = parse(text);
    if (history_output(entry, node, &f, &err) == BP_OK)
        snprintf(text, sizeof text, "%s/%s/%s of %s", f.type, f.subfolder, f.name, f.node);
    else
        snprintf(text, sizeof text, "%s", err.text);
    json_object_put(entry);
    return text;
}

static void expect(const char *outputs, const char *node, const char *words)
{
    const char *got = found(outputs, node);
    if (!strstr(got, words))
        fail_msg("%s, node %s: \"%s\" does not say \"%s\"", outputs, node ? node : "any", got, words);
}

static void the_output_nodes_file_is_found_under_each_kinds_key(void **state)
{
    (void)state;
    static const char *const keys[] = {"videos", "gifs", "images", "files", "video", "audio", "something_new"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char outputs[300];
        snprintf(outputs, sizeof outputs,
                 "{\"3\": {\"images\": [{\"filename\": \"other.png\"}]}, \"9\": {\"%s\": [{\"filename\": \"a b.mp4\","
                 "\"subfolder\": \"x/y\", \"type\": \"temp\"}, {\"filename\": \"second\"}]}}",
                 keys[i]);
        expect(outputs, "9", "temp/x/y/a b.mp4 of 9");
    }
}

static void videos_go_before_pictures_whatever_their_order(void **state)
{
    (void)state;
    const char *outputs =
        "{\"9\": {\"images\": [{\"filename\": \"a.png\"}], \"animated\": [true], \"gifs\": [{\"filename\": "
        "\"b.mp4\"}]}}";
    expect(outputs, "9", "output//b.mp4 of 9");
    expect(outputs, NULL, "output//b.mp4 of 9");
}

static void without_an_output_node_the_first_with_a_file_counts(void **state)
{
    (void)state;
    expect("{\"2\": {\"text\": [\"words\"]}, \"7\": {\"images\": [{\"filename\": \"x.png\", \"subfolder\": null}]}}",
           NULL, "output//x.png of 7");
    expect("{\"2\": {\"text\": [\"words\"]}}", NULL, "no node of the graph gave a file");
}

static void a_node_that_gave_no_file_says_what_it_gave(void **state)
{
    (void)state;
    expect("{\"9\": {\"text\": [\"words\"], \"ui\": []}}", "9", "node 9 gave no file, but text, ui");
    expect("{\"9\": {\"images\": []}}", "9", "node 9 gave no file");
    expect("{\"9\": {\"images\": [{\"filename\": \"\"}]}}", "9", "gave no file");
    expect("{\"9\": {\"images\": {\"filename\": \"a\"}}}", "9", "gave no file");
    expect("{\"9\": {\"images\": [\"a\", 5, null]}}", "9", "gave no file");
    expect("{\"3\": {\"images\": [{\"filename\": \"x.png\"}]}}", "9", "node 9 gave no file;");
    expect("[]", "9", "gave no file");
    expect("null", NULL, "no node of the graph gave a file");
}

static void a_name_too_long_to_be_kept_is_no_file(void **state)
{
    (void)state;
    char outputs[1200], name[700];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    snprintf(outputs, sizeof outputs, "{\"9\": {\"images\": [{\"filename\": \"%s\"}]}}", name);
    expect(outputs, "9", "gave no file");
}

static enum history_state state_of(const char *text)
{
    struct json_object *history = parse(text);
    enum history_state s = history_state(history_entry(history, "p"));
    json_object_put(history);
    return s;
}

static void how_a_prompt_ended(void **state)
{
    (void)state;
    assert_int_equal(state_of("{}"), HISTORY_ABSENT);
    assert_int_equal(state_of("[]"), HISTORY_ABSENT);
    assert_int_equal(state_of("{\"q\": {\"outputs\": {}}}"), HISTORY_ABSENT);
    assert_int_equal(state_of("{\"p\": {}}"), HISTORY_ABSENT);
    assert_int_equal(state_of("{\"p\": {\"outputs\": {}, \"status\": null}}"), HISTORY_DONE); /* old versions */
    assert_int_equal(state_of("{\"p\": {\"status\": {\"status_str\": \"success\", \"completed\": true}}}"),
                     HISTORY_DONE);
    assert_int_equal(
        state_of("{\"p\": {\"status\": {\"status_str\": \"error\", \"messages\": [[\"execution_start\", {}],"
                 "[\"execution_error\", {}]]}}}"),
        HISTORY_FAILED);
    assert_int_equal(state_of("{\"p\": {\"status\": {\"status_str\": \"error\", \"messages\": ["
                              "[\"execution_interrupted\", {}]]}}}"),
                     HISTORY_INTERRUPTED);
    assert_int_equal(
        state_of("{\"p\": {\"status\": {\"status_str\": \"error\", \"messages\": [5, [], [1, 2], [null, {}]]}}}"),
        HISTORY_FAILED);
}

static void the_error_is_found_among_the_messages(void **state)
{
    (void)state;
    struct json_object *entry =
        parse("{\"status\": {\"status_str\": \"error\", \"message\": \"all is lost\", \"messages\": ["
              "[\"execution_start\", {}], [\"execution_error\", {\"node_id\": \"3\"}]]}}");
    assert_string_equal(json_str(history_error(entry), "node_id", ""), "3");
    assert_string_equal(history_message(entry), "all is lost");
    json_object_put(entry);
    assert_null(history_error(NULL));
    assert_string_equal(history_message(NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_output_nodes_file_is_found_under_each_kinds_key),
        cmocka_unit_test(videos_go_before_pictures_whatever_their_order),
        cmocka_unit_test(without_an_output_node_the_first_with_a_file_counts),
        cmocka_unit_test(a_node_that_gave_no_file_says_what_it_gave),
        cmocka_unit_test(a_name_too_long_to_be_kept_is_no_file),
        cmocka_unit_test(how_a_prompt_ended),
        cmocka_unit_test(the_error_is_found_among_the_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
