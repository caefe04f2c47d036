/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a webhook that need no server: keys, signatures, rests. */
#include "cm.h"
#include "dispatch/webhook_rest.h"
#include "dispatch/webhook_sign.h"

#include <stdio.h>
#include <string.h>

/* Both values were computed with Python's hmac and base64 modules. */
static void a_key_follows_from_secret_tenant_and_version(void **state)
{
    struct webhook_key key;
    char text[WEBHOOK_KEY_TEXT_SIZE];
    (void)state;
    webhook_key_derive("secret of this test", "acme", 1, &key);
    webhook_key_text(&key, text);
    assert_string_equal(text, "whsec_MWHSK2uOaUQmjDZBmB3SvAVJswZTVTlFWWGLtxVBpSU=");
    webhook_key_derive("secret of this test", "acme", 2, &key);
    webhook_key_text(&key, text);
    assert_string_equal(text, "whsec_57AAwTXzXsDKB8+vQcdJWQXSKtZBXn1R/zUqjp2GlVE=");
}

static void a_signature_is_that_of_standard_webhooks(void **state)
{
    struct webhook_key key;
    char out[WEBHOOK_SIGNATURE_SIZE] = "";
    const struct webhook_message m = {"job_41_1700000000123", "{\"type\":\"job.completed\"}", 1700000001};
    (void)state;
    webhook_key_derive("secret of this test", "acme", 1, &key);
    webhook_sign(&m, &key, out);
    assert_string_equal(out, "v1,BKfvz3xzPrTsu8QdtfkBzUfqCOrPMQf3jAcCG9meZro=");
    webhook_key_derive("secret of this test", "acme", 2, &key);
    webhook_sign(&m, &key, out);
    assert_string_equal(
        out, "v1,BKfvz3xzPrTsu8QdtfkBzUfqCOrPMQf3jAcCG9meZro= v1,RoRQWhTaJyrhgQiTeEk9Ys29yhJQf2V9p6RVSHNogC8=");
}

static void another_tenant_and_another_secret_have_other_keys(void **state)
{
    struct webhook_key a, b, c;
    (void)state;
    webhook_key_derive("one", "acme", 1, &a);
    webhook_key_derive("one", "acme1", 1, &b); /* no part may run into the next */
    webhook_key_derive("two", "acme", 1, &c);
    assert_memory_not_equal(a.bytes, b.bytes, sizeof a.bytes);
    assert_memory_not_equal(a.bytes, c.bytes, sizeof a.bytes);
}

static void a_server_that_fails_rests_longer_each_time_and_at_most_a_minute(void **state)
{
    struct webhook_rests r = {0};
    int64_t now = 1000, last = 0;
    (void)state;
    assert_int_equal(webhook_rest_left(&r, "https://a", now), 0);
    for (int i = 0; i < 10; i++) {
        webhook_rest_failed(&r, "https://a", now);
        int64_t left = webhook_rest_left(&r, "https://a", now);
        assert_true(left > last || left == 60000);
        last = left;
        now += left;
        assert_int_equal(webhook_rest_left(&r, "https://a", now), 0);
    }
    assert_int_equal(last, 60000);
    assert_int_equal(webhook_rest_left(&r, "https://b", now), 0);
}

static void a_server_that_answers_rests_no_more(void **state)
{
    struct webhook_rests r = {0};
    (void)state;
    webhook_rest_failed(&r, "https://a", 0);
    webhook_rest_failed(&r, "https://a", 0);
    webhook_rest_over(&r, "https://a");
    assert_int_equal(webhook_rest_left(&r, "https://a", 0), 0);
    webhook_rest_failed(&r, "https://a", 0);
    assert_int_equal(webhook_rest_left(&r, "https://a", 0), 1000);
}

static void more_failing_servers_than_places_push_out_the_one_whose_rest_ends_first(void **state)
{
    struct webhook_rests r = {0};
    char url[32];
    (void)state;
    for (int i = 0; i < WEBHOOK_RESTS + 1; i++) {
        snprintf(url, sizeof url, "https://%d", i);
        webhook_rest_failed(&r, url, i);
    }
    assert_int_equal(webhook_rest_left(&r, "https://0", 1), 0);
    assert_true(webhook_rest_left(&r, "https://1", 1) > 0);
    assert_true(webhook_rest_left(&r, url, WEBHOOK_RESTS) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_follows_from_secret_tenant_and_version),
        cmocka_unit_test(a_signature_is_that_of_standard_webhooks),
        cmocka_unit_test(another_tenant_and_another_secret_have_other_keys),
        cmocka_unit_test(a_server_that_fails_rests_longer_each_time_and_at_most_a_minute),
        cmocka_unit_test(a_server_that_answers_rests_no_more),
        cmocka_unit_test(more_failing_servers_than_places_push_out_the_one_whose_rest_ends_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
