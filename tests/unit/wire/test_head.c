/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct head *h)
{
    const char *why = NULL;

    return head_parse(text, strlen(text), h, &why);
}

static void a_good_head_is_understood(void **state)
{
    struct head h;

    (void)state;
    assert_int_equal(parse("PUT /objects/a%20b?sig=1 HTTP/1.1\r\nHost: x:1\r\nContent-Length: 12\r\n"
                           "Content-Type:  text/plain \r\nExpect: 100-Continue\r\nConnection: x, Close\r\n\r\n",
                           &h),
                     0);
    assert_int_equal(h.method, METHOD_PUT);
    assert_int_equal(h.target_len, 20);
    assert_int_equal(h.path_len, 14);
    assert_int_equal(h.content_length, 12);
    assert_int_equal(h.content_type_len, 10);
    assert_true(h.expects_continue && h.closes && !h.chunked);
}

static void http_1_0_closes_unless_asked_to_stay(void **state)
{
    struct head h;

    (void)state;
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &h), 0);
    assert_true(h.closes);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &h), 0);
    assert_false(h.closes);
}

static void each_malformed_head_has_its_status(void **state)
{
    static const struct {
        const char *text;
        int status;
    } bad[] = {
        {"\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400}, /* no Host */
        {"GET / HTTP/1.1\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"GET / HTTQ/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        {"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 501},
        {"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET //x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /% HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /a%2 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /a\"b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: a\rb\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 400},
        {"DELETE / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n", 417},
    };
    struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i].text, &h) != bad[i].status)
            fail_msg("%d for %s", parse(bad[i].text, &h), bad[i].text);
}

/* It is answered in JSON and asked of databases, which refuse a statement with a text that is none. */
static void what_a_query_says_is_text(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(query_get("a=x%ffy%C3%A9%C3", "a", out, sizeof(out)), 6);
    assert_string_equal(out, "x?y\xc3\xa9?");
}

static void the_end_of_a_head_is_found_byte_by_byte(void **state)
{
    const char *text = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
    size_t from = 0, n = strlen(text) - 4;

    (void)state;
    for (size_t i = 1; i < n; i++)
        assert_int_equal(head_end(text, i, &from), 0);
    assert_int_equal(head_end(text, n, &from), n);
    from = 0;
    assert_int_equal(head_end("a\n\nb", 4, &from), 3);
}

static void a_bearer_token_is_read_as_the_field_sends_it(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(bearer_token("Bearer abc", out, sizeof(out)), 3);
    assert_int_equal(bearer_token("bearer x, Bearer  abc ,y", out, sizeof(out)), 3);
    assert_string_equal(out, "abc");
    assert_int_equal(bearer_token("Basic abc", out, sizeof(out)), 0);
    assert_int_equal(bearer_token("Bearer ", out, sizeof(out)), 0);
    assert_int_equal(bearer_token("Bearer 0123456789012345", out, sizeof(out)), 0);
}

static void a_query_is_decoded(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(query_get("a=1&b=x%20+y&c", "b", out, sizeof(out)), 4);
    assert_string_equal(out, "x  y");
    assert_int_equal(query_get("a=1&c", "c", out, sizeof(out)), 0);
    assert_int_equal(query_get("a=1", "b", out, sizeof(out)), -1);
    assert_int_equal(query_get("a=%zz", "a", out, sizeof(out)), -1);
    assert_int_equal(query_get("a=%00", "a", out, sizeof(out)), -1);
    assert_int_equal(query_get("a=12345678", "a", out, sizeof(out)), -1);
}

static void a_range_is_clipped_to_the_entity(void **state)
{
    static const struct {
        const char *value;
        int64_t size;
        int rc;
        int64_t first, last;
    } rows[] = {
        {"bytes=0-9", 100, 1, 0, 9},
        {"bytes=90-", 100, 1, 90, 99},
        {"bytes=-10", 100, 1, 90, 99},
        {"bytes=-200", 100, 1, 0, 99},
        {"bytes=5-500", 100, 1, 5, 99},
        {"bytes=100-", 100, -1, 0, 0},
        {"bytes=-0", 100, -1, 0, 0},
        {"bytes=0-", 0, -1, 0, 0},
        {"bytes=9-3", 100, 0, 0, 0},
        {"bytes=a-b", 100, 0, 0, 0},
        {"bytes=1-2,4-5", 100, 0, 0, 0},
        {"lines=1-2", 100, 0, 0, 0},
        {"bytes=99999999999999999999-", 100, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t first = 0, last = 0;
        int rc = range_parse(rows[i].value, rows[i].size, &first, &last);
        if (rc != rows[i].rc || first != rows[i].first || last != rows[i].last)
            fail_msg("%s: %d %lld-%lld", rows[i].value, rc, (long long)first, (long long)last);
    }
    assert_int_equal(range_parse(NULL, 5, NULL, NULL), 0);
}

static void only_names_of_this_machine_are_local(void **state)
{
    (void)state;
    assert_true(host_is_local("localhost", NULL));
    assert_true(host_is_local("LOCALHOST:8080", NULL));
    assert_true(host_is_local("127.0.0.1:1", NULL));
    assert_true(host_is_local("[::1]:8080", NULL));
    assert_true(host_is_local("bpd.example:8443", "bpd.example:8443"));
    assert_false(host_is_local("evil.example", "bpd.example"));
    assert_false(host_is_local("localhost.evil.example", NULL));
    assert_false(host_is_local("127.0.0.1.evil.example:80", NULL));
    assert_false(host_is_local("localhost:80x", NULL));
    assert_false(host_is_local("", ""));
    assert_false(host_is_local(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_head_is_understood),
        cmocka_unit_test(http_1_0_closes_unless_asked_to_stay),
        cmocka_unit_test(each_malformed_head_has_its_status),
        cmocka_unit_test(what_a_query_says_is_text),
        cmocka_unit_test(the_end_of_a_head_is_found_byte_by_byte),
        cmocka_unit_test(a_bearer_token_is_read_as_the_field_sends_it),
        cmocka_unit_test(a_query_is_decoded),
        cmocka_unit_test(a_range_is_clipped_to_the_entity),
        cmocka_unit_test(only_names_of_this_machine_are_local),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
