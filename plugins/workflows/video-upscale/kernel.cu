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
 * nothing rings.
 *
 * Sharpening adds a part of the difference to the four neighbours, less of it the more contrast there is already: the
 * idea of contrast-adaptive sharpening (T. Lottes, FidelityFX CAS, 2019), here with (1 - contrast)^2, which needs no
 * division.
 */
#include <bp/kernel.h>

#include "kernel_args.h"

#define WEIGHTS BP_CONST
#include "weights.h"

/* Columns and rows of input around a tile's cells that its filters look at, and the arrays that hold them. */
#define BORDER     3
#define PATCH_W    (64 + 4) /* of the wider tiles */
#define PATCH_H    (TILE_ROWS + 2 * BORDER)
#define PRODUCT_W  (64 + 2)
#define PRODUCT_H  (PATCH_H - 2)
#define CELL_ROWS  (TILE_ROWS + 2)
#define NOISE      1920.0f /* E above: 30 squared steps of 255, times what Sobel-like sums below are too large by */
#define SLACK      0.1f
#define SHARPEN    0.2f                           /* of the difference to four neighbours' sum, at sharpness 1 */
#define UP_SAMPLES ((TILE_ROWS * 3 + 2) * 3 * 64) /* the largest of the factors: 3 by 64, 4 by 32 */
#define WIDE_SCALE 0.25f                          /* 10 bits are computed with as quarters */

/*
 * Memory that the threads of a tile share. Cell i of a row is input column x0 - 1 + i, cell row r is y0 - 1 + r; the
 * last two cells of a row are there to fill vectors and mean nothing.
 */
struct tile_memory {
    float patch[PATCH_H * PATCH_W]; /* input from (x0 - BORDER, y0 - BORDER), in steps of 255 */
    float jxx[PRODUCT_H * PRODUCT_W], jyy[PRODUCT_H * PRODUCT_W], jxy[PRODUCT_H * PRODUCT_W];
    float c[CELL_ROWS * 64], s[CELL_ROWS * 64];
    /* Output rows from y0 * factor - 1 on; in a row first all pixels at column 0 of their cells, then those at 1... */
    float up[UP_SAMPLES];
};

BP_FN float sample_at(const struct plane *p, int32_t wide, int64_t at)
{
    return wide ? (float)((const uint16_t *)p->in)[at] * WIDE_SCALE : (float)((const uint8_t *)p->in)[at];
}

BP_FN void load_patch(const struct plane *p, int32_t wide, int32_t x0, int32_t y0, int32_t width,
                      float *BP_RESTRICT patch)
{
    int32_t left = x0 - BORDER, top = y0 - BORDER;
    if (left >= 0 && left + width <= p->in_width) {
        BP_EACH_2D(r, PATCH_H, i, width)
        patch[r * PATCH_W + i] =
            sample_at(p, wide, (int64_t)bp_clampi(top + r, 0, p->in_height - 1) * p->in_stride + left + i);
    } else {
        BP_EACH_2D(r, PATCH_H, i, width)
        patch[r * PATCH_W + i] = sample_at(p, wide,
                                           (int64_t)bp_clampi(top + r, 0, p->in_height - 1) * p->in_stride +
                                               bp_clampi(left + i, 0, p->in_width - 1));
    }
}

/* Products of gradients, twice as large each, at the patch's inner pixels. */
BP_FN void multiply_gradients(const float *BP_RESTRICT patch, int32_t columns, float *BP_RESTRICT jxx,
                              float *BP_RESTRICT jyy, float *BP_RESTRICT jxy)
{
    BP_EACH_2D(r, PRODUCT_H, i, columns)
    {
        const float *at = patch + (r + 1) * PATCH_W + i + 1;
        float gx = at[1] - at[-1], gy = at[PATCH_W] - at[-PATCH_W];
        jxx[r * PRODUCT_W + i] = gx * gx;
        jyy[r * PRODUCT_W + i] = gy * gy;
        jxy[r * PRODUCT_W + i] = gx * gy;
    }
}

/* 1 2 1 both ways: sixteen times the mean. */
BP_FN float smooth(const float *p)
{
    float above = p[0] + 2.0f * p[1] + p[2];
    float here = p[PRODUCT_W] + 2.0f * p[PRODUCT_W + 1] + p[PRODUCT_W + 2];
    float below = p[2 * PRODUCT_W] + 2.0f * p[2 * PRODUCT_W + 1] + p[2 * PRODUCT_W + 2];
    return above + 2.0f * here + below;
}

