/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream.c - server-sent events. */
#include "http/rig.h"

#include <stdio.h>

static void open_stream(struct client *c, const char *path)
{
    char text[512];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n" TENANT "\r\n", path);
    client_puts(c, text);
}

static void progress(struct rig *r, void *arg)
{
    (void)arg;
    bus_publish(r->app.bus, EVENT_JOB_PROGRESS, (int64_t)7, "local", "w", 0.5, "half");
}

static void progress_of_others(struct rig *r, void *arg)
{
    (void)arg;
    bus_publish(r->app.bus, EVENT_JOB_PROGRESS, (int64_t)8, "local", "w", 0.25, "another job");
    bus_publish(r->app.bus, EVENT_JOB_PROGRESS, (int64_t)7, "beta", "w", 0.25, "another tenant");
}

static void complete(struct rig *r, void *arg)
{
    (void)arg;
    atomic_store(&r->job_status, BP_JOB_COMPLETED);
    bus_publish(r->app.bus, EVENT_JOB_COMPLETED, (int64_t)7, "local", "w", "w-1", (int64_t)1, (int64_t)2);
}

static void a_job_is_followed_to_its_end(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    open_stream(c, "/api/jobs/7/events");
    assert_true(client_until(c, "\"status\":\"leased\""));
    rig_do(r, progress_of_others, NULL);
    rig_do(r, progress, NULL);
    assert_true(client_until(c, "\"text\":\"half\""));
    rig_do(r, complete, NULL);
    a = client_read(c, 0);
    assert_int_equal(a->status, 200);
    assert_string_equal(reply_header(a, "Content-Type"), "text/event-stream");
    assert_memory_equal(a->body, "event: job\ndata: {", 18);
    assert_non_null(strstr(a->body, "event: job.progress\ndata: {\"event\":\"job.progress\""));
    assert_null(strstr(a->body, "another"));
    assert_non_null(strstr(a->body, "event: job.completed\n"));
    assert_non_null(strstr(a->body, "\"status\":\"completed\""));
    assert_string_equal(a->body + a->n - strlen("event: end\ndata: {}\n\n"), "event: end\ndata: {}\n\n");
    reply_free(a);
    client_puts(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    a = client_read(c, 0);
    assert_int_equal(a->status, 200);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void a_job_that_ended_at_another_controller_ends_its_stream(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    r->others = 1;
    open_stream(c, "/api/jobs/7/events");
    assert_true(client_until(c, "\"status\":\"leased\""));
    atomic_store(&r->job_status, BP_JOB_COMPLETED); /* no event tells of it here */
    a = client_read(c, 0);
    assert_non_null(strstr(a->body, "\"status\":\"completed\""));
    assert_non_null(strstr(a->body, "event: end"));
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void a_finished_job_ends_its_stream_at_once(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    atomic_store(&r->job_status, BP_JOB_FAILED);
    open_stream(c, "/api/jobs/7/events");
    a = client_read(c, 0);
    assert_non_null(strstr(a->body, "\"status\":\"failed\""));
    assert_non_null(strstr(a->body, "event: end"));
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void an_unknown_job_has_no_stream(void **state)
{
    struct rig *r = rig_start(NULL);
    struct reply *a = ask(r, "GET /api/jobs/404/events", TENANT, NULL);

    (void)state;
    assert_int_equal(a->status, 404);
    assert_string_equal(a->body, "{\"success\":false,\"message\":\"No such job.\"}");
    reply_free(a);
    a = ask(r, "GET /api/jobs/7/events", "", NULL);
    assert_int_equal(a->status, 401);
    reply_free(a);
    rig_stop(r);
}

static void the_page_hears_every_event(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    open_stream(c, "/api/admin/events");
    assert_true(client_until(c, "\r\n\r\n"));
    rig_do(r, progress_of_others, NULL);
    assert_true(client_until(c, "another tenant"));
    client_close(c);
    rig_stop(r);
}

static void missed_events_come_again(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r), *again = client_open(r);
    char text[256];
    long seq;

    (void)state;
    open_stream(c, "/api/admin/events");
    assert_true(client_until(c, "\r\n\r\n"));
    rig_do(r, progress, NULL);
    assert_true(client_until(c, "half"));
    seq = strtol(strstr(c->bytes, "id: ") + 4, NULL, 10);
    rig_do(r, progress_of_others, NULL);
    snprintf(text, sizeof(text), "GET /api/admin/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: %ld\r\n\r\n",
             seq);
    client_puts(again, text);
    assert_true(client_until(again, "another tenant"));
    assert_null(strstr(again->bytes, "half"));
    client_close(c);
    client_close(again);
    rig_stop(r);
}

static void flood(struct rig *r, void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++)
        bus_publish(r->app.bus, EVENT_JOB_PROGRESS, (int64_t)7, "local", "w", 0.5,
                    "a text of some length, so that the buffers of the socket fill soon");
}

/* A reader that does not read costs no memory: its feed drops, and the door goes on. */
static void a_slow_reader_holds_nobody_up(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    open_stream(c, "/api/admin/events");
    assert_true(client_until(c, "\r\n\r\n"));
    for (int i = 0; i < 5; i++)
        rig_do(r, flood, NULL);
    a = ask(r, "GET /healthz", "", NULL);
    assert_int_equal(a->status, 200);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void drain(struct rig *r, void *unused)
{
    (void)unused;
    http_drain(r->http);
}

static void a_drain_ends_the_streams(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    open_stream(c, "/api/jobs/7/events");
    assert_true(client_until(c, "leased"));
    rig_do(r, drain, NULL);
    a = client_read(c, 0);
    assert_false(a->closed);
    reply_free(a);
    a = client_read(c, 0);
    assert_true(a->closed);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

/* Whoever waits for the job at that moment, or asks for a stream after it, would hold up the shutdown. */
static void a_drain_ends_the_streams_that_only_begin(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *job = client_open(r), *page = client_open(r);
    struct reply *a;

    (void)state;
    open_stream(job, "/api/jobs/7777/events");
    rig_await(&r->held, 1);
    client_puts(page, "GET /api/admin/events HTTP/1.1\r\n");
    reply_free(ask(r, "GET /healthz", "", NULL)); /* the door has seen the line before */
    rig_do(r, drain, NULL);
    rig_release_polls(r);
    client_puts(page, "Host: localhost\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        a = client_read(i ? job : page, 0);
        assert_int_equal(a->status, 200);
        reply_free(a);
        a = client_read(i ? job : page, 0);
        assert_true(a->closed);
        reply_free(a);
    }
    client_close(job);
    client_close(page);
    rig_stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_followed_to_its_end),
        cmocka_unit_test(a_job_that_ended_at_another_controller_ends_its_stream),
        cmocka_unit_test(a_finished_job_ends_its_stream_at_once),
        cmocka_unit_test(an_unknown_job_has_no_stream),
        cmocka_unit_test(the_page_hears_every_event),
        cmocka_unit_test(missed_events_come_again),
        cmocka_unit_test(a_slow_reader_holds_nobody_up),
        cmocka_unit_test(a_drain_ends_the_streams),
        cmocka_unit_test(a_drain_ends_the_streams_that_only_begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
