/* SPDX-License-Identifier: Apache-2.0 */
#include "client_priv.h"

#include "err.h"
#include "form.h"
#include "gzip.h"
#include "wipe.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SAFE                                          1
#define ONCE                                          0
#define AWS_OP(id, service, action, iam, who, repeat) [AWS_OP_##id] = {service, action, iam, repeat},
const struct op_info aws_ops[AWS_N_OPS] = {
#include "operations.def"
};
#undef AWS_OP

static char op_names[AWS_N_OPS][96]; /* "s3:PutObject" */
static pthread_once_t op_names_once = PTHREAD_ONCE_INIT;

static void op_names_make(void)
{
    for (int i = 0; i < AWS_N_OPS; i++)
        snprintf(op_names[i], sizeof op_names[i], "%s:%s", aws_services[aws_ops[i].service].signing, aws_ops[i].action);
}

#define ATTEMPTS_MAX  20
#define BODY_MAX      (64LL << 20)
#define URL_MAX       16384
#define SEEK_MS       2000
#define PRESIGN_SPARE 60 /* seconds of the credentials that are worth a new set */

/* ---- life ---- */

static int attempts_of(const struct settings *s)
{
    const char *text = getenv("AWS_MAX_ATTEMPTS");
    int64_t n = settings_int(s, "maxAttempts", 0);
    if (n < 1 && text)
        n = strtol(text, NULL, 10);
    return n < 1 ? 3 : n > ATTEMPTS_MAX ? ATTEMPTS_MAX : (int)n;
}

/* Bodies from this size on are packed. */
static size_t compress_of(const struct settings *s)
{
    const char *off = getenv("AWS_DISABLE_REQUEST_COMPRESSION");
    return off && strcasecmp(off, "true") == 0 ? SIZE_MAX : (size_t)settings_int(s, "minCompressBytes", 10240);
}

