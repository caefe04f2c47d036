/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

static void a_pass_gets_the_pixels_and_what_it_makes_is_written(void **state)
{
    (void)state;
    struct bp_test *t = probe_open();
    struct bp_image out;
    assert_int_equal(probe_run(t, "{\"mode\": \"copy\"}", &out), BP_OK);
    assert_true(out.width == WIDTH && out.height == HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        assert_true(at(&out, i, 0) == i && at(&out, i, 1) == 200 - i && at(&out, i, 2) == 7);
    bp_image_free(&out);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void a_pass_may_give_the_result_another_size(void **state)
{
    (void)state;
    struct bp_test *t = probe_open();
    struct bp_image out;
    assert_int_equal(probe_run(t, "{\"mode\": \"double\"}", &out), BP_OK);
    assert_true(out.width == 2 * WIDTH && out.height == 2 * HEIGHT);
    for (int y = 0; y < 2 * HEIGHT; y++)
        for (int x = 0; x < 2 * WIDTH; x++)
            assert_int_equal(at(&out, y * 2 * WIDTH + x, 0), y / 2 * WIDTH + x / 2);
    bp_image_free(&out);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void values_are_rounded_and_kept_within_a_byte(void **state)
{
    (void)state;
    struct bp_test *t = probe_open();
    struct bp_image out;
    assert_int_equal(probe_run(t, "{\"mode\": \"fill\"}", &out), BP_OK);
    assert_true(at(&out, 0, 0) == 0 && at(&out, 0, 1) == 128 && at(&out, 0, 2) == 255);
    bp_image_free(&out);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

static void what_cannot_be_is_told_and_nothing_is_left_on_the_device(void **state)
{
    (void)state;
    struct bp_test *t = probe_open();
    struct bp_image out;
    assert_int_equal(probe_run(t, "{\"mode\": \"unknown\"}", &out), BP_NOTFOUND);
    assert_non_null(strstr(err.text, "no kernel \"no_such_kernel\"; its first is \"kit_probe_copy\""));
    assert_int_equal(probe_run(t, "{\"mode\": \"empty\"}", &out), BP_INVALID);
    assert_non_null(strstr(err.text, "0 by 5 pixels"));
    assert_int_equal(probe_run(t, "{\"mode\": \"huge\"}", &out), BP_INVALID);
    struct bp_test_job none = {.output = "out.png"}, two = {.inputs = {"in.png", "in.png"}, .output = "out.png"},
                       nowhere = {.inputs = {"in.png"}, .output = "/nowhere/out.png"};
    assert_int_equal(bp_test_run(t, &none, &err), BP_BADINPUT);
    assert_int_equal(bp_test_run(t, &two, &err), BP_BADINPUT);
    assert_string_equal(err.text, "2 files were given, exactly one picture is needed");
    assert_int_equal(bp_test_run(t, &nowhere, &err), BP_IO);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

/* Told to stop at its first look, its second, ...: it stops there, until there are no more. */
static void it_stops_at_each_step_when_told_to(void **state)
{
    (void)state;
    struct bp_test *t = probe_open();
    int64_t n = 1;
    for (;; n++) {
        struct bp_test_job job = {
            .params = "{\"mode\":\"copy\"}", .inputs = {"in.png"}, .output = "out.png", .stop_after = n};
        int32_t rc = bp_test_run(t, &job, &err);
        if (rc == BP_OK)
            break;
        assert_int_equal(rc, BP_STOPPED);
        assert_int_equal(job.n_progress, n + 1);
    }
    assert_int_equal(n, 3);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_gets_the_pixels_and_what_it_makes_is_written),
        cmocka_unit_test(a_pass_may_give_the_result_another_size),
        cmocka_unit_test(values_are_rounded_and_kept_within_a_byte),
        cmocka_unit_test(what_cannot_be_is_told_and_nothing_is_left_on_the_device),
        cmocka_unit_test(it_stops_at_each_step_when_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
