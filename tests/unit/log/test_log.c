/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_ROOM (4 * 1024 * 1024)

static char *slurp(const char *path)
{
    char *text = calloc(1, FILE_ROOM);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, FILE_ROOM - 1, f);
    text[n] = 0;
    fclose(f);
    return text;
}

static void open_log(const char *path, enum log_form form)
{
    struct bp_err err;
    unlink(path);
    assert_int_equal(log_open(path, form, &err), 0);
    assert_int_equal(log_set_levels("info", &err), 0);
}

static struct json_object *only_line(const char *path)
{
    char *text = slurp(path);
    struct bp_err err = {0};
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    struct json_object *obj = json_parse(text, strlen(text), &err);
    assert_string_equal(err.text, "");
    assert_non_null(obj);
    free(text);
    return obj;
}

static void json_line_holds_level_subsystem_ident_and_text(void **state)
{
    (void)state;
    open_log("a.log", LOG_FORM_JSON);
    log_ident("worker i-1");
    log_warn(LOG_HOST, "said \"%s\"", "hello");
    log_ident("");
    struct json_object *o = only_line("a.log");
    assert_string_equal(json_str(o, "level", ""), "warn");
    assert_string_equal(json_str(o, "sub", ""), "host");
    assert_string_equal(json_str(o, "ident", ""), "worker i-1");
    assert_string_equal(json_str(o, "text", ""), "said \"hello\"");
    assert_int_equal(strlen(json_str(o, "at", "")), strlen("2024-01-01T00:00:00.000Z"));
    json_object_put(o);
}

static void text_line_holds_level_subsystem_and_text(void **state)
{
    (void)state;
    open_log("b.log", LOG_FORM_TEXT);
    log_info(LOG_CORE, "it happened");
    char *text = slurp("b.log");
    assert_non_null(strstr(text, " info  core     it happened\n"));
    free(text);
}

static void control_characters_never_reach_the_terminal_and_a_line_stays_one_line(void **state)
{
    static const char nasty[] = "a\nb\x1b[31m\x7f\xc2\x9b"
                                "31m\xff\xc3\xa9 \"q\" \\";
    (void)state;
    for (int form = LOG_FORM_TEXT; form <= LOG_FORM_JSON; form++) {
        open_log("c.log", (enum log_form)form);
        log_info(LOG_CORE, "%s", nasty);
        char *text = slurp("c.log");
        for (char *p = text; p[1]; p++)
            assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        assert_null(strstr(text, "\xc2\x9b"));
        assert_null(strchr(text, 0xff));
        assert_non_null(strstr(text, "\xc3\xa9"));
        free(text);
    }
    struct json_object *o = only_line("c.log");
    assert_non_null(strstr(json_str(o, "text", ""), "a\nb\x1b[31m"));
    json_object_put(o);
}

static void a_long_line_is_cut_and_still_json(void **state)
{
    char *text = malloc(20001);
    (void)state;
    memset(text, '"', 20000);
    text[20000] = 0;
    open_log("d.log", LOG_FORM_JSON);
    log_info(LOG_CORE, "%s", text);
    struct json_object *o = only_line("d.log");
    const char *got = json_str(o, "text", "");
    assert_string_equal(got + strlen(got) - 3, "...");
    json_object_put(o);
    free(text);
}

static void levels_of_one_subsystem_leave_the_others_alone(void **state)
{
    struct bp_err err;
    (void)state;
    open_log("e.log", LOG_FORM_TEXT);
    assert_int_equal(log_set_levels("host=debug,http=error,warn", &err), 0);
    assert_int_equal(log_get_level(LOG_HOST), BP_LOG_DEBUG);
    assert_int_equal(log_get_level(LOG_HTTP), BP_LOG_ERROR);
    assert_int_equal(log_get_level(LOG_CORE), BP_LOG_WARN);
    log_debug(LOG_HOST, "seen %d", 1);
    log_warn(LOG_HTTP, "unseen");
    log_info(LOG_CORE, "unseen");
    char *text = slurp("e.log");
    assert_non_null(strstr(text, "seen 1"));
    assert_null(strstr(text, "unseen"));
    free(text);
}

static void an_unknown_level_or_subsystem_names_the_nearest_and_changes_nothing(void **state)
{
    struct bp_err err;
    (void)state;
    log_set_level(LOG_SUB_NONE, BP_LOG_WARN);
    assert_int_equal(log_set_levels("host=debg", &err), BP_INVALID);
    assert_non_null(strstr(err.text, "did you mean \"debug\""));
    assert_int_equal(log_set_levels("debug,hots=info", &err), BP_INVALID);
    assert_non_null(strstr(err.text, "did you mean \"host\""));
    assert_int_equal(log_get_level(LOG_CORE), BP_LOG_WARN);
}

static void a_path_that_cannot_be_opened_leaves_the_former_target(void **state)
{
    struct bp_err err;
    (void)state;
    open_log("f.log", LOG_FORM_TEXT);
    assert_int_equal(log_open("/nonexistent/x.log", LOG_FORM_TEXT, &err), BP_IO);
    assert_non_null(strstr(err.text, "/nonexistent/x.log"));
    log_info(LOG_CORE, "still here");
    char *text = slurp("f.log");
    assert_non_null(strstr(text, "still here"));
    free(text);
}

