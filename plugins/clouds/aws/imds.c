/* SPDX-License-Identifier: Apache-2.0 */
#include "imds.h"

#include "aws.h"
#include "err.h"
#include "http.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ENDPOINT    "http://169.254.169.254"
#define TOKEN_S     21600
#define TOKEN_EARLY 300
#define TIMEOUT_MS  1000
#define BODY_MAX    16384

struct imds {
    struct aws *aws;
    char endpoint[256];
    int disabled;
    pthread_mutex_t mutex;
    char token[1024];
    int64_t until_s; /* monotonic */
};

static int64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec;
}

struct imds *imds_open(struct aws *a, struct bp_err *err)
{
    struct imds *m = calloc(1, sizeof *m);
    const char *set = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *off = getenv("AWS_EC2_METADATA_DISABLED");
    if (!m) {
        err_set(err, BP_NOMEM, "no memory for the instance metadata");
        return NULL;
    }
    m->aws = a;
    m->disabled = off && strcasecmp(off, "true") == 0;
    snprintf(m->endpoint, sizeof m->endpoint, "%s", set && set[0] ? set : ENDPOINT);
    for (size_t n = strlen(m->endpoint); n && m->endpoint[n - 1] == '/'; n--)
        m->endpoint[n - 1] = '\0';
    pthread_mutex_init(&m->mutex, NULL);
    return m;
}

void imds_close(struct imds *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->mutex);
    explicit_bzero(m->token, sizeof m->token);
    free(m);
}

static int send_one(struct imds *m, const char *method, const char *path, const char *header, struct http_response *r,
                    struct bp_err *err)
{
    char url[768];
    const char *headers[] = {header, NULL};
    const struct http_request q = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .max_body = BODY_MAX,
                                   .connect_timeout_ms = TIMEOUT_MS,
                                   .read_timeout_ms = TIMEOUT_MS,
                                   .total_timeout_ms = TIMEOUT_MS,
                                   .no_proxy = 1};
    snprintf(url, sizeof url, "%s%s", m->endpoint, path);
    return http_do(m->aws->http, &q, r, err);
}

/* Letters that may stand in a header. */
static int is_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return 0;
    return n > 0;
}

static int fetch_token(struct imds *m, struct bp_err *err)
{
    struct http_response r;
    int rc = send_one(m, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", &r, err);
    m->token[0] = '\0';
    if (rc == 0 && r.status == 200 && r.n < sizeof m->token && is_token(r.body ? r.body : "", r.n)) {
        memcpy(m->token, r.body, r.n + 1);
        m->until_s = now_s() + TOKEN_S - TOKEN_EARLY;
    } else if (rc == 0) {
        rc = err_set(err, BP_DENIED,
                     "the instance metadata give no token (status %d); in a container the hop limit must be 2",
                     r.status);
    }
    http_response_free(&r);
    return rc;
}

/* A copy of the token; `old`, when given, is one that was refused. */
static int token_for(struct imds *m, const char *old, char out[1024], struct bp_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&m->mutex);
    if (!m->token[0] || now_s() >= m->until_s || (old && strcmp(old, m->token) == 0))
        rc = fetch_token(m, err);
    memcpy(out, m->token, sizeof m->token);
    pthread_mutex_unlock(&m->mutex);
    return rc;
}

static int take_page(const struct http_response *r, const char *path, char *out, size_t size, size_t *n,
                     struct bp_err *err)
{
    if (r->status == 404)
        return err_set(err, BP_NOTFOUND, "the instance metadata have no %s", path);
    if (r->status != 200)
        return err_set(err, r->status == 401 || r->status == 403 ? BP_DENIED : BP_FAIL,
                       "the instance metadata answer %s with status %d", path, r->status);
    if (r->n >= size)
        return err_set(err, BP_TOOLARGE, "the instance metadata have %zu bytes at %s", r->n, path);
    memcpy(out, r->body ? r->body : "", r->n);
    out[r->n] = '\0';
    *n = r->n;
    return 0;
}

int imds_get(struct imds *m, const char *path, char *out, size_t size, size_t *n, struct bp_err *err)
{
    char token[1024], header[1100];
    struct http_response r = {0};
    if (m->disabled)
        return err_set(err, BP_UNSUPPORTED, "the instance metadata are turned off by AWS_EC2_METADATA_DISABLED");
    int rc = token_for(m, NULL, token, err);
    for (int tries = 0; rc == 0 && tries < 2; tries++) {
        snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", token);
        rc = send_one(m, "GET", path, header, &r, err);
        if (rc < 0 || r.status != 401 || tries)
            break;
        http_response_free(&r);
        rc = token_for(m, token, token, err);
    }
    if (rc == 0)
        rc = take_page(&r, path, out, size, n, err);
    http_response_free(&r);
    return rc;
}
