/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of video-stylize: a frame is held still where it does not change, then painted with strokes that follow
 * its edges.
 *
 * Painting is the anisotropic Kuwahara filter: J. E. Kyprianidis, H. Kang, J. Doellner, "Image and Video Abstraction by
 * Anisotropic Kuwahara Filtering" (2009), with sectors as polynomials: J. E. Kyprianidis, A. Semmo, H. Kang,
 * J. Doellner, "Anisotropic Kuwahara Filtering with Polynomial Weighting Functions" (2010). Around each sample lies an
 * ellipse, cut into eight sectors that overlap. The sample becomes the mean of the sectors' means, those that vary
 * least counting most, so what is flat becomes flatter and edges stay.
 *
 * - Direction and anisotropy A come from the structure tensor (Bigun and Granlund 1987) of luma at half the size, with
 *   derivatives of Scharr (2000), smoothed by a Gaussian. A = (l1 - l2) / (l1 + l2 + E) of its eigenvalues, E being
 *   noise. The ellipse is 1 + A/2 long and 1 / (1 + A/2) wide: the papers' with their alpha = 2.
 * - In the circle that the ellipse is mapped to, sector 0 weighs max(0, u + Z - H v^2)^2 and sector k the same turned
 * by k/8. H = (Z + cos(pi/8)) / sin(pi/8)^2, so that it ends at the circle's edge with the sector. The papers' Gaussian
 *   is (1 - u^2 - v^2)^2 here, which ends at the circle too. Each sector is divided by its own sum of weights.
 * - Opposite sectors see the same weights at opposite samples, so weights are computed for pairs of samples.
 * - A sector of variance s^2 counts 1 / (1 + (s^2 / V)^4).
 *
 * Temporal stability: what is painted is not the frame but what is held of it, h += k (frame - h). Where the difference
 * d = frame - h, over 5 by 5 samples, may be noise, k is small; where it is more, k is 1 and nothing of before remains.
 * The measure is mean(d^2) + 8 mean(d)^2: the first sees thin things that move, the second slow changes of a whole
 * region, which noise does not make. Flow, sectors and colours all come from h, so they all stand still together.
 */
#include <bp/kernel.h>

#include "kernel_args.h"

#define WIDE_SCALE 0.25f /* 10 bits are computed with as quarters */

#define HOLD_LOW  24.0f /* the measure above, in squared steps of 255: up to here it may be noise */
#define HOLD_HIGH 96.0f /* from here on it is a change */
#define SLOW      8.0f

#define FLOW_NOISE 4.0f      /* E above: squared steps per sample */
#define OVERLAP    0.333333f /* Z above */
#define BEND       8.584784f /* H above */
#define DIAGONAL   0.70710678f
#define CALM       16.0f /* V above, in squared steps: variance that is no detail yet */

BP_FN float sample_at(const void *plane, int32_t wide, int64_t at)
{
    return wide ? (float)((const uint16_t *)plane)[at] * WIDE_SCALE : (float)((const uint8_t *)plane)[at];
}

/* ---- holding ---- */

#define WINDOW     2 /* samples on each side of the one that is judged */
#define PATCH_W    (TILE_COLUMNS + 2 * WINDOW)
#define PATCH_ROWS (TILE_ROWS + 2 * WINDOW)

struct hold_memory {
    float now[PATCH_ROWS * PATCH_W], change[PATCH_ROWS * PATCH_W];
    float sum[PATCH_ROWS * TILE_COLUMNS], squares[PATCH_ROWS * TILE_COLUMNS]; /* of five in a row */
};

BP_FN void load_change(const struct hold_args *a, int32_t wide, int32_t left, int32_t top, struct hold_memory *m)
{
    int32_t inside = left >= 0 && left + PATCH_W <= a->width;
    BP_EACH_2D(r, PATCH_ROWS, i, PATCH_W)
    {
        int32_t x = inside ? left + i : bp_clampi(left + i, 0, a->width - 1);
        int64_t at = (int64_t)bp_clampi(top + r, 0, a->height - 1) * a->width + x;
        float now = sample_at(a->in, wide, at);
        m->now[r * PATCH_W + i] = now;
        m->change[r * PATCH_W + i] = a->first ? 0.0f : now - a->before[at];
    }
}

