/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of image-to-video: shrinking the photo once, and drawing a frame of the move as NV12.
 *
 * Everything is computed in linear light. frame_straight samples along rows and columns separately with a bicubic
 * filter (Catmull-Rom) as wide as the output's pixels are, so it neither aliases nor jitters; frame_bent looks each
 * pixel up on its own, for perspective and depth.
 */
#include <bp/kernel.h>

#include "kernel_args.h"

#if !BP_TARGET_CUDA && defined(__AVX512F__)
#include <immintrin.h>
#endif

/* A tile has two columns more on its left than it draws: chroma sits on the left pixel of a pair and is filtered 1 2 1.
 */
#define LEAD        2
#define COLUMNS     (TILE_W + LEAD)
#define ROW_COLUMNS (COLUMNS * MAX_SCALE + MAX_TAPS + 6) /* the CPU goes in steps of 4 columns */

BP_FN uint16_t to_u16(float v)
{
    return (uint16_t)(bp_clampf(v, 0.0f, 65535.0f) + 0.5f);
}

#if !BP_TARGET_CUDA
typedef float lanes4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t int_lanes4 __attribute__((vector_size(16)));
typedef uint16_t half_lanes8 __attribute__((vector_size(16)));
typedef uint64_t word_lanes2 __attribute__((vector_size(16)));
typedef uint64_t loose_word __attribute__((aligned(2), may_alias));

