/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of video-upscale: luma by filters that turn with the edges, then sharpened by what contrast leaves room
 * for; chroma by a bicubic filter at the place where its samples sit.
 *
 * Luma. The structure tensor of a 3 by 3 neighbourhood (Bigun and Granlund 1987; Foerstner and Guelch 1987) says how
 * its gradients lie: C = (Jxx - Jyy) / (Jxx + Jyy + E) and S = 2 Jxy / (Jxx + Jyy + E) are cosine and sine of twice the
 * angle of the edge's normal times how sure that is, E being noise. An output pixel is a sum of 4 by 4 input pixels
 * around it with weights w0 + C wC + S wS: the first terms of a filter that is steered (Freeman and Adelson 1991), long
 * along the edge and short across. The three sets are those of the least squared error on photographs that were
 * averaged down (weights.h). The result is held to the range of the nearest input pixels, widened by a tenth, so
 * nothing rings. By even factors four pixels at a time are drawn, which are mirror images of each other.
 *
 * Sharpening adds a part of the difference to the four neighbours, less of it the more contrast there is already: the
 * idea of contrast-adaptive sharpening (T. Lottes, FidelityFX CAS, 2019), here with (1 - contrast)^2, which needs no
 * division.
 */
#include <bp/kernel.h>

#include "kernel_args.h"
#include "numbers.h"

#define WEIGHTS BP_CONST
#include "weights.h"

/* Columns and rows of input around a tile's cells that its filters look at, and the arrays that hold them. */
#define BORDER     3
#define MORE       (BP_TARGET_CUDA ? 4 : 16) /* columns beside the cells; on a CPU as many as fill a vector */
#define PATCH_W    (64 + MORE)               /* of the wider tiles */
#define PATCH_H    (TILE_ROWS + 2 * BORDER)
#define PRODUCT_W  (64 + MORE / 2)
#define CELL_ROWS  (TILE_ROWS + 2)
#define NOISE      1920.0f /* E above: 30 squared steps of 255, times what Sobel-like sums below are too large by */
#define SLACK      0.1f
#define SHARPEN    0.2f                     /* of the difference to four neighbours' sum, at sharpness 1 */
#define UP_SAMPLES (CELL_ROWS * 3 * 3 * 64) /* the largest of the factors: 3 by 64, 4 by 32 */

/*
 * Memory that the threads of a tile share. Cell i of a row is input column x0 - 1 + i, cell row r is y0 - 1 + r; the
 * last two cells of a row are there to fill vectors and mean nothing.
 */
struct tile_memory {
    val patch[PATCH_H * PATCH_W]; /* input from (x0 - BORDER, y0 - BORDER) */
    float jxx[CELL_ROWS * PRODUCT_W], jyy[CELL_ROWS * PRODUCT_W], jxy[CELL_ROWS * PRODUCT_W];
    val c[CELL_ROWS * 64], s[CELL_ROWS * 64]; /* as weights */
    /* Output rows of all cells, of the first and last row only those next to the tile; in a row first all pixels at
     * column 0 of their cells, then those at 1... */
    val up[UP_SAMPLES];
};

BP_FN val sample_at(const struct plane *p, int32_t wide, int64_t at)
{
    return to_val(wide ? ((const uint16_t *)p->in)[at] : ((const uint8_t *)p->in)[at], wide);
}

/* height rows of input from (left, top) on; beyond the picture's edges the nearest sample. */
BP_FN void load_patch(const struct plane *p, int32_t wide, int32_t left, int32_t top, int32_t width, int32_t height,
                      int32_t stride, val *BP_RESTRICT patch)
{
    if (left >= 0 && left + width <= p->in_width) {
        BP_EACH_2D(r, height, i, width)
        patch[r * stride + i] =
            sample_at(p, wide, (int64_t)bp_clampi(top + r, 0, p->in_height - 1) * p->in_stride + left + i);
    } else {
        BP_EACH_2D(r, height, i, width)
        patch[r * stride + i] = sample_at(p, wide,
                                          (int64_t)bp_clampi(top + r, 0, p->in_height - 1) * p->in_stride +
                                              bp_clampi(left + i, 0, p->in_width - 1));
    }
}