BP_FN void hold_tile(const struct hold_args *a, int32_t tx, int32_t ty, int32_t wide)
{
    BP_SHARED struct hold_memory m;
    int32_t x0 = tx * TILE_COLUMNS, y0 = ty * TILE_ROWS;
    int32_t columns = bp_mini(TILE_COLUMNS, a->width - x0), rows = bp_mini(TILE_ROWS, a->height - y0);
    load_change(a, wide, x0 - WINDOW, y0 - WINDOW, &m);
    BP_SYNC();
    BP_EACH_2D(r, PATCH_ROWS, i, TILE_COLUMNS)
    {
        const float *d = m.change + r * PATCH_W + i;
        m.sum[r * TILE_COLUMNS + i] = ((d[0] + d[1]) + (d[2] + d[3])) + d[4];
        m.squares[r * TILE_COLUMNS + i] = ((d[0] * d[0] + d[1] * d[1]) + (d[2] * d[2] + d[3] * d[3])) + d[4] * d[4];
    }
    BP_SYNC();
    BP_EACH_2D(r, rows, i, columns)
    {
        const float *s = m.sum + r * TILE_COLUMNS + i, *q = m.squares + r * TILE_COLUMNS + i;
        const int32_t down = TILE_COLUMNS;
        float mean = (((s[0] + s[down]) + (s[2 * down] + s[3 * down])) + s[4 * down]) * 0.04f;
        float energy = (((q[0] + q[down]) + (q[2 * down] + q[3 * down])) + q[4 * down]) * 0.04f;
        float sure = bp_clampf((energy + SLOW * mean * mean - HOLD_LOW) * (1.0f / (HOLD_HIGH - HOLD_LOW)), 0.0f, 1.0f);
        float keep = (1.0f - a->follow) * (1.0f - sure);
        int32_t at = (r + WINDOW) * PATCH_W + i + WINDOW;
        a->held[(int64_t)(y0 + r) * a->width + x0 + i] = m.now[at] - keep * m.change[at];
    }
}

BP_KERNEL_TILE(hold, struct hold_args, a, tx, ty)
{
    if (a->wide)
        hold_tile(a, tx, ty, 1);
    else
        hold_tile(a, tx, ty, 0);
}

/* ---- flow ---- */

BP_KERNEL_PIXEL(halve, struct halve_args, a, x, y)
{
    int32_t right = bp_mini(2 * x + 1, a->width - 1), under = bp_mini(2 * y + 1, a->height - 1);
    const float *upper = a->from + (int64_t)(2 * y) * a->width, *lower = a->from + (int64_t)under * a->width;
    a->half[(int64_t)y * ((a->width + 1) / 2) + x] =
        ((upper[2 * x] + upper[right]) + (lower[2 * x] + lower[right])) * 0.25f;
}

#define SMOOTH   3 /* samples of the Gaussian on each side */
#define GRAD_W   (TILE_COLUMNS + 2 * SMOOTH)
#define GRAD_H   (TILE_ROWS + 2 * SMOOTH)
#define LUMA_W   (GRAD_W + 2)
#define LUMA_H   (GRAD_H + 2)
#define TENSOR_W TILE_COLUMNS

struct flow_memory {
    float luma[LUMA_H * LUMA_W];
    float products[3][GRAD_H * GRAD_W]; /* of the derivatives: xx, yy, xy */
    float across[3][GRAD_H * TENSOR_W]; /* the same, smoothed along rows */
};

/* A Gaussian of sigma 1.5 over seven values that lie `stride` apart. */
BP_FN float gaussian(const float *p, int32_t stride)
{
    float ends = p[0] + p[6 * stride], outer = p[stride] + p[5 * stride], inner = p[2 * stride] + p[4 * stride];
    return (0.0366f * ends + 0.1113f * outer) + (0.2168f * inner + 0.2706f * p[3 * stride]);
}

BP_FN void load_half(const struct flow_args *a, int32_t left, int32_t top, float *BP_RESTRICT luma)
{
    BP_EACH_2D(r, LUMA_H, i, LUMA_W)
    luma[r * LUMA_W + i] =
        a->half[(int64_t)bp_clampi(top + r, 0, a->height - 1) * a->width + bp_clampi(left + i, 0, a->width - 1)];
}