/* A pixel's four values. Zeros are woven in: gcc 12 takes a conversion of four apart. */
BP_FN lanes4 load_pixel(const uint16_t *p)
{
    half_lanes8 v = (half_lanes8)(word_lanes2){*(const loose_word *)p, 0}, zero = {0};
#if defined(__clang__)
    v = __builtin_shufflevector(v, zero, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    v = __builtin_shuffle(v, zero, (half_lanes8){0, 8, 1, 9, 2, 10, 3, 11});
#endif
    return __builtin_convertvector((int_lanes4)v, lanes4);
}
#endif

/* On its own, for a pixel is looked at by as many as six of each direction's outputs. What is transparent is black. */
BP_KERNEL_PIXEL(linearize, struct linearize_args, a, x, y)
{
    const uint8_t *in = a->rgba + ((int64_t)y * a->width + x) * 4;
    uint64_t red = a->to_linear[in[0]], green = a->to_linear[in[1]], blue = a->to_linear[in[2]];
    if (in[3] != 255) {
        red = (red * in[3] + 127) / 255;
        green = (green * in[3] + 127) / 255;
        blue = (blue * in[3] + 127) / 255;
    }
    a->out[(int64_t)y * a->width + x] = red | green << 16 | blue << 32;
}

/* Taps are summed up four apart, as (0 + 2) + (1 + 3): one sum would have to wait for itself each time. */
BP_FN void add_taps(const uint16_t *in, const float *weights, int32_t taps, float *out)
{
#if BP_TARGET_CUDA
    float sum[4][4] = {{0}};
    for (int32_t k = 0; k < taps; k++)
        for (int32_t c = 0; c < 4; c++)
            sum[k & 3][c] += weights[k] * (float)in[k * 4 + c];
    for (int32_t c = 0; c < 4; c++)
        out[c] = (sum[0][c] + sum[2][c]) + (sum[1][c] + sum[3][c]);
#else
    lanes4 sum[4] = {{0}, {0}, {0}, {0}};
    int32_t k = 0;
    for (; k + 4 <= taps; k += 4)
        for (int32_t i = 0; i < 4; i++)
            sum[i] += weights[k + i] * load_pixel(in + (k + i) * 4);
    for (; k < taps; k++)
        sum[k & 3] += weights[k] * load_pixel(in + k * 4);
    *(lanes4 *)out = (sum[0] + sum[2]) + (sum[1] + sum[3]);
#endif
}

BP_KERNEL_PIXEL(shrink_columns, struct shrink_columns_args, a, x, y)
{
    const float *weights = a->filter.weights + (int64_t)x * a->filter.taps;
    const uint16_t *in = a->in + ((int64_t)y * a->in_width + a->filter.starts[x]) * 4;
    float sum[4];
    add_taps(in, weights, a->filter.taps, sum);
    uint16_t *out = a->out + ((int64_t)y * a->out_width + x) * 4;
    for (int32_t c = 0; c < 4; c++)
        out[c] = to_u16(sum[c]);
}

/* Over the photo with its border: x, y count from the border's first pixel. */
BP_KERNEL_PIXEL(shrink_rows, struct shrink_rows_args, a, x, y)
{
    int32_t column = bp_clampi(x - PAD, 0, a->width - 1), row = bp_clampi(y - PAD, 0, a->height - 1);
    const float *weights = a->filter.weights + (int64_t)row * a->filter.taps;
    const uint16_t *in = a->in + ((int64_t)a->filter.starts[row] * a->width + column) * 4;
    float sum[4] = {0, 0, 0, 0};
    for (int32_t k = 0; k < a->filter.taps; k++, in += (int64_t)a->width * 4)
        for (int32_t c = 0; c < 4; c++)
            sum[c] += weights[k] * (float)in[c];
    uint16_t *out = a->out + ((int64_t)y * a->stride + x) * 4;
    for (int32_t c = 0; c < 4; c++)
        out[c] = to_u16(sum[c]);
}

/* Catmull-Rom: the interpolating cubic of Keys (1981) with a = -1/2. */
BP_FN float cubic(float d)
{
    float t = bp_absf(d);
    float near_ = (1.5f * t - 2.5f) * t * t + 1.0f;
    float far_ = ((-0.5f * t + 2.5f) * t - 4.0f) * t + 2.0f;
    return t < 1.0f ? near_ : t < 2.0f ? far_ : 0.0f;
}

/* sRGB's curve of linear 0..1. Above the straight part x^(1/2.4) is a polynomial in sqrt(x), least squares with the
 * largest error levelled to 0.0003, a twelfth of an 8-bit step. */
BP_FN float encode(float x)
{
    x = bp_clampf(x, 0.0f, 1.0f);
    float t = bp_sqrtf(x);
    float curve = ((((0.517256531f * t - 1.62355748f) * t + 2.031503274f) * t - 1.402720222f) * t + 1.517951226f) * t -
                  0.040109865f;
    return x < 0.0031308f ? 12.92f * x : curve;
}

BP_FN float vignette_at(const struct canvas *c, int32_t x, float dy2)
{
    if (c->vignette == 0.0f) /* the same in all pixels: spares the division */
        return c->gain;
    float dx = (float)x - c->centre_x;
    float q = 1.0f / (1.0f + c->vignette * ((dx * dx + dy2) * c->inverse_r2));
    return c->gain * (q * q);
}

/* BT.709, 8 bit video range: white is 235 and grey 128. */
BP_FN float luma_of(float r, float g, float b)
{
    return 0.2126f * r + 0.7152f * g + 0.0722f * b;
}

/*
 * n bytes of interleaved U V from two rows of a tile's encoded pixels, which it overwrites: colour differences of both
 * rows together, then filtered 1 2 1 along x. Every column is computed and every byte picks its own, so that the loops
 * become vectors.
 */
BP_FN void draw_chroma(float *BP_RESTRICT red, const float *BP_RESTRICT green, float *BP_RESTRICT blue,
                       uint8_t *BP_RESTRICT out, int32_t n)
{
    BP_EACH(i, COLUMNS)
    {
        float r = red[i] + red[COLUMNS + i], g = green[i] + green[COLUMNS + i], b = blue[i] + blue[COLUMNS + i];
        float luma = luma_of(r, g, b);
        blue[i] = (224.0f / 1.8556f / 8.0f) * (b - luma);
        red[i] = (224.0f / 1.5748f / 8.0f) * (r - luma);
    }
    BP_SYNC();
    const float *BP_RESTRICT u = blue + LEAD, *BP_RESTRICT v = red + LEAD - 1; /* V belongs to the column before */
    BP_EACH(i, n)
    {
        float at_even = u[i - 1] + 2.0f * u[i] + u[i + 1], at_odd = v[i - 1] + 2.0f * v[i] + v[i + 1];
        out[i] = (uint8_t)(int32_t)(128.5f + (i & 1 ? at_odd : at_even));
    }
    BP_SYNC();
}

/* Draws two rows of a tile: lin holds linear pixels, COLUMNS by 2; enc is room for 6 * COLUMNS floats. Column 0 is
 * output column x0 - LEAD. */
BP_FN void draw_rows(const struct canvas *c, const float *lin, float *enc, int32_t x0, int32_t y)
{
    float *BP_RESTRICT red = enc, *BP_RESTRICT green = enc + 2 * COLUMNS, *BP_RESTRICT blue = enc + 4 * COLUMNS;
    for (int32_t row = 0; row < 2; row++) {
        const float *BP_RESTRICT in = lin + row * COLUMNS * 4;
        float dy = (float)(y + row) - c->centre_y, dy2 = dy * dy;
        BP_EACH(i, COLUMNS)
        {
            float v = vignette_at(c, x0 - LEAD + i, dy2);
            red[row * COLUMNS + i] = encode(in[i * 4] * v);
            green[row * COLUMNS + i] = encode(in[i * 4 + 1] * v);
            blue[row * COLUMNS + i] = encode(in[i * 4 + 2] * v);
        }
    }
    BP_SYNC();
    if (x0 == 0) { /* left of the picture there is nothing: the first pixel again */
        BP_EACH(i, 6)
        enc[i * COLUMNS + LEAD - 1] = enc[i * COLUMNS + LEAD];
        BP_SYNC();
    }
    int32_t n = bp_mini(TILE_W, c->width - x0);
    for (int32_t row = 0; row < 2; row++) {
        uint8_t *BP_RESTRICT out = c->luma + (int64_t)(y + row) * c->width + x0;
        int32_t at = row * COLUMNS + LEAD;
        BP_EACH(i, n)
        out[i] = (uint8_t)(int32_t)(16.5f + 219.0f * luma_of(red[at + i], green[at + i], blue[at + i]));
    }
    BP_SYNC();
    draw_chroma(red, green, blue, c->chroma + (int64_t)(y / 2) * c->width + x0, n);
}

/* Position of item i of a row or column in the photo: whole part of the first tap and weights of all. */
BP_FN void taps_at(float at, float inverse, int32_t taps, int32_t *first, float *weights, int32_t step)
{
    float base = bp_floorf(at) - (float)(taps / 2 - 1);
    float sum = 0;
    for (int32_t k = 0; k < taps; k++) {
        float w = cubic((base + (float)k - at) * inverse);
        weights[k * step] = w;
        sum += w;
    }
    float norm = 1.0f / sum;
    for (int32_t k = 0; k < taps; k++)
        weights[k * step] *= norm;
    *first = (int32_t)base;
}

/* Photo row r (border included) of the first tap kept inside the memory, whatever the view says. */
BP_FN int32_t inside(int32_t first, int32_t taps, int32_t n)
{
    return bp_clampi(first, -PAD, n + PAD - taps);
}

/*
 * Four rows of a tile at once: along y into `strip` (column by column, in it row by row, in it R G B X), then along x
 * into lin, added to what is there unless `first`. On the CPU these are vectors of 16 floats, which the compiler splits
 * into what the machine has.
 */
struct strip {
    const uint16_t *in[4]; /* photo rows of the first taps, at the strip's left */
    int64_t stride;        /* 16-bit values from photo row to photo row */
    const float *wy;       /* MAX_TAPS weights of each row */
    const float *wx;       /* weights of output column i: wx[k * COLUMNS + i] */
    const int32_t *bx;     /* first strip column of output column i */
    int32_t columns;
};

#if BP_TARGET_CUDA

BP_FN void sample_along_y(const struct strip *s, int32_t taps, float *strip)
{
    BP_EACH(i, s->columns * 16)
    {
        int32_t r = i >> 2 & 3, at = (i >> 4) * 4 + (i & 3);
        float v = 0;
        for (int32_t k = 0; k < taps; k++)
            v += s->wy[r * MAX_TAPS + k] * (float)s->in[r][k * s->stride + at];
        strip[i] = v;
    }
}

BP_FN void sample_along_x(const struct strip *s, int32_t taps, const float *strip, float *lin, int32_t first)
{
    BP_EACH(i, COLUMNS * 16)
    {
        int32_t column = i >> 4, out = (i >> 2 & 3) * COLUMNS * 4 + column * 4 + (i & 3);
        float v = 0;
        for (int32_t k = 0; k < taps; k++)
            v += s->wx[k * COLUMNS + column] * strip[(s->bx[column] + k) * 16 + (i & 15)];
        lin[out] = first ? v : lin[out] + v;
    }
}

#else

/* Vectors as wide as the machine's; LANES values are LANES / 4 pixels. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
#define PARTS      (16 / LANES)
/* Photo rows that four output rows look at: their first taps are up to 3 * MAX_SCALE + 1 apart. */
#define STRIP_ROWS (MAX_TAPS + 3 * MAX_SCALE + 1)

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t int_lanes __attribute__((vector_size(4 * LANES)));
typedef uint16_t half_lanes __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

BP_FN lanes load_halves(const uint16_t *p)
{
#if LANES == 16 /* gcc 12 takes six instructions for what is two */
    return (lanes)_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)));
