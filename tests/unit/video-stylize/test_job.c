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
#include "video_stylize.kernel.h"

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

/* As many frames at the same times and of the same size, but for an odd column or row; returns how many. */
static int same_frames(const char *from, const char *to)
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
        assert_int_equal(f[1].width, f[0].width / 2 * 2);
        assert_int_equal(f[1].height, f[0].height / 2 * 2);
        assert_int_equal(f[0].time * a.num * b.den, f[1].time * b.num * a.den);
    }
    assert_int_equal(bp_video_reader_next(r[1], &f[1], &err), BP_NOTFOUND);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
    return n;
}

static void a_video_is_painted_frame_by_frame_and_keeps_its_sound(void **state)
{
    struct driver *d = *state;
    assert_string_equal(d->plugin->name, "video-stylize");
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    run_job(d, "s.mp4", "{\"brushSize\":3}", "o.mp4");
    assert_int_equal(same_frames("s.mp4", "o.mp4"), 50);
    assert_string_equal(d->last_text, "frame 50 of 50");
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

/* The mean difference of luma of all frames. */
static double difference(const char *from, const char *to)
{
    struct bp_video_reader *r[2];
    struct bp_video_frame f[2];
    struct bp_err err;
    double sum = 0, n = 0;
    assert_int_equal(bp_video_reader_open(from, NULL, &r[0], &err), BP_OK);
    assert_int_equal(bp_video_reader_open(to, NULL, &r[1], &err), BP_OK);
    while (bp_video_reader_next(r[0], &f[0], &err) == BP_OK && bp_video_reader_next(r[1], &f[1], &err) == BP_OK)
        for (int32_t y = 0; y < f[1].height; y++)
            for (int32_t x = 0; x < f[1].width; x++, n++)
                sum += abs(f[0].planes[0][y * f[0].strides[0] + x] - f[1].planes[0][y * f[1].strides[0] + x]);
    bp_video_reader_close(&r[0]);
    bp_video_reader_close(&r[1]);
    return sum / n;
}

static void strength_and_brush_say_how_much_is_painted(void **state)
{
    video_make("-f lavfi -i mandelbrot=s=160x90:r=25 -t 0.4 -pix_fmt yuv420p -crf 5", "m.mp4");
    run_job(*state, "m.mp4", "{\"strength\":0,\"quality\":5}", "none.mp4");
    run_job(*state, "m.mp4", "{\"strength\":0.5,\"quality\":5}", "half.mp4");
    run_job(*state, "m.mp4", "{\"quality\":5}", "all.mp4");
    run_job(*state, "m.mp4", "{\"quality\":5,\"brushSize\":12}", "broad.mp4");
    double none = difference("m.mp4", "none.mp4"), half = difference("m.mp4", "half.mp4");
    double all = difference("m.mp4", "all.mp4"), broad = difference("m.mp4", "broad.mp4");
    print_message("changed by %.2f, %.2f, %.2f, %.2f\n", none, half, all, broad);
    assert_true(none < 1 && half > 2 * none && all > 1.5 * half && broad > 1.1 * all);
}

static void a_variable_frame_rate_and_odd_sides_are_kept(void **state)
{
    video_make("-f lavfi -i testsrc2=s=161x91:r=25:d=1 -vf setpts=N*N/500/TB -vsync passthrough -enc_time_base 1/90000 "
               "-c:v libx264 -pix_fmt yuv444p",
               "vfr.mkv");
    run_job(*state, "vfr.mkv", "{}", "o.mp4");
    assert_int_equal(same_frames("vfr.mkv", "o.mp4"), 25);
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
    assert_int_equal(same_frames("hdr.mp4", "o.mp4"), 50);
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
    assert_int_equal(same_frames("a.gif", "o.mp4"), 50);
}

static void a_stopped_job_goes_on_at_its_frame(void **state)
{
    struct driver *d = *state;
    static const int stops[] = {2, 30, 50};
    struct bp_err err;
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    run_job(d, "s.mp4", "{}", "whole.mp4");
    int whole = d->n_progress, warmup = 8;
    for (int i = 0; i < 3; i++) {
        d->stop_after = stops[i];
        assert_int_equal(driver_run(d, "s.mp4", "{}", "r.mp4", &err), BP_STOPPED);
        assert_int_not_equal(access("r.mp4", F_OK), 0);
        d->stop_after = 0;
        run_job(d, "s.mp4", "{}", "r.mp4");
        /* of the frames before, only those were painted again that the next one hangs on */
        int done = stops[i] - 1, again = done < warmup ? done : warmup;
        assert_int_equal(d->n_progress, whole - done + again);
        assert_int_equal(same_frames("s.mp4", "r.mp4"), 50);
        unlink("r.mp4");
        free(d->checkpoint);
        d->checkpoint = NULL;
    }
}

/* What is held of frames before the checkpoint is held again. */
static void a_job_that_goes_on_paints_as_if_it_had_not_stopped(void **state)
{
    struct driver *d = *state;
    struct bp_err err;
    video_make("-f lavfi -i smptebars=s=160x90:r=25:d=2 -vf noise=alls=8:allf=t -pix_fmt yuv420p -crf 5", "n.mp4");
    run_job(d, "n.mp4", "{\"stability\":1,\"quality\":1}", "whole.mp4");
    d->stop_after = 40;
    assert_int_equal(driver_run(d, "n.mp4", "{\"stability\":1,\"quality\":1}", "r.mp4", &err), BP_STOPPED);
    d->stop_after = 0;
    run_job(d, "n.mp4", "{\"stability\":1,\"quality\":1}", "r.mp4");
    run_job(d, "n.mp4", "{\"stability\":0,\"quality\":1}", "plain.mp4");
    double resumed = difference("whole.mp4", "r.mp4"), plain = difference("whole.mp4", "plain.mp4");
    print_message("after a stop %.3f from the whole, without stability %.3f\n", resumed, plain);
    assert_int_equal(same_frames("n.mp4", "r.mp4"), 50);
    assert_true(resumed < 0.06 && plain > 0.5);
}

static void a_checkpoint_of_another_video_or_brush_is_not_used(void **state)
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
    run_job(d, "s.mp4", "{\"brushSize\":6}", "r.mp4");
    assert_int_equal(d->n_progress, 51);
    run_job(d, "s.mp4", "{}", "r.mp4");
    assert_int_equal(d->n_progress, 51 - 9 + 8);
}

