/* SPDX-License-Identifier: Apache-2.0 */
/* client_send.c - one call: signed anew for each attempt, repeated while there is reason and means to. */
#include "client_priv.h"

#include "err.h"
#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUCKET_FULL 500
#define COST        5
#define COST_LOST   10
#define REST_MAX_MS 20000
#define SKEW_MIN_MS 60000

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- signing ---- */

struct signed_call {
    char hash[65], hash_line[100], date_line[48], auth_line[2048], token_line[4200];
    char names[CALL_HEADERS_MAX][128];
    struct sign_header headers[CALL_HEADERS_MAX + 2];
    size_t n_headers;
    const char *lines[CALL_HEADERS_MAX + 6];
};

static void add_header(struct signed_call *s, const char *line)
{
    const char *colon = strchr(line, ':');
    size_t n = colon ? (size_t)(colon - line) : 0;
    if (!colon || n >= sizeof s->names[0] || s->n_headers >= CALL_HEADERS_MAX)
        return;
    memcpy(s->names[s->n_headers], line, n);
    s->names[s->n_headers][n] = '\0';
    s->headers[s->n_headers] = (struct sign_header){s->names[s->n_headers], colon + 1 + strspn(colon + 1, " ")};
    s->n_headers++;
}

/* A body that is streamed has a checksum of its own in the headers, and is not read twice for a hash. */
static void set_hash(struct signed_call *s, const struct call *call)
{
    if (call->fd > 0)
        snprintf(s->hash, sizeof s->hash, SIGN_UNSIGNED_PAYLOAD);
    else
        sign_sha256_hex(call->body ? call->body : "", call->body ? call->n : 0, s->hash);
}

static int sign_call(struct client *c, const struct call *call, const struct aws_creds *who, struct signed_call *s,
                     struct bp_err *err)
{
    enum aws_service service = aws_ops[call->op].service;
    char auth[1900], date[17];
    size_t n = 0;
    memset(s, 0, sizeof *s);
    set_hash(s, call);
    for (int i = 0; call->headers[i]; i++) {
        add_header(s, call->headers[i]);
        s->lines[n++] = call->headers[i];
    }
    if (service == AWS_S3) {
        snprintf(s->hash_line, sizeof s->hash_line, "x-amz-content-sha256: %s", s->hash);
        add_header(s, s->hash_line);
        s->lines[n++] = s->hash_line;
    }
    s->headers[s->n_headers++] = (struct sign_header){"host", call->host};
    const struct sign_request q = {.method = call->method,
                                   .path = call->path,
                                   .query = call->query,
                                   .headers = s->headers,
                                   .n_headers = s->n_headers,
                                   .payload_hash = s->hash,
                                   .key_id = who->key_id,
                                   .secret = who->secret,
                                   .token = who->token,
                                   .region = c->aws->settings.region,
                                   .service = aws_services[service].signing,
                                   .now_ms = wall_ms() + atomic_load(&c->skew_ms[service]),
                                   .s3 = service == AWS_S3};
    int rc = sign_headers(c->keys, &q, auth, sizeof auth, date, err);
    if (rc < 0)
        return rc;
    snprintf(s->auth_line, sizeof s->auth_line, "Authorization: %s", auth);
    snprintf(s->date_line, sizeof s->date_line, "X-Amz-Date: %s", date);
    s->lines[n++] = s->auth_line;
    s->lines[n++] = s->date_line;
    if (who->token[0]) {
        snprintf(s->token_line, sizeof s->token_line, "X-Amz-Security-Token: %s", who->token);
        s->lines[n++] = s->token_line;
    }
    return 0;
}

/* ---- the answer ---- */

static void take_text(const struct http_response *h, const char *name, char *out, size_t size)
{
    if (!http_header(h, name, out, size))
        *out = '\0';
}

