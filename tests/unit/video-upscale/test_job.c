/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs through the plugin's .so, as a runner does them. */
#include "engines.h"
#include "video_upscale.kernel.h"

#include <stdio.h>

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
        same_sound("s.mp4", "o.mp4");
    }
}

static void a_variable_frame_rate_and_odd_sides_are_kept(void **state)
{
    odd_sides_and_times_are_kept(*state, "{\"factor\":3}", 3);
}

static void a_stopped_job_goes_on_at_its_frame(void **state)
{
    goes_on_at_its_frame(*state, 0);
}

static void a_checkpoint_of_another_video_or_factor_is_not_used(void **state)
{
    other_checkpoints_are_not_used(*state, "{\"sharpness\":0}", 0);
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

static void a_gpu_gives_the_bytes_that_the_cpu_gives(void **state)
{
    static const char *const params[] = {"{\"factor\":2}", "{\"factor\":3}", "{\"factor\":4}", NULL};
    gpu_gives_the_bytes(*state, &video_upscale_kernels, params);
}

/* Factors differ, so that no memory of an earlier job fits. */
static void a_gpu_that_fails_fails_the_job_and_nothing_else(void **state)
{
    struct driver d;
    struct bp_err err = {0};
    (void)state;
    video_make(TEST "-pix_fmt yuv420p", "s.mp4");
    assert_int_equal(driver_open(&d, PLUGIN_SO, "cuda", &err), BP_OK);
    for (int i = 0; i < GPU_FAILURES; i++) {
        char params[64];
        snprintf(params, sizeof params, "{\"factor\":%d}", 2 + i);
        gpu_failure(&d, i, "s.mp4", params, 2 + i);
    }
    driver_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIDEO_CASES,
        ENGINE_CASES,
        VIDEO_CASE(a_video_grows_frame_by_frame_and_keeps_its_sound),
        VIDEO_CASE(a_variable_frame_rate_and_odd_sides_are_kept),
        VIDEO_CASE(a_stopped_job_goes_on_at_its_frame),
        VIDEO_CASE(a_checkpoint_of_another_video_or_factor_is_not_used),
        VIDEO_CASE(what_cannot_be_made_larger_is_refused_in_words),
        VIDEO_CASE(a_gpu_gives_the_bytes_that_the_cpu_gives),
        VIDEO_CASE(a_gpu_that_fails_fails_the_job_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
