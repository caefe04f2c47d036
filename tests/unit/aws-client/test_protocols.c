/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire protocols against the cases of an AWS SDK: forms, XML answers and errors, endpoints. Read from
 * ../shared/data/aws/protocol-tests beside the sources, or $BP_AWS_DATA; without them only our own cases run.
 * What a case needs that our forms and answers never hold is said and left out.
 */
#include "client_priv.h"
#include "cm.h"
#include "form.h"

#include <ctype.h>
#include <json-c/json.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *left_out; /* why a case cannot be expressed */
static const char *quiet;    /* the same reason, said once for a file */
static int ec2;
static struct json_object *shapes;

static struct json_object *data(const char *name)
{
    char path[4300];
    const char *given = getenv("BP_AWS_DATA");
    snprintf(path, sizeof path, "%s%s/protocol-tests/%s", given ? given : getenv("BP_SOURCE_DIR"),
             given ? "" : "/../shared/data/aws", name);
    struct json_object *all = json_object_from_file(path);
    if (!all)
        print_message("no %s: set BP_AWS_DATA to the directory of the AWS vectors\n", path);
    return all;
}

static struct json_object *at(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &v);
    return v;
}

static const char *str(struct json_object *o, const char *name)
{
    struct json_object *v = at(o, name);
    return v ? json_object_get_string(v) : NULL;
}

static int is(struct json_object *shape, const char *type)
{
    return strcmp(str(shape, "type"), type) == 0;
}

static struct json_object *shape_of(struct json_object *member)
{
    return at(shapes, str(member, "shape"));
}

static int is_flat(struct json_object *member)
{
    return at(member, "flattened") || at(shape_of(member), "flattened");
}

/* ---- requests: a form from shape and values ---- */

static void put(struct form *f, const char *prefix, struct json_object *member, struct json_object *value);

static void name_of(char out[128], const char *name, struct json_object *member)
{
    const char *wire = str(member, "locationName");
    const char *query = ec2 ? str(member, "queryName") : NULL;
    snprintf(out, 128, "%s", query ? query : wire ? wire : name);
    if (ec2 && !query)
        out[0] = (char)toupper((unsigned char)out[0]);
}

static void put_list(struct form *f, const char *prefix, struct json_object *member, struct json_object *value)
{
    char name[512];
    struct json_object *one = at(shape_of(member), "member");
    const char *wire = str(one, "locationName");
    if (json_object_array_length(value) == 0 && !ec2)
        form_put(f, "", "%s", prefix);
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        if (ec2 || is_flat(member))
            snprintf(name, sizeof name, "%s.%zu", prefix, i + 1);
        else
            snprintf(name, sizeof name, "%s.%s.%zu", prefix, wire ? wire : "member", i + 1);
        put(f, name, one, json_object_array_get_idx(value, i));
    }
}

static void put_map(struct form *f, const char *prefix, struct json_object *member, struct json_object *value)
{
    char name[600], base[512];
    int i = 0;
    struct json_object *key = at(shape_of(member), "key"), *content = at(shape_of(member), "value");
    const char *key_name = str(key, "locationName"), *content_name = str(content, "locationName");
    json_object_object_foreach(value, k, v)
    {
        snprintf(base, sizeof base, "%s%s.%d", prefix, is_flat(member) ? "" : ".entry", ++i);
        form_put(f, k, "%s.%s", base, key_name ? key_name : "key");
        snprintf(name, sizeof name, "%s.%s", base, content_name ? content_name : "value");
        put(f, name, content, v);
    }
}

static void put_scalar(struct form *f, const char *prefix, struct json_object *member, struct json_object *shape,
                       struct json_object *value)
{
    char text[4096];
    const char *format = str(member, "timestampFormat");
    if (!format)
        format = str(shape, "timestampFormat");
    if (is(shape, "boolean")) {
        form_put_bool(f, json_object_get_boolean(value), "%s", prefix);
    } else if (is(shape, "integer") || is(shape, "long") || (format && strcmp(format, "unixTimestamp") == 0)) {
        form_put_int(f, json_object_get_int64(value), "%s", prefix);
    } else if (is(shape, "timestamp")) {
        form_put_time(f, json_object_get_int64(value) * 1000, "%s", prefix);
    } else if ((is(shape, "float") || is(shape, "double"))) {
        left_out = json_object_is_type(value, json_type_string) ? "NaN and Infinity: no service takes them" : left_out;
        form_put_num(f, json_object_get_double(value), "%s", prefix);
    } else if (is(shape, "blob")) {
        int n = json_object_get_string_len(value);
        assert_true(n < 3000);
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)json_object_get_string(value), n);
        form_put(f, text, "%s", prefix);
    } else {
        form_put(f, json_object_get_string(value), "%s", prefix);
    }
}