/* Products of gradients, twice as large each, around the cells, summed 1 2 1 downward. */
BP_FN void multiply_gradients(const val *BP_RESTRICT patch, int32_t columns, float *BP_RESTRICT jxx,
                              float *BP_RESTRICT jyy, float *BP_RESTRICT jxy)
{
    BP_EACH_2D(r, CELL_ROWS, i, columns)
    {
        float xx = 0, yy = 0, xy = 0;
#pragma GCC unroll 3
        for (int32_t k = 0; k < 3; k++) {
            const val *at = patch + (r + k + 1) * PATCH_W + i + 1;
            float gx = (float)(val)(at[1] - at[-1]), gy = (float)(val)(at[PATCH_W] - at[-PATCH_W]);
            float w = k == 1 ? 2.0f : 1.0f;
            xx += w * (gx * gx);
            yy += w * (gy * gy);
            xy += w * (gx * gy);
        }
        jxx[r * PRODUCT_W + i] = xx;
        jyy[r * PRODUCT_W + i] = yy;
        jxy[r * PRODUCT_W + i] = xy;
    }
}

/* A value from -1 to 1 as a weight. */
BP_FN val to_weight(float v)
{
#if BP_TARGET_CUDA
    return v;
#else
    return (val)(v * 32767.0f);
#endif
}

/* The sums go on 1 2 1 across: sixteen times the mean. */
BP_FN void find_edges(const float *BP_RESTRICT jxx, const float *BP_RESTRICT jyy, const float *BP_RESTRICT jxy,
                      int32_t cells, val *BP_RESTRICT c, val *BP_RESTRICT s)
{
    BP_EACH_2D(r, CELL_ROWS, i, cells)
    {
        int32_t at = r * PRODUCT_W + i;
        float xx = jxx[at] + 2.0f * jxx[at + 1] + jxx[at + 2];
        float yy = jyy[at] + 2.0f * jyy[at + 1] + jyy[at + 2];
        float xy = jxy[at] + 2.0f * jxy[at + 1] + jxy[at + 2];
        float inverse = 1.0f / (xx + yy + NOISE * STEP * STEP);
        c[r * 64 + i] = to_weight((xx - yy) * inverse);
        s[r * 64 + i] = to_weight(2.0f * xy * inverse);
    }
}

/* First and last tap, from -2 to 2, along a direction in which the output is at `phase` of `factor`. */
BP_FN int32_t first_tap(int32_t factor, int32_t phase)
{
    return 2 * phase + 1 > factor ? -1 : -2;
}
BP_FN int32_t last_tap(int32_t factor, int32_t phase)
{
    return 2 * phase + 1 < factor ? 1 : 2;
}

/* The plain filter's middle, so that all of it come to 1 also when they are rounded: flat stays flat. Of one above 1 what
 * is above. */
BP_FN val middle_of(const float w[5][5])
{
    float rest = 0;
#pragma GCC unroll 5
    for (int32_t dy = 0; dy < 5; dy++)
#pragma GCC unroll 5
        for (int32_t dx = 0; dx < 5; dx++)
            if (dy != 2 || dx != 2)
                rest += (float)WEIGHT(w[dy][dx]);
    return (val)((w[2][2] >= 1.0f ? 0.0f : (float)ONE) - rest);
}

/* All output pixels at (px, py) of their cells. weights: three filters of 5 by 5. Constant but for the pointers, so
 * that loops over taps unroll. */