#else
    return __builtin_convertvector(__builtin_convertvector(*(const half_lanes *)p, int_lanes), lanes);
#endif
}

/* Four floats of v from lane 4 * i on. */
BP_FN lanes4 quarter(lanes v, int32_t i)
{
    union {
        lanes all;
        lanes4 part[LANES / 4];
    } u = {v};
    return u.part[i];
}

/* The four rows share most of what they read, so each photo row is turned into floats once. */
BP_FN void sample_along_y(const struct strip *s, int32_t taps, float *BP_RESTRICT strip)
{
    int32_t below[4]; /* photo rows from the first output row's first tap to this one's */
    for (int32_t r = 0; r < 4; r++)
        below[r] = bp_clampi((int32_t)((s->in[r] - s->in[0]) / s->stride), 0, STRIP_ROWS - MAX_TAPS);
    lanes w[4 * MAX_TAPS], row[STRIP_ROWS];
    for (int32_t i = 0; i < 4 * taps; i++)
        w[i] = s->wy[i / taps * MAX_TAPS + i % taps] - (lanes){0};
    int32_t rows = below[3] + taps;
    for (int32_t c = 0; c < s->columns; c += LANES / 4) {
        for (int32_t j = 0; j < rows; j++)
            row[j] = load_halves(s->in[0] + j * s->stride + c * 4);
        for (int32_t r = 0; r < 4; r++) {
            lanes v = {0};
            for (int32_t k = 0; k < taps; k++)
                v += w[r * taps + k] * row[below[r] + k];
            for (int32_t i = 0; i < LANES / 4; i++)
                *(lanes4 *)(strip + (c + i) * 16 + r * 4) = quarter(v, i);
        }
    }
}

