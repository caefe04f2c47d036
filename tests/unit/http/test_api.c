/* SPDX-License-Identifier: Apache-2.0 */
/* test_api.c - statuses, envelopes, who is let in, what bodies may be. */
#include "http/rig.h"

#include <stdio.h>

static struct rig *r;

static int open_rig(void **state)
{
    (void)state;
    r = rig_start(NULL);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    rig_stop(r);
    return 0;
}

/* Asks and compares the status, and that the body contains `part`. */
static void expect(const char *what, const char *headers, const char *body, int status, const char *part)
{
    struct reply *a = ask(r, what, headers, body);

    if (a->status != status || (part && !strstr(a->body, part)))
        fail_msg("%s: %d %s", what, a->status, a->body);
    reply_free(a);
}

static void anybody_may_ask_for_its_health(void **state)
{
    (void)state;
    expect("GET /up", "", NULL, 200, "ok");
    expect("GET /healthz", "", NULL, 200, "{\"success\":true,\"data\":null,\"message\":\"alive\"}");
    expect("GET /readyz", "", NULL, 200, "\"message\":\"ready\"");
}

static void unready(struct rig *rig, void *why)
{
    rig->app.ready = 0;
    snprintf(rig->app.not_ready, sizeof(rig->app.not_ready), "%s", (const char *)why);
}

static void readiness_says_what_it_waits_for(void **state)
{
    struct reply *a;

    (void)state;
    rig_do(r, unready, "no queue is running");
    a = ask(r, "GET /readyz", "", NULL);
    assert_int_equal(a->status, 503);
    assert_string_equal(a->body, "{\"success\":false,\"message\":\"no queue is running\"}");
    assert_string_equal(reply_header(a, "Retry-After"), "1");
    reply_free(a);
}

/* Chaos found it: between the start and the first scan's end a submit was told 404 Unknown workflow, for good. */
static void a_submit_while_plugins_come_up_is_told_to_try_again(void **state)
{
    struct reply *a;

    (void)state;
    rig_do(r, unready, "");
    a = ask(r, "POST /api/jobs", TENANT, "{\"workflow\":\"not-up-yet\"}");
    assert_int_equal(a->status, 503);
    assert_string_equal(a->body, "{\"success\":false,\"message\":\"starting\"}");
    assert_string_equal(reply_header(a, "Retry-After"), "1");
    reply_free(a);
}

static void an_unknown_path_is_404(void **state)
{
    (void)state;
    expect("GET /api/nothing", "", NULL, 404, "{\"success\":false,\"message\":\"No such page.\"}");
    expect("POST /nothing", "", NULL, 404, NULL);
    expect("GET /api/jobs/0", TENANT, NULL, 404, NULL);
    expect("GET /api/jobs/12x", TENANT, NULL, 404, NULL);
    expect("GET /api/jobs/9999999999999999999999", TENANT, NULL, 404, NULL);
    expect("GET /../etc/passwd", "", NULL, 404, NULL);
}

static void a_wrong_method_is_405_with_allow(void **state)
{
    struct reply *a = ask(r, "DELETE /api/jobs", TENANT, NULL);

    (void)state;
    assert_int_equal(a->status, 405);
    assert_string_equal(reply_header(a, "Allow"), "GET, HEAD, POST, OPTIONS");
    reply_free(a);
    a = ask(r, "OPTIONS /api/jobs/3", "", NULL);
    assert_int_equal(a->status, 204);
    assert_string_equal(reply_header(a, "Allow"), "GET, HEAD, DELETE, OPTIONS");
    reply_free(a);
}

static void head_is_get_without_its_body(void **state)
{
    struct reply *get = ask(r, "GET /healthz", "", NULL), *head = ask(r, "HEAD /healthz", "", NULL);

    (void)state;
    assert_int_equal(head->status, 200);
    assert_int_equal(atoi(reply_header(head, "Content-Length")), get->n);
    reply_free(get);
    reply_free(head);
}

static void a_worker_needs_its_token(void **state)
{
    (void)state;
    expect("POST /api/worker/poll", "", "{}", 401, "{\"success\":false,\"message\":\"Unauthorized.\"}");
    expect("POST /api/worker/poll", BEARER("wrong"), "{}", 401, "Unauthorized.");
    expect("POST /api/worker/poll", BEARER("unapproved"), "{}", 401, "Worker not approved.");
    expect("POST /api/worker/poll", WORKER, "{}", 200, "\"worker\":\"w-1\"");
    expect("POST /api/worker/poll", "X-Worker-Token: good-worker\r\n", "{}", 200, "\"worker\":\"w-1\"");
    expect("POST /api/worker/poll", "Authorization: Basic x\r\nX-Worker-Token: good-worker\r\n", "{}", 200, NULL);
}

