/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depth.h - a guess of how near things in a photo are, good enough for a gentle parallax. Three cues are mixed (what is
 * low in the picture, in focus and colourful is near) and smoothed along the photo's own edges.
 */
#ifndef IMAGE_TO_VIDEO_DEPTH_H
#define IMAGE_TO_VIDEO_DEPTH_H

#include <bp/media.h>

#define DEPTH_LONG_SIDE 192

/* 0 far .. 1 near, row by row; at least 2 by 2. */
struct depth {
    int32_t width, height;
    float *values;
};

/* BP_NOMEM. Free with depth_free(). Deterministic. */
int32_t depth_estimate(const struct bp_image *image, struct depth *out, struct bp_err *err);
void depth_free(struct depth *depth);
/* The steepest step between neighbours, 0..1: a parallax of `shift` map pixels folds the picture when shift * steepest
 * reaches 1. */
float depth_steepest(const struct depth *depth);

#endif
