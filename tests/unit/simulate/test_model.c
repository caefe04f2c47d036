/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of the simulated fleet are checked where they come in. */
#include "cm.h"

#include "simulate/model.h"
#include <stdlib.h>
#include <string.h>

static void each_number_takes_its_range_and_nothing_else(void **state)
{
    (void)state;
    struct model m;
    struct bp_err err = {0};
    model_init(&m);
    for (const struct model_row *r = model_rows; r->name; r++) {
        assert_true(r->least <= r->standard && r->standard <= r->most);
        assert_int_equal(model_set(&m, r->name, "nan", &err), BP_INVALID);
        assert_int_equal(model_set(&m, r->name, "", &err), BP_INVALID);
        assert_int_equal(model_set(&m, r->name, "1 day", &err), BP_INVALID);
        assert_int_equal(model_set(&m, r->name, "-1", &err), BP_INVALID);
        assert_int_equal(model_set(&m, r->name, "1e300", &err), BP_INVALID);
        assert_int_equal(model_set(&m, r->name, "1", &err), BP_OK);
    }
    assert_true(m.boot == 1 && m.max == 1 && m.price == 1);
}

static void a_wrong_name_is_told_with_the_nearest(void **state)
{
    (void)state;
    struct model m;
    struct bp_err err = {0};
    model_init(&m);
    assert_int_equal(model_set(&m, "bot", "1", &err), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "did you mean boot?"));
}

static void types_have_a_price_and_may_have_more(void **state)
{
    (void)state;
    struct model m;
    struct bp_err err = {0};
    model_init(&m);
    assert_int_equal(model_add_type(&m, "g5.xlarge:0.42", &err), BP_OK);
    assert_int_equal(model_add_type(&m, "g4dn.xlarge:0.2:8:0.5:0.1", &err), BP_OK);
    assert_int_equal(m.n_types, 2);
    assert_true(m.types[0].price == 0.42 && m.types[0].speed == 1 && m.types[0].interruptions < 0);
    assert_true(m.types[1].capacity == 8 && m.types[1].speed == 0.5 && m.types[1].interruptions == 0.1);
    static const char *const wrong[] = {"", "a", ":1", "a:", "a:x", "a:1:2:0", "a:1:2:3:4:5", "a:-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(model_add_type(&m, wrong[i], &err), BP_INVALID);
    while (m.n_types < MODEL_TYPES)
        assert_int_equal(model_add_type(&m, "a:1", &err), BP_OK);
    assert_int_equal(model_add_type(&m, "a:1", &err), BP_INVALID);
}

static void shortages_have_a_begin_and_an_end(void **state)
{
    (void)state;
    struct model m;
    struct bp_err err = {0};
    model_init(&m);
    assert_int_equal(model_add_shortage(&m, "60-3600", &err), BP_OK);
    assert_int_equal(model_add_shortage(&m, "0-10:g5.xlarge", &err), BP_OK);
    assert_true(m.shortages[0].from_s == 60 && m.shortages[0].to_s == 3600 && !m.shortages[0].type[0]);
    assert_string_equal(m.shortages[1].type, "g5.xlarge");
    static const char *const wrong[] = {"", "5", "5-", "-5", "9-5", "a-b", "5-5"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(model_add_shortage(&m, wrong[i], &err), BP_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_takes_its_range_and_nothing_else),
        cmocka_unit_test(a_wrong_name_is_told_with_the_nearest),
        cmocka_unit_test(types_have_a_price_and_may_have_more),
        cmocka_unit_test(shortages_have_a_begin_and_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
