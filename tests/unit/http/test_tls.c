/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls.c - the door behind TLS, with certificates made here. */
#include "http/rig.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

static void write_certificate(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    FILE *f;

    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    f = fopen("cert.pem", "w");
    PEM_write_X509(f, cert);
    fclose(f);
    f = fopen("key.pem", "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void expect_name(struct client *c, const char *name)
{
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    char cn[64] = "";

    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof(cn));
    assert_string_equal(cn, name);
    X509_free(cert);
}

static void expect(struct client *c, const char *text, int status)
{
    struct reply *a;

    client_puts(c, text);
    a = client_read(c, 0);
    assert_int_equal(a->status, status);
    reply_free(a);
}

static struct rig *start(void)
{
    return rig_start("http.certificate=cert.pem", "http.key=key.pem", NULL);
}

static void requests_are_served_over_tls(void **state)
{
    struct rig *r;
    struct client *c;
    char *body = malloc(200001), head[256];

    (void)state;
    write_certificate("one");
    r = start();
    assert_memory_equal(r->app.url, "https://", 8);
    c = client_open_tls(r);
    expect_name(c, "one");
    expect(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    memset(body, ' ', 200000);
    body[200000] = '\0';
    body[0] = '{';
    body[1] = '}';
    snprintf(head, sizeof(head), "POST /api/jobs HTTP/1.1\r\nHost: a\r\n" TENANT "Content-Length: 200000\r\n\r\n");
    client_puts(c, head);
    client_send(c, body, 199999);
    expect(c, " ", 201);
    expect(c, "GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    expect(c, "NONSENSE\r\n\r\n", 400);
    client_close(c);
    free(body);
    rig_stop(r);
}

static void a_waiting_poll_over_tls_notices_the_end(void **state)
{
    struct rig *r;
    struct client *c;

    (void)state;
    write_certificate("one");
    r = start();
    c = client_open_tls(r);
    client_puts(c, "POST /api/worker/poll HTTP/1.1\r\nHost: a\r\n" WORKER
                   "Content-Length: 19\r\n\r\n{\"wait_seconds\":60}");
    rig_await(&r->held, 1);
    client_close(c);
    rig_await(&r->abandoned, 1);
    rig_stop(r);
}

static void plain_http_to_a_tls_door_is_closed(void **state)
{
    struct rig *r;
    struct client *c;
    struct reply *a;

    (void)state;
    write_certificate("one");
    r = start();
    c = client_open(r);
    client_puts(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    a = client_read(c, 0);
    assert_int_not_equal(a->status, 200);
    reply_free(a);
    client_close(c);
    rig_stop(r);
}

struct reload {
    int rc;
    struct bp_err err;
};

static void reload(struct rig *r, void *arg)
{
    struct reload *x = arg;

    x->rc = http_reconfigure(r->http, r->app.config, &x->err);
}

static void a_reload_brings_the_new_certificate(void **state)
{
    struct reload x = {0};
    struct client *old, *new;
    struct rig *r;

    (void)state;
    write_certificate("one");
    r = start();
    old = client_open_tls(r);
    write_certificate("two");
    rig_do(r, reload, &x);
    assert_int_equal(x.rc, 0);
    new = client_open_tls(r);
    expect_name(new, "two");
    expect(new, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    expect(old, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200); /* goes on with the one it met */
    client_close(old);
    client_close(new);
    rig_stop(r);
}

static void a_broken_certificate_keeps_the_old_one(void **state)
{
    struct reload x = {0};
    struct client *c;
    struct rig *r;
    FILE *f;

    (void)state;
    write_certificate("one");
    r = start();
    f = fopen("cert.pem", "w");
    fputs("no certificate\n", f);
    fclose(f);
    rig_do(r, reload, &x);
    assert_int_equal(x.rc, BP_INVALID);
    assert_non_null(strstr(x.err.text, "http.certificate cert.pem"));
    c = client_open_tls(r);
    expect_name(c, "one");
    client_close(c);
    rig_stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served_over_tls),
        cmocka_unit_test(a_waiting_poll_over_tls_notices_the_end),
        cmocka_unit_test(plain_http_to_a_tls_door_is_closed),
        cmocka_unit_test(a_reload_brings_the_new_certificate),
        cmocka_unit_test(a_broken_certificate_keeps_the_old_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
