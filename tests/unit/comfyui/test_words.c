/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "json.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

static struct bp_err err;

static struct json_object *parse(const char *text)
{
    struct json_object *o = json_read(text, strlen(text));
    assert_non_null(o);
    return o;
}

static void says(const char *words)
{
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static int32_t node_error(const char *type, const char *message)
{
    char text[4000];
    snprintf(
        text, sizeof text,
        "{\"node_id\": \"3\", \"node_type\": \"KSampler\", \"exception_type\": \"%s\", \"exception_message\": \"%s\"}",
        type, message);
    struct json_object *o = parse(text);
    int32_t rc = words_node_error(o, &err);
    json_object_put(o);
    return rc;
}

static void a_node_that_fails_says_which_and_why(void **state)
{
    (void)state;
    assert_int_equal(node_error("ValueError", "bad\\nsize \\u00e9"), BP_BADINPUT);
    assert_string_equal(err.text, "node 3 (KSampler) failed: ValueError: bad size \xc3\xa9");
    assert_int_equal(err.rc, BP_BADINPUT);
    assert_int_equal(node_error("PIL.UnidentifiedImageError", "cannot identify image file"), BP_BADINPUT);
    struct json_object *none = parse("{}");
    assert_int_equal(words_node_error(none, &err), BP_BADINPUT);
    says("no reason given");
    json_object_put(none);
}

static void what_may_be_better_next_time_is_tried_again(void **state)
{
    (void)state;
    assert_int_equal(node_error("torch.OutOfMemoryError", "Allocation on device"), BP_NOMEM);
    says("the GPU has no room for node 3 (KSampler)");
    assert_int_equal(node_error("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB"),
                     BP_NOMEM);
    assert_int_equal(node_error("RuntimeError", "CUDA error: an illegal memory access was encountered"), BP_FAIL);
    assert_int_equal(node_error("torch.AcceleratorError", "x"), BP_FAIL);
    assert_int_equal(node_error("OSError", "[Errno 28] No space left on device"), BP_FAIL);
    assert_int_equal(node_error("requests.exceptions.ConnectionError", "x"), BP_FAIL);
}

static int32_t refusal(long status, const char *body)
{
    struct json_object *o = json_read(body, strlen(body));
    int32_t rc = words_refusal(status, o, body, &err);
    json_object_put(o);
    return rc;
}

static void a_graph_that_is_refused_says_which_node_and_why(void **state)
{
    (void)state;
    assert_int_equal(
        refusal(400,
                "{\"error\": {\"type\": \"prompt_outputs_failed_validation\", \"message\": \"Prompt outputs failed "
                "validation\"}, \"node_errors\": {\"4\": {\"errors\": [{\"type\": \"value_not_in_list\", \"message\": "
                "\"Value not in list\", \"details\": \"ckpt_name: 'x' not in []\"}], \"class_type\": "
                "\"CheckpointLoaderSimple\"}, \"5\": {}}}"),
        BP_INVALID);
    assert_string_equal(err.text,
                        "ComfyUI refuses node 4 (CheckpointLoaderSimple): Value not in list: ckpt_name: 'x' not in "
                        "[] (and 1 more)");
    assert_int_equal(refusal(400,
                             "{\"node_errors\": {\"4\": {\"errors\": [{\"type\": \"value_not_in_list\", \"message\": "
                             "\"Value not in list\", \"details\": \"ckpt_name: 'sd15.safetensors' not in "
                             "['a.ckpt', 'b.ckpt']\"}], \"class_type\": \"CheckpointLoaderSimple\"}}}"),
                     BP_INVALID);
    assert_string_equal(err.text, "ComfyUI refuses node 4 (CheckpointLoaderSimple): ComfyUI has no ckpt_name "
                                  "sd15.safetensors: list it in \"assets\" with its \"place\"");
    assert_int_equal(
        refusal(400, "{\"error\": {\"message\": \"Cannot execute because node Foo does not exist.\", \"details\": "
                     "\"Node ID '#3'\"}, \"node_errors\": []}"),
        BP_INVALID);
    says("node Foo does not exist.: Node ID '#3'");
    assert_int_equal(refusal(400, "{\"error\": \"no prompt\", \"node_errors\": []}"), BP_INVALID);
    says("no prompt");
    assert_int_equal(refusal(400, "what?"), BP_INVALID);
    says("what?");
    assert_int_equal(refusal(413, ""), BP_INVALID);
    says("--max-upload-size");
    assert_int_equal(refusal(400, "{\"node_errors\": {\"1\": 5}}"), BP_INVALID);
    says("refuses node 1");
    assert_int_equal(refusal(500, "500 Internal Server Error"), BP_FAIL);
    assert_int_equal(refusal(503, ""), BP_FAIL);
}

/* ComfyUI runs the outputs whose nodes are right, and says what is wrong with the others. */
static void errors_count_when_they_keep_the_output_from_running(void **state)
{
    (void)state;
    struct json_object *o =
        parse("{\"4\": {\"errors\": [{\"message\": \"m\"}], \"dependent_outputs\": [\"9\"], \"class_type\": \"C\"}}");
    assert_int_equal(words_partial(o, "9", &err), BP_INVALID);
    says("node 4 (C): m");
    assert_int_equal(words_partial(o, "10", &err), BP_OK);
    assert_int_equal(words_partial(o, NULL, &err), BP_INVALID);
    json_object_put(o);
    assert_int_equal(words_partial(NULL, "9", &err), BP_OK);
}

static void a_line_is_one_line_cut_between_characters(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(words_line(" a\n\t b\x01\x7f ", out, sizeof out), "a b");
    assert_string_equal(words_line("123456\xc3\xa9", out, sizeof out), "123456");
    assert_string_equal(words_line("12345\xc3\xa9", out, sizeof out), "12345\xc3\xa9");
    assert_string_equal(words_line("1234\xe2\x82\xac", out, sizeof out), "1234\xe2\x82\xac");
    assert_string_equal(words_line("12345\xe2\x82\xac", out, sizeof out), "12345");
    assert_string_equal(words_line("1234\xf0\x9f\x98\x80", out, sizeof out), "1234");
    assert_string_equal(words_line("", out, sizeof out), "");
    assert_string_equal(words_line("x", out, 1), "");
}

/* However long what ComfyUI says: err has 252 bytes. */
static void long_words_end_within_their_room(void **state)
{
    (void)state;
    char message[1500];
    memset(message, 'm', sizeof message);
    message[sizeof message - 1] = '\0';
    node_error(message, message);
    assert_true(strlen(err.text) < sizeof err.text);
    node_error("torch.OutOfMemoryError", message);
    says("a larger GPU helps");
    for (size_t i = 0; i + 3 < sizeof message; i += 3)
        memcpy(message + i, "\xe2\x82\xac", 3);
    message[1497] = '\0';
    node_error(message, message);
    size_t n = strlen(err.text);
    assert_true(n > 200 && memcmp(err.text + n - 3, "\xe2\x82\xac", 3) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_fails_says_which_and_why),
        cmocka_unit_test(what_may_be_better_next_time_is_tried_again),
        cmocka_unit_test(a_graph_that_is_refused_says_which_node_and_why),
        cmocka_unit_test(errors_count_when_they_keep_the_output_from_running),
        cmocka_unit_test(a_line_is_one_line_cut_between_characters),
        cmocka_unit_test(long_words_end_within_their_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
