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
#include "pictures.h"
#include "video_upscale.kernel.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST  "-f lavfi -i testsrc2=s=160x90:r=25:d=2 "
#define SOUND "-f lavfi -i sine=d=2 "

static int setup(void **state)
{
    struct driver *d = malloc(sizeof *d);
    struct bp_err err = {0};
    if (driver_open(d, PLUGIN_SO, "cpu", &err) != BP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    driver_close(*state);
    free(*state);
    return 0;
}

static void run_job(struct driver *d, const char *in, const char *params, const char *out)
{
    struct bp_err err;
    if (driver_run(d, in, params, out, &err) != BP_OK)
        fail_msg("%s: %s", in, err.text);
}

static void refused(struct driver *d, const char *in, const char *params, int32_t rc, const char *words)
{
    struct bp_err err;
    int32_t got = driver_run(d, in, params, "refused.mp4", &err);
    if (got != rc || err.rc != rc || !strstr(err.text, words))
        fail_msg("%s: %d \"%s\", not %d \"%s\"", in, got, err.text, rc, words);
    assert_int_not_equal(access("refused.mp4", F_OK), 0);
}

/* The same frames at the same times, `factor` times as large; returns how many. */
static int same_frames(const char *from, const char *to, int factor)
{
    struct bp_video_reader *r[2];
    struct bp_video_frame f[2];
    struct bp_err err;
    assert_int_equal(bp_video_reader_open(from, NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open(to, NULL, &r[1], &err), BP_OK);
    struct bp_ratio a = bp_video_reader_info(r[0])->time_base, b = bp_video_reader_info(r[1])->time_base;
    int n = 0;
    for (; bp_video_reader_next(r[0], &f[0], &err) == BP_OK; n++) {
        assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_OK);
        assert_int_equal(f[1].width, f[0].width * factor / 2 * 2);
        assert_int_equal(f[1].height, f[0].height * factor / 2 * 2);
        assert_int_equal(f[0].time * a.num * b.den, f[1].time * b.num * a.den);
    }
    assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_NOTFOUND);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
    return n;
}

static void a_video_grows_frame_by_frame_and_keeps_its_sound(void **state)
{
    struct driver *d = *state;
    assert_string_equal(d->plugin->name, "video-upscale");
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    for (int factor = 2; factor <= 4; factor++) {
        char params[64], words[64];
        snprintf(params, sizeof params, "{\"factor\":%d}", factor);
        run_job(d, "s.mp4", params, "o.mp4");
        assert_int_equal(same_frames("s.mp4", "o.mp4", factor), 50);
        snprintf(words, sizeof words, "frame 50 of 50");
        assert_string_equal(d->last_text, words);
        assert_true(d->last_fraction == 1);
        video_make("-i s.mp4 -map 0:a -c copy -f framemd5", "s.sum");
        video_make("-i o.mp4 -map 0:a -c copy -f framemd5", "o.sum");
        size_t n[2];
        uint8_t *sums[2] = {file_read("s.sum", &n[0]), file_read("o.sum", &n[1])};
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(sums[0], sums[1], n[0]);
        free(sums[0]);
        free(sums[1]);
    }
}

static void a_variable_frame_rate_and_odd_sides_are_kept(void **state)
{
    video_make("-f lavfi -i testsrc2=s=161x91:r=25:d=1 -vf setpts=N*N/500/TB -vsync passthrough -enc_time_base 1/90000 "
               "-c:v libx264 -pix_fmt yuv444p",
               "vfr.mkv");
    run_job(*state, "vfr.mkv", "{\"factor\":3}", "o.mp4");
    assert_int_equal(same_frames("vfr.mkv", "o.mp4", 3), 25);
}