BP_FN void derive(const float *BP_RESTRICT luma, float *BP_RESTRICT xx, float *BP_RESTRICT yy, float *BP_RESTRICT xy)
{
    BP_EACH_2D(r, GRAD_H, i, GRAD_W)
    {
        const float *p = luma + r * LUMA_W + i, *q = p + LUMA_W, *s = q + LUMA_W;
        float gx = 0.09375f * ((p[2] - p[0]) + (s[2] - s[0])) + 0.3125f * (q[2] - q[0]);
        float gy = 0.09375f * ((s[0] - p[0]) + (s[2] - p[2])) + 0.3125f * (s[1] - p[1]);
        xx[r * GRAD_W + i] = gx * gx;
        yy[r * GRAD_W + i] = gy * gy;
        xy[r * GRAD_W + i] = gx * gy;
    }
}

/* The mapping of the tensor's ellipse to a circle; plane: samples from one of its numbers to the next. */
BP_FN void map_ellipse(float xx, float yy, float xy, float *to, int64_t plane)
{
    float d = bp_sqrtf((xx - yy) * (xx - yy) + 4.0f * xy * xy);
    float longer = 1.0f + 0.5f * (d / (xx + yy + FLOW_NOISE));
    float turned = (yy - xx) / (d + 1e-6f); /* cosine of twice the angle along the edge */
    float c = bp_sqrtf(bp_maxf(0.5f + 0.5f * turned, 0.0f)), s = bp_sqrtf(bp_maxf(0.5f - 0.5f * turned, 0.0f));
    s = xy > 0.0f ? -s : s;
    float across = 1.0f / longer;
    to[0] = c * across;
    to[plane] = s * across;
    to[2 * plane] = -s * longer;
    to[3 * plane] = c * longer;
}

BP_KERNEL_TILE(flow, struct flow_args, a, tx, ty)
{
    BP_SHARED struct flow_memory m;
    int32_t x0 = tx * TILE_COLUMNS, y0 = ty * TILE_ROWS;
    int32_t columns = bp_mini(TILE_COLUMNS, a->width - x0), rows = bp_mini(TILE_ROWS, a->height - y0);
    load_half(a, x0 - SMOOTH - 1, y0 - SMOOTH - 1, m.luma);
    BP_SYNC();
    derive(m.luma, m.products[0], m.products[1], m.products[2]);
    BP_SYNC();
    for (int32_t n = 0; n < 3; n++) {
        BP_EACH_2D(r, GRAD_H, i, TENSOR_W)
        m.across[n][r * TENSOR_W + i] = gaussian(m.products[n] + r * GRAD_W + i, 1);
    }
    BP_SYNC();
    BP_EACH_2D(r, rows, i, columns)
    {
        int32_t at = r * TENSOR_W + i;
        map_ellipse(gaussian(m.across[0] + at, TENSOR_W), gaussian(m.across[1] + at, TENSOR_W),
                    gaussian(m.across[2] + at, TENSOR_W), a->flow + (int64_t)(y0 + r) * a->width + x0 + i,
                    (int64_t)a->width * a->height);
    }
}

/* ---- painting ---- */

/* On a GPU a thread paints a sample; on the CPU a row of a tile is painted at once, in vectors. */
#if BP_TARGET_CUDA
#define LANES 1
#else
#define LANES TILE_COLUMNS
#endif

/* Sums over the sectors of LANES samples beside each other; planes: one or three, and behind them their squares' sum.
 */
struct strokes {
    float map[4][LANES];
    float weights[4][LANES]; /* sectors 0..3; opposite ones have the same */
    float sums[8][4][LANES];
    float painted[3][LANES];
};

/*
 * Means of tents of `step` (so that those of all steps together count every sample alike), and means of squares, added
 * to those that are there. step and inside are constant where this is called.
 */
