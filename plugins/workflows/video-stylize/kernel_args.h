/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_args.h - arguments of the kernels; read by kernel.cu (CUDA and C) and by the host.
 *
 * A plane of the video holds 8-bit samples in bytes, or 10-bit ones in 16 bits. What is kept between kernels are floats
 * in steps of 255 whatever the depth, rows without gaps.
 */
#ifndef VIDEO_STYLIZE_KERNEL_ARGS_H
#define VIDEO_STYLIZE_KERNEL_ARGS_H

#include <stdint.h>

#define TILE_COLUMNS 64 /* samples of a tile, of every kernel */
#define TILE_ROWS    8
#define MAX_REACH    6 /* steps from a brush's middle to the end of its longest stroke */
#define MAX_STEP     3 /* samples of a step, in luma; 2 in chroma, whose brush is half as large */

/* Keeps a plane still where it does not change. */
struct hold_args {
    const void *in;      /* width by height samples */
    const float *before; /* what was kept of the frame before; not read of the first one */
    float *held;
    int32_t width, height;
    int32_t wide;  /* 1: 10 bits */
    int32_t first; /* 1: there is no frame before */
    float follow;  /* 0..1: the part of a change that is taken over where it may be noise */
};

/* Luma at chroma's size. */
struct halve_args {
    const float *from; /* width by height */
    float *half;       /* (width + 1) / 2 by (height + 1) / 2 */
    int32_t width, height;
};

/* How strokes lie at each sample of half the luma's size. */
struct flow_args {
    const float *half; /* width by height */
    float *flow; /* four planes of width by height: u = [0] x + [1] y, v = [2] x + [3] y makes the stroke of a brush of
                    radius 1 a circle of radius 1, u along it */
    int32_t width, height;
};

/* A brush: it looks at every `step`-th sample around its middle, each the mean of what lies between. */
struct brush {
    int32_t step;  /* 1..MAX_STEP */
    int32_t reach; /* 1..MAX_REACH, in steps */
    float scale;   /* step / radius */
};

struct paint_args {
    const void *in[3];    /* the frame itself; luma, or the last two: chroma */
    void *out[3];         /* out_width by out_height samples */
    const float *held[3]; /* what is painted: luma, or luma at chroma's size and both of chroma; width by height */
    const float *flow;
    int32_t width, height;
    int32_t out_width, out_height;   /* the same or one less */
    int32_t flow_width, flow_height; /* of its planes */
    int32_t wide;                    /* 1: 10 bits */
    float strength;                  /* 0..1: from the frame itself to the painting */
    struct brush brush;
};

#endif
