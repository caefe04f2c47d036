/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SigV4 against the official suite and S3 vectors, read from ../shared/data/aws beside the sources, or $BP_AWS_DATA,
 * where they are present; BP_S3_VECTORS names another file of S3 vectors. Our own, vectors.json, are always there:
 * make_vectors.py computes them by a second reading of the rules.
 */
#include "cm.h"
#include "sign.h"

#include <dirent.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEADERS 32

static int signed_ones;

static const char *data_dir(void)
{
    static char dir[4096];
    const char *given = getenv("BP_AWS_DATA");
    snprintf(dir, sizeof dir, "%s", given ? given : "");
    if (!given)
        snprintf(dir, sizeof dir, "%s/../shared/data/aws", getenv("BP_SOURCE_DIR"));
    return dir;
}

static char *slurp(const char *path)
{
    char *text = NULL;
    size_t n = 0, room = 0;
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    for (int c; (c = fgetc(f)) != EOF;) {
        if (n + 2 > room)
            text = realloc(text, room = room ? 2 * room : 4096);
        if (c != '\r')
            text[n++] = (char)c;
    }
    fclose(f);
    if (!text)
        text = malloc(1);
    text[n] = '\0';
    return text;
}

static const char *str(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static int64_t num(struct json_object *o, const char *name, int64_t otherwise)
{
    struct json_object *v = NULL;
    json_object_object_get_ex(o, name, &v);
    return v ? json_object_get_int64(v) : otherwise;
}

static int64_t time_of(const char *text, const char *form)
{
    struct tm tm = {0};
    assert_non_null(strptime(text, form, &tm));
    return (int64_t)timegm(&tm) * 1000;
}

static void signature_of(const struct sign_request *q, int presign, char out[65])
{
    char text[16384], date[17];
    struct bp_err err = {0};
    int rc =
        presign ? sign_query(NULL, q, text, sizeof text, &err) : sign_headers(NULL, q, text, sizeof text, date, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    char *at = strstr(text, "Signature=");
    assert_non_null(at);
    snprintf(out, 65, "%.64s", at + 10);
    signed_ones++;
}

static void expect(const char *name, const struct sign_request *q, int presign, const char *want)
{
    char got[65], canonical[16384];
    struct bp_err err;
    signature_of(q, presign, got);
    if (strcmp(got, want) == 0)
        return;
    sign_canonical(q, presign, canonical, sizeof canonical, &err);
    fail_msg("%s (%s): %s, not %s\n%s", name, presign ? "query" : "header", got, want, canonical);
}

/* ---- the official suite ---- */

/* A request as text: its parts point into it. */
struct request {
    char *method, *path, *query, *body;
    char folded[HEADERS][1024];
    struct sign_header headers[HEADERS];
    size_t n;
};

static void read_request(char *text, struct request *r)
{
    char *end = strstr(text, "\n\n");
    memset(r, 0, sizeof *r);
    r->body = end ? end + 2 : text + strlen(text);
    if (end)
        *end = '\0';
    char *line = strtok(text, "\n"), *http = strstr(line, " HTTP/1.1");
    *http = '\0';
    r->method = line;
    r->path = strchr(line, ' ') + 1;
    r->path[-1] = '\0';
    r->query = strchr(r->path, '?');
    if (r->query)
        *r->query++ = '\0';
    else
        r->query = r->path + strlen(r->path);
    while ((line = strtok(NULL, "\n"))) {
        if (line[0] == ' ' || line[0] == '\t') {
            char *to = r->folded[r->n - 1];
            if (to != r->headers[r->n - 1].value)
                snprintf(to, sizeof r->folded[0], "%s", r->headers[r->n - 1].value);
            strncat(to, " ", sizeof r->folded[0] - strlen(to) - 1);
            strncat(to, line, sizeof r->folded[0] - strlen(to) - 1);
            r->headers[r->n - 1].value = to;
            continue;
        }
        char *colon = strchr(line, ':');
        *colon = '\0';
        r->headers[r->n++] = (struct sign_header){line, colon + 1};
    }
}

static void run_case(const char *dir, const char *name)
{
    char path[8192], hash[65], want[65];
    struct request r;
    snprintf(path, sizeof path, "%s/%s/context.json", dir, name);
    struct json_object *context = json_object_from_file(path), *who = NULL, *v = NULL;
    assert_non_null(context);
    json_object_object_get_ex(context, "credentials", &who);
    for (int presign = 0; presign < 2; presign++) {
        snprintf(path, sizeof path, "%s/%s/request.txt", dir, name);
        char *text = slurp(path);
        read_request(text, &r);
        sign_sha256_hex(r.body, strlen(r.body), hash);
        json_object_object_get_ex(context, "sign_body", &v);
        if (!presign && json_object_get_boolean(v))
            r.headers[r.n++] = (struct sign_header){"x-amz-content-sha256", hash};
        json_object_object_get_ex(context, "normalize", &v);
        struct sign_request q = {.method = r.method,
                                 .path = r.path,
                                 .query = r.query,
                                 .headers = r.headers,
                                 .n_headers = r.n,
                                 .payload_hash = hash,
                                 .key_id = str(who, "access_key_id"),
                                 .secret = str(who, "secret_access_key"),
                                 .token = str(who, "token"),
                                 .region = str(context, "region"),
                                 .service = str(context, "service"),
                                 .now_ms = time_of(str(context, "timestamp"), "%Y-%m-%dT%H:%M:%SZ"),
                                 .expires_s = (int32_t)num(context, "expiration_in_seconds", 3600),
                                 .no_normalize = !json_object_get_boolean(v)};
        v = NULL;
        json_object_object_get_ex(context, "omit_session_token", &v);
        q.token_after = json_object_get_boolean(v);
        snprintf(path, sizeof path, "%s/%s/%s-signature.txt", dir, name, presign ? "query" : "header");
        char *signature = slurp(path);
        snprintf(want, sizeof want, "%.64s", signature);
        expect(name, &q, presign, want);
        free(signature);
        free(text);
    }
    json_object_put(context);
}

static void the_official_suite(void **state)
{
    char dir[4300];
    (void)state;
    snprintf(dir, sizeof dir, "%s/sigv4-suite/v4", data_dir());
    DIR *d = opendir(dir);
    if (!d) {
        print_message("no %s: set BP_AWS_DATA to the directory of the AWS vectors\n", dir);
        skip();
        return;
    }
    signed_ones = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            run_case(dir, e->d_name);
    closedir(d);
    assert_int_equal(signed_ones, 76);
}

/* ---- S3 ---- */

static int is_own(const char *name)
{
    return strcasecmp(name, "host") == 0 || strcasecmp(name, "x-amz-date") == 0 ||
           strcasecmp(name, "x-amz-content-sha256") == 0 || strcasecmp(name, "x-amz-security-token") == 0;
}

static void run_vector(struct json_object *v)
{
    char url[8192], host[256];
    struct sign_header headers[HEADERS];
    struct json_object *given = NULL;
    size_t n = 0;
    const char *kind = str(v, "kind"), *service = str(v, "service"), *location = str(v, "url");
    if (!kind || !service || !location || !strstr(location, "://") || !strchr(strstr(location, "://") + 3, '/'))
        fail_msg("a vector has no kind, service or whole url: %s", json_object_to_json_string(v));
    int presign = strcmp(kind, "query") == 0;
    snprintf(url, sizeof url, "%s", location);
    char *at = strstr(url, "://") + 3, *path = strchr(at, '/'), *query = strchr(url, '?');
    snprintf(host, sizeof host, "%.*s", (int)(path - at), at);
    if (query)
        *query++ = '\0';
    json_object_object_get_ex(v, "request_headers", &given);
    json_object_object_foreach(given, name, value) if (!is_own(name)) headers[n++] =
        (struct sign_header){name, json_object_get_string(value)};
    headers[n++] = (struct sign_header){"Host", host};
    if (!presign)
        headers[n++] = (struct sign_header){"x-amz-content-sha256", str(v, "payload")};
    const struct sign_request q = {.method = str(v, "method"),
                                   .path = path,
                                   .query = query ? query : "",
                                   .headers = headers,
                                   .n_headers = n,
                                   .payload_hash = str(v, "payload"),
                                   .key_id = str(v, "access_key"),
                                   .secret = str(v, "secret_key"),
                                   .token = str(v, "session_token"),
                                   .region = str(v, "region"),
                                   .service = service,
                                   .now_ms = time_of(str(v, "timestamp"), "%Y%m%dT%H%M%SZ"),
                                   .s3 = strcmp(service, "s3") == 0,
                                   .expires_s = (int32_t)num(v, "expires", 0)};
    expect(str(v, "name"), &q, presign, str(v, "signature"));
}

static int run_vectors(const char *path)
{
    struct json_object *all = json_object_from_file(path);
    if (!all)
        return 0;
    assert_true(json_object_is_type(all, json_type_array));
    int n = (int)json_object_array_length(all);
    for (int i = 0; i < n; i++)
        run_vector(json_object_array_get_idx(all, (size_t)i));
    json_object_put(all);
    return n;
}

static void our_vectors(void **state)
{
    char path[4300];
    (void)state;
    snprintf(path, sizeof path, "%s/tests/unit/aws-client/vectors.json", getenv("BP_SOURCE_DIR"));
    assert_int_equal(run_vectors(path), 16);
}

static void s3_vectors(void **state)
{
    char path[4300];
    const char *given = getenv("BP_S3_VECTORS");
    (void)state;
    snprintf(path, sizeof path, "%s%s", given ? given : data_dir(), given ? "" : "/s3-sign-vectors-a.json");
    int n = run_vectors(path);
    print_message("%s: %d vectors\n", path, n);
    if (!n && !given)
        skip();
    assert_true(n > 0);
}

/* ---- the cache of keys ---- */

static void a_key_is_of_one_day_and_one_secret(void **state)
{
    (void)state;
    const struct sign_header host = {"host", "example.amazonaws.com"};
    struct sign_request q = {.method = "GET",
                             .path = "/",
                             .query = "",
                             .headers = &host,
                             .n_headers = 1,
                             .payload_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                             .key_id = "AKID",
                             .secret = "one",
                             .region = "us-east-1",
                             .service = "service",
                             .now_ms = 1769903999000LL}; /* a second before midnight, UTC */
    struct sign_keys *keys = sign_keys_new();
    struct bp_err err = {0};
    char cached[512], fresh[512], date[17];
    for (int i = 0; i < 40; i++) {
        q.now_ms += i == 1 ? 1000 : 0;
        q.secret = i % 3 ? "one" : "two";
        q.region = i % 2 ? "us-east-1" : "eu-central-1";
        assert_int_equal(sign_headers(keys, &q, cached, sizeof cached, date, &err), 0);
        assert_int_equal(sign_headers(NULL, &q, fresh, sizeof fresh, date, &err), 0);
        assert_string_equal(cached, fresh);
    }
    assert_string_equal(date, "20260201T000000Z");
    sign_keys_free(keys);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    char out[8], *long_query = malloc(60000);
    struct bp_err err = {0};
    memset(long_query, 'a', 59999);
    long_query[59999] = '\0';
    const struct sign_header host = {"host", "h"};
    struct sign_request q = {.method = "GET",
                             .path = "/",
                             .query = "",
                             .headers = &host,
                             .n_headers = 1,
                             .payload_hash = SIGN_UNSIGNED_PAYLOAD,
                             .key_id = "AKID",
                             .secret = "s",
                             .region = "r",
                             .service = "s3",
                             .s3 = 1,
                             .expires_s = 60};
    assert_int_equal(sign_query(NULL, &q, out, sizeof out, &err), BP_NOSPACE);
    q.query = long_query;
    assert_int_equal(sign_query(NULL, &q, out, sizeof out, &err), BP_NOSPACE);
    struct sign_header many[60];
    for (int i = 0; i < 60; i++)
        many[i] = host;
    q.query = "";
    q.headers = many;
    q.n_headers = 60;
    assert_int_equal(sign_query(NULL, &q, out, sizeof out, &err), BP_NOSPACE);
    q.expires_s = 604801;
    assert_int_equal(sign_query(NULL, &q, out, sizeof out, &err), BP_INVALID);
    assert_int_equal(sign_encode("ab c", 4, 0, out, 4), BP_NOSPACE);
    assert_int_equal(sign_encode("a c", 3, 0, out, 8), 5);
    assert_string_equal(out, "a%20c");
    free(long_query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_official_suite),
        cmocka_unit_test(our_vectors),
        cmocka_unit_test(s3_vectors),
        cmocka_unit_test(a_key_is_of_one_day_and_one_secret),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
