/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs through the plugin's .so, as a runner does them. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "driver.h"
#include "image_to_video.kernel.h"
#include "pictures.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL "\"width\":192,\"height\":108,\"fps\":12,\"duration\":3"

static int setup(void **state)
{
    struct driver *d = malloc(sizeof *d);
    struct bp_err err = {0};
    if (driver_open(d, PLUGIN_SO, "cpu", &err) != BP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct bp_image photo = picture_make(400, 300);
    if (bp_image_write(&photo, "photo.png", &err) != BP_OK)
        return 1;
    bp_image_free(&photo);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    driver_close(*state);
    free(*state);
    return 0;
}

static void check_video(const char *path, int width, int height, int frames)
{
    struct video_facts v = video_look(path);
    assert_int_equal(v.frames, frames);
    assert_int_equal(v.errors, 0);
    assert_int_equal(v.width, width);
    assert_int_equal(v.height, height);
    free(v.luma);
}

static void a_photo_becomes_a_video_frame_by_frame(void **state)
{
    struct driver *d = *state;
    struct bp_err err;
    assert_string_equal(d->plugin->name, "image-to-video");
    assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "a.mp4", &err), BP_OK);
    assert_int_equal(d->n_progress, 37); /* before each frame, and at the end */
    assert_true(d->last_fraction == 1);
    assert_string_equal(d->last_text, "frame 36 of 36");
    check_video("a.mp4", 192, 108, 36);
}

static void every_move_makes_a_video(void **state)
{
    static const char *const moves[] = {"push", "pull", "pan-left", "pan-right", "pan-up", "pan-down", "orbit"};
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        char params[300];
        struct bp_err err;
        snprintf(params, sizeof params,
                 "{\"move\":\"%s\",\"parallax\":%d,\"vignette\":1,\"motion_blur\":1,\"strength\":1," SMALL "}",
                 moves[i], (int)(i % 2));
        assert_int_equal(driver_run(*state, "photo.png", params, "m.mp4", &err), BP_OK);
        check_video("m.mp4", 192, 108, 36);
    }
}

static void the_same_job_gives_the_same_bytes_and_another_seed_others(void **state)
{
    static const int seeds[] = {5, 5, 6};
    uint8_t *bytes[3];
    size_t n[3];
    for (int i = 0; i < 3; i++) {
        char params[200];
        struct bp_err err;
        snprintf(params, sizeof params, "{\"seed\":%d," SMALL "}", seeds[i]);
        assert_int_equal(driver_run(*state, "photo.png", params, "s.mp4", &err), BP_OK);
        bytes[i] = file_read("s.mp4", &n[i]);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    assert_true(n[0] != n[2] || memcmp(bytes[0], bytes[2], n[0]) != 0);
    for (int i = 0; i < 3; i++)
        free(bytes[i]);
}

static void a_stopped_job_goes_on_at_its_frame(void **state)
{
    struct driver *d = *state;
    static const int stops[] = {2, 14, 36};
    struct bp_err err;
    assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "whole.mp4", &err), BP_OK);
    for (int i = 0; i < 3; i++) {
        d->stop_after = stops[i];
        assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "r.mp4", &err), BP_STOPPED);
        assert_int_equal(err.rc, BP_STOPPED);
        assert_int_not_equal(access("r.mp4", F_OK), 0);
        d->stop_after = 0;
        assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "r.mp4", &err), BP_OK);
        assert_int_equal(d->n_progress, 37 - (stops[i] - 1)); /* the frames before were not drawn again */
        check_video("r.mp4", 192, 108, 36);
        for (int k = 0; k < 36; k += 7)
            assert_in_range((int)video_difference("whole.mp4", "r.mp4", k), 0, 3);
        unlink("r.mp4");
        free(d->checkpoint);
        d->checkpoint = NULL;
    }
}

static void a_job_may_be_interrupted_again_and_again(void **state)
{
    struct driver *d = *state;
    struct bp_err err;
    int rounds = 0;
    d->stop_after = 5;
    while (driver_run(d, "photo.png", "{" SMALL "}", "r.mp4", &err) == BP_STOPPED)
        assert_true(++rounds < 20);
    assert_int_equal(rounds, 8); /* four frames each, the last four to the end */
    check_video("r.mp4", 192, 108, 36);
}

static void a_checkpoint_of_another_job_or_a_damaged_one_is_not_used(void **state)
{
    struct driver *d = *state;
    struct bp_err err;
    d->stop_after = 10;
    assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "r.mp4", &err), BP_STOPPED);
    d->stop_after = 0;
    assert_int_equal(driver_run(d, "photo.png", "{\"strength\":0.4," SMALL "}", "r.mp4", &err), BP_OK);
    assert_int_equal(d->n_progress, 37);
    assert_non_null(strstr(d->last_log, "another job"));
    d->checkpoint[d->checkpoint_bytes / 2] ^= 1;
    assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "r.mp4", &err), BP_OK);
    assert_int_equal(d->n_progress, 37);
    assert_non_null(strstr(d->last_log, "damaged"));
    check_video("r.mp4", 192, 108, 36);
}