static void take_headers(struct reply *r, const struct http_response *h)
{
    char text[64];
    struct tm tm = {0};
    take_text(h, "etag", r->etag, sizeof r->etag);
    take_text(h, "content-type", r->content_type, sizeof r->content_type);
    take_text(h, "x-amz-version-id", r->version_id, sizeof r->version_id);
    take_text(h, "x-amz-checksum-crc32c", r->checksum_crc32c, sizeof r->checksum_crc32c);
    take_text(h, "x-amz-checksum-type", r->checksum_type, sizeof r->checksum_type);
    take_text(h, "x-amz-request-id", r->request_id, sizeof r->request_id);
    if (!r->request_id[0])
        take_text(h, "x-amzn-requestid", r->request_id, sizeof r->request_id);
    r->content_length = http_header(h, "content-length", text, sizeof text) ? strtoll(text, NULL, 10) : -1;
    r->last_modified_ms = -1;
    if (http_header(h, "last-modified", text, sizeof text) && strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        r->last_modified_ms = (int64_t)timegm(&tm) * 1000;
    r->date_ms = h->date_ms ? h->date_ms : -1;
}

static int is_success(const struct reply *r)
{
    return r->status >= 200 && r->status <= 299;
}

/* Takes the body over and reads it. 0, or BP_INVALID: it is not what the protocol says. */
static int take_body(struct client *c, const struct call *call, struct reply *r, struct http_response *h)
{
    struct bp_err why = {0};
    enum aws_protocol p = aws_services[aws_ops[call->op].service].protocol;
    const char *body = h->body ? h->body : "";
    (void)c;
    r->body = h->body;
    r->n_body = h->n;
    h->body = NULL;
    while (isspace((unsigned char)*body))
        body++;
    if (!*body)
        return 0;
    if (p == AWS_JSON_11)
        r->json = json_tokener_parse(body);
    else if (*body == '<')
        r->xml = xml_parse(body, strlen(body), &why);
    return r->json || r->xml ? 0 : BP_INVALID;
}

/* S3 may say 200 first and find out later. */
static int is_late_error(const struct call *call, const struct reply *r)
{
    return aws_ops[call->op].service == AWS_S3 && r->xml && strcmp(xml_name(r->xml), "Error") == 0;
}

static int attempt(struct client *c, const struct call *call, const struct aws_creds *who, struct reply *r, int *sent,
                   int64_t *retry_after_ms, struct bp_err *err)
{
    struct signed_call s;
    struct http_response h = {0};
    char text[24];
    int rc = sign_call(c, call, who, &s, err);
    if (rc < 0)
        return rc;
    const struct http_request q = {.method = call->method,
                                   .url = call->url,
                                   .headers = s.lines,
                                   .body = call->body,
                                   .n = call->n,
                                   .fd = call->fd,
                                   .offset = call->offset,
                                   .to_fd = call->to_fd,
                                   .max_body = call->to_fd > 0 ? 0 : call->max_bytes};
    atomic_fetch_add(&c->calls[call->op], 1);
    rc = http_do(c->aws->http, &q, &h, err);
    explicit_bzero(&s, sizeof s);
    *sent = h.sent;
    r->status = h.status;
    take_headers(r, &h);
    if (http_header(&h, "x-amz-retry-after", text, sizeof text))
        *retry_after_ms = strtoll(text, NULL, 10);
    if (rc == 0) {
        int odd = take_body(c, call, r, &h);
        if (!is_success(r) || odd || is_late_error(call, r))
            client_error_read(r, &h);
        rc = is_success(r) && !odd && !is_late_error(call, r) ? 0 : client_error_rc(r);
    } else if (rc == BP_FAIL || rc == BP_TIMEOUT) {
        r->error.retryable = 1;
        rc = BP_LATER;
    }
    http_response_free(&h);
    return rc;
}

/* ---- again? ---- */

static int pay(struct client *c, int cost)
{
    pthread_mutex_lock(&c->mutex);
    int can = c->tokens >= cost;
    if (can)
        c->tokens -= cost;
    pthread_mutex_unlock(&c->mutex);
    return can;
}

static void earn(struct client *c, int amount)
{
    pthread_mutex_lock(&c->mutex);
    c->tokens = c->tokens + amount > BUCKET_FULL ? BUCKET_FULL : c->tokens + amount;
    pthread_mutex_unlock(&c->mutex);
}

static void rest(const struct client *c, int tries, int64_t asked_ms)
{
    int64_t ms = c->rest_ms << (tries < 16 ? tries : 16);
    ms = ms > REST_MAX_MS ? REST_MAX_MS : ms;
    ms = (int64_t)arc4random_uniform((uint32_t)ms + 1);
    if (asked_ms > ms)
        ms = asked_ms < ms + 5000 ? asked_ms : ms + 5000;
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Takes the clock of the service for ours. 1: it was another. */
static int correct_clock(struct client *c, const struct call *call, const struct reply *r)
{
    enum aws_service s = aws_ops[call->op].service;
    int64_t theirs = r->xml ? xml_time_ms(r->xml, "ServerTime") : 0;
    if (!theirs)
        theirs = r->date_ms > 0 ? r->date_ms : 0;
    int64_t skew = theirs - wall_ms(), known = atomic_load(&c->skew_ms[s]);
    if (!theirs || llabs(skew - known) < SKEW_MIN_MS)
        return 0;
    atomic_store(&c->skew_ms[s], skew);
    AWS_LOG(c->aws, BP_LOG_WARN, "the clock of this machine is %lld s off that of %s; requests are signed by theirs",
            (long long)(skew / 1000), aws_services[s].name);
    return 1;
}

/* What one call still may do for itself once. */
struct chances {
    int clock, credentials;
};

/* Is it to be sent again? */
static int again(struct client *c, const struct call *call, const struct reply *r, const struct aws_creds *who,
                 int sent, struct chances *left, int *at_once)
{
    struct bp_err ignored;
    *at_once = 1;
    if (r->status && client_error_is_skew(r) && left->clock) {
        left->clock = 0;
        return correct_clock(c, call, r);
    }
    if (r->error.expired && left->credentials) {
        left->credentials = 0;
        /* A set that cannot be renewed may yet be right: S3 has been known to say so and be wrong. */
        *at_once = creds_refresh(c->aws->credentials, who, &ignored) == 0;
        return 1;
    }
    *at_once = 0;
    if (!r->error.retryable || (!aws_ops[call->op].safe && sent && !r->error.throttled))
        return 0;
    return pay(c, r->status ? COST : COST_LOST);
}

int client_send(struct client *c, const struct call *call, struct reply *r, struct bp_err *err)
{
    struct chances left = {1, 1};
    off_t begin = call->to_fd > 0 ? lseek(call->to_fd, 0, SEEK_CUR) : 0;
    int rc = 0;
    for (int tries = 0; tries < c->attempts_max; tries++) {
        struct aws_creds who;
        int sent = 0, at_once = 0;
        int64_t retry_after_ms = 0;
        reply_free(r);
        if ((rc = creds_get(c->aws->credentials, &who, err)) < 0)
            return rc;
        rc = attempt(c, call, &who, r, &sent, &retry_after_ms, err);
        if (rc == 0)
            earn(c, tries ? COST : 1);
        int moved = call->to_fd > 0 && lseek(call->to_fd, 0, SEEK_CUR) != begin;
        int more = rc < 0 && !moved && tries + 1 < c->attempts_max && again(c, call, r, &who, sent, &left, &at_once);
        explicit_bzero(&who, sizeof who);
        if (!more)
            break;
        if (!at_once)
            rest(c, tries, retry_after_ms);
    }
    if (rc < 0 && r->status && (r->error.code[0] || r->error.http_status))
        return client_error_tell(c, call, r, rc, err);
    return rc;
}