static void every_worker_call_reaches_its_engine(void **state)
{
    static const char *const names[] = {"poll", "heartbeat", "progress", "complete", "fail", "requeue", "deregister"};
    char what[64], part[64];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(what, sizeof(what), "POST /api/worker/%s", names[i]);
        snprintf(part, sizeof(part), "\"data\":{\"call\":\"%s\",\"body\":{\"a\":1}", names[i]);
        expect(what, WORKER JSON_TYPE, "{\"a\":1}", 200, part);
    }
    expect("POST /api/worker/deregister", WORKER, NULL, 200, "\"ip\":\"127.0.0.1\"");
}

static void registration_needs_the_fleet_secret(void **state)
{
    (void)state;
    expect("POST /api/worker/register", "", "{}", 401, "Unauthorized.");
    expect("POST /api/worker/register", "X-Fleet-Secret: wrong\r\n", "{}", 401, NULL);
    expect("POST /api/worker/register", "X-Fleet-Secret: " FLEET_SECRET "\r\n", "{\"worker_id\":\"w\"}", 200,
           "\"call\":\"register\"");
}

static int refused;

static void count_refused(struct app *app)
{
    (void)app;
    refused++;
}

static void rotate_secret(struct rig *rig, void *seconds)
{
    memcpy(rig->app.former_secret, rig->app.fleet_secret, sizeof rig->app.former_secret);
    snprintf(rig->app.fleet_secret, sizeof rig->app.fleet_secret, "the-next-one");
    rig->app.former_until_ms = mono_ms() + 1000 * *(int *)seconds;
    rig->app.secret_refused = count_refused;
}

static void restore_secret(struct rig *rig, void *unused)
{
    (void)unused;
    snprintf(rig->app.fleet_secret, sizeof rig->app.fleet_secret, "%s", FLEET_SECRET);
    rig->app.former_secret[0] = '\0';
}

static void a_rotated_fleet_secret_is_accepted_for_a_while(void **state)
{
    (void)state;
    rig_do(r, rotate_secret, &(int){60});
    refused = 0;
    expect("POST /api/worker/register", "X-Fleet-Secret: the-next-one\r\n", "{\"worker_id\":\"w\"}", 200, NULL);
    expect("POST /api/worker/register", "X-Fleet-Secret: " FLEET_SECRET "\r\n", "{\"worker_id\":\"w\"}", 200, NULL);
    assert_int_equal(refused, 0);
    expect("POST /api/worker/register", "X-Fleet-Secret: neither\r\n", "{}", 401, "Unauthorized.");
    assert_int_equal(refused, 1); /* perhaps it is ours that is old: the store is asked */
    rig_do(r, restore_secret, NULL);
    rig_do(r, rotate_secret, &(int){0});
    expect("POST /api/worker/register", "X-Fleet-Secret: " FLEET_SECRET "\r\n", "{}", 401, "Unauthorized.");
    rig_do(r, restore_secret, NULL);
}

static void forget_secret(struct rig *rig, void *unused)
{
    (void)unused;
    rig->app.fleet_secret[0] = '\0';
}

static void without_a_fleet_secret_registration_is_503(void **state)
{
    (void)state;
    rig_do(r, forget_secret, NULL);
    expect("POST /api/worker/register", "X-Fleet-Secret: \r\n", "{}", 503, "Fleet registration is not configured.");
}

static void a_tenant_needs_its_token(void **state)
{
    (void)state;
    expect("GET /api/jobs", "", NULL, 401, "Unauthenticated.");
    expect("GET /api/jobs", BEARER("tenant-token-012345678"), NULL, 401, "Unauthenticated.");
    expect("GET /api/jobs", "X-Worker-Token: " TENANT_TOKEN "\r\n", NULL, 401, NULL);
    expect("GET /api/jobs", TENANT, NULL, 200, "\"tenant\":\"local\"");
}

static void a_token_that_no_setting_has_is_the_stores_to_know(void **state)
{
    (void)state;
    expect("GET /api/jobs", BEARER("stored-token"), NULL, 200, "\"tenant\":\"stored\"");
    expect("GET /api/jobs", BEARER("disabled-token"), NULL, 403, "This tenant is disabled.");
    expect("GET /api/jobs", BEARER("busy-token"), NULL, 503, "Busy");
    expect("GET /api/jobs", BEARER("guessed-token"), NULL, 401, "Unauthenticated.");
}