BP_FN void load_means(const struct paint_args *a, const float *BP_RESTRICT held, int32_t left, int32_t top,
                      int32_t columns, int32_t rows, int32_t stride, int32_t step, int32_t inside, int32_t add,
                      float *BP_RESTRICT means, float *BP_RESTRICT squares)
{
    float part = 1.0f / (float)(step * step * step * step);
    BP_EACH_2D(r, rows, i, columns)
    {
        float sum = 0.0f, square = 0.0f;
        BP_UNROLL(5)
        for (int32_t dy = 1 - step; dy < step; dy++) {
            const float *row = held + (int64_t)bp_clampi(top + r + dy, 0, a->height - 1) * a->width;
            BP_UNROLL(5)
            for (int32_t dx = 1 - step; dx < step; dx++) {
                float v = row[inside ? left + i + dx : bp_clampi(left + i + dx, 0, a->width - 1)];
                float w = (float)((step - (dy < 0 ? -dy : dy)) * (step - (dx < 0 ? -dx : dx)));
                sum += w * v;
                square += w * (v * v);
            }
        }
        means[r * stride + i] = sum * part;
        squares[r * stride + i] = add ? squares[r * stride + i] + square * part : square * part;
    }
}

#define LOAD_MEANS(step, inside)                                                                                       \
    load_means(a, a->held[plane], left, top, columns, rows, stride, step, inside, plane > 0, means, squares)

BP_FN void load_patch(const struct paint_args *a, int32_t plane, int32_t left, int32_t top, int32_t columns,
                      int32_t rows, int32_t stride, float *BP_RESTRICT means, float *BP_RESTRICT squares)
{
    int32_t step = a->brush.step, inside = left >= step - 1 && left + columns + step - 1 <= a->width;
    if (step == 1 && inside)
        LOAD_MEANS(1, 1);
    else if (step == 1)
        LOAD_MEANS(1, 0);
    else if (step == 2 && inside)
        LOAD_MEANS(2, 1);
    else if (step == 2)
        LOAD_MEANS(2, 0);
    else if (inside)
        LOAD_MEANS(3, 1);
    else
        LOAD_MEANS(3, 0);
}

/* Where the strokes of the samples from (x, y) on lie; the flow has half the samples where halved is 1. The middle
 * belongs to all sectors. */
BP_FN void begin_strokes(const struct paint_args *a, int32_t x, int32_t y, int32_t halved, int32_t n_planes,
                         const float *BP_RESTRICT patch, int32_t patch_size, struct strokes *BP_RESTRICT s)
{
    int64_t row = (int64_t)bp_mini(y >> halved, a->flow_height - 1) * a->flow_width;
    int64_t plane = (int64_t)a->flow_width * a->flow_height;
    const float weight = OVERLAP * OVERLAP;
    BP_UNROLL(4)
    for (int32_t k = 0; k < 4; k++)
        for (int32_t l = 0; l < LANES; l++) {
            s->map[k][l] = a->flow[k * plane + row + bp_mini((x + l) >> halved, a->flow_width - 1)] * a->brush.scale;
            s->weights[k][l] = weight;
        }
    BP_UNROLL(8)
    for (int32_t k = 0; k < 8; k++)
        for (int32_t l = 0; l < LANES; l++) {
            s->sums[k][0][l] = weight * patch[l];
            s->sums[k][1][l] = weight * patch[patch_size + l];
            s->sums[k][2][l] = n_planes > 1 ? weight * patch[2 * patch_size + l] : 0.0f;
            s->sums[k][3][l] = n_planes > 1 ? weight * patch[3 * patch_size + l] : 0.0f;
        }
}

/* To the sums of plane n: w0 to w7 of one sample, those of the opposite sectors of the other. */
#define ADD_PLANE(n)                                                                                                   \
    do {                                                                                                               \
        float a = plus[(n)*patch_size + l], b = minus[(n)*patch_size + l];                                             \
        s->sums[0][n][l] += w0 * a + w4 * b;                                                                           \
        s->sums[1][n][l] += w1 * a + w5 * b;                                                                           \
        s->sums[2][n][l] += w2 * a + w6 * b;                                                                           \
        s->sums[3][n][l] += w3 * a + w7 * b;                                                                           \
        s->sums[4][n][l] += w4 * a + w0 * b;                                                                           \
        s->sums[5][n][l] += w5 * a + w1 * b;                                                                           \
        s->sums[6][n][l] += w6 * a + w2 * b;                                                                           \
        s->sums[7][n][l] += w7 * a + w3 * b;                                                                           \
    } while (0)

