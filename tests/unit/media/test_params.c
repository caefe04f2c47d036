/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <bp/workflow.h>
#include <locale.h>
#include <stdlib.h>

static double num(const char *params, const char *name)
{
    struct bp_job job = {.size = sizeof job, .params = params};
    return bp_param_f_or(&job, name, -99);
}

static const char *text(const char *params, const char *name)
{
    static char out[32];
    struct bp_job job = {.size = sizeof job, .params = params};
    return bp_param_s(&job, name, out, sizeof out);
}

static void a_number_is_found_by_its_name(void **state)
{
    (void)state;
    assert_true(num("{\"a\":1,\"b\":2.5,\"c\":-3e2}", "a") == 1);
    assert_true(num("{\"a\":1,\"b\":2.5,\"c\":-3e2}", "b") == 2.5);
    assert_true(num(" {\n \"a\" : 1 ,\t\"b\" : 2.5 } ", "b") == 2.5);
    assert_true(num("{\"a\":1,\"b\":2.5,\"c\":-3e2}", "c") == -300);
}

static void a_name_inside_a_value_is_not_a_member(void **state)
{
    (void)state;
    static const char params[] = "{\"x\":{\"b\":1,\"y\":[{\"b\":2}]},\"t\":\"\\\"b\\\":3,}\",\"ab\":4,\"b\":5}";
    assert_true(num(params, "b") == 5);
    assert_true(num(params, "y") == -99);
}

static void what_is_absent_or_of_another_type_gives_the_fallback(void **state)
{
    (void)state;
    struct bp_job job = {.size = sizeof job, .params = "{\"s\":\"1\",\"n\":null,\"t\":true}"};
    assert_true(num("{\"s\":\"1\"}", "s") == -99);
    assert_true(num("{}", "s") == -99);
    assert_true(num("", "s") == -99);
    assert_int_equal(bp_param_i_or(&job, "n", 7), 7);
    assert_int_equal(bp_param_b_or(&job, "t", 0), 1);
    assert_int_equal(bp_param_b_or(&job, "s", 3), 3);
    assert_true(bp_param_f(&job, "zzz") == 0);
    assert_int_equal(bp_param_i(&job, "zzz"), 0);
}

static void a_string_is_decoded_and_cut_to_fit(void **state)
{
    (void)state;
    assert_string_equal(text("{\"s\":\"pan-left\"}", "s"), "pan-left");
    assert_string_equal(text("{\"s\":\"a\\n\\\"\\\\\\/\\u00e4\\ud83d\\ude00z\"}", "s"),
                        "a\n\"\\/\xc3\xa4\xf0\x9f\x98\x80z");
    assert_string_equal(text("{\"s\":\"0123456789012345678901234567890123456789\"}", "s"),
                        "0123456789012345678901234567890");
    assert_string_equal(text("{\"s\":5}", "s"), "");
}

static void numbers_need_no_c_locale(void **state)
{
    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        (void)setlocale(LC_NUMERIC, "C.UTF-8");
    assert_true(num("{\"a\":2.5}", "a") == 2.5);
    (void)setlocale(LC_NUMERIC, "C");
}

/* Under AddressSanitizer a read past the end of the copy is an error. */
static void no_prefix_of_a_text_is_read_past_its_end(void **state)
{
    (void)state;
    static const char params[] = "{\"x\":{\"b\":[1,2]},\"t\":\"\\u00e4\\ud83d\\ude00\",\"b\":5.25,\"s\":\"\\n\"}";
    for (size_t n = 0; n < sizeof params; n++) {
        char *copy = strndup(params, n);
        assert_non_null(copy);
        (void)num(copy, "b");
        (void)text(copy, "t");
        (void)text(copy, "s");
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_found_by_its_name),
        cmocka_unit_test(a_name_inside_a_value_is_not_a_member),
        cmocka_unit_test(what_is_absent_or_of_another_type_gives_the_fallback),
        cmocka_unit_test(a_string_is_decoded_and_cut_to_fit),
        cmocka_unit_test(numbers_need_no_c_locale),
        cmocka_unit_test(no_prefix_of_a_text_is_read_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