static void a_submit_is_201_and_its_replay_200(void **state)
{
    (void)state;
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"workflow\":\"x\"}", 201, "\"call\":\"submit\"");
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"replayed\":true}", 200, NULL);
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"duplicate\":true}", 200, NULL);
}

static void a_batch_is_201_when_all_is_new_and_200_otherwise(void **state)
{
    (void)state;
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"jobs\":[{}]}", 201, "\"call\":\"submit_batch\"");
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"jobs\":[{}],\"answer\":{\"existing\":1}}", 200, NULL);
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"jobs\":[{}],\"answer\":{\"refused\":1}}", 200, NULL);
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"jobs\":[{}],\"answer\":{\"rc\":-5}}", 503, NULL);
    expect("POST /api/jobs", TENANT JSON_TYPE, "{\"jobs\":null}", 201, "\"call\":\"submit_batch\"");
}

static void a_tenants_own_limit_is_429_with_retry_after(void **state)
{
    struct reply *a = ask(r, "POST /api/jobs", TENANT,
                          "{\"answer\":{\"rc\":-5,\"retry_after\":5,\"over_limit\":true,\"message\":\"5 of 5\"}}");

    (void)state;
    assert_int_equal(a->status, 429);
    assert_string_equal(reply_header(a, "Retry-After"), "5");
    assert_non_null(strstr(a->body, "5 of 5"));
    reply_free(a);
}

static void each_tenant_call_reaches_its_engine(void **state)
{
    (void)state;
    expect("GET /api/jobs/17", TENANT, NULL, 200, "\"id\":17,\"tenant\":\"local\",\"timeline\":true");
    expect("GET /api/jobs/404", TENANT, NULL, 404, "{\"success\":false,\"message\":\"No such job.\"}");
    expect("DELETE /api/jobs/17", TENANT, NULL, 200, "\"call\":\"cancel\",\"tenant\":\"local\",\"id\":17");
    expect("POST /api/jobs/17/retry", TENANT, NULL, 200, "\"call\":\"retry\",\"tenant\":\"local\",\"id\":17");
    expect("GET /api/jobs/17/explain", TENANT, NULL, 200,
           "\"for_tenant\":1,\"of\":{\"call\":\"facts\",\"tenant\":\"local\",\"id\":17");
    expect("POST /api/uploads", TENANT, "{\"name\":\"a\"}", 200, "\"call\":\"upload\"");
    expect("GET /api/workflows", TENANT, NULL, 200,
           "{\"workflows\":[{\"slug\":\"image-to-video\",\"name\":\"Image to video\",\"version\":\"1.0.0\","
           "\"draining\":false,\"summary\":\"Moves\",\"accepts\":[\"image/png\"],\"params\":null}]}");
}

static void a_job_list_takes_its_query(void **state)
{
    (void)state;
    expect("GET /api/jobs?workflow=a%2Db&status=failed&limit=7&before_id=9", TENANT, NULL, 200,
           "\"workflow\":\"a-b\",\"status\":5,\"limit\":7,\"before\":9");
    expect("GET /api/jobs?limit=0", TENANT, NULL, 422, "\"data\":{\"limit\":[\"The limit must be");
    expect("GET /api/jobs?limit=x", TENANT, NULL, 422, NULL);
    expect("GET /api/jobs?status=asleep", TENANT, NULL, 422, "scheduled, queued, leased");
}

static void malformed_json_is_400(void **state)
{
    (void)state;
    expect("POST /api/worker/poll", WORKER, "{\"a\":", 400, "\"success\":false");
    expect("POST /api/worker/poll", WORKER, "{} x", 400, NULL);
    expect("POST /api/jobs", TENANT JSON_TYPE, "nonsense", 400, NULL);
    expect("POST /api/jobs", TENANT JSON_TYPE, "[1]", 422, "must be a JSON object");
}

static void another_content_type_is_415(void **state)
{
    (void)state;
    expect("POST /api/jobs", TENANT "Content-Type: text/plain\r\n", "{}", 415, NULL);
    expect("POST /api/jobs", TENANT "Content-Type: application/json; charset=utf-8\r\n", "{}", 201, NULL);
    expect("POST /api/jobs", TENANT "Content-Type: application/vnd.x+json\r\n", "{}", 201, NULL);
    expect("POST /api/worker/deregister", WORKER "Content-Type: text/plain\r\n", NULL, 200, NULL);
}

static void worker_strings_are_trimmed_and_the_query_is_merged(void **state)
{
    (void)state;
    expect("POST /api/worker/fail?dispatch_id=7&a=other", WORKER,
           "{\"a\":\" tok \",\"b\":\"\",\"c\":{\"d\":[\"  \",\"e \"]}}", 200,
           "\"body\":{\"a\":\"tok\",\"b\":null,\"c\":{\"d\":[null,\"e\"]},\"dispatch_id\":\"7\"}");
    expect("POST /api/jobs?x=1", TENANT, "{\"a\":\" tok \"}", 201, "\"body\":{\"a\":\" tok \"}");
}

