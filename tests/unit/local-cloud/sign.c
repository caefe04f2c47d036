/* SPDX-License-Identifier: Apache-2.0 */
#include "sign.h"
#include "main.h"
#include "url.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_S 1700000000
#define BASE  "http://host:8080"

static struct sign_key key = {{1, 2, 3}};

static struct grant upload(void)
{
    struct grant g = {.method = "PUT",
                      .key = "jobs/7/out file \xc3\xa4.mp4",
                      .mime = "video/mp4",
                      .max_bytes = 1000,
                      .expires_s = NOW_S + 60};
    return g;
}

/* The path and query of a URL signed for g. */
static char *signed_path(const struct grant *g)
{
    static char url[SIGN_URL_SIZE];
    struct bp_err err;
    assert_int_equal(sign_url(&key, BASE "/", g, url, &err), 0);
    assert_memory_equal(url, BASE "/objects/", strlen(BASE "/objects/"));
    return url + strlen(BASE);
}

static int check(const char *path)
{
    struct grant g;
    struct bp_err err = {0};
    int rc = sign_check(&key, path, NOW_S * 1000LL, &g, &err);
    assert_int_equal(rc, err.rc);
    return rc;
}

static void a_signed_url_gives_back_what_was_granted(void **state)
{
    struct grant g = upload(), got;
    struct bp_err err;
    (void)state;
    assert_int_equal(sign_check(&key, signed_path(&g), NOW_S * 1000LL, &got, &err), 0);
    assert_string_equal(got.method, "PUT");
    assert_string_equal(got.key, g.key);
    assert_string_equal(got.mime, "video/mp4");
    assert_int_equal(got.max_bytes, 1000);
    assert_int_equal(got.expires_s, g.expires_s);
}

