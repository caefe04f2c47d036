/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stylizer.h - frames of one video, painted one after the other on a device. What is held of a frame is what the next
 * one is compared with, so frames are given in order. All memory is taken at the start, none per frame.
 */
#ifndef VIDEO_STYLIZE_STYLIZER_H
#define VIDEO_STYLIZE_STYLIZER_H

#include "kernel_args.h"

#include <bp/video_filter.h>

struct kernels {
    const struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *hold, *halve, *flow, *paint_luma, *paint_chroma;
};

struct style {
    double strength;   /* 0..1 */
    double brush_size; /* 2..12 samples of luma */
    double stability;  /* 0..1 */
};

struct stylizer {
    const struct kernels *kernels;
    struct bp_video_planes in, out;
    float strength, follow;
    struct brush luma, chroma;
    struct bp_buffer held[2]; /* three planes of floats, of this frame and of the one before by turns */
    struct bp_buffer half, flow;
    int64_t frames; /* so far */
};

/* Loads the kernels of this workflow onto a device. Free with kernels_unload(), also after an error. */
int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err);
void kernels_unload(struct kernels *kernels);

/* For frames that come like `in` and go like `out`, as large or a column or row less; kernels must outlive it.
 * stylizer_free() after an error too. */
int32_t stylizer_init(struct stylizer *s, const struct kernels *kernels, const struct bp_video_planes *in,
                      const struct bp_video_planes *out, const struct style *style, struct bp_err *err);
void stylizer_free(struct stylizer *s);
/* Paints the next frame: in->bytes at `from` to out->bytes at `to`, in the order of the queue (NULL: at once). */
int32_t stylizer_launch(struct stylizer *s, const struct bp_buffer *from, const struct bp_buffer *to,
                        struct bp_queue *queue, struct bp_err *err);

/* After how many frames no more than a sixth is left of what was held before them, of this stability. */
int32_t stylizer_memory(double stability);

/* Of this radius in samples: at most MAX_REACH steps from its middle to the end of a stroke. */
struct brush brush_of(double radius);

#endif
