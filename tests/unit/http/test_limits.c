/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits.c - what a client may not do: too much, too slowly, too often, or malformed. */
#include "http/rig.h"

#include <stdio.h>

/* Sends raw bytes and expects a status, and then the end of the connection. */
static void expect_refused(struct rig *r, const char *text, int status)
{
    struct client *c = client_open(r);
    struct reply *a;

    client_puts(c, text);
    a = client_read(c, 0);
    if (a->status != status || strncmp(a->body, "{\"success\":false,\"message\":", 27) != 0)
        fail_msg("%.60s: %d %s", text, a->status, a->body ? a->body : "");
    assert_string_equal(reply_header(a, "Connection"), "close");
    reply_free(a);
    a = client_read(c, 0);
    assert_true(a->closed);
    reply_free(a);
    client_close(c);
}

static void a_malformed_request_has_the_envelope(void **state)
{
    struct rig *r = rig_start(NULL);

    (void)state;
    expect_refused(r, "NONSENSE\r\n\r\n", 400);
    expect_refused(r, "GET / HTTP/1.1\r\nHost: a\r\nbad line\r\n\r\n", 400);
    expect_refused(r, "BREW /coffee HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    expect_refused(r, "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505);
    expect_refused(r, "GET / HTTP/1.1\nHost: a\n\n", 400);
    rig_stop(r);
}

static void a_large_body_is_refused_before_it_is_sent(void **state)
{
    struct rig *r = rig_start("http.maxBodyBytes=2048", NULL);

    (void)state;
    expect_refused(r, "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Content-Length: 2049\r\n\r\n", 413);
    expect_refused(r, "POST /api/jobs HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 999999\r\n\r\n",
                   413);
    rig_stop(r);
}

static void a_body_of_the_largest_size_is_taken(void **state)
{
    struct rig *r = rig_start("http.maxBodyBytes=2048", NULL);
    char body[2049];
    struct reply *a;

    (void)state;
    memset(body, ' ', 2048);
    body[2048] = '\0';
    memcpy(body, "{}", 2);
    a = ask(r, "POST /api/jobs", TENANT, body);
    assert_int_equal(a->status, 201);
    reply_free(a);
    rig_stop(r);
}

static void a_large_body_in_chunks_is_refused(void **state)
{
    struct rig *r = rig_start("http.maxBodyBytes=1024", NULL);
    struct client *c = client_open(r);
    char text[4096];
    struct reply *a;

    (void)state;
    snprintf(text, sizeof(text),
             "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Transfer-Encoding: chunked\r\n\r\n"
             "800\r\n%2048s\r\n0\r\n\r\n",
             "{}");
    client_puts(c, text);
    a = client_read(c, 0);
    assert_int_equal(a->status, 413);
    assert_non_null(strstr(a->body, "\"success\":false"));
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void a_body_in_chunks_is_read(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Transfer-Encoding: chunked\r\n\r\n"
                   "5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n");
    a = client_read(c, 0);
    assert_int_equal(a->status, 201);
    assert_non_null(strstr(a->body, "{\"a\":1}"));
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void a_large_head_is_431(void **state)
{
    struct rig *r = rig_start("http.maxHeaderBytes=1024", NULL);
    char text[3000];
    size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: ");

    (void)state;
    memset(text + n, 'x', 2000);
    text[n + 2000] = '\0';
    expect_refused(r, text, 431);
    rig_stop(r);
}

static void a_head_that_never_ends_is_closed(void **state)
{
    struct rig *r = rig_start("http.timeoutSeconds=1", NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "GET / HTTP/1.1\r\nHo");
    a = client_read(c, 0);
    assert_true(a->closed);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void a_body_that_never_comes_is_closed(void **state)
{
    struct rig *r = rig_start("http.timeoutSeconds=1", NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Content-Length: 10\r\n\r\n{");
    a = client_read(c, 0);
    assert_true(a->closed);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void an_idle_connection_is_closed(void **state)
{
    struct rig *r = rig_start("http.timeoutSeconds=1", NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    a = client_read(c, 0);
    assert_true(a->closed);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

static void a_waiting_poll_outlives_the_idle_time(void **state)
{
    struct rig *r = rig_start("http.timeoutSeconds=1", NULL);
    struct client *c = client_open(r), *idle = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "POST /api/worker/poll HTTP/1.1\r\nHost: a\r\n" WORKER
                   "Content-Length: 19\r\n\r\n{\"wait_seconds\":60}");
    rig_await(&r->held, 1);
    a = client_read(idle, 0); /* opened later, closed as idle: the time has passed for the poll too */
    assert_true(a->closed);
    reply_free(a);
    rig_release_polls(r);
    a = client_read(c, 0);
    assert_int_equal(a->status, 200);
    reply_free(a);
    client_close(c);
    client_close(idle);
    rig_stop(r);
}

static void connections_over_the_limit_hear_503(void **state)
{
    struct rig *r = rig_start("http.maxConnections=2", NULL);
    struct client *a = client_open(r), *b = client_open(r);
    struct reply *reply;

    (void)state;
    client_puts(a, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    reply_free(client_read(a, 0));
    client_puts(b, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    reply_free(client_read(b, 0));
    reply = ask(r, "GET /healthz", "", NULL);
    assert_int_equal(reply->status, 503);
    assert_string_equal(reply_header(reply, "Retry-After"), "1");
    reply_free(reply);
    client_puts(a, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); /* those inside are served on */
    reply = client_read(a, 0);
    assert_int_equal(reply->status, 200);
    reply_free(reply);
    client_close(a);
    client_close(b);
    rig_stop(r);
}

static void registrations_are_limited_per_minute(void **state)
{
    struct rig *r = rig_start("http.registerPerMinute=2", NULL);
    struct reply *a;

    (void)state;
    a = ask(r, "POST /api/worker/register", "X-Fleet-Secret: wrong\r\n", "{}");
    assert_int_equal(a->status, 401); /* a wrong guess counts */
    assert_string_equal(reply_header(a, "X-RateLimit-Limit"), "2");
    assert_string_equal(reply_header(a, "X-RateLimit-Remaining"), "1");
    reply_free(a);
    a = ask(r, "POST /api/worker/register", "X-Fleet-Secret: " FLEET_SECRET "\r\n", "{}");
    assert_int_equal(a->status, 200);
    reply_free(a);
    a = ask(r, "POST /api/worker/register", "X-Fleet-Secret: " FLEET_SECRET "\r\n", "{}");
    assert_int_equal(a->status, 429);
    assert_in_range(atoi(reply_header(a, "Retry-After")), 1, 60);
    assert_string_equal(reply_header(a, "X-RateLimit-Remaining"), "0");
    reply_free(a);
    rig_stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_malformed_request_has_the_envelope),
        cmocka_unit_test(a_large_body_is_refused_before_it_is_sent),
        cmocka_unit_test(a_body_of_the_largest_size_is_taken),
        cmocka_unit_test(a_large_body_in_chunks_is_refused),
        cmocka_unit_test(a_body_in_chunks_is_read),
        cmocka_unit_test(a_large_head_is_431),
        cmocka_unit_test(a_head_that_never_ends_is_closed),
        cmocka_unit_test(a_body_that_never_comes_is_closed),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(a_waiting_poll_outlives_the_idle_time),
        cmocka_unit_test(connections_over_the_limit_hear_503),
        cmocka_unit_test(registrations_are_limited_per_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
