/* SPDX-License-Identifier: Apache-2.0 */
/* client_send.c - one call: signed anew for each attempt, repeated while there is reason and means to. */
#include "client_priv.h"

#include "clock.h"
#include "err.h"
#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THROTTLED_FACTOR 5      /* of the rest when we are too fast */
#define LATE_MS          100    /* less is no time for a call */
#define SKEW_MIN_MS      120000 /* AWS takes clocks that are 5 minutes off */

static _Thread_local int64_t hurry_until_ms; /* monotonic; 0: no hurry */

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void client_hurry(int32_t ms)
{
    hurry_until_ms = ms ? mono_ms() + ms : 0;
}

/* Milliseconds that a call of this thread may take, 0: as long as the settings say. */
static int32_t time_left(void)
{
    if (!hurry_until_ms)
        return 0;
    int64_t left = hurry_until_ms - mono_ms();
    return left > LATE_MS ? (int32_t)left : LATE_MS;
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
    enum aws_service service = call->info->service;
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
    if (call->is_unsigned)
        return 0;
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
                                   .region = call->region ? call->region : c->aws->settings.region,
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
    take_text(h, "x-amz-bucket-region", r->bucket_region, sizeof r->bucket_region);
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
static int take_body(const struct call *call, struct reply *r, struct http_response *h)
{
    struct bp_err why = {0};
    enum aws_protocol p = aws_services[call->info->service].protocol;
    const char *body = h->body ? h->body : "";
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
    return call->info->service == AWS_S3 && r->xml && strcmp(xml_name(r->xml), "Error") == 0;
}

/* How one call goes on: what it may still do for itself once, what its last repetition cost. */
struct course {
    struct aws_creds who;
    int clock, credentials; /* 1: not corrected, not renewed yet */
    int repeats, paid;
    int sent, lost;    /* of the last attempt: it may have arrived; there was no whole answer */
    int64_t hint_ms;   /* the server's wish */
    int64_t offset_ms; /* their clock less ours as its Date header has it; 0: it has none */
    off_t begin;       /* of to_fd */
};

static void take_hints(struct course *k, const struct http_response *h)
{
    char amz[24], http[64];
    int64_t middle = (h->sent_ms + h->received_ms) / 2;
    k->sent = h->sent;
    k->offset_ms = h->date_ms ? h->date_ms - middle : 0;
    k->hint_ms = retry_hint_ms(http_header(h, "x-amz-retry-after", amz, sizeof amz),
                               http_header(h, "retry-after", http, sizeof http), h->received_ms);
}

/* An answer as a return code, with r->error where it is none that was hoped for. */
static int judge(const struct call *call, struct reply *r, struct http_response *h)
{
    int odd = take_body(call, r, h);
    if (is_success(r) && !odd && !is_late_error(call, r))
        return 0;
    client_error_read(r, h);
    return client_error_rc(r);
}

static int attempt(struct client *c, const struct call *call, struct course *k, struct reply *r, struct bp_err *err)
{
    struct signed_call s;
    struct http_response h = {0};
    int rc = sign_call(c, call, &k->who, &s, err);
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
                                   .max_body = call->to_fd > 0 ? 0 : call->max_bytes,
                                   .once = !call->info->safe,
                                   .connect_timeout_ms = hurry_until_ms ? time_left() : 0,
                                   .total_timeout_ms = time_left()};
    atomic_fetch_add(&c->calls[call->op], 1);
    rc = http_do(c->aws->http, &q, &h, err);
    explicit_bzero(&s, sizeof s);
    r->status = h.status;
    take_headers(r, &h);
    take_hints(k, &h);
    k->lost = 0;
    if (rc == 0)
        rc = judge(call, r, &h);
    else if (rc == BP_FAIL || rc == BP_TIMEOUT) {
        r->error.retryable = 1;
        k->lost = 1;
        rc = client_error_tell_lost(call, BP_LATER, err);
    }
    http_response_free(&h);
    return rc;
}

/* ---- again? ---- */

