/* SPDX-License-Identifier: Apache-2.0 */
/* painter.h - frames made sample by sample, and painted on the CPU device. Wrong calls and failures fail the test. */
#ifndef TEST_VIDEO_STYLIZE_PAINTER_H
#define TEST_VIDEO_STYLIZE_PAINTER_H

#include "stylizer.h"

struct painter {
    struct bp_device *dev;
    struct kernels kernels;
    struct stylizer stylizer;
    struct bp_video_planes in, out;
    struct bp_buffer from, to;
    uint8_t *frame, *painted; /* in.bytes, out.bytes */
};

void painter_open(struct painter *p, int32_t width, int32_t height, int32_t depth, struct style style);
/* The same on an older CPU. */
void painter_open_at(struct painter *p, int32_t width, int32_t height, int32_t depth, struct style style,
                     int32_t cpu_level);
void painter_close(struct painter *p);
/* Paints what is in `frame` into `painted`. */
void painter_paint(struct painter *p);

/* Sets a sample of `frame`, rounded; value in steps of 255. */
void painter_set(struct painter *p, int plane, int32_t x, int32_t y, double value);
/* Samples in steps of 255; beyond the edges the nearest one. */
double painter_in(const struct painter *p, int plane, int32_t x, int32_t y);
double painter_out(const struct painter *p, int plane, int32_t x, int32_t y);

/* About Gaussian, of mean 0 and deviation 1. */
double painter_noise(uint32_t *seed);

#endif