static void put(struct form *f, const char *prefix, struct json_object *member, struct json_object *value)
{
    char name[512], own[128];
    struct json_object *shape = shape_of(member);
    if (is(shape, "list")) {
        put_list(f, prefix, member, value);
    } else if (is(shape, "map")) {
        put_map(f, prefix, member, value);
    } else if (is(shape, "structure")) {
        json_object_object_foreach(value, k, v)
        {
            struct json_object *inner = at(at(shape, "members"), k);
            name_of(own, k, inner);
            snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? "." : "", own);
            put(f, name, inner, v);
        }
    } else {
        put_scalar(f, prefix, member, shape, value);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Pairs in one order: services take any. */
static void sorted(const char *form, char out[8192])
{
    char text[8192], *pairs[256], *save = NULL;
    size_t n = 0, k = 0;
    snprintf(text, sizeof text, "%s", form);
    for (char *p = strtok_r(text, "&", &save); p && n < 256; p = strtok_r(NULL, "&", &save))
        pairs[n++] = p;
    qsort(pairs, n, sizeof *pairs, by_text);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        k += (size_t)snprintf(out + k, 8192 - k, "%s%s", i ? "&" : "", pairs[i]);
}

static void run_input(struct json_object *suite, struct json_object *test)
{
    char got[8192], want[8192], all[8192];
    size_t n = 0;
    struct json_object *given = at(test, "given"), *input = at(given, "input");
    struct form *f = form_new();
    if (at(given, "requestcompression"))
        left_out = "packing: see test_client.c";
    if (strstr(str(test, "id"), "IdempotencyToken"))
        left_out = "tokens that the SDK makes up: ours come from the caller";
    if (input && !left_out)
        put(f, "", input, at(test, "params"));
    const char *text = form_text(f, &n);
    snprintf(all, sizeof all, "Action=%s&Version=%s%s%s", str(given, "name"), str(at(suite, "metadata"), "apiVersion"),
             n ? "&" : "", text);
    sorted(all, got);
    sorted(str(at(test, "serialized"), "body") ? str(at(test, "serialized"), "body") : "", want);
    if (!left_out && strcmp(got, want) != 0)
        fail_msg("%s:\n%s, not\n%s", str(test, "id"), got, want);
    form_free(f);
}

/* ---- answers: XML against the values expected ---- */

static void compare(const char *id, const struct xml *x, struct json_object *member, struct json_object *want);

static void expect(const char *id, int ok, const struct xml *x, struct json_object *want)
{
    if (!ok)
        fail_msg("%s: \"%s\" is not %s", id, x ? xml_text(x, "") : "(absent)", json_object_get_string(want));
}

static void compare_list(const char *id, const struct xml *x, const char *name, struct json_object *member,
                         struct json_object *want)
{
    struct json_object *one = at(shape_of(member), "member");
    const char *wire = str(one, "locationName");
    const struct xml *list = xml_at(x, name);
    const struct xml *item = is_flat(member) ? list : xml_first(list, wire ? wire : "member");
    for (size_t i = 0; i < json_object_array_length(want); i++, item = xml_next(item)) {
        expect(id, item != NULL, item, want);
        compare(id, item, one, json_object_array_get_idx(want, i));
        if (i + 1 == json_object_array_length(want))
            expect(id, xml_next(item) == NULL, item, want);
    }
}

static void compare_map(const char *id, const struct xml *x, const char *name, struct json_object *member,
                        struct json_object *want)
{
    struct json_object *key = at(shape_of(member), "key"), *content = at(shape_of(member), "value");
    const char *key_name = str(key, "locationName"), *content_name = str(content, "locationName");
    const struct xml *map = xml_at(x, name);
    int n = 0;
    for (const struct xml *e = is_flat(member) ? map : xml_first(map, "entry"); e; e = xml_next(e), n++) {
        struct json_object *v = at(want, xml_text(e, key_name ? key_name : "key"));
        expect(id, v != NULL, e, want);
        compare(id, xml_at(e, content_name ? content_name : "value"), content, v);
    }
    assert_int_equal(n, json_object_object_length(want));
}

static void compare_member(const char *id, const struct xml *x, const char *name, struct json_object *member,
                           struct json_object *want)
{
    const char *wire = str(member, "locationName");
    name = wire ? wire : name;
    if (is(shape_of(member), "list"))
        compare_list(id, x, name, member, want);
    else if (is(shape_of(member), "map"))
        compare_map(id, x, name, member, want);
    else
        compare(id, xml_at(x, name), member, want);
}

static void compare_time(const char *id, const struct xml *x, struct json_object *member, struct json_object *want)
{
    const char *format = str(member, "timestampFormat");
    if (!format)
        format = str(shape_of(member), "timestampFormat");
    double ms = json_object_get_double(want) * 1000;
    if (format && strcmp(format, "rfc822") == 0)
        left_out = "RFC 822 times in XML: none of our operations has one";
    else if (format && strcmp(format, "unixTimestamp") == 0)
        expect(id, fabs((double)xml_int(x, "", 0) * 1000 - ms) < 0.5, x, want);
    else
        expect(id, fabs((double)xml_time_ms(x, "") - ms) < 0.5, x, want);
}

static void compare(const char *id, const struct xml *x, struct json_object *member, struct json_object *want)
{
    struct json_object *shape = shape_of(member);
    if (is(shape, "structure")) {
        json_object_object_foreach(want, k, v) compare_member(id, x, k, at(at(shape, "members"), k), v);
    } else if (is(shape, "list") || is(shape, "map")) {
        if (is(shape, "list"))
            compare_list(id, x, "", member, want);
        else
            compare_map(id, x, "", member, want);
    } else if (is(shape, "timestamp")) {
        compare_time(id, x, member, want);
    } else if (is(shape, "boolean")) {
        expect(id, xml_bool(x, "") == json_object_get_boolean(want), x, want);
    } else if (is(shape, "blob")) {
        left_out = "base64 in XML: none of our operations has any";
    } else if (is(shape, "string")) {
        expect(id, strcmp(xml_text(x, ""), json_object_get_string(want)) == 0, x, want);
    } else if (is(shape, "integer") || is(shape, "long")) {
        expect(id, xml_int(x, "", -99) == json_object_get_int64(want), x, want);
    } else if (json_object_is_type(want, json_type_string)) {
        left_out = "NaN and Infinity: no service sends them";
    } else {
        expect(id, fabs(strtod(xml_text(x, ""), NULL) - json_object_get_double(want)) < 1e-6, x, want);
    }
}

static struct http_response headers_of(struct json_object *response, char out[2048])
{
    size_t n = 0;
    struct json_object *headers = at(response, "headers");
    out[0] = '\0';
    if (headers) {
        json_object_object_foreach(headers, k, v)
        {
            for (const char *c = k; *c; c++)
                out[n++] = (char)tolower((unsigned char)*c);
            n += (size_t)snprintf(out + n, 2048 - n, ": %s\n", json_object_get_string(v));
        }
    }
    return (struct http_response){.headers = out};
}

/* An error in any protocol. */
static void run_error(struct json_object *test)
{
    char text[2048];
    struct bp_err err;
    struct json_object *response = at(test, "response");
    struct http_response h = headers_of(response, text);
    struct reply r = {.status = json_object_get_int(at(response, "status_code"))};
    const char *body = str(response, "body") ? str(response, "body") : "";
    if (body[0] == '<')
        r.xml = xml_parse(body, strlen(body), &err);
    else if (body[0])
        r.json = json_tokener_parse(body);
    client_error_read(&r, &h);
    if (strcmp(r.error.code, str(test, "errorCode")) != 0)
        fail_msg("%s: code %s, not %s", str(test, "id"), r.error.code, str(test, "errorCode"));
    if (str(test, "errorMessage"))
        assert_string_equal(r.error.message, str(test, "errorMessage"));
    if (strstr(body, "foo-id"))
        assert_string_equal(r.error.request_id, "foo-id");
    assert_int_equal(r.error.retryable, r.status >= 500);
    reply_free(&r);
}

/* Not all in elements of the body. */
static int is_split(struct json_object *shape)
{
    if (at(shape, "payload"))
        return 1;
    json_object_object_foreach(at(shape, "members"), name, member)
    {
        (void)name;
        if (at(member, "location") || at(member, "xmlAttribute"))
            return 1;
    }
    return 0;
}

static void run_output(struct json_object *suite, struct json_object *test)
{
    (void)suite;
    struct bp_err err = {0};
    struct json_object *output = at(at(test, "given"), "output"), *response = at(test, "response");
    if (at(test, "errorCode")) {
        run_error(test);
        return;
    }
    if (output && is_split(shape_of(output))) {
        left_out = "an answer split over headers, attributes and a payload of its own";
        return;
    }
    const char *body = str(response, "body");
    struct xml *root = body && body[0] ? xml_parse(body, strlen(body), &err) : NULL;
    if (body && body[0] && !root)
        fail_msg("%s: %s", str(test, "id"), err.text);
    if (output && root)
        compare(str(test, "id"), ec2 ? root : xml_result(root), output, at(test, "result"));
    xml_free(root);
}

static void run_errors_only(struct json_object *suite, struct json_object *test)
{
    (void)suite;
    if (at(test, "errorCode"))
        run_error(test);
    else
        quiet = left_out = "answers of JSON are read member by member, by each part itself";
}

static void run_file(const char *name, void (*run)(struct json_object *, struct json_object *), int least)
{
    struct json_object *all = data(name);
    int n = 0, out = 0;
    if (!all)
        skip();
    ec2 = strstr(name, "ec2") || strstr(name, "rest-xml"); /* neither wraps its result */
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *suite = json_object_array_get_idx(all, i), *cases = at(suite, "cases");
        shapes = at(suite, "shapes");
        for (size_t k = 0; k < json_object_array_length(cases); k++, n++) {
            struct json_object *test = json_object_array_get_idx(cases, k);
            left_out = NULL;
            run(suite, test);
            if (left_out && !quiet)
                print_message("%s left out: %s\n", str(test, "id"), left_out);
            out += left_out != NULL;
        }
    }
    print_message("%s: %d of %d cases%s%s\n", name, n - out, n, quiet ? "; left out: " : "", quiet ? quiet : "");
    quiet = NULL;
    assert_true(n - out >= least);
    json_object_put(all);
}