static void hdr_and_a_turn_are_passed_on(void **state)
{
    video_make(TEST "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:colorprim=bt2020:"
                    "transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:"
                    "master-display=G\\(8500,39850\\)B\\(6550,2300\\)R\\(35400,14600\\)WP\\(15635,16450\\)"
                    "L\\(10000000,50\\)",
               "h.mp4");
    video_make("-i h.mp4 -c copy -metadata:s:v rotate=90", "hdr.mp4");
    run_job(*state, "hdr.mp4", "{}", "o.mp4");
    assert_int_equal(same_frames("hdr.mp4", "o.mp4", 2), 50);
    struct bp_video_reader *r[2];
    struct bp_err err;
    assert_int_equal(bp_video_reader_open("hdr.mp4", NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open("o.mp4", NULL, &r[1], &err), BP_OK);
    const struct bp_video_info *a = bp_video_reader_info(r[0]), *b = bp_video_reader_info(r[1]);
    assert_true(a->meta.has_mastering && a->meta.rotation == 270);
    assert_memory_equal(&a->meta, &b->meta, sizeof a->meta);
    assert_int_equal(b->depth, 10);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
}

static void an_animation_becomes_a_video(void **state)
{
    video_make(TEST, "a.gif");
    run_job(*state, "a.gif", "{}", "o.mp4");
    assert_int_equal(same_frames("a.gif", "o.mp4", 2), 50);
}

static void a_stopped_job_goes_on_at_its_frame(void **state)
{
    struct driver *d = *state;
    static const int stops[] = {2, 20, 50};
    struct bp_err err;
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    run_job(d, "s.mp4", "{}", "whole.mp4");
    int whole = d->n_progress;
    for (int i = 0; i < 3; i++) {
        d->stop_after = stops[i];
        assert_int_equal(driver_run(d, "s.mp4", "{}", "r.mp4", &err), BP_STOPPED);
        assert_int_not_equal(access("r.mp4", F_OK), 0);
        d->stop_after = 0;
        run_job(d, "s.mp4", "{}", "r.mp4");
        assert_int_equal(d->n_progress, whole - (stops[i] - 1)); /* the frames before were not drawn again */
        assert_int_equal(same_frames("s.mp4", "r.mp4", 2), 50);
        unlink("r.mp4");
        free(d->checkpoint);
        d->checkpoint = NULL;
    }
}

static void a_checkpoint_of_another_video_or_factor_is_not_used(void **state)
{
    struct driver *d = *state;
    struct bp_err err;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    video_make(TEST "-vf negate -pix_fmt yuv420p", "t.mp4");
    d->stop_after = 10;
    assert_int_equal(driver_run(d, "s.mp4", "{}", "r.mp4", &err), BP_STOPPED);
    d->stop_after = 0;
    run_job(d, "t.mp4", "{}", "r.mp4");
    assert_non_null(strstr(d->last_log, "another job"));
    assert_int_equal(d->n_progress, 51);
    run_job(d, "s.mp4", "{\"sharpness\":0}", "r.mp4");
    assert_int_equal(d->n_progress, 51);
    run_job(d, "s.mp4", "{}", "r.mp4");
    assert_int_equal(d->n_progress, 51 - 9);
}

static void what_cannot_be_made_larger_is_refused_in_words(void **state)
{
    video_make("-f lavfi -i color=gray:s=3840x2160:r=5:d=0.4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
               "4k.mp4");
    refused(*state, "4k.mp4", "{\"factor\":4}", BP_BADINPUT,
            "15360 by 8640 pixels, at most 8192 by 4320 are made; take "
            "factor 2");
    video_make("-f lavfi -i color=gray:s=5120x2880:r=5:d=0.4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
               "5k.mp4");
    refused(*state, "5k.mp4", "{}", BP_BADINPUT, "cannot be made larger");
    video_make("-f lavfi -i color=gray:s=4x4:r=5:d=0.4 -c:v ffv1", "tiny.mkv");
    refused(*state, "tiny.mkv", "{}", BP_BADINPUT, "only 4 by 4 pixels");
    refused(*state, "4k.mp4", "{\"factor\":5}", BP_INVALID, "factor is 5, allowed are 2 to 4");
    refused(*state, "4k.mp4", "{\"sharpness\":1.5}", BP_INVALID, "sharpness is 1.5");
}

static void bad_input_is_terminal_and_said_in_words(void **state)
{
    file_write("notes.mp4", "not a video", 11);
    refused(*state, "notes.mp4", "{}", BP_BADINPUT, "not a video");
    file_write("empty.mp4", "", 0);
    refused(*state, "empty.mp4", "{}", BP_BADINPUT, "empty");
    video_make(SOUND, "sound.m4a");
    refused(*state, "sound.m4a", "{}", BP_BADINPUT, "sound but no picture");
    video_make(TEST "-pix_fmt yuv420p -movflags faststart", "s.mp4");
    size_t n;
    uint8_t *bytes = file_read("s.mp4", &n);
    file_write("cut.mp4", bytes, n / 2);
    free(bytes);
    refused(*state, "cut.mp4", "{}", BP_BADINPUT, "cut short");
}

static void a_full_disk_is_not_the_tenants_fault(void **state)
{
    struct bp_err err;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(driver_run(*state, "s.mp4", "{}", "/dev/full", &err), BP_NOSPACE);
    assert_int_equal(driver_run(*state, "s.mp4", "{}", "nowhere/x.mp4", &err), BP_IO);
}

static const char *by_force(struct bp_self *self)
{
    (void)self;
    return "{\"engine\":\"hardware\"}";
}

/* There is no NVDEC and no NVENC here, so that the operator's word shows in what becomes of the job. */
static void the_operator_says_who_decodes_and_encodes(void **state)
{
    static const struct bp_host host = {.size = sizeof host, .abi = BP_ABI_VERSION, .config = by_force};
    struct driver *d = *state;
    struct bp_err err;
    void *inst;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(d->plugin->start(NULL, &host, &inst, &err), BP_OK);
    assert_int_equal(driver_run(d, "s.mp4", "{}", "e.mp4", &err), BP_UNSUPPORTED);
    assert_non_null(strstr(err.text, "GPU's video decoder"));
    assert_int_equal(d->plugin->start(NULL, NULL, &inst, &err), BP_OK);
    run_job(d, "s.mp4", "{}", "e.mp4");
}

/* What the fake GPU shall compute, and then so late that whoever does not wait gets something else. */
static void teach(void)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(lib);
    void (*fn)(const struct bp_kernel_image *) = (void (*)(const struct bp_kernel_image *))dlsym(lib, "fakecuda_teach");
    assert_non_null(fn);
    fn(&video_upscale_kernels);
    dlclose(lib);
    setenv("FAKECUDA_ASYNC", "late", 1);
}

