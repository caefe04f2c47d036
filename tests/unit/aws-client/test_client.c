/* SPDX-License-Identifier: Apache-2.0 */
/* One call from end to end over a loopback server that misbehaves as AWS, proxies and networks do. */
#include "client_priv.h"
#include "cm.h"
#include "form.h"
#include "server.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define SECRET "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
#define TOKEN  "FwoGZXIvYXdzEXAMPLETOKEN"

static struct aws aws;
static char logged[65536];
static char answers[8][1024];

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...) BP_PRINTF(3, 4);

static void host_log(struct bp_self *self, int32_t level, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(logged);
    (void)self, (void)level;
    va_start(ap, fmt);
    vsnprintf(logged + n, sizeof logged - n, fmt, ap);
    va_end(ap);
}

static int64_t host_now(struct bp_self *self)
{
    (void)self;
    return (int64_t)time(NULL) * 1000;
}

static void *host_alloc(size_t n)
{
    return calloc(1, n);
}

static const struct bp_host host = {
    .size = sizeof host, .abi = BP_ABI_VERSION, .log = host_log, .now_ms = host_now, .alloc = host_alloc, .free = free};

/* An answer with its length, in slot i. */
static const char *says(int i, const char *status, const char *headers, const char *body)
{
    snprintf(answers[i], sizeof answers[i], "HTTP/1.1 %s\r\nDate: %%DATE%%\r\n%sContent-Length: %zu\r\n\r\n%s", status,
             headers, strlen(body), body);
    return answers[i];
}

static const char *fails(int i, const char *status, const char *code)
{
    char body[300];
    snprintf(body, sizeof body,
             "<ErrorResponse><Error><Code>%s</Code><Message>so</Message></Error><RequestId>r-1</RequestId>"
             "</ErrorResponse>",
             code);
    return says(i, status, "", body);
}

static const char *works(int i)
{
    return says(i, "200 OK", "", "<AResponse><AResult><Arn>me</Arn></AResult></AResponse>");
}

static void open_all(const struct step *steps, int n, int ahead_s)
{
    char text[256];
    struct bp_err err = {0};
    const struct http_settings h = {3000, 2000, 20000, NULL, 65536};
    int port = server_start(steps, n, ahead_s);
    snprintf(text, sizeof text,
             "{\"region\":\"eu-central-1\",\"endpoint\":\"http://127.0.0.1:%d\",\"retryBaseMilliseconds\":1}", port);
    memset(&aws, 0, sizeof aws);
    logged[0] = '\0';
    aws.host = &host;
    assert_int_equal(settings_open(&aws.settings, text, &err), 0);
    assert_non_null(aws.http = http_open(&h, &err));
    assert_non_null(aws.credentials = creds_open(&aws, &err));
    assert_non_null(aws.client = client_open(&aws, &err));
}

/* Whatever happened: no secret was said. */
static void close_all(const struct bp_err *err)
{
    assert_null(strstr(err->text, SECRET));
    assert_null(strstr(err->text, TOKEN));
    assert_null(strstr(logged, SECRET));
    assert_null(strstr(logged, TOKEN));
    client_close(aws.client);
    creds_close(aws.credentials);
    server_stop();
    http_close(aws.http);
    settings_close(&aws.settings);
}

/* Calls by `op`, a query one; the return code, with the reply kept in r. */
static int call(enum aws_op op, struct reply *r, struct bp_err *err)
{
    memset(err, 0, sizeof *err);
    return client_query(aws.client, op, NULL, "the caller", r, err);
}

static void expect(const struct step *steps, int n, int ahead_s, int rc, int requests)
{
    struct reply r;
    struct bp_err err;
    open_all(steps, n, ahead_s);
    int got = call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err);
    if (got != rc)
        fail_msg("%d, not %d: %s", got, rc, err.text);
    assert_int_equal(server_requests(), requests);
    if (rc == 0)
        assert_string_equal(xml_text(xml_result(r.xml), "Arn"), "me");
    reply_free(&r);
    close_all(&err);
}

