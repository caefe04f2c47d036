/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_args.h - arguments of the kernels; read by kernel.cu (CUDA and C) and by the host.
 *
 * A plane holds 8-bit samples in bytes, or 10-bit ones in 16 bits. Sample (i, j) has its centre at (i, j). An output
 * plane may be narrower or lower than factor times the input: the last columns or rows are then not drawn.
 */
#ifndef VIDEO_UPSCALE_KERNEL_ARGS_H
#define VIDEO_UPSCALE_KERNEL_ARGS_H

#include <stdint.h>

#define MAX_FACTOR 4
/* Input columns that a tile is for. By 4 it is half as wide, so that it fits into a GPU's shared memory. Four less than
 * a multiple of all vectors' lanes: with what is computed beside them there is no remainder. */
#define CELLS(factor)        ((factor) == 4 ? 32 : 64)
#define TILE_COLUMNS(factor) (CELLS(factor) - 4)
#define TILE_ROWS(factor)    ((factor) == 2 ? 16 : 8) /* input rows; a multiple of what kernel.cu draws at once */

struct plane {
    const void *in;
    void *out;
    int32_t in_stride, out_stride; /* samples from row to row */
    int32_t in_width, in_height;
    int32_t out_width, out_height;
};

struct luma_args {
    struct plane plane;
    float sharpness; /* 0..1 */
};

#define CHROMA_COLUMNS 64 /* input columns and rows of a tile of chroma */
#define CHROMA_ROWS    8

/* Where the k-th output sample of each input sample's `factor` lies: its four taps begin at sample + start[k]. */
struct phases {
    int32_t start[MAX_FACTOR];
    float weights[MAX_FACTOR][4];
};

struct chroma_args {
    struct plane plane;
    int32_t factor;
    int32_t wide; /* 1: 10 bits */
    struct phases across, down;
};

#endif