BP_FN void draw_phase(const val *BP_RESTRICT patch, const val *BP_RESTRICT edge_c, const val *BP_RESTRICT edge_s,
                      val *BP_RESTRICT up, const float weights[3][5][5], int32_t factor, int32_t py, int32_t px)
{
    /* output rows just above and below the tile are needed too: one row of them belongs to the cells above or below */
    int32_t first = py == factor - 1 ? 0 : 1, rows = py == factor - 1 || py == 0 ? TILE_ROWS + 1 : TILE_ROWS;
    /* the nearest input pixels: one on each side of the output, or where it lies on one, that and both neighbours */
    int32_t left = 2 * px + 1 > factor ? 0 : -1, right = 2 * px + 1 < factor ? 0 : 1;
    int32_t over = 2 * py + 1 > factor ? 0 : -1, under = 2 * py + 1 < factor ? 0 : 1;
    val w[3][5][5], beyond = variable(WEIGHT(SLACK));
#pragma GCC unroll 3
    for (int32_t k = 0; k < 3; k++)
#pragma GCC unroll 5
        for (int32_t dy = 0; dy < 5; dy++)
#pragma GCC unroll 5
            for (int32_t dx = 0; dx < 5; dx++)
                w[k][dy][dx] = variable(WEIGHT(weights[k][dy][dx]));
    w[0][2][2] = variable(middle_of(weights[0]));
    BP_EACH_2D(n, rows, i, CELLS(factor))
    {
        int32_t r = first + n;
        const val *at = patch + (r + BORDER - 1) * PATCH_W + i + BORDER - 1;
        val plain = 0, by_c = 0, by_s = 0, low = *at, high = *at;
#pragma GCC unroll 5
        for (int32_t dy = first_tap(factor, py); dy <= last_tap(factor, py); dy++)
#pragma GCC unroll 5
            for (int32_t dx = first_tap(factor, px); dx <= last_tap(factor, px); dx++) {
                val v = at[dy * PATCH_W + dx];
                plain = (val)(plain + times(v, w[0][dy + 2][dx + 2]));
                if (dy == 0 && dx == 0 && weights[0][2][2] >= 1.0f)
                    plain = (val)(plain + v);
                by_c = (val)(by_c + times(v, w[1][dy + 2][dx + 2]));
                by_s = (val)(by_s + times(v, w[2][dy + 2][dx + 2]));
                if (dy >= over && dy <= under && dx >= left && dx <= right) {
                    low = least(low, v);
                    high = most(high, v);
                }
            }
        val slack = times((val)(high - low), beyond), c = edge_c[r * 64 + i], s = edge_s[r * 64 + i];
        val v = (val)(plain + times(by_c, c) + times(by_s, s));
        up[((r * factor + py) * factor + px) * CELLS(factor) + i] =
            least(most(v, (val)(low - slack)), (val)(high + slack));
    }
}

/*
 * Four pixels of a cell that are mirror images of each other have one filter, mirrored, with S of the other sign where
 * one axis is. So input pixels are first added to their images and subtracted from them, which takes a quarter of the
 * products: EE is what is even both ways, EO even down and odd across, OE and OO so, too; each of the four pixels is a
 * sum and difference of the four.
 */
enum { EE, EO, OE, OO, FOLDS };

/* The part of a filter that goes with the folded pixels dy down and dx across; sy, sx: -1 of an odd fold, else 1. */
BP_FN float fold_weight(const float w[5][5], int32_t dy, int32_t dx, float sy, float sx)
{
    return 0.25f * ((w[2 - dy][2 - dx] + sx * w[2 - dy][2 + dx]) + sy * (w[2 + dy][2 - dx] + sx * w[2 + dy][2 + dx]));
}

BP_FN void fold_row(const val *at, val even[3], val odd[3])
{
    even[0] = at[0];
    odd[0] = 0;
    even[1] = (val)(at[-1] + at[1]);
    odd[1] = (val)(at[-1] - at[1]);
    even[2] = (val)(at[-2] + at[2]);
    odd[2] = (val)(at[-2] - at[2]);
}

/* w[filter][fold][down][across]; whole: 1 is to be added to the plain filter's middle. */
struct folded {
    val w[3][FOLDS][3][3];
    int32_t whole;
};

/* The plain filter's middle, so that all of it come to 1 also when they are rounded: flat stays flat. */
BP_FN val middle_of_fold(const float w[5][5], int32_t whole)
{
    float rest = 0;
#pragma GCC unroll 3
    for (int32_t dy = 0; dy < 3; dy++)
#pragma GCC unroll 3
        for (int32_t dx = 0; dx < 3; dx++)
            if (dy || dx)
                rest += (float)((dy ? 2 : 1) * (dx ? 2 : 1)) * (float)WEIGHT(fold_weight(w, dy, dx, 1, 1));
    return (val)((whole ? 0.0f : (float)ONE) - rest);
}