BP_FN void sample_along_x(const struct strip *s, int32_t taps, const float *BP_RESTRICT strip, float *BP_RESTRICT lin,
                          int32_t first)
{
    for (int32_t i = 0; i < COLUMNS; i++) {
        const float *from = strip + s->bx[i] * 16;
        lanes v[PARTS];
        for (int32_t j = 0; j < PARTS; j++)
            v[j] = (lanes){0};
        for (int32_t k = 0; k < taps; k++)
            for (int32_t j = 0; j < PARTS; j++)
                v[j] += s->wx[k * COLUMNS + i] * *(const lanes *)(from + k * 16 + j * LANES);
        for (int32_t r = 0; r < 4; r++) {
            lanes4 *at = (lanes4 *)(lin + r * COLUMNS * 4 + i * 4);
            lanes4 sum = quarter(v[r * 4 / LANES], r % (LANES / 4));
            if (!first)
                sum += *at;
            *at = sum;
        }
    }
}

#endif

/* Memory that the threads of a tile share. */
struct tile_memory {
    float lin[TILE_H * COLUMNS * 4];
    float strip[ROW_COLUMNS * 16];
    float wx[MAX_TAPS * COLUMNS];
    float wy[TILE_H * MAX_TAPS];
    int32_t bx[COLUMNS];
    int32_t by[TILE_H];
};

