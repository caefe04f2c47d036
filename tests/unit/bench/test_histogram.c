/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "dispatch/histogram.h"

static struct histogram h;

static void percentiles_are_at_most_two_percent_off_over_seven_decades(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < 10000000; us = us * 3 + 1) {
        histogram_clear(&h);
        for (int i = 0; i < 100; i++)
            histogram_add(&h, us);
        histogram_add(&h, us * 100); /* the largest is not what bounds the value */
        uint64_t p50 = histogram_percentile(&h, 0.5);
        assert_in_range(p50, us - us / 50, us + us / 50);
        assert_int_equal(h.max_us, us * 100);
    }
}

static void percentiles_follow_the_order_of_values(void **state)
{
    (void)state;
    histogram_clear(&h);
    assert_int_equal(histogram_percentile(&h, 0.5), 0);
    for (uint64_t us = 1; us <= 1000; us++)
        histogram_add(&h, us);
    assert_in_range(histogram_percentile(&h, 0.5), 490, 510);
    assert_in_range(histogram_percentile(&h, 0.99), 972, 1000);
    assert_int_equal(histogram_percentile(&h, 1), 1000);
    assert_int_equal(h.sum_us, 500500);
}

static void a_duration_beyond_all_buckets_is_counted_in_the_last(void **state)
{
    (void)state;
    histogram_clear(&h);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(h.count, 1);
    assert_true(histogram_percentile(&h, 1) > UINT64_C(1) << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_at_most_two_percent_off_over_seven_decades),
        cmocka_unit_test(percentiles_follow_the_order_of_values),
        cmocka_unit_test(a_duration_beyond_all_buckets_is_counted_in_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
