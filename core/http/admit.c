/* SPDX-License-Identifier: Apache-2.0 */
/* admit.c - who is calling, and what the body says: everything between the route and its handler. */
#include "http/door.h"
#include "log/err.h"
#include "log/json.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOKEN_MAX 512

/* The caller's token: Authorization: Bearer, else (workers) X-Worker-Token. */
static size_t read_token(struct call *c, char *out, size_t cap)
{
    const char *value = call_header(c, "Authorization");
    size_t n = value ? bearer_token(value, out, cap) : 0;

    if (n == 0 && c->route->auth == AUTH_WORKER && (value = call_header(c, "X-Worker-Token")) != NULL) {
        n = strlen(value);
        if (n == 0 || n >= cap)
            return 0;
        memcpy(out, value, n + 1);
    }
    return n;
}

/* ---- the body ---- */

static int is_json_type(const char *type)
{
    size_t n;

    if (!type)
        return 1;
    n = strcspn(type, "; \t");
    if (n == 0)
        return 1;
    return (n == 16 && strncasecmp(type, "application/json", 16) == 0) ||
           (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

/* The worker contract merges the query string with the body; the body wins. */
static void merge_pair(const char *key, const char *value, void *arg)
{
    struct json_object *body = arg;

    if (!json_object_object_get_ex(body, key, NULL))
        json_object_object_add(body, key, json_object_new_string(value));
}

static int is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void tidy(struct json_object *value);

/* The tidied form of one member: NULL when it stays as it is. *null: it becomes null. */
static struct json_object *tidy_member(struct json_object *value, int *null)
{
    const char *s, *e;

    *null = 0;
    if (!json_object_is_type(value, json_type_string)) {
        tidy(value);
        return NULL;
    }
    s = json_object_get_string(value);
    e = s + json_object_get_string_len(value);
    if (s < e && !is_blank(*s) && !is_blank(e[-1]))
        return NULL;
    while (s < e && is_blank(*s))
        s++;
    while (e > s && is_blank(e[-1]))
        e--;
    *null = s == e;
    return *null ? NULL : json_object_new_string_len(s, (int)(e - s));
}

/* Workers in the field rely on it: strings are trimmed, empty ones are null. Depth is bounded by json_parse(). */
static void tidy(struct json_object *value)
{
    struct json_object *fresh;
    int null;

    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member)
        {
            fresh = tidy_member(member, &null);
            if (fresh || null)
                json_object_object_add(value, key, fresh);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            fresh = tidy_member(json_object_array_get_idx(value, i), &null);
            if (fresh || null)
                json_object_array_put_idx(value, i, fresh);
        }
    }
}

static int parse_body(struct call *c, const char *text, size_t n)
{
    struct bp_err err = {0};

    if (!is_json_type(call_header(c, "Content-Type"))) {
        answer_error(c, 415, "The body must be application/json.", NULL);
        return -1;
    }
    c->body = json_parse(text, n, &err);
    if (!c->body) {
        answer_error(c, 400, err.text[0] ? err.text : "The body is not valid JSON.", NULL);
        return -1;
    }
    if (!json_object_is_type(c->body, json_type_object)) {
        answer_field(c, "body", "The body must be a JSON object.");
        return -1;
    }
    return 0;
}

/* Reads the body into call.body (an empty object when there is none). 0, or -1: answered. */
static int read_body(struct call *c)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
    size_t n = evbuffer_get_length(in);
    const char *text = n ? (const char *)evbuffer_pullup(in, -1) : NULL;

    if ((int64_t)n > c->http->limits.max_body) { /* chunked: its length was not known before */
        answer_error(c, 413, "The body is larger than http.maxBodyBytes.", NULL);
        return -1;
    }
    if (n == 0)
        c->body = json_object_new_object();
    else if (parse_body(c, text, n))
        return -1;
    evbuffer_drain(in, n); /* a poll may wait for long */
    if (c->route->auth == AUTH_WORKER || c->route->auth == AUTH_FLEET) {
        query_each(call_query(c), merge_pair, c->body);
        tidy(c->body);
    }
    return 0;
}

static void run(struct call *c)
{
    if (c->route->takes_body && read_body(c))
        return;
    c->route->handle(c);
}

/* ---- who ---- */

static void on_worker(const struct dispatch_answer *a, struct worker_auth *w, void *arg)
{
    struct call *c = arg;

    c->worker = w;
    if (a->rc != BP_OK)
        answer_engine(c, a, 200);
    else if (!c->conn || !c->http)
        answer_error(c, 503, "", NULL); /* the client left: only frees the call */
    else
        run(c);
}

static void admit_worker(struct call *c)
{
    char token[TOKEN_MAX];

    if (read_token(c, token, sizeof(token)) == 0) {
        answer_error(c, 401, "Unauthorized.", NULL);
        return;
    }
    dispatch_authenticate(c->http->app->dispatch, token, on_worker, c);
}

