/* SPDX-License-Identifier: Apache-2.0 */
/* What a command prints: progress, its own words of failure, and a log that ends somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lines.h"
#include "verdict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char logged[65536];
static struct settings settings;

static void log_line(void *arg, const char *line)
{
    (void)arg;
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s;", line);
}

static struct lines fresh(const char *text)
{
    struct bp_err err = {0};
    logged[0] = '\0';
    settings_close(&settings);
    assert_int_equal(settings_open(&settings, text, &err), BP_OK);
    return (struct lines){.settings = &settings, .log = log_line};
}

static void say(struct lines *l, struct stream *s, const char *text)
{
    lines_feed(l, s, text, strlen(text));
}

#define PLAIN "{\"command\": [\"x\"]}"

static void lines_tell_progress_in_words_or_json(void **state)
{
    (void)state;
    struct lines l = fresh(PLAIN);
    say(&l, &l.out, "progress 0.25 frame 3 of 12\n");
    assert_true(l.fraction == 0.25);
    assert_string_equal(l.text, "frame 3 of 12");
    say(&l, &l.out, "{\"progress\": 0.5, \"te");
    assert_true(l.fraction == 0.25);
    say(&l, &l.out, "xt\": \"half\"}\nprogress 7\n");
    assert_true(l.fraction == 1);
    assert_string_equal(l.text, "");
    say(&l, &l.err, "progress 0.75 from the other stream\n");
    assert_true(l.fraction == 0.75);
    say(&l, &l.out, "progress nan\nprogress -1\n");
    assert_true(l.fraction == 0);
    assert_string_equal(logged, "");
}

static void what_is_no_such_line_goes_to_the_log(void **state)
{
    (void)state;
    struct lines l = fresh(PLAIN);
    say(&l, &l.out, "loading\nprogress: 40%\nprogress 0.5x\n{\"loss\": 3}\n{broken\n\n\t \n\x1b[31mred\x07\nno end");
    lines_end(&l, &l.out);
    assert_string_equal(logged, "loading;progress: 40%;progress 0.5x;{\"loss\": 3};{broken; [31mred;no end;");
    assert_true(l.fraction == 0);
}

static void a_pattern_reads_the_bars_of_other_programs(void **state)
{
    (void)state;
    struct lines l = fresh("{\"command\": [\"x\"], \"progress\": {\"pattern\": \"([0-9.]+)%\"}}");
    say(&l, &l.err, "\r 10%|#     |\r 40%|####  |");
    assert_true(l.fraction == 0.1);
    say(&l, &l.err, "\r");
    assert_true(l.fraction == 0.4);
    l = fresh("{\"command\": [\"x\"], \"progress\": {\"pattern\": \"step ([0-9]+)/([0-9]+)\"}}");
    say(&l, &l.out, "step 3/4 loss 0.1\n");
    assert_true(l.fraction == 0.75);
    assert_string_equal(l.text, "step 3/4 loss 0.1");
    say(&l, &l.out, "step 3/0\n");
    assert_true(l.fraction == 0.75);
    l = fresh("{\"command\": [\"x\"], \"progress\": {\"pattern\": \"at ([0-9]+)\", \"full\": 8}}");
    say(&l, &l.out, "at 2\n");
    assert_true(l.fraction == 0.25);
}

static void the_log_is_bounded_and_says_so_once(void **state)
{
    (void)state;
    struct lines l = fresh("{\"command\": [\"x\"], \"logLines\": 2}");
    for (int i = 0; i < 1000; i++)
        say(&l, &l.out, "line\n");
    assert_string_equal(logged, "line;line;(more lines than settings.logLines: the rest is not logged);");
}

static void a_line_without_end_costs_no_more_than_its_first_part(void **state)
{
    (void)state;
    struct lines l = fresh(PLAIN);
    for (int i = 0; i < 100000; i++)
        say(&l, &l.out, "0123456789");
    say(&l, &l.out, "\nprogress 0.5\n");
    assert_int_equal(strlen(logged), LINE_MAX_BYTES + 1);
    assert_true(l.fraction == 0.5);
}

static void json_too_deep_or_broken_is_only_a_line(void **state)
{
    (void)state;
    char deep[3000];
    struct lines l = fresh(PLAIN);
    memset(deep, '{', sizeof deep - 2);
    strcpy(deep + sizeof deep - 2, "\n");
    say(&l, &l.out, deep);
    say(&l, &l.out, "{\"progress\": \"0.5\"}\n{\"progress\": null}\n");
    assert_true(l.fraction == 0);
}

static struct bp_err verdict(struct lines *l, enum child_end end, int value)
{
    struct bp_err err = {0};
    struct child_report r = {end, value};
    err.rc = verdict_of(&r, &settings, l, "/opt/run", &err);
    return err;
}

static void the_end_of_a_command_reads_as_a_result(void **state)
{
    (void)state;
    struct lines l =
        fresh("{\"command\": [\"x\"], \"exitCodes\": {\"terminal\": [2, 3], \"badInput\": [4], \"retryable\": [65]}}");
    assert_int_equal(verdict(&l, CHILD_EXITED, 0).rc, BP_OK);
    assert_int_equal(verdict(&l, CHILD_EXITED, 1).rc, BP_FAIL);
    assert_string_equal(verdict(&l, CHILD_EXITED, 1).text, "the command ended with exit code 1");
    assert_int_equal(verdict(&l, CHILD_EXITED, 3).rc, BP_INVALID);
    assert_int_equal(verdict(&l, CHILD_EXITED, 4).rc, BP_BADINPUT);
    assert_int_equal(verdict(&l, CHILD_EXITED, 65).rc, BP_FAIL);
    assert_int_equal(verdict(&l, CHILD_SIGNALLED, 9).rc, BP_FAIL);
    assert_string_equal(verdict(&l, CHILD_SIGNALLED, 9).text, "the command was ended by signal 9 (Killed)");
    assert_int_equal(verdict(&l, CHILD_NOT_STARTED, ENOEXEC).rc, BP_FAIL);
    assert_non_null(
        strstr(verdict(&l, CHILD_NOT_STARTED, ENOEXEC).text, "cannot run /opt/run: Exec format error; a script"));
    assert_int_equal(verdict(&l, CHILD_LOST, 0).rc, BP_FAIL);
    l = fresh("{\"command\": [\"x\"], \"exitCodes\": {\"otherwise\": \"terminal\"}}");
    assert_int_equal(verdict(&l, CHILD_EXITED, 1).rc, BP_INVALID);
    assert_int_equal(verdict(&l, CHILD_EXITED, 65).rc, BP_BADINPUT);
}

static void a_failure_has_the_last_lines_of_standard_error(void **state)
{
    (void)state;
    struct lines l = fresh(PLAIN);
    say(&l, &l.err, "one\ntwo\n");
    say(&l, &l.out, "not this\n");
    say(&l, &l.err, "three\n\nfour\n");
    assert_string_equal(verdict(&l, CHILD_EXITED, 1).text, "the command ended with exit code 1: two | three | four");
}

static void a_command_may_say_itself_why_it_fails(void **state)
{
    (void)state;
    struct lines l = fresh(PLAIN);
    say(&l, &l.err, "Traceback\n");
    say(&l, &l.out, "error the photo has no face\n");
    assert_string_equal(verdict(&l, CHILD_EXITED, 65).text, "the photo has no face");
    say(&l, &l.out, "{\"error\": \"out of memory\\u001b[2J\"}\n");
    assert_string_equal(verdict(&l, CHILD_EXITED, 1).text, "out of memory [2J");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_tell_progress_in_words_or_json),
        cmocka_unit_test(what_is_no_such_line_goes_to_the_log),
        cmocka_unit_test(a_pattern_reads_the_bars_of_other_programs),
        cmocka_unit_test(the_log_is_bounded_and_says_so_once),
        cmocka_unit_test(a_line_without_end_costs_no_more_than_its_first_part),
        cmocka_unit_test(json_too_deep_or_broken_is_only_a_line),
        cmocka_unit_test(the_end_of_a_command_reads_as_a_result),
        cmocka_unit_test(a_failure_has_the_last_lines_of_standard_error),
        cmocka_unit_test(a_command_may_say_itself_why_it_fails),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    settings_close(&settings);
    return failed;
}
