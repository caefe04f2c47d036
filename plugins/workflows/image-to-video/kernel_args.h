/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_args.h - arguments of the kernels; read by kernel.cu (CUDA and C) and by the host.
 *
 * The photo on the device is linear light, four 16-bit values a pixel (R G B and one unused), with a border of PAD
 * repeated pixels on all sides, so that no kernel needs to look where it ends. Coordinates in it: pixel (i, j) of the
 * photo has its centre at (i, j), the border being negative.
 */
#ifndef IMAGE_TO_VIDEO_KERNEL_ARGS_H
#define IMAGE_TO_VIDEO_KERNEL_ARGS_H

#include <stdint.h>

#define PAD         8
#define TILE_W      128 /* output pixels of a tile */
#define TILE_H      8
#define MAX_SAMPLES 16 /* of motion blur */
#define MAX_SCALE   2  /* photo pixels per output pixel that the separable kernel can filter */
#define MAX_TAPS    (4 * MAX_SCALE)

struct photo {
    const uint16_t *pixels; /* of the border's first pixel */
    int32_t stride;         /* pixels from row to row, width + 2 PAD */
    int32_t width, height;  /* without border */
};

/* Resampling along one direction by a table the host made: output i is the sum of weights[i * taps + k] *
 * input[starts[i] + k]. */
struct resample {
    const int32_t *starts;
    const float *weights;
    int32_t taps;
};

struct linearize_args {
    const uint8_t *rgba;       /* sRGB */
    const uint16_t *to_linear; /* 256 values */
    uint64_t *out;             /* a pixel: R in its lowest 16 bits, then G and B */
    int32_t width;             /* pixels of a row of both */
};

struct shrink_columns_args {
    const uint16_t *in; /* in_width pixels a row */
    uint16_t *out;      /* out_width pixels a row */
    struct resample filter;
    int32_t in_width, out_width;
};

struct shrink_rows_args {
    const uint16_t *in;
    uint16_t *out; /* with border: stride pixels a row */
    struct resample filter;
    int32_t width, height, stride;
};

/* Where output pixel (x, y) looks: photo (x0 + x * scale, y0 + y * scale). */
struct straight_view {
    float x0, y0, scale;
};

/* The same through a plane in space: ((h0 x + h1 y + h2) / w, (h3 x + h4 y + h5) / w), w = h6 x + h7 y + 1; then moved
 * by depth (-1/2..1/2) times (px, py) + pz times the position. */
struct bent_view {
    float h[8];
    float px, py, pz;
};

/* What all frames share. */
struct canvas {
    struct photo photo;
    uint8_t *luma, *chroma; /* NV12, width bytes a row */
    int32_t width, height;  /* even */
    float gain;             /* 1 / (65535 * samples) */
    float vignette;         /* brightness is 1 / (1 + vignette r^2)^2, r = 1 in the corners: the cos^4 law */
    float centre_x, centre_y, inverse_r2;
};

struct straight_args {
    struct canvas canvas;
    int32_t taps; /* 4 * scale rounded up to an even number: 4, 6 or 8 */
    int32_t samples;
    struct straight_view views[MAX_SAMPLES];
};

struct bent_args {
    struct canvas canvas;
    const float *depth; /* 0 far .. 1 near, depth_width values a row */
    int32_t depth_width, depth_height;
    float depth_scale; /* depth map pixels per photo pixel */
    int32_t samples;
    struct bent_view views[MAX_SAMPLES];
};

#endif