static void answer_unauthenticated(struct call *c)
{
    call_add_header(c, "WWW-Authenticate", "Bearer");
    answer_error(c, 401, TENANT_UNKNOWN, NULL);
}

static void run_for(struct call *c, const char *tenant)
{
    c->tenant = strdup(tenant);
    assert(c->tenant); /* without one it would be the operator's call */
    run(c);
}

static void on_tenant(const struct dispatch_answer *a, const char *tenant, void *arg)
{
    struct call *c = arg;

    if (!c->conn || !c->http)
        answer_error(c, 503, "", NULL); /* the client left: only frees the call */
    else if (a->rc == BP_OK)
        run_for(c, tenant);
    else if (a->rc == BP_DENIED && strcmp(a->message, TENANT_UNKNOWN) == 0)
        answer_unauthenticated(c);
    else
        answer_engine(c, a, 200);
}

/* The settings first, then the store. */
static void admit_tenant(struct call *c)
{
    char token[TOKEN_MAX];
    size_t n = read_token(c, token, sizeof(token));
    const char *name = n ? tenants_find(c->http->tenants, token) : NULL;

    if (n == 0)
        answer_unauthenticated(c);
    else if (name)
        run_for(c, name);
    else
        dispatch_tenant_authenticate(c->http->app->dispatch, token, on_tenant, c);
}

/* 0, or -1: answered 429. Counts before the secret is looked at, so that guessing is slow. */
static int admit_rate(struct call *c)
{
    uint32_t limit = c->http->limits.register_per_minute;
    struct rate_verdict v;
    char text[16];

    if (limit == 0)
        return 0;
    v = rate_take(c->http->rate, call_ip(c), limit, mono_ms());
    snprintf(text, sizeof(text), "%u", limit);
    call_add_header(c, "X-RateLimit-Limit", text);
    snprintf(text, sizeof(text), "%u", v.remaining);
    call_add_header(c, "X-RateLimit-Remaining", text);
    if (v.retry_after_s == 0)
        return 0;
    snprintf(text, sizeof(text), "%d", v.retry_after_s);
    call_add_header(c, "Retry-After", text);
    answer_error(c, 429, "Too Many Attempts.", NULL);
    return -1;
}

static int secret_matches(const char *given, const char *secret)
{
    unsigned char a[SHA256_DIGEST_LENGTH], b[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)given, strlen(given), a);
    SHA256((const unsigned char *)secret, strlen(secret), b);
    return CRYPTO_memcmp(a, b, sizeof(a)) == 0;
}

/* Instances that came up before a rotation bring the secret of that time. */
static int is_former(const struct app *app, const char *given)
{
    return app->former_secret[0] && mono_ms() < app->former_until_ms && secret_matches(given, app->former_secret);
}

static void admit_fleet(struct call *c)
{
    struct app *app = c->http->app;
    const char *secret = app->fleet_secret, *given = call_header(c, "X-Fleet-Secret");

    if (admit_rate(c))
        return;
    if (*secret == '\0') {
        answer_error(c, 503, "Fleet registration is not configured.", NULL);
    } else if (given && (secret_matches(given, secret) || is_former(app, given))) {
        run(c);
    } else {
        if (given && app->secret_refused)
            app->secret_refused(app);
        answer_error(c, 401, "Unauthorized.", NULL);
    }
}

static int is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0 || strncmp(ip, "::ffff:127.", 11) == 0;
}

/*
 * The operator's page works without a login only where that is safe: stage local, a client on this machine that is no
 * proxy for another, and a Host that names this machine (a page of another site whose name was made to point here,
 * DNS rebinding, has its own).
 */
static void admit_operator(struct call *c)
{
    const char *why = NULL;

    if (!c->http->is_local)
        why = "The operator page's API is served in stage local only; use bpctl on the controller.";
    else if (!is_loopback(call_ip(c)) || call_header(c, "X-Forwarded-For") || call_header(c, "Forwarded"))
        why = "The operator page's API is served to clients on this machine only.";
    else if (!host_is_local(call_header(c, "Host"), c->http->own_host))
        why = "The Host of the request is not this machine; open the page as http://localhost.";
    if (why)
        answer_error(c, 403, why, NULL);
    else
        run(c);
}

/* Until every plugin has had its chance, "no such workflow" would be a lie that a client believes for good. 0, or -1:
 * answered 503. */
static int admit_started(struct call *c)
{
    const struct app *app = c->http->app;

    if (app->ready || app->draining || c->route->auth == AUTH_NONE || c->route->auth == AUTH_OPERATOR)
        return 0;
    health_ready(c);
    return -1;
}

void call_admit(struct call *c)
{
    if (admit_started(c))
        return;
    switch (c->route->auth) {
    case AUTH_NONE:
        run(c);
        return;
    case AUTH_FLEET:
        admit_fleet(c);
        return;
    case AUTH_WORKER:
        admit_worker(c);
        return;
    case AUTH_TENANT:
        admit_tenant(c);
        return;
    case AUTH_OPERATOR:
        admit_operator(c);
        return;
    }
}
