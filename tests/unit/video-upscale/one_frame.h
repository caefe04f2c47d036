/* SPDX-License-Identifier: Apache-2.0 */
/* one_frame.h - an upscaler with memory of a device, for frames one at a time; also for bench/video_upscale.c. */
#ifndef TEST_VIDEO_UPSCALE_ONE_FRAME_H
#define TEST_VIDEO_UPSCALE_ONE_FRAME_H

#include "upscaler.h"

struct one_frame {
    struct upscaler upscaler;
    struct bp_buffer in, out;
    uint8_t *packed, *pixels;
};

int32_t one_frame_init(struct one_frame *o, const struct kernels *kernels, const struct bp_video_info *info,
                       int32_t factor, double sharpness, struct bp_err *err);
void one_frame_free(struct one_frame *o);
/* *out: borrowed until the next call, at the time of `in`. */
int32_t one_frame_draw(struct one_frame *o, const struct bp_video_frame *in, struct bp_video_frame *out,
                       struct bp_err *err);

#endif