static void each_return_code_has_its_status(void **state)
{
    static const struct {
        const char *answer;
        int status;
        const char *body;
    } rows[] = {
        {"{\"rc\":-2,\"message\":\"Validation error.\",\"fields\":{\"a\":[\"b\"]}}", 422,
         "{\"success\":false,\"message\":\"Validation error.\",\"data\":{\"a\":[\"b\"]}}"},
        {"{\"rc\":-3,\"message\":\"No.\"}", 404, "{\"success\":false,\"message\":\"No.\"}"},
        {"{\"rc\":-4,\"message\":\"No.\"}", 409, NULL},
        {"{\"rc\":-5}", 503, NULL},
        {"{\"rc\":-6}", 503, NULL},
        {"{\"rc\":-7}", 503, NULL},
        {"{\"rc\":-9,\"message\":\"Fleet worker limit reached.\"}", 403, NULL},
        {"{\"rc\":-9,\"message\":\"Worker not approved.\"}", 401, NULL},
        {"{\"rc\":-10}", 404, "Lease not found."},
        {"{\"rc\":-11}", 503, NULL},
        {"{\"rc\":-14}", 500, NULL},
    };
    char body[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(body, sizeof(body), "{\"answer\":%s}", rows[i].answer);
        expect("POST /api/worker/complete", WORKER, body, rows[i].status, rows[i].body);
    }
}

static void later_says_when(void **state)
{
    struct reply *a = ask(r, "POST /api/jobs", TENANT, "{\"answer\":{\"rc\":-5,\"retry_after\":3}}");

    (void)state;
    assert_int_equal(a->status, 503);
    assert_string_equal(reply_header(a, "Retry-After"), "3");
    reply_free(a);
}

static void messages_are_json_whatever_they_hold(void **state)
{
    (void)state;
    expect("POST /api/worker/fail", WORKER, "{\"answer\":{\"rc\":-3,\"message\":\"a \\\"b\\\" \\\\ \\u0001\\nc\"}}",
           404, "\"message\":\"a \\\"b\\\" \\\\ \\u0001\\nc\"");
}

