/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines go to the logs service in their order, wait while it is away, never feed themselves, and losses count. */
#include "core/provider.h"

#include "../../../core/log_forward.h"
#include "../../../core/log_queue.h"
#include "log/log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM (4 << 20)

/* The logs provider's double: what it took. */
struct sink {
    atomic_int rc, calls, taken, chatter;
    pthread_mutex_t lock;
    char *text; /* "group|stream|line\n"... */
    size_t n;
    int64_t last_ms;
    int disorder;
};

static int32_t put_at(void *inst, const char *group, const char *stream, const struct bp_log_line *lines, uint32_t n,
                      struct bp_err *err)
{
    struct sink *s = inst;
    int rc = atomic_load(&s->rc);
    for (int i = 0; i < atomic_load(&s->chatter); i++)
        log_warn(LOG_PLUGIN, "aws: chatter about a put");
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        s->n += (size_t)snprintf(s->text + s->n, TEXT_ROOM - s->n, "%s|%s|%s\n", group, stream, lines[i].text);
        s->disorder += lines[i].at_ms < s->last_ms;
        s->last_ms = lines[i].at_ms;
    }
    pthread_mutex_unlock(&s->lock);
    if (rc == 0)
        atomic_fetch_add(&s->taken, (int)n);
    atomic_fetch_add(&s->calls, 1);
    if (rc < 0)
        snprintf(err->text, sizeof err->text, "the double says no");
    return err->rc = rc;
}

static int32_t put(void *inst, const char *group, const char *stream, const char *const *lines, uint32_t n,
                   struct bp_err *err)
{
    struct bp_log_line *with_time = calloc(n, sizeof *with_time);
    for (uint32_t i = 0; i < n; i++)
        with_time[i] = (struct bp_log_line){0, lines[i]};
    int rc = put_at(inst, group, stream, with_time, n, err);
    free(with_time);
    return rc;
}

static const struct bp_logs table = {.size = sizeof table, .put = put, .put_at = put_at};
static const struct bp_logs old_table = {.size = offsetof(struct bp_logs, put_at), .put = put};

static const char *stream_name;

static const char *stream(void *arg)
{
    (void)arg;
    return stream_name;
}

struct rig {
    struct provider p;
    struct sink sink;
    struct log_forward *f;
};

static void begin(struct rig *r, const struct bp_logs *t, const char *level)
{
    struct bp_err err = {0};
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->sink.lock, NULL);
    r->sink.text = calloc(1, TEXT_ROOM);
    stream_name = "i-1";
    assert_int_equal(log_open("bpd.log", LOG_FORM_TEXT, &err), 0);
    log_set_levels("debug", &err);
    provider_open(&r->p, (const char *const[]){level, NULL});
    if (t)
        provider_serve(&r->p, "logs", t, &r->sink);
    struct log_forward_spec spec = {.bus = r->p.bus, .config = r->p.config, .group = "/bp/test/bpd", .stream = stream};
    r->f = log_forward_new(&spec, &err);
    assert_non_null(r->f);
}

static void end(struct rig *r)
{
    provider_quiet(&r->p);
    log_forward_free(r->f);
    provider_close(&r->p);
    pthread_mutex_destroy(&r->sink.lock);
    free(r->sink.text);
}

static void lines_up_to_the_level_arrive_in_order_with_group_and_stream(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, &table, "log.forward=info");
    for (int i = 0; i < 100; i++)
        log_info(LOG_HOST, "line number %d.", i);
    log_debug(LOG_HOST, "too detailed");
    provider_until(&r.p, &r.sink.taken, 100);
    const char *at = r.sink.text;
    for (int i = 0; i < 100; i++) {
        char word[40];
        snprintf(word, sizeof word, "line number %d.", i);
        at = strstr(at, word);
        assert_non_null(at);
    }
    assert_null(strstr(r.sink.text, "too detailed"));
    assert_memory_equal(r.sink.text, "/bp/test/bpd|i-1|{", 18);
    assert_int_equal(r.sink.disorder, 0);
    assert_true(r.sink.last_ms > 0);
    end(&r);
}