BP_FN struct folded fold_weights(const float weights[3][5][5])
{
    struct folded f;
    f.whole = fold_weight(weights[0], 0, 0, 1, 1) >= 1.0f;
#pragma GCC unroll 3
    for (int32_t k = 0; k < 3; k++)
#pragma GCC unroll 3
        for (int32_t dy = 0; dy < 3; dy++)
#pragma GCC unroll 3
            for (int32_t dx = 0; dx < 3; dx++) {
                f.w[k][EE][dy][dx] = variable(WEIGHT(fold_weight(weights[k], dy, dx, 1, 1)));
                f.w[k][EO][dy][dx] = variable(WEIGHT(fold_weight(weights[k], dy, dx, 1, -1)));
                f.w[k][OE][dy][dx] = variable(WEIGHT(fold_weight(weights[k], dy, dx, -1, 1)));
                f.w[k][OO][dy][dx] = variable(WEIGHT(fold_weight(weights[k], dy, dx, -1, -1)));
            }
    f.w[0][EE][0][0] = variable(middle_of_fold(weights[0], f.whole));
    return f;
}

BP_FN void add_to(val *sum, val v, val w)
{
    *sum = (val)(*sum + times(v, w));
}

/* sums[filter][fold] of the pixels around `at`. */
BP_FN void fold_sums(const val *at, const struct folded *f, val sums[3][FOLDS])
{
    if (f->whole)
        sums[0][EE] = at[0];
#pragma GCC unroll 3
    for (int32_t dy = 0; dy < 3; dy++) {
        val above_even[3], above_odd[3], below_even[3], below_odd[3];
        fold_row(at - dy * PATCH_W, above_even, above_odd);
        fold_row(at + dy * PATCH_W, below_even, below_odd);
#pragma GCC unroll 3
        for (int32_t dx = 0; dx < 3; dx++) {
            val even = dy ? (val)(above_even[dx] + below_even[dx]) : above_even[dx];
            val across = dy ? (val)(above_odd[dx] + below_odd[dx]) : above_odd[dx];
            val down = (val)(above_even[dx] - below_even[dx]), both = (val)(above_odd[dx] - below_odd[dx]);
#pragma GCC unroll 3
            for (int32_t k = 0; k < 3; k++) {
                add_to(&sums[k][EE], even, f->w[k][EE][dy][dx]);
                if (dx)
                    add_to(&sums[k][EO], across, f->w[k][EO][dy][dx]);
                if (dy)
                    add_to(&sums[k][OE], down, f->w[k][OE][dy][dx]);
                if (dy && dx)
                    add_to(&sums[k][OO], both, f->w[k][OO][dy][dx]);
            }
        }
    }
}

/* Within the range of the four pixels from `at` on, widened. */
BP_FN val hold(val v, const val *at, val beyond)
{
    val low = least(least(at[0], at[1]), least(at[PATCH_W], at[PATCH_W + 1]));
    val high = most(most(at[0], at[1]), most(at[PATCH_W], at[PATCH_W + 1]));
    val slack = times((val)(high - low), beyond);
    return least(most(v, (val)(low - slack)), (val)(high + slack));
}

/* All output pixels at (px, py) of their cells and at its mirror images; an even factor, px and py of its first half.
 * Constant but for the pointers. */
BP_FN void draw_four(const val *BP_RESTRICT patch, const val *BP_RESTRICT edge_c, const val *BP_RESTRICT edge_s,
                     val *BP_RESTRICT up, const float weights[3][5][5], int32_t factor, int32_t py, int32_t px)
{
    int32_t first = py == 0 ? 0 : 1, rows = py == 0 ? CELL_ROWS : TILE_ROWS;
    int32_t line = factor * CELLS(factor), right = (factor - 1 - 2 * px) * CELLS(factor);
    int32_t down = (factor - 1 - 2 * py) * line;
    const struct folded folded = fold_weights(weights);
    const val beyond = variable(WEIGHT(SLACK));
    BP_EACH_2D(n, rows, i, CELLS(factor))
    {
        int32_t r = first + n;
        const val *at = patch + (r + BORDER - 1) * PATCH_W + i + BORDER - 1;
        val sums[3][FOLDS] = {{0}}, same[FOLDS], other[FOLDS];
        val c = edge_c[r * 64 + i], s = edge_s[r * 64 + i];
        fold_sums(at, &folded, sums);
#pragma GCC unroll 4
        for (int32_t k = 0; k < FOLDS; k++) {
            val plain = (val)(sums[0][k] + times(sums[1][k], c)), turned = times(sums[2][k], s);
            same[k] = (val)(plain + turned);
            other[k] = (val)(plain - turned);
        }
        val *out = up + (r * factor + py) * line + px * CELLS(factor) + i;
        const val *corner = at - PATCH_W - 1;
        out[0] = hold((val)((same[EE] + same[OO]) + (same[EO] + same[OE])), corner, beyond);
        out[right] = hold((val)((other[EE] - other[OO]) - (other[EO] - other[OE])), corner + 1, beyond);
        out[down] = hold((val)((other[EE] - other[OO]) + (other[EO] - other[OE])), corner + PATCH_W, beyond);
        out[down + right] = hold((val)((same[EE] + same[OO]) - (same[EO] + same[OE])), corner + PATCH_W + 1, beyond);
    }
}