/* Adds the samples at (dx, dy) steps and at (-dx, -dy) to all sectors. */
BP_FN void add_pair(struct strokes *BP_RESTRICT s, int32_t n_planes, const float *BP_RESTRICT plus,
                    const float *BP_RESTRICT minus, int32_t patch_size, float dx, float dy)
{
    for (int32_t l = 0; l < LANES; l++) {
        float u = s->map[0][l] * dx + s->map[1][l] * dy, v = s->map[2][l] * dx + s->map[3][l] * dy;
        float uu = u * u, vv = v * v, near = bp_maxf(1.0f - (uu + vv), 0.0f);
        float p = (u + v) * DIAGONAL, q = (v - u) * DIAGONAL;
        float by_u = OVERLAP - BEND * vv, by_v = OVERLAP - BEND * uu;
        float by_p = OVERLAP - BEND * (q * q), by_q = OVERLAP - BEND * (p * p);
        float w0 = bp_maxf(by_u + u, 0.0f) * near, w4 = bp_maxf(by_u - u, 0.0f) * near;
        float w1 = bp_maxf(by_p + p, 0.0f) * near, w5 = bp_maxf(by_p - p, 0.0f) * near;
        float w2 = bp_maxf(by_v + v, 0.0f) * near, w6 = bp_maxf(by_v - v, 0.0f) * near;
        float w3 = bp_maxf(by_q + q, 0.0f) * near, w7 = bp_maxf(by_q - q, 0.0f) * near;
        w0 *= w0, w1 *= w1, w2 *= w2, w3 *= w3, w4 *= w4, w5 *= w5, w6 *= w6, w7 *= w7;
        s->weights[0][l] += w0 + w4;
        s->weights[1][l] += w1 + w5;
        s->weights[2][l] += w2 + w6;
        s->weights[3][l] += w3 + w7;
        ADD_PLANE(0);
        ADD_PLANE(1);
        if (n_planes > 1) {
            ADD_PLANE(2);
            ADD_PLANE(3);
        }
    }
}

/* The mean of the sectors' means, each the more the less it varies. */
BP_FN void end_strokes(struct strokes *BP_RESTRICT s, int32_t n_planes)
{
    for (int32_t l = 0; l < LANES; l++) {
        float total = 0.0f, painted0 = 0.0f, painted1 = 0.0f, painted2 = 0.0f;
        BP_UNROLL(8)
        for (int32_t k = 0; k < 8; k++) {
            float part = 1.0f / s->weights[k & 3][l];
            float m0 = s->sums[k][0][l] * part, variance = s->sums[k][n_planes][l] * part - m0 * m0;
            float m1 = n_planes > 1 ? s->sums[k][1][l] * part : 0.0f,
                  m2 = n_planes > 1 ? s->sums[k][2][l] * part : 0.0f;
            variance = bp_maxf(variance - m1 * m1 - m2 * m2, 0.0f) * (1.0f / CALM);
            variance *= variance;
            float counts = 1.0f / (1.0f + variance * variance);
            total += counts;
            painted0 += counts * m0;
            painted1 += counts * m1;
            painted2 += counts * m2;
        }
        total = 1.0f / total;
        s->painted[0][l] = painted0 * total;
        s->painted[1][l] = painted1 * total;
        s->painted[2][l] = painted2 * total;
    }
}

BP_FN int32_t blend(float frame, float painted, float strength, int32_t wide)
{
    float v = frame + strength * (painted - frame);
    return (int32_t)(bp_clampf(wide ? v * (1.0f / WIDE_SCALE) : v, 0.0f, wide ? 1023.0f : 255.0f) + 0.5f);
}