static void off_sends_nothing_and_a_reload_turns_it_on(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, &table, "log.forward=off");
    log_error(LOG_HOST, "not sent");
    provider_turn(&r.p, 1200);
    assert_int_equal(r.sink.calls, 0);
    struct config *on = provider_config((const char *const[]){"log.forward=error", NULL});
    log_forward_reconfigure(r.f, on);
    log_warn(LOG_HOST, "only a warning");
    log_error(LOG_HOST, "an error");
    provider_until(&r.p, &r.sink.taken, 1);
    assert_non_null(strstr(r.sink.text, "an error"));
    assert_null(strstr(r.sink.text, "only a warning"));
    config_free(on);
    end(&r);
}

static void while_the_service_is_away_lines_wait_and_then_arrive_once(void **state)
{
    struct rig r;
    struct log_forward_counts c;
    (void)state;
    begin(&r, &table, "log.forward=info");
    atomic_store(&r.sink.rc, BP_LATER);
    log_info(LOG_HOST, "kept one");
    provider_until(&r.p, &r.sink.calls, 2);
    log_info(LOG_HOST, "kept two");
    atomic_store(&r.sink.rc, 0);
    provider_until(&r.p, &r.sink.taken, 2);
    char *first = strstr(r.sink.text, "kept one");
    assert_non_null(first);
    assert_null(strstr(first + 1, "kept one"));
    assert_non_null(strstr(first, "kept two"));
    log_forward_counts(r.f, &c);
    assert_int_equal(c.lost, 0);
    /* That it failed was said here, not sent there; that it is back may be sent. */
    assert_null(strstr(r.sink.text, "do not reach"));
    end(&r);
}

static void a_service_that_comes_later_gets_what_was_logged_before(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, NULL, "log.forward=info");
    log_info(LOG_HOST, "early bird");
    provider_turn(&r.p, 1300);
    provider_serve(&r.p, "logs", &table, &r.sink);
    provider_until(&r.p, &r.sink.taken, 1);
    assert_non_null(strstr(r.sink.text, "early bird"));
    end(&r);
}

static void what_the_provider_says_while_it_takes_lines_is_not_forwarded(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, &table, "log.forward=debug");
    atomic_store(&r.sink.chatter, 5);
    log_info(LOG_HOST, "one line");
    log_debug(LOG_PLUGIN, "aws: a plugin's debug line");
    provider_until(&r.p, &r.sink.taken, 1);
    provider_turn(&r.p, 2500); /* a loop would go round twice */
    assert_null(strstr(r.sink.text, "chatter"));
    assert_null(strstr(r.sink.text, "debug line"));
    assert_int_equal(r.sink.taken, 1);
    assert_int_equal(r.sink.calls, 1);
    end(&r);
}

static void a_batch_refused_for_good_is_counted_and_later_lines_go_on(void **state)
{
    struct rig r;
    struct log_forward_counts c;
    (void)state;
    begin(&r, &table, "log.forward=info");
    atomic_store(&r.sink.rc, BP_INVALID);
    log_info(LOG_HOST, "poison");
    provider_until(&r.p, &r.sink.calls, 1);
    provider_turn(&r.p, 20);
    atomic_store(&r.sink.rc, 0);
    log_info(LOG_HOST, "wholesome");
    provider_until(&r.p, &r.sink.taken, 1);
    assert_null(strstr(r.sink.text, "poison"));
    assert_non_null(strstr(r.sink.text, "wholesome"));
    provider_turn(&r.p, 20);
    log_forward_counts(r.f, &c);
    assert_int_equal(c.lost, 1);
    end(&r);
}

static void ended(void *arg)
{
    ++*(_Atomic int *)arg;
}

