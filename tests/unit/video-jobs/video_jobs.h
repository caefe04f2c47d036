/* SPDX-License-Identifier: Apache-2.0 */
/*
 * video_jobs.h - whole jobs through the .so of a workflow that makes a video of a video: what the tests of each need,
 * and the cases that are the same for all. Compiled into each test, with PLUGIN_SO, and FACTOR by which it makes frames
 * larger.
 */
#ifndef TEST_VIDEO_JOBS_H
#define TEST_VIDEO_JOBS_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "driver.h"
#include "pictures.h"

#define TEST  "-f lavfi -i testsrc2=s=160x90:r=25:d=2 "
#define SOUND "-f lavfi -i sine=d=2 "

/* *state: the plugin on the CPU device. */
int video_setup(void **state);
int video_teardown(void **state);
void run_job(struct driver *d, const char *in, const char *params, const char *out);
/* It ends with rc and these words, and leaves no output. */
void refused(struct driver *d, const char *in, const char *params, int32_t rc, const char *words);
/* The same frames at the same times, `factor` times as large but for an odd column or row; returns how many. */
int same_frames(const char *from, const char *to, int factor);
/* The same packets of sound. */
void same_sound(const char *from, const char *to);

/* A video whose frames come at uneven times, of odd sides, made `factor` times as large by params. */
void odd_sides_and_times_are_kept(struct driver *d, const char *params, int factor);
/* Wherever a job is stopped, the next attempt draws only what is missing, and `warmup` frames before that. */
void goes_on_at_its_frame(struct driver *d, int warmup);
/* Nor one of the same video with params `other`. */
void other_checkpoints_are_not_used(struct driver *d, const char *other, int warmup);

/* ---- cases ---- */
void hdr_and_a_turn_are_passed_on(void **state);
void an_animation_becomes_a_video(void **state);
void bad_input_is_terminal_and_said_in_words(void **state);
void odd_videos_come_out_right_or_are_refused_in_words(void **state);
void what_would_have_other_files_opened_is_refused(void **state);
void a_full_disk_is_not_the_tenants_fault(void **state);
void the_operator_says_who_decodes_and_encodes(void **state);

/* The cases above as rows of an array of struct CMUnitTest. */
#define VIDEO_CASE(f) cmocka_unit_test_setup_teardown(f, video_setup, video_teardown)
#define VIDEO_CASES                                                                                                    \
    VIDEO_CASE(hdr_and_a_turn_are_passed_on), VIDEO_CASE(an_animation_becomes_a_video),                                \
        VIDEO_CASE(bad_input_is_terminal_and_said_in_words),                                                           \
        VIDEO_CASE(odd_videos_come_out_right_or_are_refused_in_words),                                                 \
        VIDEO_CASE(what_would_have_other_files_opened_is_refused), VIDEO_CASE(a_full_disk_is_not_the_tenants_fault),   \
        VIDEO_CASE(the_operator_says_who_decodes_and_encodes)

/* For each of params (ended by NULL) a fake GPU that computes as late as it may gives the CPU's file. */
void gpu_gives_the_bytes(struct driver *cpu, const struct bp_kernel_image *kernels, const char *const *params);
/* A GPU that fails in one of GPU_FAILURES ways fails the job, and the next one goes well. */
#define GPU_FAILURES 3
void gpu_failure(struct driver *gpu, int which, const char *in, const char *params, int factor);

#endif
