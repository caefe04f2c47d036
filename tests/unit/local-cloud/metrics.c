/* SPDX-License-Identifier: Apache-2.0 */
#include "main.h"
#include "metric_series.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define T metrics_facet

static struct bp_metric sample(const char *name, const char *workflow, int64_t at_ms, double value)
{
    struct bp_metric m = {.at_ms = at_ms, .value = value};
    snprintf(m.name, sizeof m.name, "%s", name);
    snprintf(m.workflow, sizeof m.workflow, "%s", workflow);
    snprintf(m.stage, sizeof m.stage, "local");
    snprintf(m.unit, sizeof m.unit, "Count");
    return m;
}

static void put(struct fake *f, const char *name, int64_t at_ms, double value)
{
    struct bp_metric m = sample(name, "toy", at_ms, value);
    assert_int_equal(T.put(f->inst, &m, 1, &f->err), 0);
}

static uint32_t get(struct fake *f, const char *name, int64_t since, struct bp_metric *out, uint32_t room)
{
    assert_int_equal(T.get(f->inst, name, "toy", since, out, &room, &f->err), 0);
    return room;
}

static void samples_come_back_oldest_first(void **state)
{
    struct fake *f = *state;
    struct bp_metric out[8];
    int64_t now = real_ms();
    assert_int_equal(fake_start(f, ""), 0);
    put(f, "QueueDepth", now - 3000, 1);
    put(f, "ActiveWorkers", now - 3000, 7);
    put(f, "QueueDepth", now - 2000, 0);
    put(f, "QueueDepth", now - 1000, 2.5);
    assert_int_equal(get(f, "QueueDepth", 0, out, 8), 3);
    assert_true(out[0].at_ms == now - 3000 && out[0].value == 1);
    assert_true(out[1].value == 0 && out[2].value == 2.5);
    assert_string_equal(out[0].unit, "Count");
    assert_string_equal(out[0].workflow, "toy");
    assert_int_equal(get(f, "QueueDepth", now - 2000, out, 8), 2);
    assert_int_equal(get(f, "QueueDepth", 0, out, 1), 1);
    assert_int_equal(get(f, "Nothing", 0, out, 8), 0);
}

static void samples_survive_a_restart_without_doubles(void **state)
{
    struct fake *f = *state;
    struct bp_metric out[8];
    int64_t now = real_ms();
    assert_int_equal(fake_start(f, ""), 0);
    put(f, "QueueDepth", now - 3000, 1);
    put(f, "QueueDepth", now - 2000, 2);
    fake_stop(f);
    assert_int_equal(fake_start(f, ""), 0);
    put(f, "QueueDepth", now - 1000, 3); /* before the first read: in memory and in the file */
    assert_int_equal(get(f, "QueueDepth", 0, out, 8), 3);
    put(f, "QueueDepth", now, 4);
    assert_int_equal(get(f, "QueueDepth", 0, out, 8), 4);
    for (int i = 0; i < 4; i++)
        assert_true(out[i].value == i + 1);
}

static void a_torn_line_spoils_no_other(void **state)
{
    struct fake *f = *state;
    struct bp_metric out[8];
    assert_int_equal(fake_start(f, ""), 0);
    put(f, "QueueDepth", real_ms() - 10, 5);
    fake_stop(f);
    char name[64], *text = NULL;
    time_t day = (time_t)(real_ms() / 1000);
    struct tm tm;
    gmtime_r(&day, &tm);
    strftime(name, sizeof name, "metrics/%Y-%m-%d.jsonl", &tm);
    char *before = fake_read(f, name);
    assert_non_null(before);
    assert_true(asprintf(&text, "{\"at_ms\":12,\"na\nnull\n[]\n%s{\"name\":", before) > 0);
    fake_write(f, name, text);
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(get(f, "QueueDepth", 0, out, 8), 1);
    assert_true(out[0].value == 5);
    free(text);
    free(before);
}

static void bad_samples_are_refused_as_a_whole(void **state)
{
    struct fake *f = *state;
    struct bp_metric two[2] = {sample("A", "toy", 1000, 1), sample("B", "toy", 1000, NAN)}, out[2];
    assert_int_equal(fake_start(f, ""), 0);
    assert_int_equal(T.put(f->inst, two, 2, &f->err), BP_INVALID);
    two[1] = sample("", "toy", 1000, 1);
    assert_int_equal(T.put(f->inst, two, 2, &f->err), BP_INVALID);
    two[1] = sample("B", "toy", 1000, 1);
    memset(two[1].workflow, 'w', sizeof two[1].workflow);
    assert_int_equal(T.put(f->inst, two, 2, &f->err), BP_INVALID);
    assert_int_equal(get(f, "A", 0, out, 2), 0);
}

static void old_daily_files_go(void **state)
{
    struct fake *f = *state;
    assert_int_equal(fake_start(f, "\"metricsDays\":2"), 0);
    fake_write(f, "metrics/2020-01-01.jsonl", "");
    fake_write(f, "metrics/notes.txt", "");
    put(f, "QueueDepth", real_ms(), 1);
    assert_false(fake_exists(f, "metrics/2020-01-01.jsonl"));
    assert_true(fake_exists(f, "metrics/notes.txt"));
    assert_int_equal(fake_count(f, "metrics"), 2);
}

static void a_ring_keeps_the_newest_day(void **state)
{
    static struct bp_metric out[SERIES_SAMPLES + 10];
    struct series_set *s = series_set_new();
    (void)state;
    for (int i = 1; i <= SERIES_SAMPLES + 100; i++) {
        struct bp_metric m = sample("A", "toy", i, i);
        assert_int_equal(series_add(s, &m, NULL), 0);
    }
    uint32_t n = series_read(s, "A", "toy", 0, out, SERIES_SAMPLES + 10);
    assert_int_equal(n, SERIES_SAMPLES);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(out[i].at_ms, 101 + i);
    series_set_free(s);
}

static void the_number_of_series_is_limited(void **state)
{
    struct series_set *s = series_set_new();
    struct bp_err err;
    char name[32];
    (void)state;
    for (int i = 0; i < SERIES_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        struct bp_metric m = sample(name, "toy", 1, 1);
        assert_int_equal(series_add(s, &m, &err), 0);
    }
    struct bp_metric m = sample("more", "toy", 1, 1);
    assert_int_equal(series_add(s, &m, &err), BP_NOSPACE);
    m = sample("m5", "toy", 2, 1);
    assert_int_equal(series_add(s, &m, &err), 0);
    series_set_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(samples_come_back_oldest_first),
        TEST(samples_survive_a_restart_without_doubles),
        TEST(a_torn_line_spoils_no_other),
        TEST(bad_samples_are_refused_as_a_whole),
        TEST(old_daily_files_go),
        TEST(a_ring_keeps_the_newest_day),
        TEST(the_number_of_series_is_limited),
    };
    return RUN(tests);
}
