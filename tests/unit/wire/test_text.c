/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c - text that grows, and metrics written into it. */
#include "wire/openmetrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_grows_and_escapes(void **state)
{
    struct text t = {0};
    char *big = calloc(1, 5001);

    (void)state;
    memset(big, 'x', 5000);
    text_json(&t, "a\"b\\c\n\x01");
    text_json(&t, NULL);
    text_printf(&t, "%s", big);
    assert_int_equal(t.n, 17 + 4 + 5000);
    assert_memory_equal(text_str(&t), "\"a\\\"b\\\\c\\n\\u0001\"null", 21);
    text_free(&t);
    free(big);
}

static void labels_are_escaped(void **state)
{
    struct text t = {0};

    (void)state;
    metric_labels(&t, (const char *const[]){"workflow", "a\\b\"c\nd", "name", "", NULL});
    assert_string_equal(text_str(&t), "{workflow=\"a\\\\b\\\"c\\nd\",name=\"\"}");
    metric_labels(&t, (const char *const[]){"workflow", "x", NULL});
    assert_string_equal(text_str(&t), "{workflow=\"x\"}");
    text_free(&t);
}

/* What is written by hand and what printf writes are one form. */
static void values_are_those_of_printf(void **state)
{
    static const double values[] = {
        0, 1, 9, 10, 4294967296.0, 999999999999999.0, 1e15, 1e16, -1, 0.1, 1.0 / 3, 12345.75, 1e300, -2.5, 1e-9};
    char expected[64];
    struct text t = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        t.n = 0;
        metric_sample(&t, "bpd_x", NULL, values[i]);
        snprintf(expected, sizeof(expected), "bpd_x %.15g\n", values[i]);
        assert_string_equal(text_str(&t), expected);
    }
    text_free(&t);
}

static void a_counters_sample_ends_in_total(void **state)
{
    struct text t = {0};

    (void)state;
    metric_counter(&t, "bpd_jobs", "Jobs.", UINT64_MAX);
    metric_gauge(&t, "bpd_free", "Free.", 0.5);
    metric_family(&t, "bpd_bare", "gauge", NULL);
    assert_string_equal(text_str(&t), "# TYPE bpd_jobs counter\n# HELP bpd_jobs Jobs.\n"
                                      "bpd_jobs_total 18446744073709551615\n"
                                      "# TYPE bpd_free gauge\n# HELP bpd_free Free.\nbpd_free 0.5\n"
                                      "# TYPE bpd_bare gauge\n");
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_escapes),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(values_are_those_of_printf),
        cmocka_unit_test(a_counters_sample_ends_in_total),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
