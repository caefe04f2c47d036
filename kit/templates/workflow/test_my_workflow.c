/* Runs the plugin's .so as bp-runner does, on the CPU device, without a daemon. bp/test.h says what there is. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <bp/media.h>
#include <bp/test.h>
#include <math.h>
#include <stdlib.h>

#define WIDTH  61
#define HEIGHT 47

static struct bp_err err;

/* A picture with every mixture of colours, as photo.png. */
static struct bp_image photo(void)
{
    struct bp_image image = {WIDTH, HEIGHT, malloc(WIDTH * HEIGHT * 4)};
    assert_non_null(image.pixels);
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        image.pixels[i * 4] = (uint8_t)(i * 7);
        image.pixels[i * 4 + 1] = (uint8_t)(i * 3 + 50);
        image.pixels[i * 4 + 2] = (uint8_t)(i / 11);
        image.pixels[i * 4 + 3] = 255;
    }
    assert_int_equal(bp_image_write(&image, "photo.png", &err), BP_OK);
    return image;
}

/* What the kernel shall compute, in double precision. */
static double expected(const uint8_t *from, int channel, double strength)
{
    double grey = 0.299 * from[0] + 0.587 * from[1] + 0.114 * from[2];
    return from[channel] + (grey - from[channel]) * strength;
}

static void check(const char *params, double strength)
{
    struct bp_test *t;
    struct bp_test_job job = {.params = params, .inputs = {"photo.png"}, .output = "out.png"};
    struct bp_image from = photo(), to;
    assert_int_equal(bp_test_open(BP_TEST_PLUGIN, NULL, &t, &err), BP_OK);
    assert_int_equal(bp_test_run(t, &job, &err), BP_OK);
    assert_int_equal(bp_image_read("out.png", &to, &err), BP_OK);
    assert_true(to.width == WIDTH && to.height == HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        for (int c = 0; c < 3; c++)
            assert_true(fabs(to.pixels[i * 4 + c] - expected(from.pixels + i * 4, c, strength)) < 0.51);
    assert_int_equal(bp_test_close(&t, &err), BP_OK); /* it has freed what it took of the device */
    bp_image_free(&from);
    bp_image_free(&to);
}

static void each_strength_gives_what_the_formula_says(void **state)
{
    (void)state;
    check("{\"strength\": 0}", 0);
    check("{\"strength\": 0.35}", 0.35);
    check("{\"strength\": 1}", 1);
}

static void what_is_no_picture_is_refused(void **state)
{
    (void)state;
    struct bp_test *t;
    struct bp_test_job job = {.params = "{\"strength\": 1}", .inputs = {BP_TEST_PLUGIN}, .output = "out.png"};
    assert_int_equal(bp_test_open(BP_TEST_PLUGIN, NULL, &t, &err), BP_OK);
    assert_int_equal(bp_test_run(t, &job, &err), BP_BADINPUT);
    assert_int_equal(bp_test_close(&t, &err), BP_OK);
}

/* The device fails at its first call, its second, ...: each time the job fails, and nothing is left on the device. */
static void a_failure_of_the_device_fails_the_job(void **state)
{
    (void)state;
    struct bp_image image = photo();
    int32_t rc = BP_OK, failed = 1;
    for (int64_t n = 1; failed; n++) {
        struct bp_test *t;
        struct bp_test_job job = {.params = "{\"strength\": 1}", .inputs = {"photo.png"}, .output = "out.png"};
        assert_int_equal(bp_test_open(BP_TEST_PLUGIN, NULL, &t, &err), BP_OK);
        bp_test_fail(t, n);
        rc = bp_test_run(t, &job, &err);
        failed = bp_test_failed(t);
        assert_true(failed == (rc != BP_OK));
        assert_int_equal(bp_test_close(&t, &err), BP_OK);
    }
    assert_int_equal(rc, BP_OK);
    bp_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_strength_gives_what_the_formula_says),
        cmocka_unit_test(what_is_no_picture_is_refused),
        cmocka_unit_test(a_failure_of_the_device_fails_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
