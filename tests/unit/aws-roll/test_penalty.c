/* SPDX-License-Identifier: Apache-2.0 */
/* Pools are left out for a while that grows, come back, and are cleared by a launch that succeeds. */
#include "../cm.h"

#include "penalty.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE 60000LL

static struct failure pool(enum failure_class cls, enum market m, const char *type, const char *zone)
{
    struct failure f = {.cls = cls, .market = m};
    snprintf(f.type, sizeof f.type, "%s", type);
    snprintf(f.zone, sizeof f.zone, "%s", zone);
    return f;
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct penalty_box));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void a_pool_is_out_for_a_while_that_grows_and_is_capped(void **state)
{
    static const int64_t minutes[] = {5, 10, 20, 40, 60, 60};
    struct penalty_box *b = *state;
    struct failure f = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    int64_t now = 1000;
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        penalty_note(b, "g", &f, now);
        assert_true(penalty_is_out(b, "g", &f, now + minutes[i] * MINUTE - 1));
        assert_false(penalty_is_out(b, "g", &f, now + minutes[i] * MINUTE));
        now += minutes[i] * MINUTE;
    }
    assert_int_equal(b->n, 1);
    assert_int_equal(b->list[0].count, 6);
}

static void a_failure_while_it_is_out_lengthens_it_but_does_not_double(void **state)
{
    struct penalty_box *b = *state;
    struct failure f = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    penalty_note(b, "g", &f, 0);
    penalty_note(b, "g", &f, 2 * MINUTE);
    assert_true(penalty_is_out(b, "g", &f, 7 * MINUTE - 1));
    assert_false(penalty_is_out(b, "g", &f, 7 * MINUTE));
    assert_int_equal(b->changes, 1);
}

static void after_two_quiet_hours_it_starts_small_again(void **state)
{
    struct penalty_box *b = *state;
    struct failure f = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    penalty_note(b, "g", &f, 0);
    penalty_note(b, "g", &f, 6 * MINUTE);
    penalty_note(b, "g", &f, 6 * MINUTE + PENALTY_FORGET_MS);
    assert_false(penalty_is_out(b, "g", &f, 6 * MINUTE + PENALTY_FORGET_MS + 5 * MINUTE));
    penalty_expire(b, 6 * MINUTE + 3 * PENALTY_FORGET_MS);
    assert_int_equal(b->n, 0);
}

static void a_success_clears_the_pool_and_those_it_is_part_of(void **state)
{
    struct penalty_box *b = *state;
    struct failure exact = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    struct failure zone = pool(FAILURE_CAPACITY, MARKET_SPOT, "", "us-east-1a");
    struct failure other = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1b");
    penalty_note(b, "g", &exact, 0);
    penalty_note(b, "g", &zone, 0);
    penalty_note(b, "g", &other, 0);
    penalty_clear(b, "g", &exact, MINUTE);
    assert_int_equal(b->n, 1);
    assert_false(penalty_is_out(b, "g", &exact, MINUTE));
    assert_true(penalty_is_out(b, "g", &other, MINUTE));
}

static void markets_are_apart(void **state)
{
    struct penalty_box *b = *state;
    struct failure spot = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    struct failure demand = pool(FAILURE_CAPACITY, MARKET_ON_DEMAND, "g5.xlarge", "us-east-1a");
    penalty_note(b, "g", &spot, 0);
    assert_false(penalty_is_out(b, "g", &demand, 1));
    penalty_clear(b, "g", &demand, 1);
    assert_true(penalty_is_out(b, "g", &spot, 1));
}

static void stock_of_a_type_is_everybodys_the_rest_the_groups_own(void **state)
{
    struct penalty_box *b = *state;
    struct failure typed = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    struct failure zone = pool(FAILURE_CAPACITY, MARKET_SPOT, "", "us-east-1b");
    struct failure asked = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1b");
    penalty_note(b, "one", &typed, 0);
    penalty_note(b, "one", &zone, 0);
    assert_true(penalty_is_out(b, "two", &typed, 1));
    assert_false(penalty_is_out(b, "two", &asked, 1));
    assert_true(penalty_is_out(b, "one", &asked, 1));
}

static void what_is_no_matter_of_stock_is_counted_and_not_avoided(void **state)
{
    struct penalty_box *b = *state;
    struct failure quota = pool(FAILURE_QUOTA, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    struct failure nowhere = pool(FAILURE_CAPACITY, MARKET_SPOT, "", "");
    penalty_note(b, "g", &quota, 0);
    penalty_note(b, "g", &quota, 1);
    penalty_note(b, "g", &nowhere, 1);
    assert_false(penalty_is_out(b, "g", &quota, 2));
    assert_false(penalty_is_out(b, "g", &nowhere, 2));
    assert_int_equal(b->n, 2);
    assert_int_equal(b->list[0].count, 2);
    assert_int_equal(b->list[0].until_ms, 0);
}

static void memory_is_bounded_and_the_soonest_back_makes_room(void **state)
{
    struct penalty_box *b = *state;
    char zone[32];
    for (int i = 0; i < 2 * PENALTY_POOLS; i++) {
        snprintf(zone, sizeof zone, "us-east-%da", i);
        struct failure f = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", zone);
        penalty_note(b, "g", &f, i);
        assert_true(penalty_is_out(b, "g", &f, i));
    }
    assert_int_equal(b->n, PENALTY_POOLS);
    struct failure first = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-0a");
    assert_false(penalty_is_out(b, "g", &first, 2 * PENALTY_POOLS));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_pool_is_out_for_a_while_that_grows_and_is_capped),
        T(a_failure_while_it_is_out_lengthens_it_but_does_not_double),
        T(after_two_quiet_hours_it_starts_small_again),
        T(a_success_clears_the_pool_and_those_it_is_part_of),
        T(markets_are_apart),
        T(stock_of_a_type_is_everybodys_the_rest_the_groups_own),
        T(what_is_no_matter_of_stock_is_counted_and_not_avoided),
        T(memory_is_bounded_and_the_soonest_back_makes_room),
    };
    return cmocka_run_group_tests_name("penalty", tests, NULL, NULL);
}