static void what_passes_is_repeated(void **state)
{
    (void)state;
    static const char *const ones[][2] = {{"400 Bad Request", "Throttling"},
                                          {"503 Service Unavailable", "RequestLimitExceeded"},
                                          {"500 Internal Server Error", "InternalFailure"},
                                          {"429 Too Many Requests", ""}};
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++) {
        const struct step s[] = {{fails(0, ones[i][0], ones[i][1]), 0}, {works(1), 0}};
        expect(s, 2, 0, 0, 2);
    }
    const struct step html[] = {{says(0, "502 Bad Gateway", "", "<html><body>Bad <br> gateway</html>"), 0},
                                {works(1), 0}};
    expect(html, 2, 0, 0, 2);
    const struct step cut[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<AResponse><ARes", 1}, {works(1), 0}};
    expect(cut, 2, 0, 0, 2);
    const struct step half[] = {{says(0, "200 OK", "", "<AResponse><AResult>"), 0}, {works(1), 0}};
    expect(half, 2, 0, 0, 2);
    const struct step none[] = {{NULL, 1}, {works(1), 0}};
    expect(none, 2, 0, 0, 2);
}

static void attempts_end(void **state)
{
    (void)state;
    const struct step s[] = {{fails(0, "400 Bad Request", "Throttling"), 0}};
    expect(s, 1, 0, BP_LATER, 3);
    const struct step none[] = {{NULL, 1}};
    expect(none, 1, 0, BP_LATER, 3);
}

static void what_is_wrong_is_said_once(void **state)
{
    (void)state;
    static const struct {
        const char *status, *code;
        int rc;
    } ones[] = {{"400 Bad Request", "ValidationError", BP_INVALID},
                {"403 Forbidden", "AccessDenied", BP_DENIED},
                {"403 Forbidden", "UnauthorizedOperation", BP_DENIED},
                {"404 Not Found", "ResourceNotFoundException", BP_NOTFOUND},
                {"403 Forbidden", "SignatureDoesNotMatch", BP_DENIED}};
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++) {
        const struct step s[] = {{fails(0, ones[i].status, ones[i].code), 0}};
        expect(s, 1, 0, ones[i].rc, 1);
    }
    const struct step page[] = {{says(0, "404 Not Found", "", "<html><br></html>"), 0}};
    expect(page, 1, 0, BP_NOTFOUND, 1);
    const struct step moved[] = {{says(0, "301 Moved", "Location: http://127.0.0.1:1/\r\n", ""), 0}};
    expect(moved, 1, 0, BP_FAIL, 1);
}

static void a_denied_call_names_action_and_resource(void **state)
{
    (void)state;
    struct reply r;
    struct bp_err err = {0};
    const struct step s[] = {
        {says(0, "400 Bad Request", "x-amzn-requestid: r-2\r\n",
              "{\"__type\":\"com.amazon#AccessDeniedException:http://x\",\"Message\":\"not you\"}"),
         0}};
    open_all(s, 1, 0);
    assert_int_equal(client_json(aws.client, AWS_OP_SSM_GET_PARAMETER, NULL, "parameter /bp/x", &r, &err), BP_DENIED);
    assert_string_equal(r.error.code, "AccessDeniedException");
    assert_string_equal(r.error.message, "not you");
    assert_string_equal(r.error.request_id, "r-2");
    assert_non_null(strstr(err.text, "ssm:GetParameter of parameter /bp/x"));
    assert_non_null(strstr(err.text, "allow ssm:GetParameter"));
    assert_non_null(strstr(logged, "r-2"));
    reply_free(&r);
    close_all(&err);
}

static void a_clock_an_hour_off_is_corrected(void **state)
{
    (void)state;
    static const char *const codes[] = {"RequestTimeTooSkewed",      "SignatureDoesNotMatch", "RequestExpired",
                                        "InvalidSignatureException", "AuthFailure",           ""};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        for (int way = -1; way < 2; way += 2) {
            const struct step s[] = {{fails(0, "403 Forbidden", codes[i]), 0}, {works(1), 0}};
            struct reply r;
            struct bp_err err;
            char date[40] = "";
            open_all(s, 2, way * 3600);
            if (call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err) < 0)
                fail_msg("%s: %s", codes[i], err.text);
            reply_free(&r);
            assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), 0); /* known from now on */
            reply_free(&r);
            assert_int_equal(server_requests(), 3);
            time_t want = time(NULL) + way * 3600;
            struct tm tm = {0};
            snprintf(date, sizeof date, "%s", strcasestr(server_request(2), "\r\nX-Amz-Date: ") + 14);
            assert_non_null(strptime(date, "%Y%m%dT%H%M%SZ", &tm));
            assert_true(labs((long)(timegm(&tm) - want)) < 100);
            close_all(&err);
        }
    }
    /* A clock that is right is not corrected, and the call not repeated for it. */
    const struct step right[] = {{fails(0, "403 Forbidden", "RequestTimeTooSkewed"), 0}};
    expect(right, 1, 0, BP_DENIED, 1);
}

