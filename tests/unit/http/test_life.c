/* SPDX-License-Identifier: Apache-2.0 */
/* test_life.c - connections from request to request, polls whose worker leaves, draining, reloading. */
#include "http/rig.h"
#include "log/err.h"

#include <stdio.h>
#include <sys/socket.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POLL_WAITS                                                                                                     \
    "POST /api/worker/poll HTTP/1.1\r\nHost: a\r\n" WORKER "Content-Length: 19\r\n\r\n{\"wait_seconds\":60}"

#define POLL_PLAIN                                                                                                     \
    "POST /api/worker/poll HTTP/1.1\r\nHost: a\r\n" WORKER "Content-Length: 20\r\n\r\n{\"worker_id\":\"held\"}"

static void expect(struct client *c, int status)
{
    struct reply *a = client_read(c, 0);

    assert_int_equal(a->status, status);
    reply_free(a);
}

static void expect_end(struct client *c)
{
    struct reply *a = client_read(c, 0);

    assert_true(a->closed);
    reply_free(a);
}

static void one_connection_serves_many_requests(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    for (int i = 0; i < 50; i++) {
        client_puts(c, i % 2 ? GET("/healthz")
                             : "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Content-Length: 2\r\n\r\n{}");
        expect(c, i % 2 ? 200 : 201);
    }
    client_close(c);
    rig_stop(r);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, GET("/healthz") GET("/api/nothing") "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT
                                                       "Content-Length: 2\r\n\r\n{}\r\n" GET("/up") "GET /heal");
    expect(c, 200);
    expect(c, 404);
    expect(c, 201);
    expect(c, 200);
    client_puts(c, "thz HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(c, 200);
    client_close(c);
    rig_stop(r);
}

/* evhttp reads no body of these methods: it would stand there as the next request. */
static void a_body_where_none_belongs_is_no_request(void **state)
{
    static const char *const METHODS[] = {"GET /healthz", "HEAD /healthz", "OPTIONS /api/jobs", "DELETE /api/jobs/1"};
    static const char *const BODIES[] = {"Content-Length: 36\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n24\r\n"};
    struct rig *r = rig_start(NULL);

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct client *c = client_open(r);
        client_puts(c, METHODS[i / 2]);
        client_puts(c, " HTTP/1.1\r\nHost: a\r\n" TENANT);
        client_puts(c, BODIES[i % 2]);
        client_puts(c, GET("/api/nothing"));
        expect(c, 400);
        expect_end(c);
        client_close(c);
    }
    rig_stop(r);
}

/* All is there, its end too, when the door looks. */
static void all_at_once(struct rig *r, void *arg)
{
    struct client *c = arg;

    (void)r;
    client_puts(c, GET("/up") GET("/api/nothing") GET("/api/jobs") "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT
                                                                   "Content-Length: 2\r\n\r\n{}" GET("/up"));
    shutdown(c->fd, SHUT_WR);
}

/* Some of these are answered at once, some by an engine. */
static void who_ends_its_side_gets_all_answers(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, GET("/up"));
    expect(c, 200);
    rig_do(r, all_at_once, c);
    expect(c, 200);
    expect(c, 404);
    expect(c, 401);
    expect(c, 201);
    expect(c, 200);
    expect_end(c);
    client_close(c);
    rig_stop(r);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);
    const char *text = "\r\nPOST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Content-Length: 7\r\n\r\n{\"a\":1}";

    (void)state;
    for (const char *p = text; *p; p++)
        client_send(c, p, 1);
    expect(c, 201);
    client_close(c);
    rig_stop(r);
}

static void close_is_done_when_asked(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(c, 200);
    expect_end(c);
    client_close(c);
    c = client_open(r);
    client_puts(c, "GET /healthz HTTP/1.0\r\n\r\n");
    expect(c, 200);
    expect_end(c);
    client_close(c);
    rig_stop(r);
}

static void a_waiting_poll_is_answered_when_there_is_a_job(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, POLL_WAITS);
    rig_await(&r->held, 1);
    rig_release_polls(r);
    expect(c, 200);
    client_puts(c, GET("/healthz")); /* and the connection is as good as before */
    expect(c, 200);
    client_close(c);
    rig_stop(r);
}

static void a_poll_is_abandoned_when_its_worker_leaves(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, POLL_WAITS);
    rig_await(&r->held, 1);
    client_close(c);
    rig_await(&r->abandoned, 1);
    rig_stop(r);
}

/* It does not wait, but its lease may still be on its way. */
static void a_plain_poll_is_abandoned_too(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, POLL_PLAIN);
    rig_await(&r->held, 1);
    client_close(c);
    rig_await(&r->abandoned, 1);
    rig_stop(r);
}

/* evhttp ends the process when it is told to read while it owes an answer. */
static void bytes_during_a_poll_do_no_harm(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, POLL_WAITS);
    rig_await(&r->held, 1);
    client_puts(c, GET("/healthz"));
    client_puts(c, GET("/up"));
    reply_free(ask(r, "GET /healthz", "", NULL)); /* the door had a turn to read them */
    rig_release_polls(r);
    expect(c, 200);
    expect(c, 200);
    expect(c, 200);
    client_close(c);
    rig_stop(r);
}

static void the_door_may_close_over_waiting_polls(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, POLL_WAITS);
    rig_await(&r->held, 1);
    rig_stop(r); /* joins: nothing hangs, and the sanitizers see nothing left or freed twice */
    expect_end(c);
    client_close(c);
}

#define SUBMIT_HELD "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Content-Length: 13\r\n\r\n{\"hold\":true}"

static void an_answer_after_the_door_is_gone_is_dropped(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, SUBMIT_HELD);
    rig_await(&r->held, 1);
    rig_stop(r);
    expect_end(c);
    client_close(c);
}

