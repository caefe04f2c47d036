/* SPDX-License-Identifier: Apache-2.0 */
/* Samples that wait: in order, numbered, bounded, against a plain list. */
#include "cm.h"
#include "metric_buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bp_metric sample(int workflow, double value)
{
    struct bp_metric s = {.stage = "prod", .unit = "Count", .at_ms = 1000 + (int64_t)value, .value = value};
    snprintf(s.name, sizeof s.name, "Metric%d", workflow % 3);
    snprintf(s.workflow, sizeof s.workflow, "workflow-%d", workflow);
    return s;
}

static int add(struct metric_buffer *b, int workflow, double value)
{
    struct bp_metric s = sample(workflow, value);
    int pushed_out;
    assert_int_equal(metric_buffer_add(b, &s, &pushed_out), 0);
    return pushed_out;
}

static void samples_come_back_whole_and_in_order(void **state)
{
    (void)state;
    struct metric_buffer *b = metric_buffer_new(5000);
    struct bp_metric got, want;
    for (int i = 0; i < 3000; i++) /* the ring and the series grow several times */
        assert_int_equal(add(b, i % 700, i), 0);
    for (int i = 0; i < 3000; i++) {
        want = sample(i % 700, i);
        memset(&got, 0, sizeof got);
        assert_int_equal(metric_buffer_read(b, metric_buffer_first(b) + (uint64_t)i, &got), 1);
        assert_memory_equal(&got, &want, sizeof got);
    }
    assert_int_equal(metric_buffer_read(b, metric_buffer_first(b) + 3000, &got), 0);
    metric_buffer_free(b);
}

static void the_oldest_give_way_and_numbers_stay(void **state)
{
    (void)state;
    struct metric_buffer *b = metric_buffer_new(1000);
    struct bp_metric got;
    int pushed_out = 0;
    for (int i = 0; i < 2500; i++)
        pushed_out += add(b, 1, i);
    assert_int_equal(pushed_out, 1500);
    assert_int_equal(metric_buffer_count(b), 1000);
    assert_int_equal(metric_buffer_first(b), 1500);
    assert_int_equal(metric_buffer_read(b, 1499, &got), 0);
    assert_int_equal(metric_buffer_read(b, 1500, &got), 1);
    assert_true(got.value == 1500);
    metric_buffer_drop(b, 1200); /* sent, but they had given way by then */
    assert_int_equal(metric_buffer_first(b), 1500);
    metric_buffer_drop(b, 1600);
    assert_int_equal(metric_buffer_count(b), 900);
    assert_int_equal(metric_buffer_read(b, 1600, &got), 1);
    assert_true(got.value == 1600);
    metric_buffer_free(b);
}

static void any_order_of_steps_agrees_with_a_list(void **state)
{
    (void)state;
    struct metric_buffer *b = metric_buffer_new(97);
    struct bp_metric got;
    int64_t first = 0, end = 0; /* value i has the number i */
    srand(1);
    for (int step = 0; step < 20000; step++) {
        if (rand() % 3) {
            add(b, rand() % 40, (double)end);
            end++;
            first = end - first > 97 ? end - 97 : first;
        } else {
            int64_t to = first + rand() % 5;
            metric_buffer_drop(b, (uint64_t)to);
            first = to > end ? end : to;
        }
        assert_int_equal(metric_buffer_count(b), end - first);
        assert_int_equal(metric_buffer_first(b), first);
        if (end > first) {
            int64_t one = first + rand() % (end - first);
            assert_int_equal(metric_buffer_read(b, (uint64_t)one, &got), 1);
            assert_true(got.value == (double)one);
        }
    }
    metric_buffer_free(b);
}

static void names_of_workflows_that_went_do_not_pile_up(void **state)
{
    (void)state;
    struct metric_buffer *b = metric_buffer_new(1000);
    struct bp_metric got;
    for (int i = 0; i < 100000; i++) {
        add(b, i, i);
        assert_int_equal(metric_buffer_read(b, (uint64_t)i, &got), 1);
        assert_true(got.value == i);
        metric_buffer_drop(b, (uint64_t)i + 1);
    }
    metric_buffer_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back_whole_and_in_order),
        cmocka_unit_test(the_oldest_give_way_and_numbers_stay),
        cmocka_unit_test(any_order_of_steps_agrees_with_a_list),
        cmocka_unit_test(names_of_workflows_that_went_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