static void a_call_signs_token_and_port_and_no_more_than_it_should(void **state)
{
    (void)state;
    const struct step s[] = {{works(0), 0}};
    struct reply r;
    struct bp_err err;
    setenv("AWS_SESSION_TOKEN", TOKEN, 1);
    open_all(s, 1, 0);
    assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), 0);
    const char *q = server_request(0);
    assert_non_null(strstr(q, "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"));
    assert_non_null(strstr(q, "X-Amz-Security-Token: " TOKEN "\r\n"));
    assert_non_null(strstr(q, "Host: 127.0.0.1:"));
    assert_null(strcasestr(q, "\r\nExpect:"));
    assert_string_equal(server_request_body(0), "Action=GetCallerIdentity&Version=2011-06-15");
    reply_free(&r);
    close_all(&err);
    unsetenv("AWS_SESSION_TOKEN");
}

static void a_connection_is_kept_and_a_dead_one_replaced(void **state)
{
    (void)state;
    const struct step s[] = {{works(0), 0}, {works(1), 1}, {works(2), 0}};
    struct reply r;
    struct bp_err err;
    open_all(s, 3, 0);
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            usleep(20000);
        assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), 0);
        reply_free(&r);
    }
    assert_int_equal(server_connections(), 2);
    assert_int_equal(server_requests(), 3);
    assert_int_equal(client_calls(aws.client, AWS_OP_STS_GET_CALLER_IDENTITY), 3); /* quietly: no attempt was lost */
    close_all(&err);
}

/* GetCallerIdentity, but as `info` says: no operation of the plugin's own is like that. */
static void call_as(struct op_info info)
{
    static struct op_info ops[AWS_N_OPS];
    memcpy(ops, aws_ops, sizeof ops);
    ops[AWS_OP_STS_GET_CALLER_IDENTITY] = info;
    aws.client->ops = ops;
}

static void what_must_happen_once_is_not_repeated_when_it_may_have_arrived(void **state)
{
    (void)state;
    struct reply r;
    struct bp_err err;
    const enum aws_op op = AWS_OP_STS_GET_CALLER_IDENTITY;
    const struct op_info once = {AWS_SNS, "Publish", "sns:Publish", 0};
    const struct step lost[] = {{works(0), 0}, {NULL, 1}};
    open_all(lost, 2, 0);
    call_as(once);
    assert_int_equal(call(op, &r, &err), 0);
    reply_free(&r);
    assert_int_equal(call(op, &r, &err), BP_LATER); /* on a kept connection curl itself would have asked again */
    reply_free(&r);
    assert_int_equal(server_requests(), 2);
    close_all(&err);
    const struct step slow[] = {{fails(0, "400 Bad Request", "Throttling"), 0}, {works(1), 0}};
    open_all(slow, 2, 0);
    call_as(once);
    assert_int_equal(call(op, &r, &err), 0); /* refused is not arrived */
    reply_free(&r);
    close_all(&err);
}

static void a_success_of_s3_can_be_an_error(void **state)
{
    (void)state;
    struct reply r;
    struct bp_err err = {0};
    const struct s3_request q = {
        .method = "POST", .bucket = "bkt", .key = "a b/+=@.mp4", .query = "uploadId=1", .body = "<C/>", .n = 4};
    const struct step s[] = {
        {says(0, "200 OK", "", " \n  <Error><Code>InternalError</Code><Message>m</Message></Error>"), 0},
        {says(1, "200 OK", "ETag: \"e\"\r\n", "<CompleteMultipartUploadResult/>"), 0}};
    open_all(s, 2, 0);
    assert_int_equal(client_s3(aws.client, AWS_OP_S3_COMPLETE_MULTIPART_UPLOAD, &q, "object a", &r, &err), 0);
    assert_string_equal(r.etag, "\"e\"");
    assert_int_equal(server_requests(), 2);
    assert_non_null(strstr(server_request(0), "POST /bkt/a%20b/%2B%3D%40.mp4?uploadId=1 HTTP/1.1\r\n"));
    assert_non_null(strcasestr(server_request(0), "\r\nx-amz-content-sha256: "));
    reply_free(&r);
    close_all(&err);
}

