/* SPDX-License-Identifier: Apache-2.0 */
/* chroma.h - chroma by a bicubic filter, downward and then across; included by kernel.cu alone. */
#ifndef VIDEO_UPSCALE_CHROMA_H
#define VIDEO_UPSCALE_CHROMA_H

#include "patch.h"

#define CHROMA_BORDER  3
#define CHROMA_PATCH_W (CHROMA_COLUMNS + (BP_TARGET_CUDA ? 2 * CHROMA_BORDER : 16))
#define CHROMA_PATCH_H (CHROMA_ROWS + 2 * CHROMA_BORDER)

/* The arguments' phases, ready to be computed with: on a GPU as they are. */
#if BP_TARGET_CUDA
#define taps           phases
#define TAPS(name, of) const struct phases *name = &(of)
#else
#define TAPS(name, of) const struct taps name##_ = taps_of(&(of)), *name = &name##_
struct taps {
    int32_t start[MAX_FACTOR];
    val weights[MAX_FACTOR][4];
};

BP_FN struct taps taps_of(const struct phases *p)
{
    struct taps t;
    BP_UNROLL(4)
    for (int32_t k = 0; k < MAX_FACTOR; k++) {
        t.start[k] = p->start[k];
        BP_UNROLL(4)
        for (int32_t i = 0; i < 4; i++)
            t.weights[k][i] = WEIGHT(p->weights[k][i]);
    }
    return t;
}
#endif

/* The output sample at column px of cell i: rows of `from` hold cells with CHROMA_BORDER more on each side. */
BP_FN val chroma_at(const struct taps *across, const val *from, int32_t px, int32_t i)
{
    const val *w = across->weights[px], *at = from + i + CHROMA_BORDER + across->start[px];
    return (val)((times(at[0], w[0]) + times(at[1], w[1])) + (times(at[2], w[2]) + times(at[3], w[3])));
}

#if !BP_TARGET_CUDA
#define STORE_CHROMA(type, wide, out)                                                                                  \
    do {                                                                                                               \
        type line[CHROMA_COLUMNS * MAX_FACTOR];                                                                        \
        for (int32_t i = 0; i < CHROMA_COLUMNS; i++)                                                                   \
            BP_UNROLL(4)                                                                                               \
        for (int32_t px = 0; px < factor; px++)                                                                        \
            line[i * factor + px] = (type)to_sample(chroma_at(&taps, from, px, i), wide);                              \
        if (width == CHROMA_COLUMNS * factor) /* a copy of known size is a few moves */                                \
            __builtin_memcpy((out), line, (size_t)CHROMA_COLUMNS *(size_t)factor * sizeof line[0]);                    \
        else                                                                                                           \
            __builtin_memcpy((out), line, (size_t)width * sizeof line[0]);                                             \
    } while (0)

/* The same of bytes by 2: two side by side, so that vectors need not be shuffled. */
BP_FN void store_chroma_pairs(const struct taps *across, const val *BP_RESTRICT from, int32_t width,
                              char *BP_RESTRICT out)
{
    uint16_t line[CHROMA_COLUMNS];
    for (int32_t i = 0; i < CHROMA_COLUMNS; i++)
        line[i] = pair_of(to_sample(chroma_at(across, from, 0, i), 0), to_sample(chroma_at(across, from, 1, i), 0));
    if (width == CHROMA_COLUMNS * 2)
        __builtin_memcpy(out, line, sizeof line);
    else
        __builtin_memcpy(out, line, (size_t)width);
}
#endif

/* Columns of what was enlarged downward; width and height: what of the tile is inside the picture. */
BP_FN void store_chroma(const struct taps *across, const val *BP_RESTRICT rows, int32_t factor, int32_t wide,
                        int32_t width, int32_t height, char *BP_RESTRICT out, int32_t out_stride)
{
#if BP_TARGET_CUDA
    BP_EACH(k, height * width)
    {
        int32_t r = k / width, x = k % width;
        int32_t v = to_sample(chroma_at(across, rows + r * CHROMA_PATCH_W, x % factor, x / factor), wide);
        if (wide)
            ((uint16_t *)out)[(int64_t)r * out_stride + x] = (uint16_t)v;
        else
            ((uint8_t *)out)[(int64_t)r * out_stride + x] = (uint8_t)v;
    }
#else
    const struct taps taps = *across; /* out may not change it */
    for (int32_t r = 0; r < height; r++) {
        const val *from = rows + r * CHROMA_PATCH_W;
        if (wide)
            STORE_CHROMA(uint16_t, 1, out + (int64_t)r * out_stride * 2);
        else if (factor == 2)
            store_chroma_pairs(&taps, from, width, out + (int64_t)r * out_stride);
        else
            STORE_CHROMA(uint8_t, 0, out + (int64_t)r * out_stride);
    }
#endif
}

/* One plane of chroma, rows first, then columns; factor and wide are constants where this is called. */
BP_FN void chroma_tile(const struct chroma_args *a, int32_t tx, int32_t ty, int32_t factor, int32_t wide)
{
    BP_SHARED val patch[CHROMA_PATCH_H * CHROMA_PATCH_W];
    BP_SHARED val rows[CHROMA_ROWS * MAX_FACTOR * CHROMA_PATCH_W];
    const struct plane *p = &a->plane;
    TAPS(across, a->across);
    TAPS(down, a->down);
    int32_t x0 = tx * CHROMA_COLUMNS, y0 = ty * CHROMA_ROWS;
    load_patch(p, wide, x0 - CHROMA_BORDER, y0 - CHROMA_BORDER, CHROMA_PATCH_W, CHROMA_PATCH_H, CHROMA_PATCH_W, patch);
    BP_SYNC();
    BP_EACH_2D(r, CHROMA_ROWS * factor, i, CHROMA_PATCH_W)
    {
        const val *w = down->weights[r % factor];
        const val *at = patch + (r / factor + CHROMA_BORDER + down->start[r % factor]) * CHROMA_PATCH_W + i;
        rows[r * CHROMA_PATCH_W + i] =
            (val)((times(at[0], w[0]) + times(at[CHROMA_PATCH_W], w[1])) +
                  (times(at[2 * CHROMA_PATCH_W], w[2]) + times(at[3 * CHROMA_PATCH_W], w[3])));
    }
    BP_SYNC();
    int32_t height = bp_mini(CHROMA_ROWS * factor, p->out_height - y0 * factor);
    int32_t width = bp_mini(CHROMA_COLUMNS * factor, p->out_width - x0 * factor);
    int32_t out_stride = p->out_stride;
    char *out = (char *)p->out + ((int64_t)y0 * factor * out_stride + x0 * factor) * (wide ? 2 : 1);
    store_chroma(across, rows, factor, wide, width, height, out, out_stride);
}

#endif