static void bad_input_is_terminal_and_said_in_words(void **state)
{
    struct bp_err err;
    file_write("notes.txt", "not a photo", 11);
    assert_int_equal(driver_run(*state, "notes.txt", "{" SMALL "}", "x.mp4", &err), BP_BADINPUT);
    assert_int_equal(err.rc, BP_BADINPUT);
    assert_non_null(strstr(err.text, "not a picture"));
    size_t n;
    uint8_t *png = file_read("photo.png", &n);
    file_write("half.png", png, n / 2);
    free(png);
    assert_int_equal(driver_run(*state, "half.png", "{" SMALL "}", "x.mp4", &err), BP_BADINPUT);
    assert_non_null(strstr(err.text, "damaged or cut short"));
    assert_int_not_equal(access("x.mp4", F_OK), 0);
}

static void a_param_out_of_range_is_refused(void **state)
{
    struct bp_err err;
    assert_int_equal(driver_run(*state, "photo.png", "{\"duration\":1000}", "x.mp4", &err), BP_INVALID);
    assert_non_null(strstr(err.text, "duration is 1000, allowed are 0.5 to 60"));
}

static void a_full_disk_is_not_the_tenants_fault(void **state)
{
    struct bp_err err;
    assert_int_equal(driver_run(*state, "photo.png", "{" SMALL "}", "/dev/full", &err), BP_NOSPACE);
    assert_int_equal(driver_run(*state, "photo.png", "{" SMALL "}", "nowhere/x.mp4", &err), BP_IO);
}

static const char *by_force(struct bp_self *self)
{
    (void)self;
    return "{\"engine\":\"hardware\"}";
}

/* There is no NVENC here, so that the operator's word shows in what becomes of the job. */
static void the_operator_says_who_encodes(void **state)
{
    static const struct bp_host host = {.size = sizeof host, .abi = BP_ABI_VERSION, .config = by_force};
    struct driver *d = *state;
    struct bp_err err;
    void *inst;
    assert_int_equal(d->plugin->start(NULL, &host, &inst, &err), BP_OK);
    assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "e.mp4", &err), BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "GPU's video encoder"));
    assert_int_equal(d->plugin->start(NULL, NULL, &inst, &err), BP_OK);
    assert_int_equal(driver_run(d, "photo.png", "{" SMALL "}", "e.mp4", &err), BP_OK);
}

/* What the fake GPU shall compute, and then so late that whoever does not wait gets something else. */
static void teach(void)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(lib);
    void (*fn)(const struct bp_kernel_image *) = (void (*)(const struct bp_kernel_image *))dlsym(lib, "fakecuda_teach");
    assert_non_null(fn);
    fn(&image_to_video_kernels);
    dlclose(lib);
    setenv("FAKECUDA_ASYNC", "late", 1);
}

static void a_gpu_gives_the_bytes_that_the_cpu_gives(void **state)
{
    static const char *const moves[] = {"push", "orbit"};
    struct driver d;
    struct bp_err err = {0};
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    teach();
    for (int i = 0; i < 2; i++) {
        char params[200];
        size_t n[2];
        snprintf(params, sizeof params, "{\"move\":\"%s\",\"parallax\":0.6," SMALL "}", moves[i]);
        assert_int_equal(driver_run(*state, "photo.png", params, "cpu.mp4", &err), BP_OK);
        assert_int_equal(driver_run(&d, "photo.png", params, "gpu.mp4", &err), BP_OK);
        uint8_t *cpu = file_read("cpu.mp4", &n[0]), *gpu = file_read("gpu.mp4", &n[1]);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(cpu, gpu, n[0]);
        free(cpu);
        free(gpu);
    }
    driver_close(&d);
}

/* Every call a job makes of the GPU may fail. The widths differ, so that no memory of an earlier job fits. */
static void a_gpu_that_fails_fails_the_job_and_nothing_else(void **state)
{
    static const struct {
        const char *fail;
        int32_t rc;
    } cases[] = {{"cuLaunchKernel=700", BP_IO},    {"cuMemAlloc_v2=2", BP_NOMEM},  {"cuMemAllocHost_v2=2", BP_NOMEM},
                 {"cuStreamCreate=2", BP_NOMEM},   {"cuEventCreate=700", BP_IO},   {"cuEventRecord=700", BP_IO},
                 {"cuStreamWaitEvent=700", BP_IO}, {"cuMemcpyHtoD_v2=700", BP_IO}, {"cuMemcpyDtoHAsync_v2=700", BP_IO},
                 {"cuEventSynchronize=700", BP_IO}};
    struct driver d;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char params[200];
        snprintf(params, sizeof params, "{\"width\":%d,\"height\":108,\"duration\":0.5}", 200 + 40 * (int)i);
        setenv("FAKECUDA_FAIL", cases[i].fail, 1);
        assert_int_equal(driver_run(&d, "photo.png", params, "g.mp4", &err), cases[i].rc);
        assert_non_null(strstr(err.text, "CUDA_ERROR_"));
        unsetenv("FAKECUDA_FAIL");
        assert_int_equal(driver_run(&d, "photo.png", params, "g.mp4", &err), BP_OK);
        check_video("g.mp4", 200 + 40 * (int)i, 108, 15);
    }
    driver_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_photo_becomes_a_video_frame_by_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(every_move_makes_a_video, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_job_gives_the_same_bytes_and_another_seed_others, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_job_goes_on_at_its_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_may_be_interrupted_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_of_another_job_or_a_damaged_one_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_input_is_terminal_and_said_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_param_out_of_range_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_not_the_tenants_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(the_operator_says_who_encodes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_gives_the_bytes_that_the_cpu_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_that_fails_fails_the_job_and_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
