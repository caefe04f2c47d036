/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "events.h"
#include "json.h"

#include <stdio.h>
#include <string.h>

static struct events e;
static struct json_object *graph;

static int set_up(void **state)
{
    (void)state;
    const char *text = "{\"1\": {\"class_type\": \"LoadImage\"}, \"3\": {\"class_type\": \"KSampler\"},"
                       "\"8\": {\"class_type\": \"VAEDecode\"}, \"9\": {\"class_type\": \"SaveImage\"}}";
    graph = json_read(text, strlen(text));
    events_open(&e, "p", graph);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    events_close(&e);
    json_object_put(graph);
    return 0;
}

static void take(const char *text)
{
    events_take(&e, text, strlen(text));
}

static void expect(double fraction, const char *words)
{
    char out[100];
    assert_true(events_fraction(&e) > fraction - 1e-9 && events_fraction(&e) < fraction + 1e-9);
    assert_string_equal(events_words(&e, out, sizeof out), words);
}

static void a_prompt_from_the_queue_to_its_end(void **state)
{
    (void)state;
    expect(0, "in ComfyUI's queue");
    take("{\"type\": \"status\", \"data\": {\"status\": {\"exec_info\": {\"queue_remaining\": 3}}, \"sid\": \"x\"}}");
    expect(0, "in ComfyUI's queue, 2 before it");
    take("{\"type\": \"execution_start\", \"data\": {\"prompt_id\": \"p\", \"timestamp\": 1}}");
    take("{\"type\": \"execution_cached\", \"data\": {\"nodes\": [\"1\", \"77\"], \"prompt_id\": \"p\"}}");
    expect(0.25, "ComfyUI: 1 of 4 nodes");
    take("{\"type\": \"executing\", \"data\": {\"node\": \"3\", \"display_node\": \"3\", \"prompt_id\": \"p\"}}");
    expect(0.25, "KSampler");
    take("{\"type\": \"progress\", \"data\": {\"value\": 5, \"max\": 20, \"prompt_id\": \"p\", \"node\": \"3\"}}");
    expect(0.3125, "KSampler: 5 of 20");
    take("{\"type\": \"executing\", \"data\": {\"node\": \"9\", \"prompt_id\": \"p\"}}");
    expect(0.5, "SaveImage");
    take("{\"type\": \"executed\", \"data\": {\"node\": \"9\", \"output\": {}, \"prompt_id\": \"p\"}}");
    expect(0.75, "SaveImage");
    assert_false(e.over);
    take("{\"type\": \"executing\", \"data\": {\"node\": null, \"prompt_id\": \"p\"}}");
    assert_true(e.over);
    expect(1, "ComfyUI: 3 of 4 nodes");
}

#define STATE(id, as, state, value, max)                                                                               \
    "\"" id "\": {\"value\": " value ", \"max\": " max ", \"state\": \"" state "\", \"node_id\": \"" id                \
    "\", \"display_node_id\": \"" as "\", \"prompt_id\": \"p\"}"
#define STATES(nodes) "{\"type\": \"progress_state\", \"data\": {\"prompt_id\": \"p\", \"nodes\": {" nodes "}}}"

/* ComfyUI since 2025: a node counts as done when it says so, not when another begins, for several may run at once. */
static void nodes_that_run_side_by_side(void **state)
{
    (void)state;
    take(STATES(STATE("1", "1", "running", "0.0", "1.0")));
    take("{\"type\": \"executing\", \"data\": {\"node\": \"1\", \"display_node\": \"1\", \"prompt_id\": \"p\"}}");
    expect(0, "LoadImage");
    take(STATES(STATE("1", "1", "running", "0.0", "1.0") ", " STATE("3", "3", "running", "0.0", "1.0")));
    take("{\"type\": \"executing\", \"data\": {\"node\": \"3\", \"display_node\": \"3\", \"prompt_id\": \"p\"}}");
    expect(0, "KSampler");
    take(STATES(STATE("1", "1", "running", "0.0", "1.0") ", " STATE("3", "3", "running", "5", "20")));
    expect(0.0625, "KSampler: 5 of 20");
    take(STATES(STATE("1", "1", "finished", "1.0", "1.0") ", " STATE("3", "3", "running", "10", "20")));
    expect(0.375, "KSampler: 10 of 20");
    take(STATES(STATE("1", "1", "finished", "1", "1") ", " STATE("3", "3", "finished", "20", "20")));
    take("{\"type\": \"progress_state\", \"data\": {\"prompt_id\": \"p\", \"nodes\": [5]}}");
    expect(0.5, "KSampler: 10 of 20");
}

/* A node may make others, which run under ids that are not of the graph. */
static void nodes_that_a_node_made_are_shown_as_it(void **state)
{
    (void)state;
    take("{\"type\": \"executing\", \"data\": {\"node\": \"8.0.0.1\", \"display_node\": \"8\", \"prompt_id\": \"p\"}}");
    expect(0, "VAEDecode");
    take(STATES(STATE("8.0.0.1", "8", "finished", "1.0", "1.0") ", " STATE("8.0.0.2", "8", "running", "2", "4")));
    expect(0.125, "VAEDecode: 2 of 4");
}

static void every_end_is_one(void **state)
{
    (void)state;
    static const char *const ends[] = {"execution_success", "execution_error", "execution_interrupted"};
    for (size_t i = 0; i < 3; i++) {
        char text[100];
        e.over = 0;
        snprintf(text, sizeof text, "{\"type\": \"%s\", \"data\": {\"prompt_id\": \"p\"}}", ends[i]);
        take(text);
        assert_true(e.over);
    }
}

/* The socket tells of other clients' prompts too, and a custom node sends what it likes. */
static void what_is_not_ours_or_no_sense_changes_nothing(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "{",
        "[]",
        "{\"type\": \"executing\"}",
        "{\"type\": 5, \"data\": {\"prompt_id\": \"p\"}}",
        "{\"type\": \"executing\", \"data\": [\"p\"]}",
        "{\"type\": \"executing\", \"data\": {\"node\": null, \"prompt_id\": \"q\"}}",
        "{\"type\": \"executing\", \"data\": {\"node\": \"3\"}}",
        "{\"type\": \"crystools.monitor\", \"data\": {\"prompt_id\": \"p\"}}",
        "{\"type\": \"status\", \"data\": {\"status\": 5}}",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        take(none[i]);
    expect(0, "in ComfyUI's queue");
    assert_false(e.over || e.started);
}

static void numbers_without_sense_are_passed_over(void **state)
{
    (void)state;
    static const char *const bad[] = {"\"value\": 5, \"max\": 0",     "\"value\": -1, \"max\": 4",
                                      "\"value\": 9, \"max\": 4",     "\"value\": 1",
                                      "\"value\": 1, \"max\": 1e300", "\"value\": NaN, \"max\": 4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"type\": \"progress\", \"data\": {%s, \"prompt_id\": \"p\", \"node\": \"3\"}}",
                 bad[i]);
        take(text);
        expect(0, "KSampler");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_prompt_from_the_queue_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_that_run_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_that_a_node_made_are_shown_as_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_end_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_ours_or_no_sense_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_without_sense_are_passed_over, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