struct client *client_open(struct aws *aws, struct bp_err *err)
{
    struct client *c = calloc(1, sizeof *c);
    if (c)
        c->keys = sign_keys_new();
    if (!c || !c->keys) {
        free(c);
        err_set(err, BP_NOMEM, "no memory for the AWS client");
        return NULL;
    }
    c->aws = aws;
    c->ops = aws_ops;
    c->attempts_max = attempts_of(&aws->settings);
    c->rest_ms = settings_int(&aws->settings, "retryBaseMilliseconds", 200);
    c->min_compress = compress_of(&aws->settings);
    retry_init(&c->retry);
    pthread_mutex_init(&c->mutex, NULL);
    client_find_endpoints(c);
    return c;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    sign_keys_free(c->keys);
    retry_end(&c->retry);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

void reply_free(struct reply *r)
{
    xml_free(r->xml);
    json_object_put(r->json);
    free(r->body);
    memset(r, 0, sizeof *r);
}

void reply_wipe(struct reply *r)
{
    xml_wipe(r->xml);
    json_wipe(r->json);
    if (r->body)
        explicit_bzero(r->body, r->n_body);
    reply_free(r);
}

const char *aws_op_permission(enum aws_op op)
{
    return aws_ops[op].iam;
}

uint64_t client_calls(const struct client *c, enum aws_op op)
{
    return atomic_load(&((struct client *)c)->calls[op]);
}

const char *aws_op_name(enum aws_op op)
{
    pthread_once(&op_names_once, op_names_make);
    return op_names[op];
}

/* ---- query and JSON ---- */

/* "https://host:port/base" in its parts: the host as it stands in the Host header, and the base path. */
static void split(const char *url, char host[256], char base[256])
{
    const char *at = strstr(url, "://") + 3;
    size_t n = strcspn(at, "/");
    snprintf(host, 256, "%.*s", (int)n, at);
    snprintf(base, 256, "%s", at + n);
}

static int check_endpoint(const struct client *c, enum aws_op op, struct bp_err *err)
{
    enum aws_service s = c->ops[op].service;
    return c->endpoint[s][0] ? 0 : err_set(err, BP_INVALID, "%s: %s", aws_services[s].name, c->why[s]);
}

static int post(struct client *c, const struct call *said, struct reply *r, struct bp_err *err)
{
    char host[256], base[256], url[520];
    const char *endpoint = c->endpoint[said->info->service];
    struct call call = *said;
    split(endpoint, host, base);
    snprintf(url, sizeof url, "%s%s", endpoint, base[0] ? "" : "/");
    call.method = "POST";
    call.url = url;
    call.host = host;
    call.path = base[0] ? base : "/";
    call.query = "";
    call.max_bytes = BODY_MAX;
    return client_send(c, &call, r, err);
}

/* Services take packed bodies for few operations only; of those we call, this one. */
static int is_packable(const struct client *c, const struct op_info *op, size_t n)
{
    return n >= c->min_compress && op->service == AWS_CLOUDWATCH && strcmp(op->action, "PutMetricData") == 0;
}

static int post_form(struct client *c, struct call *call, char *body, size_t n, struct reply *r, struct bp_err *err)
{
    void *packed = is_packable(c, call->info, n) ? gzip_pack(body, n, &call->n) : NULL;
    if (packed)
        call->headers[1] = "Content-Encoding: gzip";
    else
        call->n = n;
    call->body = packed ? packed : body;
    int rc = post(c, call, r, err);
    free(packed);
    return rc;
}

static int query(struct client *c, struct call *call, const struct form *f, struct reply *r, struct bp_err *err)
{
    size_t n = 0;
    memset(r, 0, sizeof *r);
    call->headers[0] = "Content-Type: application/x-www-form-urlencoded; charset=utf-8";
    int rc = check_endpoint(c, call->op, err);
    if (rc < 0)
        return rc;
    if (f && form_failed(f))
        return err_set(err, BP_NOMEM, "no memory for the request %s", aws_op_name(call->op));
    const char *text = f ? form_text(f, &n) : "";
    const struct aws_service_info *s = &aws_services[call->info->service];
    size_t size = n + 256;
    char *body = malloc(size);
    if (!body)
        return err_set(err, BP_NOMEM, "no memory for the request %s", aws_op_name(call->op));
    n = (size_t)snprintf(body, size, "Action=%s&Version=%s%s%s", call->info->action, s->version, n ? "&" : "", text);
    rc = post_form(c, call, body, n, r, err);
    explicit_bzero(body, size); /* it may hold a web identity's token */
    free(body);
    return rc;
}

int client_query(struct client *c, enum aws_op op, const struct form *f, const char *what, struct reply *r,
                 struct bp_err *err)
{
    struct call call = {.op = op, .info = &c->ops[op], .what = what};
    return query(c, &call, f, r, err);
}

int client_query_as(struct client *c, enum aws_op op, const struct form *f, const char *what,
                    const struct aws_creds *who, struct reply *r, struct bp_err *err)
{
    struct call call = {.op = op, .info = &c->ops[op], .what = what, .who = who, .is_unsigned = !who};
    return query(c, &call, f, r, err);
}

int client_json(struct client *c, enum aws_op op, struct json_object *in, const char *what, struct reply *r,
                struct bp_err *err)
{
    char target[160];
    struct call call = {
        .op = op, .info = &c->ops[op], .what = what, .headers = {"Content-Type: application/x-amz-json-1.1", target}};
    memset(r, 0, sizeof *r);
    int rc = check_endpoint(c, op, err);
    if (rc < 0)
        return rc;
    snprintf(target, sizeof target, "X-Amz-Target: %s.%s", aws_services[call.info->service].target, call.info->action);
    call.body = in ? json_object_to_json_string_ext(in, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE) : "{}";
    call.n = strlen(call.body);
    return post(c, &call, r, err);
}

/* ---- S3 ---- */

struct address {
    char endpoint[256], region[40];
    char host[320], path[4096], url[URL_MAX];
};

static int is_path_style(const struct client *c, const char *bucket)
{
    return c->overridden[AWS_S3] || strchr(bucket, '.') || settings_bool(&c->aws->settings, "s3PathStyle", 0);
}

/* Where a bucket or an object of it is; the query behind it is the caller's. */
static int locate(struct client *c, const char *bucket, const char *key, struct address *a, struct bp_err *err)
{
    char host[256], base[256];
    if (!c->endpoint[AWS_S3][0])
        return err_set(err, BP_INVALID, "s3: %s", c->why[AWS_S3]);
    client_bucket_place(c, bucket, a->endpoint, a->region);
    split(a->endpoint, host, base);
    int path_style = is_path_style(c, bucket);
    int n = snprintf(a->host, sizeof a->host, "%s%s%s", path_style ? "" : bucket, path_style ? "" : ".", host);
    int k = snprintf(a->path, sizeof a->path, "%s/%s%s", base, path_style ? bucket : "", path_style && key ? "/" : "");
    if (n < 0 || (size_t)n >= sizeof a->host || k < 0 || (size_t)k >= sizeof a->path ||
        (key && sign_encode(key, strlen(key), 1, a->path + k, sizeof a->path - (size_t)k) < 0))
        return err_set(err, BP_INVALID, "the name of object %.100s is too long", key ? key : bucket);
    return 0;
}

static int scheme_bytes(const char *endpoint)
{
    return (int)(strstr(endpoint, "://") + 3 - endpoint);
}

static int send_s3(struct client *c, struct call *call, const struct s3_request *q, struct address *a, struct reply *r,
                   struct bp_err *err)
{
    int rc = locate(c, q->bucket, q->key, a, err);
    if (rc < 0)
        return rc;
    int n = snprintf(a->url, sizeof a->url, "%.*s%s%s%s%s", scheme_bytes(a->endpoint), a->endpoint, a->host, a->path,
                     call->query[0] ? "?" : "", call->query);
    if (n < 0 || (size_t)n >= sizeof a->url)
        return err_set(err, BP_INVALID, "a request of %s is too long", call->what);
    call->url = a->url;
    call->host = a->host;
    call->path = a->path;
    call->region = a->region;
    return client_send(c, call, r, err);
}

static int s3_once(struct client *c, enum aws_op op, const struct s3_request *q, const char *what, struct address *a,
                   struct reply *r, struct bp_err *err)
{
    struct call call = {.op = op,
                        .info = &c->ops[op],
                        .what = what,
                        .method = q->method,
                        .query = q->query ? q->query : "",
                        .body = q->body,
                        .n = q->n,
                        .fd = q->fd,
                        .offset = q->offset,
                        .to_fd = q->to_fd,
                        .max_bytes = q->max_bytes ? q->max_bytes : BODY_MAX};
    memset(r, 0, sizeof *r);
    a->region[0] = '\0';
    for (int i = 0; q->headers && q->headers[i]; i++) {
        if (i == CALL_HEADERS_MAX - 1)
            return err_set(err, BP_INVALID, "a request of %s has too many headers", what);
        call.headers[i] = q->headers[i];
    }
    return send_s3(c, &call, q, a, r, err);
}

int client_s3(struct client *c, enum aws_op op, const struct s3_request *q, const char *what, struct reply *r,
              struct bp_err *err)
{
    struct address a;
    int rc = s3_once(c, op, q, what, &a, r, err);
    if (rc < 0 && client_bucket_learn(c, q->bucket, a.region, r)) {
        reply_free(r);
        rc = s3_once(c, op, q, what, &a, r, err);
    }
    return rc;
}

/* Before the first URL is signed, for one of the wrong region does not work and nobody here would see that: asks S3
 * once where the bucket is. Not at an endpoint of one's own. */
static void seek_bucket(struct client *c, const char *bucket)
{
    struct reply r;
    struct address a;
    struct bp_err ignored; /* the log has it */
    char what[96];
    const struct s3_request q = {.method = "HEAD", .bucket = bucket};
    if (c->overridden[AWS_S3] || atomic_exchange(&c->bucket_sought, 1))
        return;
    snprintf(what, sizeof what, "bucket %.80s", bucket);
    client_hurry(SEEK_MS);
    s3_once(c, AWS_OP_S3_HEAD_BUCKET, &q, what, &a, &r, &ignored);
    client_hurry(0);
    client_bucket_learn(c, bucket, a.region, &r);
    reply_free(&r);
}

/* ---- signed URLs ---- */

/* Expiry is by the clock of AWS. */
static int64_t their_now_ms(struct client *c)
{
    return AWS_NOW(c->aws) + atomic_load(&c->skew_ms[AWS_S3]);
}

/* The time a URL may live: no longer than what signs it. */
static int life(struct client *c, struct aws_creds *who, int32_t ttl_s, int32_t *out, struct bp_err *err)
{
    struct bp_err ignored;
    int rc = creds_get(c->aws->credentials, who, err);
    if (rc < 0)
        return rc;
    int64_t left = who->expires_ms ? (who->expires_ms - their_now_ms(c)) / 1000 : ttl_s;
    if (left < PRESIGN_SPARE && left < ttl_s && creds_refresh(c->aws->credentials, who, &ignored) == 0) {
        if ((rc = creds_get(c->aws->credentials, who, err)) < 0)
            return rc;
        left = who->expires_ms ? (who->expires_ms - their_now_ms(c)) / 1000 : ttl_s;
    }
    if (left < 1)
        return err_set(err, BP_LATER, "a URL cannot be signed: the credentials (%.60s) have expired", who->source);
    *out = left < ttl_s ? (int32_t)left : ttl_s;
    return 0;
}

int client_presign(struct client *c, const struct s3_request *q, int32_t ttl_s, char **url, int32_t *ttl_out,
                   struct bp_err *err)
{
    struct address a;
    struct aws_creds who;
    char names[4][64], query[8192];
    struct sign_header headers[5];
    size_t n = 0;
    int32_t ttl = 0;
    seek_bucket(c, q->bucket);
    int rc = locate(c, q->bucket, q->key, &a, err);
    if (rc < 0 || (rc = life(c, &who, ttl_s, &ttl, err)) < 0)
        return rc;
    for (; q->headers && q->headers[n] && n < 4; n++) {
        const char *colon = strchr(q->headers[n], ':');
        if (!colon || colon - q->headers[n] >= (int)sizeof names[n]) {
            explicit_bzero(&who, sizeof who);
            return err_set(err, BP_INVALID, "\"%.60s\" is no header that a URL can pin", q->headers[n]);
        }
        snprintf(names[n], sizeof names[n], "%.*s", (int)(colon - q->headers[n]), q->headers[n]);
        headers[n] = (struct sign_header){names[n], colon + 1 + strspn(colon + 1, " ")};
    }
    headers[n++] = (struct sign_header){"host", a.host};
    const struct sign_request s = {.method = q->method,
                                   .path = a.path,
                                   .query = q->query ? q->query : "",
                                   .headers = headers,
                                   .n_headers = n,
                                   .payload_hash = SIGN_UNSIGNED_PAYLOAD,
                                   .key_id = who.key_id,
                                   .secret = who.secret,
                                   .token = who.token,
                                   .region = a.region,
                                   .service = "s3",
                                   .now_ms = their_now_ms(c),
                                   .s3 = 1,
                                   .expires_s = ttl};
    rc = sign_query(c->keys, &s, query, sizeof query, err);
    explicit_bzero(&who, sizeof who);
    if (rc < 0)
        return rc;
    snprintf(a.url, sizeof a.url, "%.*s%s%s?%s", scheme_bytes(a.endpoint), a.endpoint, a.host, a.path, query);
    *url = aws_text(c->aws, a.url);
    if (ttl_out)
        *ttl_out = ttl;
    return *url ? 0 : err_set(err, BP_NOMEM, "no memory to sign a URL");
}
