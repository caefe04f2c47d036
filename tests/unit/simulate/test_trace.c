/* SPDX-License-Identifier: Apache-2.0 */
/* A trace is taken as it is, or refused with the line, the column and what to do. */
#include "cm.h"

#include "simulate/trace.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int parse(struct trace *t, const char *text, struct bp_err *err)
{
    return trace_parse(t, "jobs.csv", text, strlen(text), err);
}

static void jobs_are_read_with_and_without_a_heading(void **state)
{
    (void)state;
    static const char *const texts[] = {"arrival_s,duration_s\n0,12.5\n3.001,7\n", "0,12.5\n3.001,7",
                                        ("\xef\xbb\xbf" /* a byte order mark, and no more of it */
                                         "arrival_s,duration_s\r\n0,1.25e1\r\n\r\n 3.001 ,\t7 \r\n")};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct trace t;
        struct bp_err err = {0};
        assert_int_equal(parse(&t, texts[i], &err), BP_OK);
        assert_string_equal(t.name, "jobs");
        assert_int_equal(t.n, 2);
        assert_int_equal(t.duration_ms[0], 12500);
        assert_int_equal(t.arrival_ms[1], 3001);
        trace_free(&t);
    }
}

static void each_mistake_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *why;
    } rows[] = {
        {"arrival_s,duration_s\n0,1\n5,1\n4,1\n", "line 4, column 1", "sort the lines"},
        {"0,1\n1,-3\n", "line 2, column 3", "must not be negative"},
        {"-1,1\n", "line 1, column 1", "must not be negative"},
        {"0,1\n12\n", "line 2, column 3", "duration_s is missing"},
        {"0,1\n12,\n", "line 2, column 4", "duration_s is missing"},
        {"0,1\n,12\n", "line 2, column 1", "arrival_s is missing"},
        {"0,1\n2,soon\n", "line 2, column 3", "\"soon\", which is no number"},
        {"0,1\n0x10,1\n", "line 2, column 1", "no number"},
        {"0,nan\n", "line 1, column 3", "no number"},
        {"0,1e999\n", "line 1, column 3", "no number"},
        {"0,1 2\n", "line 1, column 3", "no number"},
        {"0,1\x1b[2J\n", "line 1, column 3", "\"1?[2J\""},
        {"0,00000000000000000000000000000000000000000000000000000000001\n", "line 1, column 3", "no number"},
        {"0,1,2\n", "line 1, column 4", "a third field"},
        {"1700000000000,1\n", "line 1, column 1", "milliseconds?"},
        {"start,duration\n0,1\n", "line 1, column 1", "it must be arrival_s,duration_s"},
        {"0,1\narrival_s,duration_s\n", "line 2, column 1", "no number"},
        {"", "line 1, column 1", "no job"},
        {"arrival_s,duration_s\n", "line 1, column 21", "no job"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trace t;
        struct bp_err err = {0};
        assert_int_equal(parse(&t, rows[i].text, &err), BP_INVALID);
        assert_int_equal(strncmp(err.text, "jobs.csv, ", 10), 0);
        if (!strstr(err.text, rows[i].place) || !strstr(err.text, rows[i].why))
            fail_msg("%s: not %s ... %s", err.text, rows[i].place, rows[i].why);
        assert_null(t.arrival_ms);
        assert_int_equal(t.n, 0);
    }
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    struct trace t;
    struct bp_err err = {0};
    assert_int_equal(trace_parse(&t, "x", "0,1\0\n", 5, &err), BP_INVALID);
    assert_int_equal(trace_parse(&t, "x", "0,1\n\xff\xfe,2", 8, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "line 2"));
}

static void a_file_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct trace t;
    struct bp_err err = {0};
    assert_int_equal(trace_read(&t, "nowhere/to.csv", &err), BP_IO);
    assert_string_equal(err.text, "cannot read the trace nowhere/to.csv: No such file or directory");
    assert_int_equal(trace_read(&t, ".", &err), BP_IO);
}

static void a_long_file_is_read_whole(void **state)
{
    (void)state;
    struct trace t;
    struct bp_err err = {0};
    FILE *f = fopen("long.csv", "w");
    assert_non_null(f);
    for (int i = 0; i < 200000; i++)
        fprintf(f, "%d,%d.5\n", i, i % 100);
    fclose(f);
    assert_int_equal(trace_read(&t, "long.csv", &err), BP_OK);
    unlink("long.csv");
    assert_int_equal(t.n, 200000);
    assert_int_equal(t.arrival_ms[199999], 199999000);
    assert_int_equal(t.duration_ms[199999], 99500);
    trace_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_read_with_and_without_a_heading),
        cmocka_unit_test(each_mistake_is_named_with_its_place),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_said),
        cmocka_unit_test(a_long_file_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