/* Weights and positions of one view's tile; returns the photo column of the strip's left. */
BP_FN int32_t place_tile(const struct straight_view *v, const struct photo *p, int32_t x0, int32_t y0, int32_t taps,
                         struct tile_memory *m, int32_t *columns)
{
    float inverse = v->scale > 1.0f ? 1.0f / v->scale : 1.0f;
    BP_EACH(i, TILE_H)
    taps_at(v->y0 + (float)(y0 + i) * v->scale, inverse, taps, &m->by[i], &m->wy[i * MAX_TAPS], 1);
    BP_EACH(i, COLUMNS)
    taps_at(v->x0 + (float)(x0 - LEAD + i) * v->scale, inverse, taps, &m->bx[i], &m->wx[i], COLUMNS);
    BP_SYNC();
    int32_t left = inside(m->bx[0], taps, p->width), right = inside(m->bx[COLUMNS - 1], taps, p->width);
    *columns = bp_clampi(right - left + taps, taps, ROW_COLUMNS - 4);
    BP_SYNC();
    BP_EACH(i, COLUMNS)
    m->bx[i] = bp_clampi(inside(m->bx[i], taps, p->width) - left, 0, *columns - taps);
    BP_SYNC();
    return left;
}

BP_FN void sample_tile(const struct photo *p, struct tile_memory *m, int32_t left, int32_t columns, int32_t taps,
                       int32_t first)
{
    for (int32_t r = 0; r < TILE_H; r += 4) {
        struct strip s = {{0, 0, 0, 0}, (int64_t)p->stride * 4, &m->wy[r * MAX_TAPS], m->wx, m->bx, columns};
        for (int32_t i = 0; i < 4; i++)
            s.in[i] = p->pixels + ((int64_t)(inside(m->by[r + i], taps, p->height) + PAD) * p->stride + left + PAD) * 4;
        sample_along_y(&s, taps, m->strip);
        BP_SYNC();
        sample_along_x(&s, taps, m->strip, &m->lin[r * COLUMNS * 4], first);
        BP_SYNC();
    }
}

/* taps is a constant where this is called, so that the loops over it unroll. */
BP_FN void straight_tile(const struct straight_args *a, int32_t tx, int32_t ty, int32_t taps)
{
    BP_SHARED struct tile_memory m;
    const struct photo *p = &a->canvas.photo;
    int32_t x0 = tx * TILE_W, y0 = ty * TILE_H;
    for (int32_t s = 0; s < a->samples; s++) {
        int32_t columns, left = place_tile(&a->views[s], p, x0, y0, taps, &m, &columns);
        sample_tile(p, &m, left, columns, taps, s == 0);
    }
    int32_t rows = bp_mini(TILE_H, a->canvas.height - y0);
    for (int32_t r = 0; r < rows; r += 2) /* the strip is free by now */
        draw_rows(&a->canvas, &m.lin[r * COLUMNS * 4], m.strip, x0, y0 + r);
}

BP_KERNEL_TILE(frame_straight_4, struct straight_args, a, tx, ty)
{
    straight_tile(a, tx, ty, 4);
}

BP_KERNEL_TILE(frame_straight_6, struct straight_args, a, tx, ty)
{
    straight_tile(a, tx, ty, 6);
}

BP_KERNEL_TILE(frame_straight_8, struct straight_args, a, tx, ty)
{
    straight_tile(a, tx, ty, 8);
}

/* Depth at a photo position, between the map's pixels; the map's edge goes on outward. -1/2 far .. 1/2 near. */
BP_FN float depth_at(const struct bent_args *a, float sx, float sy)
{
    float u = bp_clampf((sx + 0.5f) * a->depth_scale - 0.5f, 0.0f, (float)(a->depth_width - 1) - 0.001f);
    float v = bp_clampf((sy + 0.5f) * a->depth_scale - 0.5f, 0.0f, (float)(a->depth_height - 1) - 0.001f);
    int32_t i = (int32_t)u, j = (int32_t)v;
    const float *BP_RESTRICT d = a->depth;
    int32_t k = j * a->depth_width + i, l = k + a->depth_width;
    float fu = u - (float)i, fv = v - (float)j;
    float above = d[k] + fu * (d[k + 1] - d[k]);
    float below = d[l] + fu * (d[l + 1] - d[l]);
    return above + fv * (below - above) - 0.5f;
}