static void reopening_follows_logrotate(void **state)
{
    struct bp_err err;
    (void)state;
    open_log("g.log", LOG_FORM_TEXT);
    log_info(LOG_CORE, "first");
    assert_int_equal(rename("g.log", "g.log.1"), 0);
    assert_int_equal(log_open("g.log", LOG_FORM_TEXT, &err), 0);
    log_info(LOG_CORE, "second");
    char *old = slurp("g.log.1"), *new = slurp("g.log");
    assert_null(strstr(old, "second"));
    assert_non_null(strstr(new, "second"));
    free(old);
    free(new);
}

struct recent {
    int count;
    char first[64], last[64];
};

static void note(const char *line, void *arg)
{
    struct recent *r = arg;
    const char *n = strstr(line, "number ");
    assert_null(strchr(line, '\n'));
    if (r->count++ == 0)
        snprintf(r->first, sizeof r->first, "%s", n ? n : "");
    snprintf(r->last, sizeof r->last, "%s", n ? n : "");
    log_debug(LOG_CORE, "logging from inside must not hang");
}

static void the_ring_keeps_the_newest_thousand_oldest_first(void **state)
{
    struct recent r = {0};
    (void)state;
    open_log("h.log", LOG_FORM_TEXT);
    for (int i = 0; i < 1500; i++)
        log_info(LOG_CORE, "number %d", i);
    log_recent(5000, note, &r);
    assert_int_equal(r.count, 1000);
    assert_string_equal(r.first, "number 500");
    assert_string_equal(r.last, "number 1499");
    memset(&r, 0, sizeof r);
    log_recent(2, note, &r);
    assert_int_equal(r.count, 2);
    assert_string_equal(r.first, "number 1498");
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info(LOG_CORE, "line %d of %s", i, (const char *)arg);
    return NULL;
}

static void lines_of_many_threads_never_mix(void **state)
{
    pthread_t threads[4];
    uint32_t lines = 0;
    (void)state;
    open_log("i.log", LOG_FORM_JSON);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_many, "a thread");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    char *text = slurp("i.log"), *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct json_object *o = json_parse(line, strlen(line), NULL);
        assert_non_null(o);
        json_object_put(o);
        lines++;
    }
    assert_int_equal(lines, 2000);
    free(text);
}

static void an_error_text_is_cut_between_characters(void **state)
{
    struct bp_err err;
    char word[600];
    (void)state;
    memset(word, 0, sizeof word);
    for (int i = 0; i < 298; i += 2)
        memcpy(word + i, "\xc3\xa9", 2);
    assert_int_equal(err_set(&err, BP_IO, "%s", word), BP_IO);
    assert_int_equal(strlen(err.text), 250); /* 251 fit, but the last character needs two */
    err_set(&err, BP_NOTFOUND, "no such file");
    assert_int_equal(err_prefix(&err, "open %s: ", "x.db"), BP_NOTFOUND);
    assert_string_equal(err.text, "open x.db: no such file");
    assert_int_equal(err_set(NULL, BP_FAIL, "nobody listens"), BP_FAIL);
}

struct tapped {
    int n;
    char last[512];
};

static void tap(enum log_sub sub, int level, int64_t at_ms, const char *line, size_t n, void *arg)
{
    struct tapped *t = arg;
    assert_true(sub == LOG_HOST && level == BP_LOG_WARN && at_ms > 0);
    t->n++;
    snprintf(t->last, sizeof t->last, "%.*s", (int)n, line);
}

static void the_tap_gets_each_line_as_json_whatever_the_form_of_the_log(void **state)
{
    struct tapped t = {0};
    struct bp_err err = {0};
    (void)state;
    open_log("tap.log", LOG_FORM_TEXT);
    log_tap(BP_LOG_DEBUG, tap, &t);
    log_warn(LOG_HOST, "careful");
    log_tap_mute(1);
    log_warn(LOG_HOST, "from the forwarder itself");
    log_tap_mute(0);
    log_debug(LOG_HOST, "below the level");
    log_tap(0, NULL, NULL);
    log_warn(LOG_HOST, "after it was closed");
    assert_int_equal(t.n, 1);
    struct json_object *o = json_parse(t.last, strlen(t.last), &err);
    assert_non_null(o);
    assert_string_equal(json_str(o, "text", ""), "careful");
    json_object_put(o);
    char *text = slurp("tap.log");
    assert_non_null(strstr(text, "from the forwarder itself"));
    assert_true(text[0] != '{'); /* the log itself keeps its form */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_line_holds_level_subsystem_ident_and_text),
        cmocka_unit_test(text_line_holds_level_subsystem_and_text),
        cmocka_unit_test(control_characters_never_reach_the_terminal_and_a_line_stays_one_line),
        cmocka_unit_test(a_long_line_is_cut_and_still_json),
        cmocka_unit_test(levels_of_one_subsystem_leave_the_others_alone),
        cmocka_unit_test(an_unknown_level_or_subsystem_names_the_nearest_and_changes_nothing),
        cmocka_unit_test(a_path_that_cannot_be_opened_leaves_the_former_target),
        cmocka_unit_test(reopening_follows_logrotate),
        cmocka_unit_test(the_ring_keeps_the_newest_thousand_oldest_first),
        cmocka_unit_test(the_tap_gets_each_line_as_json_whatever_the_form_of_the_log),
        cmocka_unit_test(lines_of_many_threads_never_mix),
        cmocka_unit_test(an_error_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
