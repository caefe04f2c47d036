/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance-hour costs, and what is refused as a price. */
#include "cm.h"
#include "log/json.h"
#include "words/price.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct json_object *parsed(const char *text)
{
    struct bp_err err = {0};
    struct json_object *o = text ? json_parse(text, strlen(text), &err) : NULL;
    assert_true(!text || o);
    return o;
}

static struct price price(const char *table, const char *fleet, const char *types)
{
    struct json_object *t = parsed(table), *f = parsed(fleet), *y = parsed(types);
    struct price p = price_now(t, f, y);
    json_object_put(t);
    json_object_put(f);
    json_object_put(y);
    return p;
}

static void is(struct price p, double usd, const char *from)
{
    if (fabs(p.usd - usd) > 1e-9)
        fail_msg("%g, not %g (%s)", p.usd, usd, p.from);
    if (!strstr(p.from, from))
        fail_msg("\"%s\" says nothing of \"%s\"", p.from, from);
}

#define TABLE "{\"g5.xlarge\": {\"onDemand\": 1, \"spot\": 0.4}, \"g6.xlarge\": 0.7, \"*\": 2}"

static void without_instances_it_is_that_of_the_first_type_with_one(void **state)
{
    (void)state;
    is(price(NULL, NULL, NULL), 0, "");
    is(price(TABLE, NULL, "[\"g5.xlarge\"]"), 0.4, "g5.xlarge: the setting prices");
    is(price(TABLE, NULL, "[\"g6.xlarge\", \"g5.xlarge\"]"), 0.7, "g6.xlarge");
    is(price(TABLE, NULL, "[\"p5\"]"), 2, "p5");
    is(price("{\"g6.xlarge\": 0.7}", NULL, "[\"p5\", \"g6.xlarge\"]"), 0.7, "g6.xlarge");
}

static void instances_that_are_there_count_each_by_its_market(void **state)
{
    (void)state;
    is(price(TABLE,
             "{\"instances\": [{\"type\": \"g5.xlarge\", \"state\": \"running\", \"spot\": true},"
             "{\"type\": \"g5.xlarge\", \"state\": \"pending\", \"spot\": false},"
             "{\"type\": \"g6.xlarge\", \"state\": \"terminated\", \"spot\": true}]}",
             NULL),
       0.7, "g5.xlarge");
}

static void the_clouds_own_price_goes_before_the_table(void **state)
{
    (void)state;
    const char *prices = "\"prices\": [{\"type\": \"g5.xlarge\", \"zone\": \"a\", \"usd\": 0.5},"
                         "{\"type\": \"g5.xlarge\", \"zone\": \"b\", \"usd\": 0.3}]";
    char fleet[600];
    snprintf(
        fleet, sizeof fleet,
        "{\"instances\": [{\"type\": \"g5.xlarge\", \"zone\": \"a\", \"state\": \"running\", \"spot\": true}], %s}",
        prices);
    is(price(TABLE, fleet, NULL), 0.5, "Spot price now");
    snprintf(fleet, sizeof fleet, "{\"instances\": [], %s}", prices);
    is(price(TABLE, fleet, "[\"g5.xlarge\"]"), 0.3, "Spot price now");
    snprintf(
        fleet, sizeof fleet,
        "{\"instances\": [{\"type\": \"g5.xlarge\", \"zone\": \"a\", \"state\": \"running\", \"spot\": false}], %s}",
        prices);
    is(price(TABLE, fleet, NULL), 1, "the setting prices");
}

static void a_bad_price_is_named(void **state)
{
    static const char *const bad[][2] = {
        {"{\"g5\": -1}", "prices.g5 must be"},
        {"{\"g5\": \"cheap\"}", "prices.g5 must be"},
        {"{\"g5\": 0}", "above 0"},
        {"{\"g5\": {}}", "onDemand"},
        {"{\"g5\": {\"spot\": true}}", "prices.g5.spot"},
        {"{\"g5\": {\"Spot\": 1}}", "it has onDemand and spot"},
        {"{\"g5\": 1e300}", "up to 100000"},
    };
    struct bp_err err;
    (void)state;
    assert_int_equal(price_check(NULL, &err), BP_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct json_object *table = parsed(bad[i][0]);
        assert_int_equal(price_check(table, &err), BP_INVALID);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("\"%s\" says nothing of \"%s\"", err.text, bad[i][1]);
        json_object_put(table);
    }
    struct json_object *table = parsed(TABLE);
    assert_int_equal(price_check(table, &err), BP_OK);
    json_object_put(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_instances_it_is_that_of_the_first_type_with_one),
        cmocka_unit_test(instances_that_are_there_count_each_by_its_market),
        cmocka_unit_test(the_clouds_own_price_goes_before_the_table),
        cmocka_unit_test(a_bad_price_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
