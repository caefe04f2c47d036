/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket and the rests, without a clock. */
#include "cm.h"
#include "retry.h"

static void the_bucket_pays_and_is_given_back(void **state)
{
    (void)state;
    struct retry r;
    int paid = 0;
    retry_init(&r);
    while (retry_pay(&r, AWS_EC2, 0))
        paid++;
    assert_int_equal(paid, RETRY_TOKENS / RETRY_COST);
    assert_int_equal(retry_pay(&r, AWS_SSM, 1), RETRY_COST_LOST); /* each service has its own */
    assert_int_equal(retry_pay(&r, AWS_EC2, 0), 0);
    for (int i = 0; i < RETRY_COST; i++)
        retry_earn(&r, AWS_EC2, 0);
    assert_int_equal(retry_pay(&r, AWS_EC2, 1), 0); /* too dear */
    assert_int_equal(retry_pay(&r, AWS_EC2, 0), RETRY_COST);
    retry_earn(&r, AWS_EC2, RETRY_COST);
    assert_int_equal(r.tokens[AWS_EC2], RETRY_COST);
    for (int i = 0; i < 2 * RETRY_TOKENS; i++)
        retry_earn(&r, AWS_EC2, 0);
    assert_int_equal(r.tokens[AWS_EC2], RETRY_TOKENS);
    retry_end(&r);
}

static void rests_double_up_to_twenty_seconds(void **state)
{
    (void)state;
    static const int64_t most[] = {1000, 2000, 4000, 8000, 16000, 20000, 20000};
    for (int i = 0; i < 7; i++) {
        assert_int_equal(retry_rest_ms(1000, i, 1, 0), most[i]);
        assert_int_equal(retry_rest_ms(1000, i, 0.5, 0), most[i] / 2);
        assert_int_equal(retry_rest_ms(1000, i, 0, 0), 0);
    }
    assert_int_equal(retry_rest_ms(10000, 1000000, 1, 0), RETRY_REST_MAX_MS);
}

static void the_servers_wish_counts_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(retry_rest_ms(1000, 0, 0.5, 100), 500); /* we rest longer anyway */
    assert_int_equal(retry_rest_ms(1000, 0, 0.5, 1500), 1500);
    assert_int_equal(retry_rest_ms(1000, 0, 0.5, 60000), 5500);
    assert_int_equal(retry_hint_ms("1500", "7", 0), 1500);
    assert_int_equal(retry_hint_ms(NULL, "7", 0), 7000);
    assert_int_equal(retry_hint_ms("soon", "7", 0), 7000);
    assert_int_equal(retry_hint_ms(NULL, "Thu, 01 Jan 2026 00:00:10 GMT", 1767225600000LL), 10000);
    assert_int_equal(retry_hint_ms(NULL, "Thu, 01 Jan 2026 00:00:10 GMT", 1767225700000LL), 0);
    static const char *const nonsense[] = {"", "-1", "1e9", "99999999999999999999999", " 5", "0x10"};
    for (int i = 0; i < 6; i++) {
        int64_t ms = retry_hint_ms(nonsense[i], NULL, 0);
        assert_true(ms >= 0 && ms <= 3600000);
    }
    assert_int_equal(retry_hint_ms(NULL, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bucket_pays_and_is_given_back),
        cmocka_unit_test(rests_double_up_to_twenty_seconds),
        cmocka_unit_test(the_servers_wish_counts_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