/* Whatever byte is changed, the URL is refused, or means the same ("%2F" in other letters does not occur). */
static void a_url_with_any_byte_changed_is_refused(void **state)
{
    struct grant g = upload();
    char path[SIGN_URL_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", signed_path(&g));
    for (size_t i = 0; path[i]; i++) {
        char was = path[i];
        path[i] = was == 'x' ? 'y' : 'x';
        if (check(path) != BP_DENIED)
            fail_msg("byte %zu changed from %c is accepted: %s", i, was, path);
        path[i] = was;
    }
    assert_int_equal(check(path), 0);
}

static void a_cut_url_is_refused(void **state)
{
    struct grant g = upload();
    char path[SIGN_URL_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", signed_path(&g));
    for (size_t n = strlen(path); n-- > 0;) {
        path[n] = 0;
        assert_int_equal(check(path), BP_DENIED);
    }
}

static void a_url_expires_at_its_second(void **state)
{
    struct grant g = upload(), got;
    struct bp_err err;
    char *path;
    (void)state;
    path = signed_path(&g);
    assert_int_equal(sign_check(&key, path, (NOW_S + 60) * 1000LL - 1, &got, &err), 0);
    assert_int_equal(sign_check(&key, path, (NOW_S + 60) * 1000LL, &got, &err), BP_DENIED);
    assert_non_null(strstr(err.text, "expired"));
}

static void limits_cannot_be_left_out_added_or_doubled(void **state)
{
    struct grant g = upload(), plain = {.method = "PUT", .key = "k", .expires_s = NOW_S + 60};
    char path[SIGN_URL_SIZE];
    char *at;
    (void)state;
    snprintf(path, sizeof path, "%s", signed_path(&g));
    at = strstr(path, "&max=1000");
    memmove(at, at + 9, strlen(at + 9) + 1);
    assert_int_equal(check(path), BP_DENIED);
    snprintf(path, sizeof path, "%s&max=9999", signed_path(&g));
    assert_int_equal(check(path), BP_DENIED);
    snprintf(path, sizeof path, "%s&max=9999", signed_path(&plain));
    assert_int_equal(check(path), BP_DENIED);
    snprintf(path, sizeof path, "%s&mime=text/html", signed_path(&plain));
    assert_int_equal(check(path), BP_DENIED);
    snprintf(path, sizeof path, "%s&method=GET", signed_path(&plain));
    assert_int_equal(check(path), BP_DENIED);
}

static void another_key_signs_differently(void **state)
{
    struct sign_key other = {{9}};
    struct grant g = upload(), got;
    struct bp_err err;
    (void)state;
    assert_int_equal(sign_check(&other, signed_path(&g), NOW_S * 1000LL, &got, &err), BP_DENIED);
}

static void what_is_no_signed_url_is_refused(void **state)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "/objects/",
                                        "/objects/?",
                                        "/objects/a",
                                        "/objects/a?",
                                        "?",
                                        "/object?x",
                                        "/objects/../a?method=GET&expires=9999999999&sig=00",
                                        "/objects/a?method=GET&expires=-1&sig=00",
                                        "/objects/a?method=GET&expires=99999999999999999999&sig=00"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(check(paths[i]), BP_DENIED);
}

static void keys_that_could_lead_elsewhere_are_not_valid(void **state)
{
    static const char *const bad[] = {"",
                                      "/",
                                      "/a",
                                      "a/",
                                      "a//b",
                                      "..",
                                      "a/../b",
                                      ".",
                                      "a/.",
                                      "a\nb",
                                      "a\x7f",
                                      "\xff",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80",
                                      "a/\xe2",
                                      "../..",
                                      "a/./b/",
                                      "\xf5\x80\x80\x80",
                                      "\xe0\x80\xaf"};
    static const char *const good[] = {"a",     "a/b", "...", "a/..b", "a b", "\xc3\xa4/\xe2\x82\xac/\xf0\x9f\x98\x80",
                                       "%2e%2e"};
    char longest[1026];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (object_key_valid(bad[i]))
            fail_msg("key %zu is taken: %s", i, bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!object_key_valid(good[i]))
            fail_msg("key %zu is refused: %s", i, good[i]);
    memset(longest, 'a', 1025);
    longest[1025] = 0;
    assert_false(object_key_valid(longest));
    longest[1024] = 0;
    assert_true(object_key_valid(longest));
    assert_false(object_key_valid(NULL));
}

static void the_longest_key_can_be_signed(void **state)
{
    struct grant g = {.method = "GET", .expires_s = NOW_S + 60}, got;
    struct bp_err err;
    (void)state;
    for (size_t i = 0; i < 1024; i += 2)
        memcpy(g.key + i, "\xc3\xa4", 2);
    assert_int_equal(sign_check(&key, signed_path(&g), NOW_S * 1000LL, &got, &err), 0);
    assert_string_equal(got.key, g.key);
}

static void the_key_file_is_made_once_and_private(void **state)
{
    struct fake *f = *state;
    struct sign_key a, b;
    struct bp_err err;
    char path[1024];
    snprintf(path, sizeof path, "%s/key", f->dir);
    assert_int_equal(sign_key_open(path, &a, &err), 0);
    assert_int_equal(fake_mode(f, "key"), 0600);
    assert_int_equal(sign_key_open(path, &b, &err), 0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(fake_count(f, "."), 1);
}

static void a_key_file_that_others_may_read_is_refused(void **state)
{
    struct fake *f = *state;
    struct sign_key a;
    struct bp_err err;
    char path[1024];
    snprintf(path, sizeof path, "%s/key", f->dir);
    assert_int_equal(sign_key_open(path, &a, &err), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(sign_key_open(path, &a, &err), BP_DENIED);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(sign_key_open(path, &a, &err), BP_INVALID);
}

static void encoding_and_decoding_are_inverse(void **state)
{
    char text[256], encoded[800], back[256];
    (void)state;
    for (int i = 1; i < 256; i++)
        text[i - 1] = (char)i;
    text[255] = 0;
    int n = url_encode(text, 0, encoded, sizeof encoded);
    assert_int_equal(n, (int)strlen(encoded));
    assert_null(strpbrk(encoded, "/?&=# "));
    assert_int_equal(url_decode(encoded, (size_t)n, back, sizeof back), 255);
    assert_string_equal(back, text);
}

static void bad_escapes_and_short_buffers_are_errors(void **state)
{
    char out[4];
    (void)state;
    assert_int_equal(url_decode("%", 1, out, sizeof out), -1);
    assert_int_equal(url_decode("%4", 2, out, sizeof out), -1);
    assert_int_equal(url_decode("%4g", 3, out, sizeof out), -1);
    assert_int_equal(url_decode("%00", 3, out, sizeof out), -1);
    assert_int_equal(url_decode("abcd", 4, out, sizeof out), -1);
    assert_int_equal(url_decode("%41b", 4, out, sizeof out), 2);
    assert_int_equal(url_encode("abcd", 0, out, sizeof out), -1);
    assert_int_equal(url_encode("ab/", 0, out, sizeof out), -1);
    assert_int_equal(url_query("a=1&b=2&ab=3", "b", out, sizeof out), 1);
    assert_string_equal(out, "2");
    assert_int_equal(url_query("a=1&a=2", "a", out, sizeof out), -1);
    assert_int_equal(url_query("xa=1", "a", out, sizeof out), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signed_url_gives_back_what_was_granted),
        TEST(a_url_with_any_byte_changed_is_refused),
        TEST(a_cut_url_is_refused),
        TEST(a_url_expires_at_its_second),
        TEST(limits_cannot_be_left_out_added_or_doubled),
        TEST(another_key_signs_differently),
        TEST(what_is_no_signed_url_is_refused),
        TEST(keys_that_could_lead_elsewhere_are_not_valid),
        TEST(the_longest_key_can_be_signed),
        TEST(the_key_file_is_made_once_and_private),
        TEST(a_key_file_that_others_may_read_is_refused),
        TEST(encoding_and_decoding_are_inverse),
        TEST(bad_escapes_and_short_buffers_are_errors),
    };
    return RUN(tests);
}
