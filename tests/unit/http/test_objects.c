/* SPDX-License-Identifier: Apache-2.0 */
/* test_objects.c - signed URLs that lead back to bpd: a provider of our own, whose signature is the word "good". */
#include "http/rig.h"
#include "log/err.h"

#include <bp/cloud.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int discarded, committed;
static struct actor *actor;
static int64_t put_limit;

static int32_t open_local(void *inst, const char *method, const char *path_query, char **path,
                          struct bp_object_info *info, int64_t *max_bytes, struct bp_err *err)
{
    const char *name = path_query + strlen("/objects/");
    size_t n = strcspn(name, "?");
    struct stat st;

    (void)inst;
    if (!strstr(path_query, "sig=good"))
        return err_set(err, BP_DENIED, "The signature does not match.");
    snprintf(info->key, sizeof(info->key), "%.*s", (int)n, name);
    snprintf(info->mime, sizeof(info->mime), "video/mp4");
    info->modified_ms = 86400000;
    if (asprintf(path, strcmp(method, "PUT") == 0 ? "tmp.%.*s" : "%.*s", (int)n, name) < 0)
        return err_set(err, BP_NOMEM, "no memory");
    *max_bytes = put_limit;
    if (strcmp(method, "PUT") != 0 && stat(*path, &st)) {
        free(*path);
        *path = NULL;
        return err_set(err, BP_NOTFOUND, "No such object.");
    }
    return 0;
}

static int32_t commit_local(void *inst, const char *key, const char *path, const char *mime, int32_t ok,
                            struct bp_err *err)
{
    (void)inst;
    (void)mime;
    if (!ok) {
        unlink(path);
        atomic_fetch_add(&discarded, 1);
        return 0;
    }
    atomic_fetch_add(&committed, 1);
    return rename(path, key) ? err_set(err, BP_IO, "rename: %m") : 0;
}

static const struct bp_objects table = {.size = sizeof(table), .open_local = open_local, .commit_local = commit_local};

static void provide(struct rig *r, void *unused)
{
    struct actor_spec spec = {.name = "objects", .threads = 1, .batch_max = 8, .capacity = 64};
    struct bp_err err = {0};

    (void)unused;
    actor = actor_new(r->app.bus, &spec, &err);
    bus_route(r->app.bus, "objects", actor, &table, NULL);
}

static atomic_int drained;

static void on_drained(struct actor *a, void *arg)
{
    (void)arg;
    actor_free(a);
    atomic_store(&drained, 1);
}

static void withdraw(struct rig *r, void *unused)
{
    (void)unused;
    bus_route(r->app.bus, "objects", NULL, NULL, NULL);
    actor_drain(actor, on_drained, NULL);
}

static struct rig *start(const char *set)
{
    struct rig *r = rig_start(set, NULL);

    atomic_store(&discarded, 0);
    atomic_store(&committed, 0);
    atomic_store(&drained, 0);
    put_limit = 0;
    rig_do(r, provide, NULL);
    return r;
}

static void stop(struct rig *r)
{
    rig_do(r, withdraw, NULL);
    rig_await(&drained, 1);
    rig_stop(r);
}

static void write_file(const char *name, size_t n)
{
    FILE *f = fopen(name, "w");

    for (size_t i = 0; i < n; i++)
        fputc((int)('a' + i % 26), f);
    fclose(f);
}

static char *read_file(const char *name, size_t *n)
{
    FILE *f = fopen(name, "r");
    char *bytes;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void an_object_is_sent_with_its_type(void **state)
{
    struct rig *r = start(NULL);
    struct reply *a;

    (void)state;
    write_file("o", 1000000);
    a = ask(r, "GET /objects/o?sig=good", "", NULL);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->n, 1000000);
    assert_int_equal(a->body[999999], 'a' + 999999 % 26);
    assert_string_equal(reply_header(a, "Content-Type"), "video/mp4");
    assert_string_equal(reply_header(a, "Last-Modified"), "Fri, 02 Jan 1970 00:00:00 GMT");
    assert_non_null(strstr(reply_header(a, "Content-Security-Policy"), "sandbox"));
    reply_free(a);
    a = ask(r, "HEAD /objects/o?sig=good", "", NULL);
    assert_int_equal(a->status, 200);
    assert_string_equal(reply_header(a, "Content-Length"), "1000000");
    reply_free(a);
    stop(r);
}

static void a_range_of_an_object_is_206(void **state)
{
    struct rig *r = start(NULL);
    struct reply *a;

    (void)state;
    write_file("o", 100);
    a = ask(r, "GET /objects/o?sig=good", "Range: bytes=26-27\r\n", NULL);
    assert_int_equal(a->status, 206);
    assert_string_equal(a->body, "ab");
    assert_string_equal(reply_header(a, "Content-Range"), "bytes 26-27/100");
    reply_free(a);
    a = ask(r, "GET /objects/o?sig=good", "Range: bytes=100-\r\n", NULL);
    assert_int_equal(a->status, 416);
    assert_string_equal(reply_header(a, "Content-Range"), "bytes */100");
    reply_free(a);
    stop(r);
}

static void an_empty_object_is_sent(void **state)
{
    struct rig *r = start(NULL);
    struct reply *a;

    (void)state;
    write_file("o", 0);
    a = ask(r, "GET /objects/o?sig=good", "", NULL);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->n, 0);
    reply_free(a);
    stop(r);
}

