/* SPDX-License-Identifier: Apache-2.0 */
/* Spot prices: what is asked, how often, and what is made of the answer. */
#include "fake_client.h"
#include "groups.h"
#include "prices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct aws *a;
static struct fleets fleets;
static struct bp_err err;
static char *told;

static int set_up(void **state)
{
    (void)state;
    fake_client_reset();
    memset(&err, 0, sizeof err);
    memset(&fleets, 0, sizeof fleets);
    a = fake_aws("{}");
    fleets.aws = a;
    a->fleets = &fleets;
    fleets.prices = prices_open(&fleets, &err);
    assert_non_null(fleets.prices);
    told = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(told);
    prices_close(fleets.prices);
    fake_aws_free(a);
    return 0;
}

static const char *ask(const char *types)
{
    struct bp_fleet_spec spec = {.size = sizeof spec, .slug = "upscale", .instance_types = types};
    free(told);
    told = NULL;
    assert_int_equal(fleet_prices(a, &spec, &told, &err), 0);
    return told;
}

#define ITEM(type, zone, usd, at)                                                                                      \
    "<item><instanceType>" type "</instanceType><productDescription>Linux/UNIX</productDescription><spotPrice>" usd    \
    "</spotPrice><timestamp>" at "</timestamp><availabilityZone>" zone "</availabilityZone></item>"
#define PAGE(items)                                                                                                    \
    "<DescribeSpotPriceHistoryResponse><spotPriceHistorySet>" items "</spotPriceHistorySet>"                           \
    "</DescribeSpotPriceHistoryResponse>"

static void the_newest_price_of_a_zone_counts(void **state)
{
    (void)state;
    fake_answer(PAGE(ITEM("g5.xlarge", "eu-central-1a", "0.450000", "2026-01-02T00:00:00.000Z")
                         ITEM("g5.xlarge", "eu-central-1a", "0.400000", "2026-01-01T00:00:00.000Z")
                             ITEM("g5.xlarge", "eu-central-1b", "0.5", "2026-01-01T00:00:00Z")
                                 ITEM("g5.xlarge", "eu-central-1c", "free", "2026-01-01T00:00:00Z")),
                "", 0);
    const char *text = ask("[\"g5.xlarge\",\"g6.xlarge\"]");
    assert_non_null(text);
    assert_non_null(strstr(text, "{\"type\":\"g5.xlarge\",\"zone\":\"eu-central-1a\",\"usd\":0.45,"));
    assert_non_null(strstr(text, "\"eu-central-1b\",\"usd\":0.5,"));
    assert_null(strstr(text, "eu-central-1c"));
    assert_int_equal(fake_calls[0].op, AWS_OP_EC2_DESCRIBE_SPOT_PRICE_HISTORY);
    assert_non_null(strstr(fake_calls[0].form, "InstanceType.1=g5.xlarge&InstanceType.2=g6.xlarge"));
    assert_non_null(strstr(fake_calls[0].form, "ProductDescription.1=Linux%2FUNIX&StartTime="));
}

static void five_minutes_pass_between_questions(void **state)
{
    (void)state;
    fake_answer(PAGE(ITEM("g5.xlarge", "z", "0.45", "2026-01-01T00:00:00Z")), "", 0);
    assert_non_null(ask("[\"g5.xlarge\"]"));
    assert_non_null(ask("[\"g5.xlarge\"]"));
    assert_int_equal(fake_n_calls, 1);
    fake_answer(PAGE(ITEM("g6.xlarge", "z", "0.30", "2026-01-01T00:00:00Z")), "", 0);
    assert_non_null(strstr(ask("[\"g6.xlarge\"]"), "\"usd\":0.3"));
    assert_null(strstr(told, "g5")); /* another fleet's */
    assert_int_equal(fake_n_calls, 2);
    fake_now_ms += 300000;
    fake_answer(PAGE(ITEM("g5.xlarge", "z", "0.47", "2026-01-01T00:05:00Z")), "", 0);
    assert_non_null(strstr(ask("[\"g5.xlarge\"]"), "\"usd\":0.47"));
    assert_int_equal(fake_n_calls, 3);
}

/* Prices are words: that nobody may ask for them is said once, and keeps nothing from working. */
static void a_refusal_leaves_the_last_ones(void **state)
{
    (void)state;
    fake_answer("<R/>", "UnauthorizedOperation", BP_DENIED);
    assert_null(ask("[\"g5.xlarge\"]"));
    assert_null(ask("[\"g5.xlarge\"]"));
    assert_int_equal(fake_n_calls, 1);
    fake_now_ms += 300000;
    fake_answer(PAGE(ITEM("g5.xlarge", "z", "0.45", "2026-01-01T00:00:00Z")), "", 0);
    assert_non_null(ask("[\"g5.xlarge\"]"));
    fake_now_ms += 300000;
    fake_answer("<R/>", "RequestLimitExceeded", BP_LATER);
    assert_non_null(strstr(ask("[\"g5.xlarge\"]"), "\"usd\":0.45"));
}

static void a_fleet_without_types_asks_nothing(void **state)
{
    (void)state;
    assert_null(ask("[]"));
    assert_null(ask("[null, \"\"]"));
    assert_null(ask("no JSON"));
    assert_int_equal(fake_n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_price_of_a_zone_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(five_minutes_pass_between_questions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_leaves_the_last_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fleet_without_types_asks_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