/* Sharpens output row `row` of `up` at column px of all inner cells; v: cells. amount: twice what is added, a weight. */
BP_FN val sharpen(const val *up, int32_t factor, int32_t row, int32_t px, int32_t i, val amount)
{
    const int32_t stride = CELLS(factor);
    const val *at = up + (row * factor + px) * stride + i;
    val v = *at, above = at[-factor * stride], below = at[factor * stride];
    val left = px > 0 ? at[-stride] : at[(factor - 1) * stride - 1];
    val right = px < factor - 1 ? at[stride] : at[-(factor - 1) * stride + 1];
    val low = least(least(above, below), least(left, right)), high = most(most(above, below), most(left, right));
    val contrast = (val)(most(high, v) - least(low, v));
    val over = (val)(2 * v - half_of((val)(above + below)) - half_of((val)(left + right)));
    return (val)(v + times(over, times_room(contrast, amount)));
}

/* n output pixels, sharpened, of `up`'s row `row` to `out`: all of the tile's cells in vectors, copied as far as they
 * are of the picture. */
#if !BP_TARGET_CUDA
#define STORE_ROW(type, wide, out, n)                                                                                  \
    do {                                                                                                               \
        type line[64 * 3]; /* or 32 * 4 */                                                                             \
        for (int32_t i = 0; i < CELLS(factor); i++)                                                                    \
            _Pragma("GCC unroll 4") for (int32_t px = 0; px < factor; px++) line[i * factor + px] =                    \
                (type)to_sample(sharpen(up, factor, row, px, i, amount), wide);                                        \
        if ((n) == TILE_COLUMNS(factor) * factor) /* a copy of known size is a few moves */                            \
            __builtin_memcpy((out), line + factor, (size_t)TILE_COLUMNS(factor) * (size_t)factor * sizeof line[0]);    \
        else                                                                                                           \
            __builtin_memcpy((out), line + factor, (size_t)(n) * sizeof line[0]);                                      \
    } while (0)
#endif

/* Writes what of the tile is inside the picture. */
BP_FN void store_tile(const struct plane *p, int32_t wide, int32_t factor, int32_t x, int32_t y,
                      const val *BP_RESTRICT up, val amount)
{
    int32_t rows = bp_mini(TILE_ROWS * factor, p->out_height - y);
    int32_t n = bp_mini(TILE_COLUMNS(factor) * factor, p->out_width - x);
    char *out = (char *)p->out + ((int64_t)y * p->out_stride + x) * (wide ? 2 : 1);
#if BP_TARGET_CUDA
    BP_EACH(k, rows * n)
    {
        int32_t r = k / n, i = k % n;
        int32_t v = to_sample(sharpen(up, factor, r + factor, i % factor, i / factor + 1, amount), wide);
        if (wide)
            ((uint16_t *)out)[(int64_t)r * p->out_stride + i] = (uint16_t)v;
        else
            ((uint8_t *)out)[(int64_t)r * p->out_stride + i] = (uint8_t)v;
    }
#else
    for (int32_t r = 0; r < rows; r++) {
        int32_t row = r + factor; /* those above are of the cells above the tile */
        if (wide)
            STORE_ROW(uint16_t, 1, out + (int64_t)r * p->out_stride * 2, n);
        else
            STORE_ROW(uint8_t, 0, out + (int64_t)r * p->out_stride, n);
    }
#endif
}

#define PHASE(f, py, px) draw_phase(m.patch, m.c, m.s, m.up, weights_##f[py][px], f, py, px)
#define FOUR(f, py, px)  draw_four(m.patch, m.c, m.s, m.up, weights_##f[py][px], f, py, px)
#define PHASES_OF_ROW_3(py)                                                                                            \
    PHASE(3, py, 0);                                                                                                   \
    PHASE(3, py, 1);                                                                                                   \
    PHASE(3, py, 2)