/* 0: there is no time for it. */
static int rest(const struct client *c, const struct course *k, int throttled)
{
    double share = (double)arc4random_uniform(1000001) / 1e6;
    int64_t ms = retry_rest_ms(throttled ? c->rest_ms * THROTTLED_FACTOR : c->rest_ms, k->repeats, share, k->hint_ms);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    if (hurry_until_ms && mono_ms() + ms + LATE_MS > hurry_until_ms)
        return 0;
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
    return 1;
}

/* Takes the clock of the service for ours. 1: it was another. */
static int correct_clock(struct client *c, const struct call *call, const struct reply *r, const struct course *k)
{
    enum aws_service s = call->info->service;
    int64_t theirs = r->xml ? xml_time_ms(r->xml, "ServerTime") : 0;
    int64_t skew = theirs ? theirs - wall_ms() : k->offset_ms, known = atomic_load(&c->skew_ms[s]);
    if ((!theirs && !k->offset_ms) || llabs(skew - known) < SKEW_MIN_MS)
        return 0;
    atomic_store(&c->skew_ms[s], skew);
    creds_set_skew(c->aws->credentials, skew);
    AWS_LOG(c->aws, BP_LOG_WARN, "the clock of this machine is %lld s off that of %s; requests are signed by theirs",
            (long long)(-skew / 1000), aws_services[s].name);
    return 1;
}

/* The answer to a HEAD has no body that could say why. */
static int may_be_expired(const struct call *call, const struct reply *r, const struct course *k)
{
    return r->error.expired || (strcmp(call->method, "HEAD") == 0 && !r->error.code[0] && k->who.token[0] &&
                                (r->status == 400 || r->status == 403));
}

/* Is it to be sent again? Rests before it says yes, where a rest helps. */
static int again(struct client *c, const struct call *call, const struct reply *r, struct course *k)
{
    struct bp_err ignored;
    const struct aws_error *e = &r->error;
    if (k->clock && !k->lost && client_error_is_skew(r) && correct_clock(c, call, r, k)) {
        k->clock = 0;
        return 1;
    }
    if (k->credentials && !k->lost && may_be_expired(call, r, k)) {
        k->credentials = 0;
        if (creds_refresh(c->aws->credentials, &k->who, &ignored) == 0)
            return 1;
        /* A set that cannot be renewed may yet be right: a key just made is not known everywhere. */
        if (!e->expired)
            return 0;
    } else if (!e->retryable || (!call->info->safe && k->sent && !e->throttled)) {
        return 0;
    }
    if (k->repeats + 1 >= c->attempts_max || !(k->paid = retry_pay(&c->retry, call->info->service, k->lost)))
        return 0;
    return rest(c, k, e->throttled) ? ++k->repeats : 0;
}

/* A file that took bytes already cannot take them twice. */
static int has_moved(const struct call *call, const struct course *k)
{
    return call->to_fd > 0 && lseek(call->to_fd, 0, SEEK_CUR) != k->begin;
}

/* Whoever signs the next attempt. */
static int take_who(struct client *c, const struct call *call, struct course *k, struct bp_err *err)
{
    if (call->who)
        k->who = *call->who;
    return call->who || call->is_unsigned ? 0 : creds_get(c->aws->credentials, &k->who, err);
}

int client_send(struct client *c, const struct call *call, struct reply *r, struct bp_err *err)
{
    struct course k = {.clock = 1, .credentials = !call->who && !call->is_unsigned};
    int rc, more = 0;
    k.begin = call->to_fd > 0 ? lseek(call->to_fd, 0, SEEK_CUR) : 0;
    do {
        reply_free(r);
        if ((rc = take_who(c, call, &k, err)) < 0)
            break;
        rc = attempt(c, call, &k, r, err);
        more = rc < 0 && !has_moved(call, &k) && again(c, call, r, &k);
    } while (more);
    explicit_bzero(&k.who, sizeof k.who);
    r->unsure = rc < 0 && k.lost && k.sent;
    if (rc == 0)
        retry_earn(&c->retry, call->info->service, k.paid);
    else if (r->error.http_status)
        return client_error_tell(c, call, r, rc, err);
    return rc;
}