/* Writes the samples from (x, y) on that are inside the picture. */
BP_FN void store_strokes(const struct paint_args *a, int32_t plane, int32_t x, int32_t y, const float *painted)
{
    int32_t n = bp_mini(LANES, a->out_width - x);
    int64_t from = (int64_t)y * a->width + x, to = (int64_t)y * a->out_width + x;
    float strength = a->strength;
    if (a->wide)
        for (int32_t l = 0; l < n; l++)
            ((uint16_t *)a->out[plane])[to + l] =
                (uint16_t)blend(sample_at(a->in[plane], 1, from + l), painted[l], strength, 1);
    else
        for (int32_t l = 0; l < n; l++)
            ((uint8_t *)a->out[plane])[to + l] =
                (uint8_t)blend(sample_at(a->in[plane], 0, from + l), painted[l], strength, 0);
}

/* Paints LANES samples from (x, y) on; patch: their middle. Planes are constant where this is called: 1 is luma. */
BP_FN void paint(const struct paint_args *a, int32_t x, int32_t y, int32_t n_planes, const float *BP_RESTRICT patch,
                 int32_t stride, int32_t patch_size)
{
    struct strokes s;
    int32_t reach = a->brush.reach, step = a->brush.step;
    float edge = 1.5f / a->brush.scale; /* no stroke is longer */
    begin_strokes(a, x, y, n_planes == 1, n_planes, patch, patch_size, &s);
    for (int32_t dy = 0; dy <= reach; dy++)
        for (int32_t dx = dy ? -reach : 1; dx <= reach; dx++)
            if ((float)(dx * dx + dy * dy) < edge * edge) {
                const float *plus = patch + (dy * stride + dx) * step, *minus = patch - (dy * stride + dx) * step;
                add_pair(&s, n_planes, plus, minus, patch_size, (float)dx, (float)dy);
            }
    end_strokes(&s, n_planes);
    if (n_planes == 1) {
        store_strokes(a, 0, x, y, s.painted[0]);
    } else {
        store_strokes(a, 1, x, y, s.painted[1]);
        store_strokes(a, 2, x, y, s.painted[2]);
    }
}

/* Patches for the largest brush: its border on both sides. Chroma's is half as large. */
#define LUMA_BORDER    (MAX_REACH * MAX_STEP)
#define LUMA_PATCH_W   (TILE_COLUMNS + 2 * LUMA_BORDER)
#define LUMA_PATCH     (LUMA_PATCH_W * (TILE_ROWS + 2 * LUMA_BORDER))
#define CHROMA_BORDER  (MAX_REACH * 2)
#define CHROMA_PATCH_W (TILE_COLUMNS + 2 * CHROMA_BORDER)
#define CHROMA_PATCH   (CHROMA_PATCH_W * (TILE_ROWS + 2 * CHROMA_BORDER))

/* patch: n_planes patches of means, then one of the means of squares. */
BP_FN void paint_tile(const struct paint_args *a, int32_t tx, int32_t ty, int32_t n_planes, float *BP_RESTRICT patch,
                      int32_t stride, int32_t patch_size)
{
    int32_t x0 = tx * TILE_COLUMNS, y0 = ty * TILE_ROWS, border = a->brush.reach * a->brush.step;
    for (int32_t p = 0; p < n_planes; p++)
        load_patch(a, p, x0 - border, y0 - border, TILE_COLUMNS + 2 * border, TILE_ROWS + 2 * border, stride,
                   patch + p * patch_size, patch + n_planes * patch_size);
    BP_SYNC();
    int32_t rows = bp_mini(TILE_ROWS, a->out_height - y0), groups = TILE_COLUMNS / LANES;
    BP_EACH_2D(r, rows, g, groups)
    {
        const float *middle = patch + (r + border) * stride + border + g * LANES;
        if (x0 + g * LANES < a->out_width)
            paint(a, x0 + g * LANES, y0 + r, n_planes, middle, stride, patch_size);
    }
}

BP_KERNEL_TILE(paint_luma, struct paint_args, a, tx, ty)
{
    BP_SHARED float patch[2 * LUMA_PATCH];
    paint_tile(a, tx, ty, 1, patch, LUMA_PATCH_W, LUMA_PATCH);
}

BP_KERNEL_TILE(paint_chroma, struct paint_args, a, tx, ty)
{
    BP_SHARED float patch[4 * CHROMA_PATCH];
    paint_tile(a, tx, ty, 3, patch, CHROMA_PATCH_W, CHROMA_PATCH);
}