static void what_cannot_be_painted_is_refused_in_words(void **state)
{
    video_make("-f lavfi -i color=gray:s=14x40:r=5:d=0.4 -c:v ffv1", "tiny.mkv");
    refused(*state, "tiny.mkv", "{}", BP_BADINPUT,
            "only 14 by 40 pixels, which makes 14 by 40; it must be at least 16 by 16");
    refused(*state, "tiny.mkv", "{\"brushSize\":1}", BP_INVALID, "brushSize is 1, allowed are 2 to 12");
    refused(*state, "tiny.mkv", "{\"strength\":1.5}", BP_INVALID, "strength is 1.5");
    refused(*state, "tiny.mkv", "{\"stability\":-1}", BP_INVALID, "stability is -1");
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
    fn(&video_stylize_kernels);
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
    for (int brush = 2; brush <= 12; brush += 5) {
        char params[64];
        size_t n[2];
        snprintf(params, sizeof params, "{\"brushSize\":%d}", brush);
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

static void a_gpu_that_fails_fails_the_job_and_nothing_else(void **state)
{
    static const struct {
        const char *fail;
        int32_t rc;
    } cases[] = {{"cuMemAlloc_v2=2", BP_NOMEM}, {"cuLaunchKernel=700", BP_IO}, {"cuMemcpyDtoHAsync_v2=700", BP_IO}};
    struct driver d;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    for (int i = 0; i < 3; i++) {
        char make[160], name[32];
        snprintf(name, sizeof name, "g%d.mp4", i);
        /* larger from job to job, so that no memory of an earlier one fits */
        snprintf(make, sizeof make, "-f lavfi -i testsrc2=s=%dx%d:r=25:d=2 -pix_fmt yuv420p", 64 << i, 48 << i);
        video_make(make, name);
        setenv("FAKECUDA_FAIL", cases[i].fail, 1);
        assert_int_equal(driver_run(&d, name, "{}", "g.mp4", &err), cases[i].rc);
        assert_non_null(strstr(err.text, "CUDA_ERROR_"));
        unsetenv("FAKECUDA_FAIL");
        run_job(&d, name, "{}", "g.mp4");
        assert_int_equal(same_frames(name, "g.mp4"), 50);
    }
    driver_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_video_is_painted_frame_by_frame_and_keeps_its_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(strength_and_brush_say_how_much_is_painted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_variable_frame_rate_and_odd_sides_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(hdr_and_a_turn_are_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_animation_becomes_a_video, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_job_goes_on_at_its_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_goes_on_paints_as_if_it_had_not_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_of_another_video_or_brush_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_painted_is_refused_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_input_is_terminal_and_said_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_not_the_tenants_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(the_operator_says_who_decodes_and_encodes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_gives_the_bytes_that_the_cpu_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gpu_that_fails_fails_the_job_and_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
