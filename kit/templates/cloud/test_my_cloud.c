/* Runs the plugin's .so as bpd does, with a host whose clock and log the test has. bp/test.h says what there is. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <bp/check.h>
#include <bp/cloud.h>
#include <bp/test.h>
#include <stdio.h>
#include <string.h>

static struct bp_err err;

static struct bp_test *open_with(const char *settings)
{
    struct bp_test *t;
    assert_int_equal(bp_test_open(BP_TEST_PLUGIN, settings, &t, &err), BP_OK);
    bp_test_clock(t, 1700000000000);
    return t;
}

static int32_t tell(struct bp_test *t, const char *subject, const char *key)
{
    const struct bp_notify *notify = bp_test_facet(t, BP_NOTIFY_FACET);
    assert_non_null(notify);
    return notify->send(bp_test_inst(t), subject, "words", key, &err);
}

/* What is in the file, at most 4095 bytes; "" when there is none. */
static const char *written(const struct bp_test *t)
{
    static char text[4096];
    char path[1024];
    snprintf(path, sizeof path, "%s/messages.txt", bp_test_state_dir(t));
    FILE *f = fopen(path, "r");
    text[f ? fread(text, 1, sizeof text - 1, f) : 0] = 0;
    if (f)
        fclose(f);
    return text;
}

static void a_message_is_a_line_of_the_file(void **state)
{
    (void)state;
    struct bp_test *t = open_with(NULL);
    assert_int_equal(tell(t, "disk full", NULL), BP_OK);
    assert_string_equal(written(t), "1700000000000 disk full: words\n");
    assert_non_null(strstr(bp_test_log(t), "messages.txt"));
    assert_int_equal(tell(t, "", NULL), BP_INVALID);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void a_key_is_not_repeated_within_its_time(void **state)
{
    (void)state;
    struct bp_test *t = open_with("{\"repeatSeconds\": 60}");
    assert_int_equal(tell(t, "a", "key"), BP_OK);
    assert_int_equal(tell(t, "b", "key"), BP_OK);
    bp_test_clock(t, 1700000060000);
    assert_int_equal(tell(t, "c", "key"), BP_OK);
    assert_string_equal(written(t), "1700000000000 a: words\n1700000060000 c: words\n");
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void keep_row(void *arg, const struct bp_check_row *row)
{
    *(struct bp_check_row *)arg = *row;
}

static void a_file_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    struct bp_test *t = open_with("{\"path\": \"/nowhere/at/all.txt\"}");
    const struct bp_check *check = bp_test_facet(t, BP_CHECK_FACET);
    struct bp_check_row row;
    assert_int_equal(tell(t, "a", NULL), BP_IO);
    assert_int_equal(check->run(bp_test_inst(t), 1000, keep_row, &row, &err), BP_OK);
    assert_int_equal(row.status, BP_CHECK_FAIL);
    assert_non_null(strstr(row.remedy, "plugin.my-cloud.path"));
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_a_line_of_the_file),
        cmocka_unit_test(a_key_is_not_repeated_within_its_time),
        cmocka_unit_test(a_file_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