static void the_last_lines_go_out_at_the_end(void **state)
{
    struct rig r;
    _Atomic int done = 0;
    (void)state;
    begin(&r, &table, "log.forward=info");
    log_info(LOG_HOST, "famous last words");
    log_forward_end(r.f, ended, &done);
    provider_until(&r.p, &done, 1);
    assert_non_null(strstr(r.sink.text, "famous last words"));
    end(&r);
}

static void an_end_does_not_wait_for_a_service_that_is_away(void **state)
{
    struct rig r;
    _Atomic int done = 0;
    (void)state;
    begin(&r, &table, "log.forward=info");
    atomic_store(&r.sink.rc, BP_LATER);
    log_info(LOG_HOST, "never sent");
    log_forward_end(r.f, ended, &done);
    provider_until(&r.p, &done, 1);
    assert_int_equal(r.sink.taken, 0);
    end(&r);
}

static void lines_wait_until_the_stream_has_a_name(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, &table, "log.forward=info");
    stream_name = NULL;
    log_info(LOG_HOST, "who am I");
    provider_turn(&r.p, 1300);
    assert_int_equal(r.sink.calls, 0);
    stream_name = "i-42";
    provider_until(&r.p, &r.sink.taken, 1);
    assert_non_null(strstr(r.sink.text, "|i-42|"));
    end(&r);
}

static void a_provider_without_times_gets_the_texts(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, &old_table, "log.forward=info");
    log_info(LOG_HOST, "plain");
    provider_until(&r.p, &r.sink.taken, 1);
    assert_non_null(strstr(r.sink.text, "plain"));
    end(&r);
}

static void the_queue_is_bounded_and_the_newest_stay(void **state)
{
    struct log_queue *q = log_queue_new();
    struct bp_log_line *lines;
    char text[32];
    (void)state;
    for (int i = 0; i < LOG_QUEUE_LINES + 7; i++) {
        int n = snprintf(text, sizeof text, "line %d", i);
        log_queue_add(q, i, text, (size_t)n);
    }
    assert_int_equal(log_queue_waiting(q), LOG_QUEUE_LINES);
    assert_int_equal(log_queue_lost(q), 7);
    uint32_t n = log_queue_take(q, &lines, 3, SIZE_MAX);
    assert_int_equal(n, 3);
    assert_string_equal(lines[0].text, "line 7");
    assert_int_equal(lines[0].at_ms, 7);
    log_lines_free(lines, n);
    char *large = malloc(LOG_QUEUE_BYTES / 2);
    memset(large, 'x', LOG_QUEUE_BYTES / 2);
    for (int i = 0; i < 3; i++)
        log_queue_add(q, 1, large, LOG_QUEUE_BYTES / 2 - 1);
    assert_int_equal(log_queue_waiting(q), 2); /* bounded in bytes too */
    n = log_queue_take(q, &lines, 10, 1);      /* one line at least, however large */
    assert_int_equal(n, 1);
    log_lines_free(lines, n);
    free(large);
    log_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_up_to_the_level_arrive_in_order_with_group_and_stream),
        cmocka_unit_test(off_sends_nothing_and_a_reload_turns_it_on),
        cmocka_unit_test(while_the_service_is_away_lines_wait_and_then_arrive_once),
        cmocka_unit_test(a_service_that_comes_later_gets_what_was_logged_before),
        cmocka_unit_test(what_the_provider_says_while_it_takes_lines_is_not_forwarded),
        cmocka_unit_test(a_batch_refused_for_good_is_counted_and_later_lines_go_on),
        cmocka_unit_test(the_last_lines_go_out_at_the_end),
        cmocka_unit_test(an_end_does_not_wait_for_a_service_that_is_away),
        cmocka_unit_test(lines_wait_until_the_stream_has_a_name),
        cmocka_unit_test(a_provider_without_times_gets_the_texts),
        cmocka_unit_test(the_queue_is_bounded_and_the_newest_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