static void an_answer_too_large_is_refused(void **state)
{
    (void)state;
    static char text[70200];
    int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 70000000\r\n\r\n");
    memset(text + n, 'x', 60000);
    struct reply r;
    struct bp_err err = {0};
    const struct s3_request q = {.method = "GET", .bucket = "bkt", .key = "k", .max_bytes = 1000};
    const struct step s[] = {{text, 1}};
    open_all(s, 1, 0);
    assert_int_equal(client_s3(aws.client, AWS_OP_S3_GET_OBJECT, &q, "object k", &r, &err), BP_TOOLARGE);
    assert_int_equal(server_requests(), 1);
    reply_free(&r);
    close_all(&err);
}

static void no_answer_says_where_and_what(void **state)
{
    (void)state;
    struct reply r;
    struct bp_err err;
    const struct step s[] = {{NULL, 1}};
    open_all(s, 1, 0);
    assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), BP_LATER);
    assert_non_null(strstr(err.text, "sts:GetCallerIdentity of the caller got no answer: http://127.0.0.1:"));
    reply_free(&r);
    close_all(&err);
}

static void a_body_that_stops_coming_is_given_up(void **state)
{
    (void)state;
    struct http_response h;
    struct bp_err err = {0};
    const struct step s[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 0}};
    open_all(s, 1, 0);
    const struct http_request q = {
        .method = "GET", .url = aws.client->endpoint[AWS_STS], .read_timeout_ms = 1000, .total_timeout_ms = 60000};
    assert_int_equal(http_do(aws.http, &q, &h, &err), BP_TIMEOUT);
    assert_int_equal(h.sent, 1);
    http_response_free(&h);
    close_all(&err);
}

/* The server stands for a proxy: what comes to it names the whole URL. */
static void a_proxy_is_used_but_where_it_must_not(void **state)
{
    (void)state;
    char proxy[256];
    struct reply r;
    struct bp_err err;
    const struct step s[] = {{works(0), 0}};
    open_all(s, 1, 0);
    snprintf(proxy, sizeof proxy, "%s", aws.client->endpoint[AWS_STS]);
    snprintf(aws.client->endpoint[AWS_STS], sizeof aws.client->endpoint[0], "http://sts.invalid");
    setenv("HTTP_PROXY", proxy, 1);
    assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), 0);
    assert_non_null(strstr(server_request(0), "POST http://sts.invalid/ HTTP/1.1\r\nHost: sts.invalid\r\n"));
    reply_free(&r);
    setenv("NO_PROXY", ".invalid", 1);
    assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), BP_LATER);
    reply_free(&r);
    unsetenv("NO_PROXY");
    struct http_response h;
    const struct http_request link_local = {.method = "GET", .url = "http://sts.invalid/", .no_proxy = 1};
    assert_int_equal(http_do(aws.http, &link_local, &h, &err), BP_FAIL);
    http_response_free(&h);
    assert_int_equal(server_requests(), 1);
    unsetenv("HTTP_PROXY");
    close_all(&err);
}

/* The bucket: a service that is down is asked less and less. */
static void a_service_that_is_down_is_spared(void **state)
{
    (void)state;
    struct reply r;
    struct bp_err err;
    const struct step s[] = {{fails(0, "500 Internal Server Error", "InternalFailure"), 0}};
    open_all(s, 1, 0);
    aws.client->retry.tokens[AWS_STS] = 3 * RETRY_COST;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call(AWS_OP_STS_GET_CALLER_IDENTITY, &r, &err), BP_LATER);
        reply_free(&r);
    }
    assert_int_equal(server_requests(), 3 + 2 + 1 + 1 + 1);
    close_all(&err);
}

