/* SPDX-License-Identifier: Apache-2.0 */
/* What one PutLogEvents takes, and lines as CloudWatch takes them. */
#include "cm.h"
#include "log_batch.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1769860800000LL

static struct log_record record(int64_t at_ms, const char *text)
{
    return (struct log_record){at_ms, "/g", "s", text, (uint32_t)strlen(text)};
}

static void lines_are_made_clean(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"},
        {"", " "},
        {"grün — 日本 🙂", "grün — 日本 🙂"},
        {"\xff x \xc3", "? x ?"},
        {"\xc0\xaf", "??"},           /* overlong */
        {"\xe0\x9f\xbf", "???"},      /* overlong */
        {"\xed\xa0\x80", "???"},      /* surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
        {"\xf0\x9f\x99", "???"},      /* cut off */
        {"a\tb", "a\tb"},
    };
    char *out = malloc(LOG_EVENT_MAX + 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(log_text_clean(rows[i].in, out), strlen(rows[i].out));
        assert_string_equal(out, rows[i].out);
    }
    assert_int_equal(log_text_clean(NULL, out), 1);
    free(out);
}

static void lines_are_cut_between_characters_and_say_so(void **state)
{
    (void)state;
    char *in = malloc(2 * LOG_EVENT_MAX), *out = malloc(LOG_EVENT_MAX + 1);
    for (size_t n = LOG_EVENT_MAX - 3; n < LOG_EVENT_MAX + 4; n++) {
        memset(in, 'a', n);
        in[n] = '\0';
        size_t k = log_text_clean(in, out);
        assert_true(k <= LOG_EVENT_MAX && strlen(out) == k);
        assert_int_equal(k == n, n <= LOG_EVENT_MAX);
        assert_int_equal(strstr(out, "[cut: 26") != NULL, n > LOG_EVENT_MAX);
    }
    for (int shift = 0; shift < 4; shift++) { /* characters of four bytes lie across the cut in every way */
        memset(in, 'a', (size_t)shift);
        for (size_t i = (size_t)shift; i + 4 < 2 * LOG_EVENT_MAX; i += 4)
            memcpy(in + i, "🙂", 5);
        log_text_clean(in, out);
        assert_null(strchr(out, '?'));
    }
    free(in);
    free(out);
}

static void ten_thousand_events_fit(void **state)
{
    (void)state;
    struct log_record *r = calloc(12000, sizeof *r);
    for (int i = 0; i < 12000; i++)
        r[i] = record(NOW, "x");
    assert_int_equal(log_batch_fit(r, 12000, 20000), 10000);
    assert_int_equal(log_batch_fit(r, 12000, 7), 7);
    assert_int_equal(log_batch_fit(r, 3, 7), 3);
    free(r);
}

static void a_megabyte_fits_each_text_with_26_bytes_more(void **state)
{
    (void)state;
    char text[1000 - LOG_EVENT_OVERHEAD + 1];
    struct log_record r[1100];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 1100; i++)
        r[i] = record(NOW, text);
    assert_int_equal(log_batch_fit(r, 1100, 10000), 1048);
}

static void a_day_fits_less_a_millisecond_in_any_order(void **state)
{
    (void)state;
    struct log_record r[] = {record(NOW, "a"), record(NOW - 1000, "b"), record(NOW - 1000 + LOG_BATCH_SPAN_MS - 1, "c"),
                             record(NOW - 1000 + LOG_BATCH_SPAN_MS, "d")};
    assert_int_equal(log_batch_fit(r, 4, 100), 3);
    r[2].at_ms++;
    assert_int_equal(log_batch_fit(r, 4, 100), 2);
}

static void one_stream_fits(void **state)
{
    (void)state;
    struct log_record r[] = {record(NOW, "a"), record(NOW, "b"), record(NOW, "c")};
    r[2].stream = "other";
    assert_int_equal(log_batch_fit(r, 3, 100), 2);
    r[1].group = "/other";
    assert_int_equal(log_batch_fit(r, 3, 100), 1);
}

static void events_are_in_order_and_none_is_too_old_or_new(void **state)
{
    (void)state;
    uint32_t late = 0;
    const struct log_record r[] = {record(NOW + 5, "second"),
                                   record(NOW - LOG_PAST_MS - 1, "too old"),
                                   record(NOW + 5, "third"),
                                   record(NOW + LOG_FUTURE_MS + 1, "too new"),
                                   record(NOW, "first"),
                                   record(NOW - LOG_PAST_MS, "oldest"),
                                   record(NOW + LOG_FUTURE_MS, "newest \"x\"")};
    struct json_object *list = log_batch_events(r, 7, NOW, &late);
    char want[600];
    snprintf(want, sizeof want,
             "[{\"timestamp\":%lld,\"message\":\"oldest\"},{\"timestamp\":%lld,\"message\":\"first\"},"
             "{\"timestamp\":%lld,\"message\":\"second\"},{\"timestamp\":%lld,\"message\":\"third\"},"
             "{\"timestamp\":%lld,\"message\":\"newest \\\"x\\\"\"}]",
             NOW - LOG_PAST_MS, NOW, NOW + 5, NOW + 5, NOW + LOG_FUTURE_MS);
    assert_int_equal(late, 2);
    assert_string_equal(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN), want);
    json_object_put(list);
}

static void rejected_events_are_counted_by_their_indexes(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        uint32_t n;
    } rows[] = {
        {"{}", 0},
        {"{\"rejectedLogEventsInfo\":{}}", 0},
        {"{\"rejectedLogEventsInfo\":null}", 0},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":3}}", 3},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":3,\"expiredLogEventEndIndex\":5}}", 5},
        {"{\"rejectedLogEventsInfo\":{\"tooNewLogEventStartIndex\":8}}", 2},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":3,\"tooNewLogEventStartIndex\":8}}", 5},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":99}}", 10},
        {"{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":-9}}", 0},
        {"[]", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_object *o = json_tokener_parse(rows[i].answer);
        assert_int_equal(log_batch_rejected(o, 10), rows[i].n);
        json_object_put(o);
    }
    assert_int_equal(log_batch_rejected(NULL, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_made_clean),
        cmocka_unit_test(lines_are_cut_between_characters_and_say_so),
        cmocka_unit_test(ten_thousand_events_fit),
        cmocka_unit_test(a_megabyte_fits_each_text_with_26_bytes_more),
        cmocka_unit_test(a_day_fits_less_a_millisecond_in_any_order),
        cmocka_unit_test(one_stream_fits),
        cmocka_unit_test(events_are_in_order_and_none_is_too_old_or_new),
        cmocka_unit_test(rejected_events_are_counted_by_their_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