static void metrics_are_openmetrics(void **state)
{
    struct reply *a;

    (void)state;
    expect("GET /api/nothing", "", NULL, 404, NULL);
    a = ask(r, "GET /metrics", "", NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(reply_header(a, "Content-Type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_non_null(strstr(a->body, "\nbpd_jobs_submitted_total 12\n"));
    assert_non_null(strstr(a->body, "\nbpd_workflow_queued{workflow=\"a-\\\"b\"} 3\n"));
    assert_non_null(strstr(a->body, "\nbpd_published{workflow=\"image-to-video\",name=\"QueueDepth\"} 7\n"));
    assert_non_null(strstr(a->body, "\nbpd_fleet_desired{workflow=\"image-to-video\"} 2\n"));
    assert_non_null(strstr(a->body, "\nbpd_promises_kept{workflow=\"image-to-video\",of=\"end\"} 0.925\n"));
    assert_null(strstr(a->body, "of=\"start\"")); /* nothing was judged yet */
    assert_non_null(strstr(a->body, "state=\"running\"} 1\n"));
    assert_non_null(strstr(a->body, "bpd_http_requests_total{method=\"other\",route=\"none\",code=\"404\"} 1\n"));
    assert_string_equal(a->body + a->n - 6, "# EOF\n");
    reply_free(a);
}

static void metrics_leave_others_their_turn_between_two_steps(void **state)
{
    struct reply *a = ask(r, "GET /metrics", "", NULL);

    (void)state;
    assert_non_null(strstr(a->body, "\nbpd_plugin_waiting{plugin=\"sqlite\",generation=\"1\"} 1\n"));
    reply_free(a);
}

static void the_page_is_served_with_an_etag(void **state)
{
    struct reply *a = ask(r, "GET /", "", NULL);
    char header[128];

    (void)state;
    assert_int_equal(a->status, 200);
    assert_string_equal(reply_header(a, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(reply_header(a, "Cache-Control"), "no-cache");
    assert_non_null(strstr(reply_header(a, "Content-Security-Policy"), "default-src 'none'"));
    snprintf(header, sizeof(header), "If-None-Match: %s\r\n", reply_header(a, "ETag"));
    reply_free(a);
    expect("GET /", header, NULL, 304, NULL);
    a = ask(r, "GET /app.js?v=1", "", NULL);
    assert_string_equal(reply_header(a, "Content-Type"), "text/javascript; charset=utf-8");
    reply_free(a);
}

static void the_page_may_go_where_objects_are(void **state)
{
    struct reply *a = ask(r, "GET /", "", NULL);

    (void)state;
    assert_null(strstr(reply_header(a, "Content-Security-Policy"), "bucket"));
    reply_free(a);
    doubles_objects_origin = "https://bucket.s3.eu-central-1.amazonaws.com";
    a = ask(r, "GET /", "", NULL);
    doubles_objects_origin = "";
    assert_non_null(strstr(reply_header(a, "Content-Security-Policy"),
                           "connect-src 'self' https://bucket.s3.eu-central-1.amazonaws.com;"));
    assert_non_null(strstr(reply_header(a, "Content-Security-Policy"),
                           "img-src 'self' blob: data: https://bucket.s3.eu-central-1.amazonaws.com;"));
    reply_free(a);
}

static void the_operators_page_is_for_this_machine_alone(void **state)
{
    (void)state;
    expect("GET /api/admin/session", "", NULL, 200, "\"token\":\"" TENANT_TOKEN "\"");
    expect("GET /api/admin/state", "", NULL, 200, "\"reason\":\"no jobs\"");
    expect("GET /api/admin/state", "", NULL, 200, "\"waiting\":1"); /* others had a turn between its parts */
    expect("GET /api/admin/session", "X-Forwarded-For: 1.2.3.4\r\n", NULL, 403, NULL);
}

static void the_page_reads_past_samples(void **state)
{
    (void)state;
    expect("GET /api/admin/metrics?workflow=image-to-video&metric=QueueDepth&minutes=5", "", NULL, 200,
           "{\"samples\":[{\"at_ms\":60000,\"value\":7.5}]}");
    expect("GET /api/admin/metrics?workflow=none&metric=QueueDepth", "", NULL, 404, "no workflow none");
    expect("GET /api/admin/metrics?workflow=image-to-video&metric=ErrorRate", "", NULL, 503, "CloudWatch is away");
    expect("GET /api/admin/metrics?metric=QueueDepth", "", NULL, 422, "\"workflow\"");
    expect("GET /api/admin/metrics?workflow=image-to-video", "", NULL, 422, "\"metric\"");
    expect("GET /api/admin/metrics?workflow=image-to-video&metric=QueueDepth&minutes=0", "", NULL, 422, "\"minutes\"");
    expect("GET /api/admin/metrics?workflow=image-to-video&metric=QueueDepth", "X-Forwarded-For: 1.2.3.4\r\n", NULL,
           403, NULL);
}

static void another_host_name_gets_no_session(void **state)
{
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "GET /api/admin/session HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    a = client_read(c, 0);
    assert_int_equal(a->status, 403);
    assert_null(strstr(a->body, TENANT_TOKEN));
    reply_free(a);
    client_close(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(anybody_may_ask_for_its_health),
        TEST(readiness_says_what_it_waits_for),
        TEST(a_submit_while_plugins_come_up_is_told_to_try_again),
        TEST(an_unknown_path_is_404),
        TEST(a_wrong_method_is_405_with_allow),
        TEST(head_is_get_without_its_body),
        TEST(a_worker_needs_its_token),
        TEST(every_worker_call_reaches_its_engine),
        TEST(registration_needs_the_fleet_secret),
        TEST(a_rotated_fleet_secret_is_accepted_for_a_while),
        TEST(without_a_fleet_secret_registration_is_503),
        TEST(a_tenant_needs_its_token),
        TEST(a_token_that_no_setting_has_is_the_stores_to_know),
        TEST(a_submit_is_201_and_its_replay_200),
        TEST(a_batch_is_201_when_all_is_new_and_200_otherwise),
        TEST(a_tenants_own_limit_is_429_with_retry_after),
        TEST(each_tenant_call_reaches_its_engine),
        TEST(a_job_list_takes_its_query),
        TEST(malformed_json_is_400),
        TEST(another_content_type_is_415),
        TEST(worker_strings_are_trimmed_and_the_query_is_merged),
        TEST(each_return_code_has_its_status),
        TEST(later_says_when),
        TEST(messages_are_json_whatever_they_hold),
        TEST(metrics_are_openmetrics),
        TEST(metrics_leave_others_their_turn_between_two_steps),
        TEST(the_page_is_served_with_an_etag),
        TEST(the_page_may_go_where_objects_are),
        TEST(the_operators_page_is_for_this_machine_alone),
        TEST(the_page_reads_past_samples),
        TEST(another_host_name_gets_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