static void a_wrong_signature_is_403_and_an_absent_object_404(void **state)
{
    struct rig *r = start(NULL);
    struct reply *a = ask(r, "GET /objects/none?sig=bad", "", NULL);

    (void)state;
    assert_int_equal(a->status, 403);
    assert_string_equal(a->body, "{\"success\":false,\"message\":\"The signature does not match.\"}");
    reply_free(a);
    a = ask(r, "GET /objects/none?sig=good", "", NULL);
    assert_int_equal(a->status, 404);
    reply_free(a);
    a = ask(r, "DELETE /objects/none?sig=good", "", NULL);
    assert_int_equal(a->status, 405);
    assert_string_equal(reply_header(a, "Allow"), "GET, HEAD, PUT, OPTIONS");
    reply_free(a);
    stop(r);
}

static void without_a_provider_objects_are_404(void **state)
{
    struct rig *r = rig_start(NULL);
    struct reply *a = ask(r, "GET /objects/o?sig=good", "", NULL);

    (void)state;
    assert_int_equal(a->status, 404);
    reply_free(a);
    a = ask(r, "PUT /objects/o?sig=good", "", "x");
    assert_int_equal(a->status, 404);
    reply_free(a);
    rig_stop(r);
}

static void an_upload_is_stored_whole(void **state)
{
    struct rig *r = start(NULL);
    struct client *c = client_open(r);
    size_t n = 3000000, got_n;
    char *body = malloc(n), head[256], *got;
    struct reply *a;

    (void)state;
    for (size_t i = 0; i < n; i++)
        body[i] = (char)(i * 2654435761u >> 24);
    snprintf(head, sizeof(head), "PUT /objects/up?sig=good HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    client_puts(c, head);
    client_send(c, body, n);
    a = client_read(c, 0);
    assert_int_equal(a->status, 200);
    assert_string_equal(a->body,
                        "{\"success\":true,\"data\":{\"key\":\"up\",\"size\":3000000},\"message\":\"Stored\"}");
    reply_free(a);
    got = read_file("up", &got_n);
    assert_int_equal(got_n, n);
    assert_memory_equal(got, body, n);
    client_puts(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); /* evhttp has the connection back */
    a = client_read(c, 0);
    assert_int_equal(a->status, 200);
    reply_free(a);
    client_puts(c, "PUT /objects/up2?sig=good HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /up "
                   "HTTP/1.1\r\nHost: a\r\n\r\n");
    reply_free(client_read(c, 0));
    a = client_read(c, 0); /* pipelined behind an upload */
    assert_string_equal(a->body, "ok\n");
    reply_free(a);
    free(got);
    free(body);
    client_close(c);
    stop(r);
}

static void a_client_may_ask_before_it_sends(void **state)
{
    struct rig *r = start(NULL);
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "PUT /objects/up?sig=good HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    a = client_read(c, 0);
    assert_int_equal(a->status, 100);
    reply_free(a);
    client_puts(c, "hello");
    a = client_read(c, 0);
    assert_int_equal(a->status, 200);
    reply_free(a);
    client_close(c);
    stop(r);
}

/* Refused with the head alone: no byte of the body was needed. */
static void expect_refused(struct rig *r, const char *head, int status)
{
    struct client *c = client_open(r);
    struct reply *a;

    client_puts(c, head);
    a = client_read(c, 0);
    assert_int_equal(a->status, status);
    assert_non_null(strstr(a->body, "\"success\":false"));
    reply_free(a);
    client_close(c);
}

static void an_upload_is_refused_before_its_body(void **state)
{
    struct rig *r = start("http.maxUploadBytes=5000");

    (void)state;
    put_limit = 1000;
    expect_refused(r, "PUT /objects/up?sig=bad HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 403);
    expect_refused(r, "PUT /objects/up?sig=good HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\n\r\n", 413);
    expect_refused(r, "PUT /objects/up?sig=good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411);
    expect_refused(r, "PUT /objects/up?sig=good HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413);
    rig_await(&discarded, 1); /* the last one was opened */
    assert_int_equal(atomic_load(&committed), 0);
    stop(r);
}

static void an_upload_broken_off_leaves_nothing(void **state)
{
    struct rig *r = start(NULL);
    struct client *c = client_open(r);

    (void)state;
    client_puts(c, "PUT /objects/up3?sig=good HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    reply_free(ask(r, "GET /objects/up3?sig=good", "", NULL)); /* behind the open in the provider's mailbox */
    client_close(c);
    rig_await(&discarded, 1);
    assert_int_equal(access("up3", F_OK), -1);
    assert_int_equal(access("tmp.up3", F_OK), -1);
    stop(r);
}

static void a_silent_upload_is_closed(void **state)
{
    struct rig *r = start("http.timeoutSeconds=1");
    struct client *c = client_open(r);
    struct reply *a;

    (void)state;
    client_puts(c, "PUT /objects/up4?sig=good HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    a = client_read(c, 0);
    assert_true(a->closed);
    reply_free(a);
    rig_await(&discarded, 1);
    client_close(c);
    stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_sent_with_its_type),
        cmocka_unit_test(a_range_of_an_object_is_206),
        cmocka_unit_test(an_empty_object_is_sent),
        cmocka_unit_test(a_wrong_signature_is_403_and_an_absent_object_404),
        cmocka_unit_test(without_a_provider_objects_are_404),
        cmocka_unit_test(an_upload_is_stored_whole),
        cmocka_unit_test(a_client_may_ask_before_it_sends),
        cmocka_unit_test(an_upload_is_refused_before_its_body),
        cmocka_unit_test(an_upload_broken_off_leaves_nothing),
        cmocka_unit_test(a_silent_upload_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
