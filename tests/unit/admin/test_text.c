/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in words: listings in columns, everything else as lines, and nothing a terminal would obey. */
#include "cm.h"

#include "admin/admin_priv.h"
#include "bus/bus_private.h"
#include "log/json.h"
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1700000000000LL

static const struct admin_column columns[] = {{"JOB", "id", FORM_NUMBER},
                                              {"NAME", "name", FORM_TEXT},
                                              {"DONE", "done", FORM_PERCENT},
                                              {"OK", "ok", FORM_YES},
                                              {"AGE", "at_ms", FORM_AGO},
                                              {"TOOK", "took", FORM_SECONDS},
                                              {NULL, NULL, 0}};
static const struct admin_command plain = {.name = "status"};
static const struct admin_command all = {.name = "jobs", .list = "", .columns = columns};
static const struct admin_command inside = {.name = "job", .list = "lines", .columns = columns};

static const char *render(const struct admin_command *cmd, const char *json)
{
    static char text[8192];
    struct bp_err err = {0};
    struct evbuffer *out = evbuffer_new();
    struct json_object *data = json[0] ? json_parse(json, strlen(json), &err) : NULL;
    if (json[0] && !data)
        fail_msg("%s: %s", json, err.text);
    text_render(out, cmd, data, NOW);
    size_t n = evbuffer_get_length(out);
    assert_in_range(n, 0, sizeof text - 1);
    evbuffer_remove(out, text, n);
    text[n] = 0;
    json_object_put(data);
    evbuffer_free(out);
    return text;
}

static void answers_without_columns_are_lines(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"", "done\n"},
        {"7", "7\n"},
        {"\"as it is\\n\"", "as it is\n"},
        {"{\"ready\":true,\"n\":3}", "ready: true\nn: 3\n"},
        {"{\"none\":null,\"list\":[],\"map\":{}}", "list: none\nmap: none\n"},
        {"{\"queue\":{\"depth\":1}}", "queue:\n  depth: 1\n"},
        {"{\"l\":[1,\"two\",null]}", "l:\n  - 1\n  - two\n  - null\n"},
        {"[{\"a\":1},2]", "-\n  a: 1\n- 2\n"},
        {"{\"seen_ms\":1699999995000}", "seen_ms: 5 s ago\n"},
        {"{\"until_ms\":1700000300000}", "until_ms: in 5 min\n"},
        {"{\"took_ms\":5}", "took_ms: 5\n"}, /* no moment, a duration */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(render(&plain, rows[i].json), rows[i].text);
}

static void a_listing_is_aligned(void **state)
{
    (void)state;
    assert_string_equal(render(&all, "[{\"id\":7,\"name\":\"first\",\"done\":0.5,\"ok\":true,\"at_ms\":1699999700000,"
                                     "\"took\":7200},{\"id\":123,\"name\":[\"a\",\"b\"]}]"),
                        "JOB  NAME   DONE  OK   AGE    TOOK\n"
                        "  7  first   50%  yes  5 min  2.0 h\n"
                        "123  a,b       -  -    -      -\n");
    assert_string_equal(render(&all, "[]"), "JOB  NAME  DONE  OK  AGE  TOOK\n");
}

static void a_listing_inside_an_answer_comes_last(void **state)
{
    (void)state;
    assert_string_equal(render(&inside, "{\"lines\":[{\"id\":1}],\"status\":\"queued\"}"),
                        "status: queued\nlines:\nJOB  NAME  DONE  OK  AGE  TOOK\n  1  -        -  -   -    -\n");
}

static void durations_and_numbers_read_well(void **state)
{
    static const struct {
        const char *json, *cell;
    } rows[] = {
        {"[{\"took\":0}]", "0 s"},
        {"[{\"took\":99}]", "99 s"},
        {"[{\"took\":100}]", "2 min"},
        {"[{\"took\":5999}]", "100 min"},
        {"[{\"took\":6000}]", "1.7 h"},
        {"[{\"took\":172800}]", "2 d"},
        {"[{\"took\":-5}]", "0 s"},
        {"[{\"id\":2.5}]", "2.50"},
        {"[{\"id\":-3}]", "-3"},
        {"[{\"id\":1e300}]", "0000000"},
        {"[{\"at_ms\":1700000060000}]", "0 s"}, /* a clock ahead of ours */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_non_null(strstr(render(&all, rows[i].json), rows[i].cell));
}

/* Escapes of one byte, and of two in UTF-8, wherever a tenant's text may stand. */
static void no_control_character_reaches_the_terminal(void **state)
{
    static const struct {
        const struct admin_command *cmd;
        const char *json;
    } rows[] = {
        {&plain, "{\"a\":\"\\u001b[2Jx\\u009b1mx\\u007fx\\nx\"}"},
        {&plain, "{\"\\u001b[2J\\u009b\":1,\"\\u001bb\":{\"c\":1}}"},
        {&plain, "[\"\\u001b[2J\",\"\\u009b\"]"},
        {&all, "[{\"name\":\"\\u001b[2J\\u009b\"},{\"name\":[\"\\u001b\"]}]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = render(rows[i].cmd, rows[i].json);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
            assert_true(*p == '\n' || (*p >= 0x20 && *p != 0x7f));
            assert_false(p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f);
        }
    }
    assert_string_equal(render(&plain, "{\"a\":\"für 5 €\"}"), "a: für 5 €\n");
}

static void long_text_is_cut_not_overrun(void **state)
{
    char json[6000];
    (void)state;
    memset(json, 'x', sizeof json);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + sizeof json - 3, "\"}", 3);
    assert_in_range(strlen(render(&plain, json)), 4000, 4100);
    memcpy(json, "[{\"name\":\"", 10);
    memcpy(json + sizeof json - 4, "\"}]", 4);
    assert_in_range(strlen(render(&all, json)), 300, 500);
}

static void an_event_in_words_has_nothing_a_terminal_obeys(void **state)
{
    static char data[RECORD_BYTES_MAX];
    struct record r = {.id = EVENT_JOB_PROGRESS, .seq = 1, .at_ms = NOW, .data = data};
    struct json_object *fields = json_object_new_object();
    (void)state;
    json_put_str(fields, "text",
                 "a\x1b[2J\xc2\x9b"
                 "2Jb\x7f\n");
    r.bytes = record_from_json(event_info(EVENT_JOB_PROGRESS)->fields, fields, data);
    struct event_msg *e = event_msg_new(&r);
    char *text = event_text(e);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        assert_true(*p >= 0x20 && *p != 0x7f && !(*p == 0xc2 && p[1] < 0xa0));
    assert_non_null(strstr(text, "text=\"a"));
    free(text);
    event_unref(e);
    json_object_put(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_in_words_has_nothing_a_terminal_obeys),
        cmocka_unit_test(answers_without_columns_are_lines),
        cmocka_unit_test(a_listing_is_aligned),
        cmocka_unit_test(a_listing_inside_an_answer_comes_last),
        cmocka_unit_test(durations_and_numbers_read_well),
        cmocka_unit_test(no_control_character_reaches_the_terminal),
        cmocka_unit_test(long_text_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