static void metrics_are_packed(void **state)
{
    (void)state;
    static unsigned char out[65536];
    struct reply r;
    struct bp_err err = {0};
    struct form *f = form_new();
    const struct step s[] = {{works(0), 0}};
    for (int i = 0; i < 1000; i++)
        form_put_num(f, i, "MetricData.member.%d.Value", i);
    open_all(s, 1, 0);
    call_as((struct op_info){AWS_CLOUDWATCH, "PutMetricData", "cloudwatch:PutMetricData", 1});
    assert_int_equal(client_query(aws.client, AWS_OP_STS_GET_CALLER_IDENTITY, f, "metrics", &r, &err), 0);
    assert_non_null(strcasestr(server_request(0), "\r\nContent-Encoding: gzip\r\n"));
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)server_request_body(0),
                  .avail_in = (unsigned)server_request_bytes(0),
                  .next_out = out,
                  .avail_out = sizeof out - 1};
    inflateInit2(&z, 31);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    assert_memory_equal(out, "Action=PutMetricData&", 21);
    assert_non_null(strstr((char *)out, "MetricData.member.999.Value=999"));
    form_free(f);
    reply_free(&r);
    close_all(&err);
}

static int set_environment(void **state)
{
    (void)state;
    static const char *const gone[] = {"AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                                       "http_proxy",       "HTTP_PROXY",        "AWS_MAX_ATTEMPTS"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        unsetenv(gone[i]);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    return 0;
}

static void a_bucket_of_another_region_is_sought_before_a_url_is_signed(void **state)
{
    (void)state;
    char *url = NULL;
    int32_t ttl = 0;
    struct bp_err err = {0};
    const struct s3_request q = {.method = "GET", .bucket = "b.c", .key = "k"};
    const char *there = says(0, "301 Moved Permanently", "x-amz-bucket-region: ap-south-2\r\n", "");
    const struct step steps[] = {{there, 1}, {says(1, "200 OK", "x-amz-bucket-region: ap-south-2\r\n", ""), 1}};
    open_all(steps, 2, 0);
    assert_int_equal(client_presign(aws.client, &q, 60, &url, &ttl, &err), 0);
    assert_int_equal(server_requests(), 0); /* not at an endpoint of one's own */
    assert_non_null(strstr(url, "%2Feu-central-1%2Fs3%2F"));
    free(url);
    aws.client->overridden[AWS_S3] = 0; /* as if the server were S3's own endpoint */
    assert_int_equal(client_presign(aws.client, &q, 60, &url, &ttl, &err), 0);
    assert_non_null(strstr(url, "https://s3.ap-south-2.amazonaws.com/b.c/k?"));
    assert_non_null(strstr(url, "%2Fap-south-2%2Fs3%2F"));
    assert_non_null(strstr(logged, "bucket b.c is in region ap-south-2, not eu-central-1"));
    assert_int_equal(server_requests(), 1); /* what comes next goes to S3 itself */
    free(url);
    close_all(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_is_repeated),
        cmocka_unit_test(attempts_end),
        cmocka_unit_test(what_is_wrong_is_said_once),
        cmocka_unit_test(a_denied_call_names_action_and_resource),
        cmocka_unit_test(a_clock_an_hour_off_is_corrected),
        cmocka_unit_test(a_call_signs_token_and_port_and_no_more_than_it_should),
        cmocka_unit_test(a_connection_is_kept_and_a_dead_one_replaced),
        cmocka_unit_test(what_must_happen_once_is_not_repeated_when_it_may_have_arrived),
        cmocka_unit_test(a_success_of_s3_can_be_an_error),
        cmocka_unit_test(an_answer_too_large_is_refused),
        cmocka_unit_test(no_answer_says_where_and_what),
        cmocka_unit_test(a_body_that_stops_coming_is_given_up),
        cmocka_unit_test(a_proxy_is_used_but_where_it_must_not),
        cmocka_unit_test(a_service_that_is_down_is_spared),
        cmocka_unit_test(metrics_are_packed),
        cmocka_unit_test(a_bucket_of_another_region_is_sought_before_a_url_is_signed),
    };
    return cmocka_run_group_tests(tests, set_environment, NULL);
}