BP_FN void find_edges(const float *BP_RESTRICT jxx, const float *BP_RESTRICT jyy, const float *BP_RESTRICT jxy,
                      int32_t cells, float *BP_RESTRICT c, float *BP_RESTRICT s)
{
    BP_EACH_2D(r, CELL_ROWS, i, cells)
    {
        int32_t at = r * PRODUCT_W + i;
        float xx = smooth(jxx + at), yy = smooth(jyy + at), xy = smooth(jxy + at);
        float inverse = 1.0f / (xx + yy + NOISE);
        c[r * 64 + i] = (xx - yy) * inverse;
        s[r * 64 + i] = 2.0f * xy * inverse;
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

/* All output pixels at (px, py) of their cells. weights: three filters of 5 by 5. Constant but for the pointers, so
 * that loops over taps unroll. */
BP_FN void draw_phase(const float *BP_RESTRICT patch, const float *BP_RESTRICT edge_c, const float *BP_RESTRICT edge_s,
                      float *BP_RESTRICT up, const float weights[3][5][5], int32_t factor, int32_t py, int32_t px)
{
    /* output rows just above and below the tile are needed too: one row of them belongs to the cells above or below */
    int32_t first = py == factor - 1 ? 0 : 1, rows = py == factor - 1 || py == 0 ? TILE_ROWS + 1 : TILE_ROWS;
    /* the nearest input pixels: one on each side of the output, or where it lies on one, that and both neighbours */
    int32_t left = 2 * px + 1 > factor ? 0 : -1, right = 2 * px + 1 < factor ? 0 : 1;
    int32_t over = 2 * py + 1 > factor ? 0 : -1, under = 2 * py + 1 < factor ? 0 : 1;
    BP_EACH_2D(n, rows, i, CELLS(factor))
    {
        int32_t r = first + n;
        const float *at = patch + (r + BORDER - 1) * PATCH_W + i + BORDER - 1;
        float plain = 0, by_c = 0, by_s = 0, low = *at, high = *at;
#pragma GCC unroll 5
        for (int32_t dy = first_tap(factor, py); dy <= last_tap(factor, py); dy++)
#pragma GCC unroll 5
            for (int32_t dx = first_tap(factor, px); dx <= last_tap(factor, px); dx++) {
                float v = at[dy * PATCH_W + dx];
                plain += weights[0][dy + 2][dx + 2] * v;
                by_c += weights[1][dy + 2][dx + 2] * v;
                by_s += weights[2][dy + 2][dx + 2] * v;
                if (dy >= over && dy <= under && dx >= left && dx <= right) {
                    low = bp_minf(low, v);
                    high = bp_maxf(high, v);
                }
            }
        float slack = SLACK * (high - low), c = edge_c[r * 64 + i], s = edge_s[r * 64 + i];
        float v = plain + c * by_c + s * by_s;
        up[((r * factor + py - factor + 1) * factor + px) * CELLS(factor) + i] =
            bp_clampf(v, low - slack, high + slack);
    }
}

/* Sharpens output row `row` of `up` at column px of all inner cells; v: cells. */
BP_FN float sharpen(const float *up, int32_t factor, int32_t row, int32_t px, int32_t i, float amount)
{
    const int32_t stride = CELLS(factor);
    const float *at = up + (row * factor + px) * stride + i;
    float v = *at, above = at[-factor * stride], below = at[factor * stride];
    float left = px > 0 ? at[-stride] : at[(factor - 1) * stride - 1];
    float right = px < factor - 1 ? at[stride] : at[-(factor - 1) * stride + 1];
    float low = bp_minf(bp_minf(above, below), bp_minf(left, right));
    float high = bp_maxf(bp_maxf(above, below), bp_maxf(left, right));
    float room = 1.0f - (bp_maxf(high, v) - bp_minf(low, v)) * (1.0f / 255.0f);
    return v + amount * (room * room) * (4.0f * v - ((above + below) + (left + right)));
}

/* Rounds to a sample; in 10 bits from quarters. */
BP_FN int32_t to_sample(float v, int32_t wide)
{
    float top = wide ? 1023.0f : 255.0f;
    return (int32_t)(bp_clampf(wide ? v * (1.0f / WIDE_SCALE) : v, 0.0f, top) + 0.5f);
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
                      const float *BP_RESTRICT up, float amount)
{
    int32_t rows = bp_mini(TILE_ROWS * factor, p->out_height - y);
    int32_t n = bp_mini(TILE_COLUMNS(factor) * factor, p->out_width - x);
    char *out = (char *)p->out + ((int64_t)y * p->out_stride + x) * (wide ? 2 : 1);
#if BP_TARGET_CUDA
    BP_EACH(k, rows * n)
    {
        int32_t r = k / n, i = k % n;
        int32_t v = to_sample(sharpen(up, factor, r + 1, i % factor, i / factor + 1, amount), wide);
        if (wide)
            ((uint16_t *)out)[(int64_t)r * p->out_stride + i] = (uint16_t)v;
        else
            ((uint8_t *)out)[(int64_t)r * p->out_stride + i] = (uint8_t)v;
    }
#else
    for (int32_t row = 1; row <= rows; row++) {
        if (wide)
            STORE_ROW(uint16_t, 1, out + (int64_t)(row - 1) * p->out_stride * 2, n);
        else
            STORE_ROW(uint8_t, 0, out + (int64_t)(row - 1) * p->out_stride, n);
    }
#endif
}

#define PHASE(f, py, px) draw_phase(m.patch, m.c, m.s, m.up, weights_##f[py][px], f, py, px)
#define PHASES_OF_ROW_2(py)                                                                                            \
    PHASE(2, py, 0);                                                                                                   \
    PHASE(2, py, 1)
#define PHASES_OF_ROW_3(py)                                                                                            \
    PHASE(3, py, 0);                                                                                                   \
    PHASE(3, py, 1);                                                                                                   \
    PHASE(3, py, 2)
#define PHASES_OF_ROW_4(py)                                                                                            \
    PHASE(4, py, 0);                                                                                                   \
    PHASE(4, py, 1);                                                                                                   \
    PHASE(4, py, 2);                                                                                                   \
    PHASE(4, py, 3)

/* factor and wide are constants where this is called. */
BP_FN void luma_tile(const struct luma_args *a, int32_t tx, int32_t ty, int32_t factor, int32_t wide)
{
    BP_SHARED struct tile_memory m;
    int32_t x0 = tx * TILE_COLUMNS(factor), y0 = ty * TILE_ROWS, width = CELLS(factor) + 4;
    load_patch(&a->plane, wide, x0, y0, width, m.patch);
    BP_SYNC();
    multiply_gradients(m.patch, CELLS(factor), m.jxx, m.jyy, m.jxy);
    BP_SYNC();
    find_edges(m.jxx, m.jyy, m.jxy, CELLS(factor), m.c, m.s);
    BP_SYNC();
    if (factor == 2) {
        PHASES_OF_ROW_2(0);
        PHASES_OF_ROW_2(1);
    } else if (factor == 3) {
        PHASES_OF_ROW_3(0);
        PHASES_OF_ROW_3(1);
        PHASES_OF_ROW_3(2);
    } else {
        PHASES_OF_ROW_4(0);
        PHASES_OF_ROW_4(1);
        PHASES_OF_ROW_4(2);
        PHASES_OF_ROW_4(3);
    }
    BP_SYNC();
    store_tile(&a->plane, wide, factor, x0 * factor, y0 * factor, m.up, SHARPEN * a->sharpness);
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
#define CHROMA_PATCH_W (CHROMA_COLUMNS + 2 * CHROMA_BORDER)
#define CHROMA_PATCH_H (CHROMA_ROWS + 2 * CHROMA_BORDER)

/* One plane of chroma, rows first, then columns; factor and wide are constants where this is called. */
BP_FN void chroma_tile(const struct chroma_args *a, int32_t tx, int32_t ty, int32_t factor, int32_t wide)
{
    BP_SHARED float patch[CHROMA_PATCH_H * CHROMA_PATCH_W];
    BP_SHARED float rows[CHROMA_ROWS * MAX_FACTOR * CHROMA_PATCH_W];
    const struct plane *p = &a->plane;
    int32_t x0 = tx * CHROMA_COLUMNS, y0 = ty * CHROMA_ROWS;
    BP_EACH_2D(r, CHROMA_PATCH_H, i, CHROMA_PATCH_W)
    patch[r * CHROMA_PATCH_W + i] =
        sample_at(p, wide,
                  (int64_t)bp_clampi(y0 - CHROMA_BORDER + r, 0, p->in_height - 1) * p->in_stride +
                      bp_clampi(x0 - CHROMA_BORDER + i, 0, p->in_width - 1));
    BP_SYNC();
    BP_EACH_2D(r, CHROMA_ROWS * factor, i, CHROMA_PATCH_W)
    {
        const float *w = a->down.weights[r % factor];
        const float *at = patch + (r / factor + CHROMA_BORDER + a->down.start[r % factor]) * CHROMA_PATCH_W + i;
        rows[r * CHROMA_PATCH_W + i] = (w[0] * at[0] + w[1] * at[CHROMA_PATCH_W]) +
                                       (w[2] * at[2 * CHROMA_PATCH_W] + w[3] * at[3 * CHROMA_PATCH_W]);
    }
    BP_SYNC();
    int32_t height = bp_mini(CHROMA_ROWS * factor, p->out_height - y0 * factor);
    int32_t width = bp_mini(CHROMA_COLUMNS * factor, p->out_width - x0 * factor);
    int32_t out_stride = p->out_stride;
    char *out = (char *)p->out + ((int64_t)y0 * factor * out_stride + x0 * factor) * (wide ? 2 : 1);
    for (int32_t px = 0; px < factor; px++) {
        const float *w = a->across.weights[px], w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
        int32_t start = CHROMA_BORDER + a->across.start[px], columns = (width - px + factor - 1) / factor;
        BP_EACH_2D(r, height, i, columns)
        {
            const float *at = rows + r * CHROMA_PATCH_W + i + start;
            int32_t v = to_sample((w0 * at[0] + w1 * at[1]) + (w2 * at[2] + w3 * at[3]), wide);
            int64_t to = (int64_t)r * out_stride + i * factor + px;
            if (wide)
                ((uint16_t *)out)[to] = (uint16_t)v;
            else
                ((uint8_t *)out)[to] = (uint8_t)v;
        }
    }
}

BP_KERNEL_TILE(chroma, struct chroma_args, a, tx, ty)
{
    if (a->wide)
        chroma_tile(a, tx, ty, a->factor, 1);
    else
        chroma_tile(a, tx, ty, a->factor, 0);
}