/* factor and wide are constants where this is called. */
BP_FN void luma_tile(const struct luma_args *a, int32_t tx, int32_t ty, int32_t factor, int32_t wide)
{
    BP_SHARED struct tile_memory m;
    int32_t x0 = tx * TILE_COLUMNS(factor), y0 = ty * TILE_ROWS;
    load_patch(&a->plane, wide, x0 - BORDER, y0 - BORDER, CELLS(factor) + MORE, PATCH_H, PATCH_W, m.patch);
    BP_SYNC();
    multiply_gradients(m.patch, CELLS(factor) + MORE / 2, m.jxx, m.jyy, m.jxy);
    BP_SYNC();
    find_edges(m.jxx, m.jyy, m.jxy, CELLS(factor), m.c, m.s);
    BP_SYNC();
    if (factor == 2) {
        FOUR(2, 0, 0);
    } else if (factor == 3) {
        PHASES_OF_ROW_3(0);
        PHASES_OF_ROW_3(1);
        PHASES_OF_ROW_3(2);
    } else {
        FOUR(4, 0, 0);
        FOUR(4, 0, 1);
        FOUR(4, 1, 0);
        FOUR(4, 1, 1);
    }
    BP_SYNC();
    store_tile(&a->plane, wide, factor, x0 * factor, y0 * factor, m.up, WEIGHT(2.0f * SHARPEN * a->sharpness));
}

BP_KERNEL_TILE(luma_2_8, struct luma_args, a, tx, ty)
{
    luma_tile(a, tx, ty, 2, 0);
}

BP_KERNEL_TILE(luma_3_8, struct luma_args, a, tx, ty)
{
    luma_tile(a, tx, ty, 3, 0);
}

BP_KERNEL_TILE(luma_4_8, struct luma_args, a, tx, ty)
{
    luma_tile(a, tx, ty, 4, 0);
}

BP_KERNEL_TILE(luma_2_10, struct luma_args, a, tx, ty)
{
    luma_tile(a, tx, ty, 2, 1);
}

BP_KERNEL_TILE(luma_3_10, struct luma_args, a, tx, ty)
{
    luma_tile(a, tx, ty, 3, 1);
}

BP_KERNEL_TILE(luma_4_10, struct luma_args, a, tx, ty)
{
    luma_tile(a, tx, ty, 4, 1);
}

#define CHROMA_BORDER  3
#define CHROMA_PATCH_W (CHROMA_COLUMNS + (BP_TARGET_CUDA ? 2 * CHROMA_BORDER : 16))
#define CHROMA_PATCH_H (CHROMA_ROWS + 2 * CHROMA_BORDER)

/* The arguments' phases, ready to be computed with: on a GPU as they are. */
#if BP_TARGET_CUDA
#define taps phases
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
#pragma GCC unroll 4
    for (int32_t k = 0; k < MAX_FACTOR; k++) {
        t.start[k] = p->start[k];
#pragma GCC unroll 4
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
            _Pragma("GCC unroll 4") for (int32_t px = 0; px < factor; px++) line[i * factor + px] =                    \
                (type)to_sample(chroma_at(&taps, from, px, i), wide);                                                \
        if (width == CHROMA_COLUMNS * factor) /* a copy of known size is a few moves */                                \
            __builtin_memcpy((out), line, (size_t)CHROMA_COLUMNS * (size_t)factor * sizeof line[0]);                   \
        else                                                                                                           \
            __builtin_memcpy((out), line, (size_t)width * sizeof line[0]);                                                 \
    } while (0)
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

/* Constants, so that loops over an output pixel's columns unroll. */
BP_FN void chroma_of(const struct chroma_args *a, int32_t tx, int32_t ty, int32_t wide)
{
    if (a->factor == 2)
        chroma_tile(a, tx, ty, 2, wide);
    else if (a->factor == 3)
        chroma_tile(a, tx, ty, 3, wide);
    else
        chroma_tile(a, tx, ty, 4, wide);
}

BP_KERNEL_TILE(chroma, struct chroma_args, a, tx, ty)
{
    if (a->wide)
        chroma_of(a, tx, ty, 1);
    else
        chroma_of(a, tx, ty, 0);
}