static void a_gpu_gives_the_bytes_that_the_cpu_gives(void **state)
{
    struct driver d;
    struct bp_err err = {0};
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    teach();
    for (int factor = 2; factor <= 4; factor++) {
        char params[64];
        size_t n[2];
        snprintf(params, sizeof params, "{\"factor\":%d}", factor);
        run_job(*state, "s.mp4", params, "cpu.mp4");
        run_job(&d, "s.mp4", params, "gpu.mp4");
        uint8_t *cpu = file_read("cpu.mp4", &n[0]), *gpu = file_read("gpu.mp4", &n[1]);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(cpu, gpu, n[0]);
        free(cpu);
        free(gpu);
    }
    driver_close(&d);
    unsetenv("FAKECUDA_ASYNC");
}

/* Factors differ, so that no memory of an earlier job fits. */
static void a_gpu_that_fails_fails_the_job_and_nothing_else(void **state)
{
    static const struct {
        const char *fail;
        int32_t rc;
    } cases[] = {{"cuMemAlloc_v2=2", BP_NOMEM}, {"cuLaunchKernel=700", BP_IO}, {"cuMemcpyDtoHAsync_v2=700", BP_IO}};
    struct driver d;
    struct bp_err err = {0};
    (void)state;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    for (int i = 0; i < 3; i++) {
        char params[64];
        snprintf(params, sizeof params, "{\"factor\":%d}", 2 + i);
        setenv("FAKECUDA_FAIL", cases[i].fail, 1);
        assert_int_equal(driver_run(&d, "s.mp4", params, "g.mp4", &err), cases[i].rc);
        assert_non_null(strstr(err.text, "CUDA_ERROR_"));
        unsetenv("FAKECUDA_FAIL");
        run_job(&d, "s.mp4", params, "g.mp4");
        assert_int_equal(same_frames("s.mp4", "g.mp4", 2 + i), 50);
    }
    driver_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_video_grows_frame_by_frame_and_keeps_its_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_variable_frame_rate_and_odd_sides_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(hdr_and_a_turn_are_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_animation_becomes_a_video, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_job_goes_on_at_its_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_of_another_video_or_factor_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_made_larger_is_refused_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_input_is_terminal_and_said_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_not_the_tenants_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(the_operator_says_who_decodes_and_encodes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_gives_the_bytes_that_the_cpu_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_that_fails_fails_the_job_and_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