/* What is explained is made from engines the door leads to. */
static void an_explanation_after_the_door_is_gone_is_dropped(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, "GET /api/jobs/7777/explain HTTP/1.1\r\nHost: a\r\n" TENANT "\r\n");
    rig_await(&r->held, 1);
    rig_stop(r);
    expect_end(c);
    client_close(c);
}

static void an_answer_to_a_client_that_left_is_dropped(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, SUBMIT_HELD);
    rig_await(&r->held, 1);
    client_close(c);
    rig_release_polls(r);
    reply_free(ask(r, "GET /healthz", "", NULL));
    rig_stop(r);
}

static void drain(struct rig *r, void *unused)
{
    (void)unused;
    http_drain(r->http);
}

static void in_flight(struct rig *r, void *out)
{
    *(uint32_t *)out = http_in_flight(r->http);
}

static void a_draining_door_finishes_what_it_has(void **state)
{
    struct rig *r = rig_start(NULL);
    struct client *busy = client_open(r), *idle = client_open(r);
    uint32_t n = 0;
    struct reply *a;

    (void)state;
    client_puts(idle, GET("/healthz"));
    expect(idle, 200);
    client_puts(busy, POLL_WAITS);
    rig_await(&r->held, 1);
    rig_do(r, drain, NULL);
    expect_end(idle);
    rig_do(r, in_flight, &n);
    assert_int_equal(n, 1);
    rig_release_polls(r);
    a = client_read(busy, 0);
    assert_int_equal(a->status, 200);
    assert_string_equal(reply_header(a, "Connection"), "close");
    reply_free(a);
    expect_end(busy);
    rig_do(r, in_flight, &n);
    assert_int_equal(n, 0);
    client_close(busy);
    client_close(idle);
    rig_stop(r);
}

struct reload {
    const char *set;
    struct config *config;
    int rc;
    struct bp_err err;
};

static void reload(struct rig *r, void *arg)
{
    struct reload *x = arg;
    struct config_sources src = {.sets = &x->set, .n_sets = 1};

    x->config = config_load(&src, &x->err);
    x->rc = x->config ? http_reconfigure(r->http, x->config, &x->err) : BP_INVALID;
}

static void limits_and_tenants_change_on_reload(void **state)
{
    struct rig *r = rig_start(NULL);
    struct reload x = {.set = "tenants={\"acme\":{\"token\":\"acme-secret-token\"}}"};
    struct reply *a;

    (void)state;
    rig_do(r, reload, &x);
    assert_int_equal(x.rc, 0);
    a = ask(r, "GET /api/jobs", BEARER("acme-secret-token"), NULL);
    assert_non_null(strstr(a->body, "\"tenant\":\"acme\""));
    reply_free(a);
    a = ask(r, "GET /api/jobs", TENANT, NULL);
    assert_int_equal(a->status, 401);
    reply_free(a);
    rig_stop(r);
    config_free(x.config);
}

static void a_bad_reload_changes_nothing(void **state)
{
    struct rig *r = rig_start(NULL);
    struct reload x = {.set = "tenants={\"acme\":{}}"};
    struct reply *a;

    (void)state;
    rig_do(r, reload, &x);
    assert_int_equal(x.rc, BP_INVALID);
    assert_non_null(strstr(x.err.text, "tenants.acme"));
    a = ask(r, "GET /api/jobs", TENANT, NULL);
    assert_int_equal(a->status, 200);
    reply_free(a);
    rig_stop(r);
    config_free(x.config);
}

static void a_used_address_is_a_conflict(void **state)
{
    struct rig *r = rig_start(NULL);
    char set[64];
    const char *sets[] = {set};
    struct config_sources src = {.sets = sets, .n_sets = 1};
    struct bp_err err = {0};
    struct app app = {0};

    (void)state;
    snprintf(set, sizeof(set), "http.listen=127.0.0.1:%u", r->port);
    app.loop = loop_new();
    app.config = config_load(&src, &err);
    assert_null(http_new(&app, &err));
    assert_int_equal(err.rc, BP_CONFLICT);
    assert_non_null(strstr(err.text, "http.listen"));
    config_free((struct config *)(uintptr_t)app.config);
    loop_free(app.loop);
    rig_stop(r);
}

static void the_port_is_written_for_scripts(void **state)
{
    struct rig *r = rig_start(NULL);
    unsigned port = 0;
    FILE *f = fopen("http.port", "r");

    (void)state;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &port), 1);
    assert_int_equal(port, r->port);
    fclose(f);
    rig_stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_serves_many_requests),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_body_where_none_belongs_is_no_request),
        cmocka_unit_test(who_ends_its_side_gets_all_answers),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(close_is_done_when_asked),
        cmocka_unit_test(a_waiting_poll_is_answered_when_there_is_a_job),
        cmocka_unit_test(a_poll_is_abandoned_when_its_worker_leaves),
        cmocka_unit_test(a_plain_poll_is_abandoned_too),
        cmocka_unit_test(bytes_during_a_poll_do_no_harm),
        cmocka_unit_test(the_door_may_close_over_waiting_polls),
        cmocka_unit_test(an_answer_after_the_door_is_gone_is_dropped),
        cmocka_unit_test(an_explanation_after_the_door_is_gone_is_dropped),
        cmocka_unit_test(an_answer_to_a_client_that_left_is_dropped),
        cmocka_unit_test(a_draining_door_finishes_what_it_has),
        cmocka_unit_test(limits_and_tenants_change_on_reload),
        cmocka_unit_test(a_bad_reload_changes_nothing),
        cmocka_unit_test(a_used_address_is_a_conflict),
        cmocka_unit_test(the_port_is_written_for_scripts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
