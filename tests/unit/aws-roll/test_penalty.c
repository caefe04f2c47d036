/* SPDX-License-Identifier: Apache-2.0 */
/* Pools are left out for a while that grows, come back, and are cleared by a launch that succeeds. */
#include "../cm.h"

#include "penalty.h"
#include <bp/fleet.h>
#include <json-c/json.h>
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

/* ---- as text ---- */

static void same_box(const struct penalty_box *a, const struct penalty_box *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->as_of_ms, b->as_of_ms);
    for (uint32_t i = 0; i < a->n; i++) {
        int found = 0;
        for (uint32_t k = 0; k < b->n && !found; k++)
            found = memcmp(&a->list[i], &b->list[k], sizeof a->list[i]) == 0;
        assert_true(found);
    }
}

static void it_is_the_same_after_a_start(void **state)
{
    struct penalty_box *b = *state, *again = calloc(1, sizeof *again);
    struct failure f = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    struct failure quota = pool(FAILURE_QUOTA, MARKET_ANY, "", "");
    struct failure zone = pool(FAILURE_CAPACITY, MARKET_ON_DEMAND, "", "us-east-1b");
    penalty_note(b, "g", &f, MINUTE);
    penalty_note(b, "g", &f, 7 * MINUTE);
    penalty_note(b, "g", &quota, 7 * MINUTE);
    penalty_note(b, "other", &zone, 8 * MINUTE);
    b->as_of_ms = 6 * MINUTE;
    struct json_object *text = penalty_text(b);
    penalty_recall(again, text, 9 * MINUTE);
    same_box(b, again);
    assert_int_equal(again->recalled_ms, 6 * MINUTE);
    assert_int_equal(again->changes, 2);
    assert_true(penalty_is_out(again, "g", &f, 17 * MINUTE - 1)); /* out twice: ten minutes */
    penalty_recall(again, text, 9 * MINUTE);
    same_box(b, again);
    assert_int_equal(again->changes, 2);
    json_object_put(text);
    free(again);
}

static void what_is_over_is_not_recalled_and_what_is_known_since_stays(void **state)
{
    struct penalty_box *b = *state, *again = calloc(1, sizeof *again);
    struct failure f = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    struct failure old = pool(FAILURE_CAPACITY, MARKET_SPOT, "g6.xlarge", "us-east-1a");
    penalty_note(b, "g", &old, MINUTE);
    penalty_note(b, "g", &f, 120 * MINUTE);
    struct json_object *text = penalty_text(b);
    penalty_note(again, "g", &f, 130 * MINUTE);
    penalty_recall(again, text, 131 * MINUTE);
    assert_int_equal(again->n, 1);
    assert_int_equal(again->list[0].last_ms, 130 * MINUTE);
    assert_int_equal(again->list[0].until_ms, 135 * MINUTE);
    json_object_put(text);
    free(again);
}

static void text_that_makes_no_sense_counts_for_nothing(void **state)
{
    static const char *const texts[] = {
        "7",
        "{}",
        "{\"v\":2,\"pools\":[]}",
        "{\"v\":1,\"pools\":{}}",
        "{\"v\":1,\"pools\":[7,[],[1,2,3,4,5,6,7,8,9]]}",
        "{\"v\":1,\"as_of_ms\":9e300,\"pools\":[[\"\",\"t\",\"z\",\"moon\",\"capacity\",1,1,1,1]]}",
        "{\"v\":1,\"pools\":[[\"\",\"t\",\"z\",\"spot\",\"capacity\",-1,-1,-1,-1]]}"};
    struct penalty_box *b = *state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct json_object *o = json_tokener_parse(texts[i]);
        penalty_recall(b, o, MINUTE);
        assert_int_equal(b->n, 0);
        json_object_put(o);
    }
    struct json_object *o =
        json_tokener_parse("{\"v\":1,\"as_of_ms\":99999999999999,\"pools\":"
                           "[[\"\",\"t\",\"z\",\"spot\",\"capacity\",1,1,99999999999999,99999999999999]]}");
    penalty_recall(b, o, MINUTE);
    assert_int_equal(b->list[0].until_ms, MINUTE + PENALTY_CAP_MS);
    assert_int_equal(b->recalled_ms, MINUTE);
    json_object_put(o);
}

static void a_full_box_of_long_names_fits_with_those_that_are_out_longest(void **state)
{
    struct penalty_box *b = *state;
    char group[128];
    memset(group, 'g', sizeof group - 1);
    group[sizeof group - 1] = 0;
    for (int i = 0; i < PENALTY_POOLS; i++) {
        char type[32];
        snprintf(type, sizeof type, "a-long-type-of-instance-%d", i);
        struct failure f = pool(FAILURE_QUOTA, MARKET_ON_DEMAND, type, "a-region-with-a-long-name-1a");
        penalty_note(b, group, &f, MINUTE);
    }
    struct failure out = pool(FAILURE_CAPACITY, MARKET_SPOT, "g5.xlarge", "us-east-1a");
    penalty_note(b, group, &out, MINUTE);
    struct json_object *text = penalty_text(b);
    const char *s = json_object_to_json_string_ext(text, JSON_C_TO_STRING_PLAIN);
    assert_true(strlen(s) <= BP_FLEET_LEARNED_MAX);
    assert_non_null(strstr(s, "g5.xlarge"));
    json_object_put(text);
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
        T(it_is_the_same_after_a_start),
        T(what_is_over_is_not_recalled_and_what_is_known_since_stays),
        T(text_that_makes_no_sense_counts_for_nothing),
        T(a_full_box_of_long_names_fits_with_those_that_are_out_longest),
    };
    return cmocka_run_group_tests_name("penalty", tests, NULL, NULL);
}