static void forms(void **state)
{
    (void)state;
    run_file("input-query.json", run_input, 30);
    run_file("input-ec2.json", run_input, 22);
}

static void answers(void **state)
{
    (void)state;
    run_file("output-query.json", run_output, 30);
    run_file("output-ec2.json", run_output, 21);
    run_file("output-rest-xml.json", run_output, 20);
}

static void errors_of_every_protocol(void **state)
{
    (void)state;
    static const char *const names[] = {"output-json.json", "output-json_1_0.json",
                                        "output-json_1_0-query-compatible.json"};
    for (int i = 0; i < 3; i++)
        run_file(names[i], run_errors_only, 2);
}

/* ---- our own: what the cases above do not have ---- */

static void errors_of_our_own(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *headers, *body, *code;
        int throttled, expired, denied, retryable, skew, rc;
    } ones[] = {
        {400, "", "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", "Throttling", 1, 0, 0, 1, 0,
         BP_LATER},
        {503, "", "<Error><Code>SlowDown</Code><Message>m</Message></Error>", "SlowDown", 1, 0, 0, 1, 0, BP_LATER},
        {400, "", "<Error><Code>ExpiredToken</Code></Error>", "ExpiredToken", 0, 1, 0, 0, 0, BP_DENIED},
        {403, "", "<Error><Code>RequestTimeTooSkewed</Code></Error>", "RequestTimeTooSkewed", 0, 0, 1, 0, 2, BP_DENIED},
        {404, "", "<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey", 0, 0, 0, 0, 0, BP_NOTFOUND},
        {412, "", "", "", 0, 0, 0, 0, 0, BP_CONFLICT},
        {403, "", "", "", 0, 0, 1, 0, 1, BP_DENIED},
        {404, "", "", "", 0, 0, 0, 0, 0, BP_NOTFOUND},
        {400, "", "{\"__type\":\"a#b#ThrottlingException:http://x#y\"}", "ThrottlingException", 1, 0, 0, 1, 0,
         BP_LATER},
        {400, "x-amzn-errortype: ExpiredTokenException:\n", "{}", "ExpiredTokenException", 0, 1, 0, 0, 0, BP_DENIED},
        {502, "", "<html><body>Bad <br> gateway</body></html>", "", 0, 0, 0, 1, 0, BP_LATER},
        {405, "", "<html>no</html>", "", 0, 0, 0, 0, 0, BP_INVALID},
    };
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++) {
        struct bp_err err;
        struct reply r = {.status = ones[i].status};
        char headers[256];
        const char *body = ones[i].body;
        snprintf(headers, sizeof headers, "%s", ones[i].headers);
        const struct http_response h = {.headers = headers};
        r.xml = body[0] == '<' ? xml_parse(body, strlen(body), &err) : NULL;
        r.json = body[0] == '{' ? json_tokener_parse(body) : NULL;
        client_error_read(&r, &h);
        assert_string_equal(r.error.code, ones[i].code);
        if (r.error.throttled != ones[i].throttled || r.error.expired != ones[i].expired ||
            r.error.denied != ones[i].denied || r.error.retryable != ones[i].retryable ||
            client_error_is_skew(&r) != ones[i].skew || client_error_rc(&r) != ones[i].rc)
            fail_msg("row %zu: throttled %d expired %d denied %d retryable %d skew %d rc %d", i, r.error.throttled,
                     r.error.expired, r.error.denied, r.error.retryable, client_error_is_skew(&r), client_error_rc(&r));
        reply_free(&r);
    }
}

