/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs through the plugin's .so, as a runner does them. */
#include "engines.h"
#include "video_stylize.kernel.h"

#include <stdio.h>
#include <stdlib.h>

#define WARMUP 8 /* frames before a checkpoint that the next one hangs on */

static void a_video_is_painted_frame_by_frame_and_keeps_its_sound(void **state)
{
    struct driver *d = *state;
    assert_string_equal(d->plugin->name, "video-stylize");
    video_make(TEST SOUND "-pix_fmt yuv420p", "s.mp4");
    run_job(d, "s.mp4", "{\"brushSize\":3}", "o.mp4");
    assert_int_equal(same_frames("s.mp4", "o.mp4", 1), 50);
    assert_string_equal(d->last_text, "frame 50 of 50");
    assert_true(d->last_fraction == 1);
    same_sound("s.mp4", "o.mp4");
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
    odd_sides_and_times_are_kept(*state, "{}", 1);
}

static void a_stopped_job_goes_on_at_its_frame(void **state)
{
    goes_on_at_its_frame(*state, WARMUP);
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
    assert_int_equal(same_frames("n.mp4", "r.mp4", 1), 50);
    assert_true(resumed < 0.06 && plain > 0.5);
}

static void a_checkpoint_of_another_video_or_brush_is_not_used(void **state)
{
    other_checkpoints_are_not_used(*state, "{\"brushSize\":6}", WARMUP);
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

static void a_gpu_gives_the_bytes_that_the_cpu_gives(void **state)
{
    static const char *const params[] = {"{\"brushSize\":2}", "{\"brushSize\":7}", "{\"brushSize\":12}", NULL};
    gpu_gives_the_bytes(*state, &video_stylize_kernels, params);
}

/* Larger from job to job, so that no memory of an earlier one fits. */
static void a_gpu_that_fails_fails_the_job_and_nothing_else(void **state)
{
    struct driver d;
    struct bp_err err = {0};
    (void)state;
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    for (int i = 0; i < GPU_FAILURES; i++) {
        char make[160], name[32];
        snprintf(name, sizeof name, "g%d.mp4", i);
        snprintf(make, sizeof make, "-f lavfi -i testsrc2=s=%dx%d:r=25:d=2 -pix_fmt yuv420p", 64 << i, 48 << i);
        video_make(make, name);
        gpu_failure(&d, i, name, "{}", 1);
    }
    driver_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIDEO_CASES,
        ENGINE_CASES,
        VIDEO_CASE(a_video_is_painted_frame_by_frame_and_keeps_its_sound),
        VIDEO_CASE(strength_and_brush_say_how_much_is_painted),
        VIDEO_CASE(a_variable_frame_rate_and_odd_sides_are_kept),
        VIDEO_CASE(a_stopped_job_goes_on_at_its_frame),
        VIDEO_CASE(a_job_that_goes_on_paints_as_if_it_had_not_stopped),
        VIDEO_CASE(a_checkpoint_of_another_video_or_brush_is_not_used),
        VIDEO_CASE(what_cannot_be_painted_is_refused_in_words),
        VIDEO_CASE(a_gpu_gives_the_bytes_that_the_cpu_gives),
        VIDEO_CASE(a_gpu_that_fails_fails_the_job_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