/* Where output pixel (x, y) looks in the photo. */
BP_FN void bend(const struct bent_args *a, const struct bent_view *v, float x, float y, float *sx, float *sy)
{
    float w = 1.0f / (v->h[6] * x + v->h[7] * y + 1.0f);
    float u = (v->h[0] * x + v->h[1] * y + v->h[2]) * w;
    float t = (v->h[3] * x + v->h[4] * y + v->h[5]) * w;
    float d = depth_at(a, u, t);
    *sx = u + d * (v->px + v->pz * u);
    *sy = t + d * (v->py + v->pz * t);
}

/*
 * Adds the photo's pixel around (bx, by) by 4 x 4 weights to out: the four rows first, then their columns as
 * (0 + 2) + (1 + 3), so that vectors of any width give the same bits.
 */
BP_FN void sample_point(const struct photo *p, int32_t bx, int32_t by, const float *wx, const float *wy, float *out)
{
    const uint16_t *in = p->pixels + ((int64_t)(by + PAD) * p->stride + bx + PAD) * 4;
    int64_t stride = (int64_t)p->stride * 4;
#if BP_TARGET_CUDA
    float sum[16];
    for (int32_t i = 0; i < 16; i++) {
        sum[i] = 0;
        for (int32_t j = 0; j < 4; j++)
            sum[i] += wy[j * COLUMNS] * (float)in[j * stride + i];
        sum[i] *= wx[(i >> 2) * COLUMNS];
    }
    for (int32_t c = 0; c < 4; c++)
        out[c] += (sum[c] + sum[8 + c]) + (sum[4 + c] + sum[12 + c]);
#else
    lanes sum[PARTS];
    for (int32_t i = 0; i < PARTS; i++)
        sum[i] = (lanes){0};
    for (int32_t j = 0; j < 4; j++)
        for (int32_t i = 0; i < PARTS; i++)
            sum[i] += wy[j * COLUMNS] * load_halves(in + j * stride + i * LANES);
    lanes4 tap[4];
    for (int32_t k = 0; k < 4; k++)
        tap[k] = wx[k * COLUMNS] * quarter(sum[k * 4 / LANES], k % (LANES / 4));
    *(lanes4 *)out += (tap[0] + tap[2]) + (tap[1] + tap[3]);
#endif
}

BP_KERNEL_TILE(frame_bent, struct bent_args, a, tx, ty)
{
    BP_SHARED float lin[2 * COLUMNS * 4];
    BP_SHARED float wx[4 * COLUMNS];
    BP_SHARED float wy[4 * COLUMNS];
    BP_SHARED int32_t bx[COLUMNS];
    BP_SHARED int32_t by[COLUMNS];
    BP_SHARED float at_x[COLUMNS];
    BP_SHARED float at_y[COLUMNS];
    BP_SHARED float enc[6 * COLUMNS];
    const struct photo *p = &a->canvas.photo;
    int32_t x0 = tx * TILE_W, y0 = ty * TILE_H;
    int32_t rows = bp_mini(TILE_H, a->canvas.height - y0);
    for (int32_t r = 0; r < rows; r += 2) {
        BP_EACH(i, 2 * COLUMNS * 4)
        lin[i] = 0;
        for (int32_t s = 0; s < 2 * a->samples; s++) {
            int32_t half = s & 1;
            struct bent_view v = a->views[s >> 1]; /* a copy: nothing written below can change it */
            BP_EACH(i, COLUMNS)
            bend(a, &v, (float)(x0 - LEAD + i), (float)(y0 + r + half), &at_x[i], &at_y[i]);
            BP_SYNC();
            BP_EACH(i, COLUMNS)
            taps_at(at_x[i], 1.0f, 4, &bx[i], &wx[i], COLUMNS);
            BP_EACH(i, COLUMNS)
            taps_at(at_y[i], 1.0f, 4, &by[i], &wy[i], COLUMNS);
            BP_SYNC();
            BP_EACH(i, COLUMNS)
            sample_point(p, inside(bx[i], 4, p->width), inside(by[i], 4, p->height), &wx[i], &wy[i],
                         &lin[(half * COLUMNS + i) * 4]);
            BP_SYNC();
        }
        draw_rows(&a->canvas, lin, enc, x0, y0 + r);
    }
}
