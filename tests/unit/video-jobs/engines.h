/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engines.h - NVENC and NVDEC for a plugin's .so as it is: this program's avcodec_find_*_by_name() stand before
 * libavcodec's (it is linked with its symbols exported), and give for the GPU's codecs ones that every machine has.
 */
#ifndef TEST_ENGINES_H
#define TEST_ENGINES_H

#include "video_jobs.h"

void a_gpus_engines_that_open_are_used(void **state);
void a_gpus_engines_that_do_not_open_are_left_in_words(void **state);
void engines_that_ffmpeg_lacks_are_left_in_words(void **state);
void on_a_cpu_no_engine_is_asked_for_but_by_force(void **state);

#define ENGINE_CASES                                                                                                   \
    VIDEO_CASE(a_gpus_engines_that_open_are_used), VIDEO_CASE(a_gpus_engines_that_do_not_open_are_left_in_words),      \
        VIDEO_CASE(engines_that_ffmpeg_lacks_are_left_in_words),                                                       \
        VIDEO_CASE(on_a_cpu_no_engine_is_asked_for_but_by_force)

#endif