/* ---- endpoints ---- */

static void write_profiles(struct json_object *suite)
{
    FILE *f = fopen("config", "w");
    assert_non_null(f);
    json_object_object_foreach(at(suite, "profiles"), name, members)
    {
        fprintf(f, strcmp(name, "default") == 0 ? "[%s]\n" : "[profile %s]\n", name);
        json_object_object_foreach(members, k, v) fprintf(f, "%s = %s\n", k, json_object_get_string(v));
    }
    json_object_object_foreach(at(suite, "services"), section, services)
    {
        fprintf(f, "\n# a comment\n[services %s]\n", section);
        json_object_object_foreach(services, service, settings)
        {
            fprintf(f, "%s =\n", service);
            json_object_object_foreach(settings, key, value)
                fprintf(f, "  %s = %s\n", key, json_object_get_string(value));
        }
    }
    fclose(f);
    setenv("AWS_CONFIG_FILE", "config", 1);
}

static void set_all(struct json_object *variables, int set)
{
    json_object_object_foreach(variables, name, value)
    {
        if (set)
            setenv(name, json_object_get_string(value), 1);
        else
            unsetenv(name);
    }
}

static void run_endpoint(struct json_object *suite, struct json_object *test)
{
    char text[512];
    struct bp_err err = {0};
    struct aws aws = {0};
    struct json_object *config = at(at(suite, "client_configs"), str(test, "client_config"));
    struct json_object *variables = at(at(suite, "environments"), str(test, "environment"));
    const char *given = str(config, "endpoint_url");
    snprintf(text, sizeof text, "{\"region\":\"fake-region-10\",\"profile\":\"%s\",\"endpoint\":\"%s\"}",
             str(test, "profile"), given ? given : "");
    assert_int_equal(settings_open(&aws.settings, text, &err), 0);
    set_all(variables, 1);
    if (at(config, "ignore_configured_endpoint_urls"))
        setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
    struct client *c = client_open(&aws, &err);
    if (strcmp(c->endpoint[AWS_S3], str(at(test, "output"), "endpointUrl")) != 0)
        fail_msg("%s: %s %s", str(test, "name"), c->endpoint[AWS_S3], c->why[AWS_S3]);
    client_close(c);
    settings_close(&aws.settings);
    set_all(variables, 0);
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
}

static void endpoints_of_profiles(void **state)
{
    (void)state;
    int n = 0, out = 0;
    struct json_object *all = data("endpoint-url-profile-tests.json");
    if (!all)
        skip();
    struct json_object *suites = at(all, "testSuites");
    for (size_t i = 0; i < json_object_array_length(suites); i++) {
        struct json_object *suite = json_object_array_get_idx(suites, i), *tests = at(suite, "endpointUrlTests");
        write_profiles(suite);
        for (size_t k = 0; k < json_object_array_length(tests); k++, n++) {
            struct json_object *test = json_object_array_get_idx(tests, k);
            int ours = strcmp(str(test, "service"), "s3") == 0;
            out += !ours;
            if (ours)
                run_endpoint(suite, test);
        }
    }
    print_message("endpoints: %d of %d cases; left out: services that we do not speak to\n", n - out, n);
    assert_true(n - out >= 15);
    unsetenv("AWS_CONFIG_FILE");
    json_object_put(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(answers),
        cmocka_unit_test(errors_of_every_protocol),
        cmocka_unit_test(errors_of_our_own),
        cmocka_unit_test(endpoints_of_profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
