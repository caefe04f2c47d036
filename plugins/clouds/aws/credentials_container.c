/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_container.c - the role of an ECS task or an EKS pod, by the endpoint that its container is told of. */
#include "credentials_priv.h"

#include "err.h"
#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define ECS_HOST   "http://169.254.170.2"
#define TIMEOUT_MS 2000
#define TRIES      3
#define REST_MS    200
#define BODY_MAX   16384
#define TOKEN_MAX  8192

struct container {
    struct source base;
    char url[1024];
    char token_file[1024];
};

/* ---- where ---- */

/* Loopback, or where ECS and EKS answer. */
static int is_near(const char *host)
{
    static const char *const known[] = {"localhost", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "[::1]"};
    struct in_addr v4;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcasecmp(host, known[i]) == 0)
            return 1;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

int container_url_ok(const char *url)
{
    char host[128];
    int tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0)
        return 0;
    const char *at = url + (tls ? 8 : 7);
    size_t n = *at == '[' ? strcspn(at, "]/") + 1 : strcspn(at, ":/?#");
    size_t whole = strcspn(at, "/?#");
    if (n == 0 || n > whole || whole >= sizeof host || memchr(at, '@', whole) ||
        strcspn(url, " \t\r\n\\") != strlen(url))
        return 0;
    if (at[n] == ':' && strspn(at + n + 1, "0123456789") != whole - n - 1)
        return 0;
    if (at[n] != ':' && n != whole)
        return 0;
    memcpy(host, at, n);
    host[n] = '\0';
    return tls || is_near(host);
}

/* ---- the token that the endpoint may want ---- */

static int read_file(const char *path, char out[TOKEN_MAX], struct bp_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, out, TOKEN_MAX - 1);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return err_set(err, BP_DENIED, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE %.140s cannot be read: %s", path,
                       strerror(why));
    out[n] = '\0';
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        out[--n] = '\0';
    return 0;
}

/* The header's line, "" when no token is wanted. It may hold nothing that ends a header. */
static int authorization(const struct container *x, char out[TOKEN_MAX + 20], struct bp_err *err)
{
    char token[TOKEN_MAX] = "";
    const char *given = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    int rc = 0;
    out[0] = '\0';
    if (x->token_file[0])
        rc = read_file(x->token_file, token, err);
    else if (given && given[0] && !creds_copy(token, sizeof token, given))
        rc = err_set(err, BP_DENIED, "AWS_CONTAINER_AUTHORIZATION_TOKEN is longer than %d bytes", TOKEN_MAX - 1);
    if (rc == 0 && strpbrk(token, "\r\n"))
        rc = err_set(err, BP_DENIED, "the container's authorization token has more than one line");
    if (rc == 0 && token[0])
        snprintf(out, TOKEN_MAX + 20, "Authorization: %s", token);
    explicit_bzero(token, sizeof token);
    return rc;
}

/* ---- asking ---- */

static int take_answer(const struct http_response *r, struct aws_creds *out, struct bp_err *err)
{
    struct bp_err why = {0};
    if (r->status != 200)
        return err_set(err, r->status >= 500 || r->status == 429 ? BP_LATER : BP_DENIED,
                       "the container's credentials endpoint answers with status %d", r->status);
    if (creds_from_json(r->body ? r->body : "", "Token", out, &why) < 0)
        return err_set(err, BP_DENIED, "the container's credentials endpoint: %.150s", why.text);
    return 0;
}

static int ask(const struct container *x, const char *auth, struct aws_creds *out, struct bp_err *err)
{
    struct http_response r;
    struct bp_err why = {0};
    const char *headers[] = {auth[0] ? auth : NULL, NULL};
    const struct http_request q = {.method = "GET",
                                   .url = x->url,
                                   .headers = headers,
                                   .max_body = BODY_MAX,
                                   .connect_timeout_ms = TIMEOUT_MS,
                                   .read_timeout_ms = TIMEOUT_MS,
                                   .total_timeout_ms = TIMEOUT_MS,
                                   .no_proxy = 1};
    int rc = http_do(x->base.aws->http, &q, &r, &why);
    if (rc == 0)
        rc = take_answer(&r, out, err);
    else
        rc = err_set(err, BP_LATER, "the container's credentials endpoint does not answer: %.180s", why.text);
    if (r.body)
        explicit_bzero(r.body, r.n);
    http_response_free(&r);
    return rc;
}

static int fetch(struct source *s, struct aws_creds *out, struct bp_err *err)
{
    char auth[TOKEN_MAX + 20];
    const struct container *x = (const struct container *)s;
    int rc = authorization(x, auth, err);
    for (int i = 0; rc == 0 && i < TRIES; i++) {
        const struct timespec rest = {0, (REST_MS << i) * 1000000L};
        if ((rc = ask(x, auth, out, err)) != BP_LATER)
            break;
        if (i + 1 < TRIES) {
            nanosleep(&rest, NULL);
            rc = 0;
        }
    }
    explicit_bzero(auth, sizeof auth);
    return rc;
}

static void close_source(struct source *s)
{
    free(s);
}

static int find_url(struct container *x, const char *relative, const char *full, struct bp_err *err)
{
    int n = relative ? snprintf(x->url, sizeof x->url, ECS_HOST "%s%s", relative[0] == '/' ? "" : "/", relative)
                     : snprintf(x->url, sizeof x->url, "%s", full);
    if (n < 0 || (size_t)n >= sizeof x->url)
        return err_set(err, BP_DENIED, "AWS_CONTAINER_CREDENTIALS_%s is too long",
                       relative ? "RELATIVE_URI" : "FULL_URI");
    if (container_url_ok(x->url))
        return 0;
    return err_set(
        err, BP_DENIED,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI is \"%.80s\"; it must be https, or http on loopback, 169.254.170.2, "
        "169.254.170.23 or [fd00:ec2::23]",
        x->url);
}

struct source *container_source(struct aws *a, struct bp_err *err)
{
    const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    int is_relative = relative && relative[0];
    if (!is_relative && !(full && full[0]))
        return NULL;
    struct container *x = source_new(a, sizeof *x, err);
    if (!x)
        return NULL;
    x->base.fetch = fetch;
    x->base.close = close_source;
    x->base.remedy = "give the task or pod a role, and see that its credentials endpoint can be reached from here";
    snprintf(x->base.name, sizeof x->base.name, "container role");
    snprintf(x->token_file, sizeof x->token_file, "%.1023s", file ? file : "");
    if (find_url(x, is_relative ? relative : NULL, full, err) == 0)
        return &x->base;
    free(x);
    return NULL;
}
