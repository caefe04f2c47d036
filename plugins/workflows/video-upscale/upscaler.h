/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upscaler.h - how frames of one video are made larger: where their planes lie in a buffer that goes up to the device
 * and in one that comes back, and what is launched in between. Constant once made; its functions may run at the same
 * time.
 */
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
    int32_t factor;
    int32_t wide; /* 1: 10 bits */
    float sharpness;
    struct plane planes[3]; /* without their addresses */
    struct phases across, down;
    uint64_t in_at[3], out_at[3]; /* bytes before each plane */
    uint64_t in_bytes, out_bytes; /* of a frame */
};

/* Loads the kernels of this workflow onto a device. Free with kernels_unload(), also after an error. */
int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err);
void kernels_unload(struct kernels *kernels);

/* For frames of a video like this; kernels must outlive it. Output sides are factor times the input's, made even by
 * leaving out a last column or row. */
void upscaler_init(struct upscaler *u, const struct kernels *kernels, const struct bp_video_info *info, int32_t factor,
                   double sharpness);
/* The frame as the device takes it: in_bytes. */
void upscaler_pack(const struct upscaler *u, const struct bp_video_frame *frame, void *in);
/* From in_bytes at `in` to out_bytes at `out`, in the order of the queue (NULL: at once). */
int32_t upscaler_launch(const struct upscaler *u, const struct bp_buffer *in, const struct bp_buffer *out,
                        struct bp_queue *queue, struct bp_err *err);

/* Where output chroma lies among input chroma that sits on the first luma sample (cosited 1) or between two (0). */
void chroma_phases(int32_t factor, int32_t cosited, struct phases *out);

#endif
