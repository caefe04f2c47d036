/* SPDX-License-Identifier: Apache-2.0 */
/* upscaler.h - frames made larger on a device. All memory is taken at the start, none per frame. */
#ifndef VIDEO_UPSCALE_UPSCALER_H
#define VIDEO_UPSCALE_UPSCALER_H

#include "kernel_args.h"

#include <bp/device.h>
#include <bp/media.h>

struct kernels {
    const struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *luma[MAX_FACTOR + 1][2]; /* by factor, then 8 or 10 bits */
    struct bp_kernel *chroma;
};

struct upscaler {
    const struct kernels *kernels;
    int32_t factor, wide;
    float sharpness;
    struct plane planes[3]; /* without their addresses */
    struct phases across, down;
    struct bp_buffer in, out; /* all planes one behind the other */
    uint64_t in_at[3], out_at[3];
    uint8_t *packed; /* input planes without gaps */
    uint8_t *pixels; /* output planes, on the host */
};

/* Loads the kernels of this workflow onto a device. Free with kernels_unload(), also after an error. */
int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err);
void kernels_unload(struct kernels *kernels);

/* For frames of a video like this; kernels must outlive it. Output sides are factor times the input's, made even by
 * leaving out a last column or row. upscaler_free() after an error too. */
int32_t upscaler_init(struct upscaler *u, const struct kernels *kernels, const struct bp_video_info *info,
                      int32_t factor, double sharpness, struct bp_err *err);
void upscaler_free(struct upscaler *u);
/* *out: borrowed until the next call; time and duration are the input's. */
int32_t upscaler_draw(struct upscaler *u, const struct bp_video_frame *in, struct bp_video_frame *out,
                      struct bp_err *err);

/* Where output chroma lies among input chroma that sits on the first luma sample (cosited 1) or between two (0). */
void chroma_phases(int32_t factor, int32_t cosited, struct phases *out);

#endif
