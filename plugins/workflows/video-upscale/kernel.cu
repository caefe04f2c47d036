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
 * nothing rings. Pixels that are mirror images of each other are drawn together.
 *
 * Sharpening adds a part of the difference to the four neighbours, less of it the more contrast there is already: the
 * idea of contrast-adaptive sharpening (T. Lottes, FidelityFX CAS, 2019), here with (1 - contrast)^2, which needs no
 * division.
 */
#include <bp/kernel.h>

#include "chroma.h"
#include "kernel_args.h"
#include "numbers.h"
#include "patch.h"

#define WEIGHTS BP_CONST
#include "weights.h"

/* Columns and rows of input around a tile's cells that its filters look at, and the arrays that hold them. */
#define BORDER  3
#define MORE    (BP_TARGET_CUDA ? 4 : 16) /* columns beside the cells; on a CPU as many as fill a vector */
#define PATCH_W (64 + MORE)               /* of the wider tiles */
#define TAIL    2
/* Rows of a tile that are drawn at once, of their cells, and of input around: a GPU's shared memory is small. */
#define PART_ROWS(factor) (BP_TARGET_CUDA ? 8 : TILE_ROWS(factor))
#define CELL_ROWS(factor) (PART_ROWS(factor) + 2)
#define PATCH_H(factor)   (PART_ROWS(factor) + 2 * BORDER)
#define CELLS_MAX         (CELL_ROWS(2) * 64) /* by 2 there are the most rows */
#define UP_MAX            (CELL_ROWS(3) * 3 * 3 * 64)
#define NOISE             480.0f /* E above: 30 squared steps of 255, times what the sums below are too large by */
#define SLACK             0.1f
#define SHARPEN           0.2f /* of the difference to four neighbours' sum, at sharpness 1 */

/*
 * What filters read. Cell i of a row is input column x0 - 1 + i, cell row r is y0 - 1 + r; the last two cells of a row
 * are there to fill vectors and mean nothing: what they read beside them is of the next row, or TAIL. What a GPU
 * computes from the patch where it is needed, a CPU keeps: it would have to put vectors together from two lines of its
 * cache for it time and again.
 */
struct source {
    val patch[PATCH_H(2) * PATCH_W]; /* input from (x0 - BORDER, y0 - BORDER) */
    val c[CELLS_MAX], s[CELLS_MAX]; /* as weights */
#if !BP_TARGET_CUDA
    val even[2][PATCH_H(2) * 64], odd[2][PATCH_H(2) * 64];       /* fold_across(), at a distance of 1 and 2 */
    val low[CELLS_MAX + 64 + TAIL], high[CELLS_MAX + 64 + TAIL]; /* two by two, from (x0 - 2, y0 - 2) */
#endif
};

/* Memory that the threads of a tile share. */
struct tile_memory {
    struct source source;
    union { /* one after the other */
        struct {
            val jxx[CELLS_MAX + TAIL], jyy[CELLS_MAX + TAIL], jxy[CELLS_MAX + TAIL];
        } sums;
        /* Output rows of all cells, of the first and last row only those next to the tile; in a row first all pixels at
         * column 0 of their cells, then those at 1... */
        val up[UP_MAX];
    } u;
};

/* Rows of 64 have theirs in the next row, all but the last. */
BP_FN int32_t first_with_tail(int32_t factor, int32_t rows)
{
    return CELLS(factor) < 64 ? 0 : rows - 1;
}

/* Products of gradients, twice as large each, around the cells, summed 1 2 1 downward. */
BP_FN void multiply_gradients(const val *BP_RESTRICT patch, int32_t factor, val *BP_RESTRICT jxx,
                              val *BP_RESTRICT jyy, val *BP_RESTRICT jxy)
{
    BP_EACH_2D(r, CELL_ROWS(factor), i, CELLS(factor))
    {
        val xx = 0, yy = 0, xy = 0;
        BP_UNROLL(3)
        for (int32_t k = 0; k < 3; k++) {
            const val *at = patch + (r + k + 1) * PATCH_W + i + 1;
            val gx = (val)(at[1] - at[-1]), gy = (val)(at[PATCH_W] - at[-PATCH_W]), w = k == 1 ? 2 : 1;
            xx = (val)(xx + w * product(gx, gx));
            yy = (val)(yy + w * product(gy, gy));
            xy = (val)(xy + w * product(gx, gy));
        }
        jxx[r * 64 + i] = xx;
        jyy[r * 64 + i] = yy;
        jxy[r * 64 + i] = xy;
    }
    int32_t row = first_with_tail(factor, CELL_ROWS(factor));
    BP_EACH_2D(n, CELL_ROWS(factor) - row, k, TAIL)
    {
        int32_t at = (row + n) * 64 + CELLS(factor) + k;
        jxx[at] = jyy[at] = jxy[at] = 0;
    }
}

/* Of these sums, which are four times the mean, the mean across, weighed 1 2 1, too. */
BP_FN void find_edges(const val *BP_RESTRICT jxx, const val *BP_RESTRICT jyy, const val *BP_RESTRICT jxy,
                      int32_t factor, val *BP_RESTRICT c, val *BP_RESTRICT s)
{
    BP_EACH_2D(r, CELL_ROWS(factor), i, CELLS(factor))
    {
        int32_t at = r * 64 + i;
        val xx = mean(mean(jxx[at], jxx[at + 2]), jxx[at + 1]);
        val yy = mean(mean(jyy[at], jyy[at + 2]), jyy[at + 1]);
        val xy = mean(mean(jxy[at], jxy[at + 2]), jxy[at + 1]);
        float inverse = WHOLE_WEIGHT * reciprocal(sum_of_squares(xx, yy) + NOISE * SQUARE);
        c[r * 64 + i] = (val)((float)(val)(xx - yy) * inverse);
        s[r * 64 + i] = (val)(2.0f * (float)xy * inverse);
    }
}

/*
 * Pixels of a cell that are mirror images of each other have one filter, mirrored, with S of the other sign where one
 * axis is. So input pixels are first added to their images and subtracted from them, which takes a quarter of the
 * products: EE is what is even both ways, EO even down and odd across, OE and OO so, too; each of the four pixels is a
 * sum and difference of the four. Where the output lies in the middle of a cell it is its own image, and there are two
 * such pixels, or one.
 */
enum { EE, EO = 1, OE = 2, OO = EO | OE, FOLDS };

/* The part of a filter that goes with the folded pixels dy down and dx across; sy, sx: -1 of an odd fold, else 1. */
BP_FN float fold_weight(const float w[5][5], int32_t dy, int32_t dx, float sy, float sx)
{
    return 0.25f * ((w[2 - dy][2 - dx] + sx * w[2 - dy][2 + dx]) + sy * (w[2 + dy][2 - dx] + sx * w[2 + dy][2 + dx]));
}

/* What lies dx to both sides of cell i in a row of the patch: the sum, or, odd, the difference. */
BP_FN val fold_across(const struct source *in, int32_t row, int32_t i, int32_t odd, int32_t dx)
{
    const val *at = in->patch + row * PATCH_W + i + BORDER - 1;
    if (dx == 0)
        return odd ? 0 : at[0];
#if BP_TARGET_CUDA
    return odd ? at[-dx] - at[dx] : at[-dx] + at[dx];
#else
    return odd ? in->odd[dx - 1][row * 64 + i] : in->even[dx - 1][row * 64 + i];
#endif
}

/* The range of the two by two pixels of which the last is the cell's. */
BP_FN val lowest(const struct source *in, int32_t r, int32_t i)
{
#if BP_TARGET_CUDA
    const val *at = in->patch + (r + BORDER - 2) * PATCH_W + i + BORDER - 2;
    return least(least(at[0], at[1]), least(at[PATCH_W], at[PATCH_W + 1]));
#else
    return in->low[r * 64 + i];
#endif
}

BP_FN val highest(const struct source *in, int32_t r, int32_t i)
{
#if BP_TARGET_CUDA
    const val *at = in->patch + (r + BORDER - 2) * PATCH_W + i + BORDER - 2;
    return most(most(at[0], at[1]), most(at[PATCH_W], at[PATCH_W + 1]));
#else
    return in->high[r * 64 + i];
#endif
}

/* A range widened by its slack. By an odd factor an output pixel may have the range of several. */
BP_FN void widen(val *low, val *high, val beyond)
{
    val slack = times((val)(*high - *low), beyond);
    *low = (val)(*low - slack);
    *high = (val)(*high + slack);
}

#if !BP_TARGET_CUDA
/* What the three functions above read; the ranges of an even factor widened. */
BP_FN void keep_folds(const val *BP_RESTRICT patch, int32_t factor, val *BP_RESTRICT even1, val *BP_RESTRICT even2,
                      val *BP_RESTRICT odd1, val *BP_RESTRICT odd2)
{
    BP_EACH_2D(r, PATCH_H(factor), i, CELLS(factor))
    {
        const val *at = patch + r * PATCH_W + i + BORDER - 1;
        even1[r * 64 + i] = (val)(at[-1] + at[1]);
        even2[r * 64 + i] = (val)(at[-2] + at[2]);
        odd1[r * 64 + i] = (val)(at[-1] - at[1]);
        odd2[r * 64 + i] = (val)(at[-2] - at[2]);
    }
}

BP_FN void keep_ranges(const val *BP_RESTRICT patch, int32_t factor, val *BP_RESTRICT low, val *BP_RESTRICT high)
{
    const val beyond = variable(WEIGHT(SLACK));
    BP_EACH_2D(r, CELL_ROWS(factor) + 1, i, CELLS(factor))
    {
        const val *at = patch + (r + BORDER - 2) * PATCH_W + i + BORDER - 2;
        val l = least(least(at[0], at[1]), least(at[PATCH_W], at[PATCH_W + 1]));
        val h = most(most(at[0], at[1]), most(at[PATCH_W], at[PATCH_W + 1]));
        if (factor % 2 == 0)
            widen(&l, &h, beyond);
        low[r * 64 + i] = l;
        high[r * 64 + i] = h;
    }
    int32_t row = first_with_tail(factor, CELL_ROWS(factor) + 1);
    BP_EACH_2D(n, CELL_ROWS(factor) + 1 - row, k, TAIL)
    low[(row + n) * 64 + CELLS(factor) + k] = high[(row + n) * 64 + CELLS(factor) + k] = 0;
}
#endif

/* Of an output pixel: whether it is its own image in an axis. */
struct phase {
    int32_t factor, middle_y, middle_x;
};

/* w[filter][fold][down][across]; whole: 1 is to be added to the plain filter's middle. */
struct folded {
    val w[3][FOLDS][3][3];
    int32_t whole;
};

/* The plain filter's middle, so that all of it come to 1 also when they are rounded: flat stays flat. */
BP_FN val middle_of_fold(const float w[5][5], int32_t whole)
{
    float rest = 0;
    BP_UNROLL(3)
    for (int32_t dy = 0; dy < 3; dy++)
        BP_UNROLL(3)
        for (int32_t dx = 0; dx < 3; dx++)
            if (dy || dx)
                rest += (float)((dy ? 2 : 1) * (dx ? 2 : 1)) * (float)WEIGHT(fold_weight(w, dy, dx, 1, 1));
    return (val)((whole ? 0.0f : (float)ONE) - rest);
}

/* The part of a filter of 5 by 5 that goes with a fold. Many are 0: folds across of the column in the middle; of an
 * output pixel that is its own image in an axis all that are odd there, or, of S, even. */
BP_FN float weight_of(const float w[5][5], int32_t fold, int32_t dy, int32_t dx)
{
    return fold_weight(w, dy, dx, fold & OE ? -1.0f : 1.0f, fold & EO ? -1.0f : 1.0f);
}

BP_FN struct folded fold_weights(const float weights[3][5][5])
{
    struct folded f;
    f.whole = weight_of(weights[0], EE, 0, 0) >= 1.0f;
    BP_UNROLL(3)
    for (int32_t k = 0; k < 3; k++)
        BP_UNROLL(4)
        for (int32_t fold = 0; fold < FOLDS; fold++)
            BP_UNROLL(3)
            for (int32_t dy = 0; dy < 3; dy++)
                BP_UNROLL(3)
                for (int32_t dx = 0; dx < 3; dx++)
                    f.w[k][fold][dy][dx] = variable(WEIGHT(weight_of(weights[k], fold, dy, dx)));
    f.w[0][EE][0][0] = variable(middle_of_fold(weights[0], f.whole));
    return f;
}

/* Of the folds that are even across (EE, OE), or odd (EO, OO), what plain filter and C make (plain), and S. Halves, so
 * that what is being summed fits into a processor's registers. */
BP_FN void sum_folds(const struct source *in, int32_t r, int32_t i, const float weights[3][5][5],
                     const struct folded *f, int32_t odd_x, val plain[FOLDS], val turned[FOLDS])
{
    int32_t row = r + BORDER - 1;
    val sums[3][2] = {{0}}, c = in->c[r * 64 + i], s = in->s[r * 64 + i];
    if (f->whole && !odd_x)
        sums[0][0] = in->patch[row * PATCH_W + i + BORDER - 1];
    BP_UNROLL(3)
    for (int32_t dy = 0; dy < 3; dy++)
        BP_UNROLL(3)
        for (int32_t dx = 0; dx < 3; dx++) {
            val above = fold_across(in, row - dy, i, odd_x, dx), below = fold_across(in, row + dy, i, odd_x, dx);
            val folds[2] = {dy ? (val)(above + below) : above, (val)(above - below)};
            BP_UNROLL(3)
            for (int32_t k = 0; k < 3; k++)
                BP_UNROLL(2)
                for (int32_t odd_y = 0; odd_y < 2; odd_y++)
                    if (WEIGHT(weight_of(weights[k], odd_y * OE + odd_x * EO, dy, dx)) != 0)
                        sums[k][odd_y] =
                            (val)(sums[k][odd_y] + times(folds[odd_y], f->w[k][odd_y * OE + odd_x * EO][dy][dx]));
        }
    BP_UNROLL(2)
    for (int32_t odd_y = 0; odd_y < 2; odd_y++) {
        plain[odd_y * OE + odd_x * EO] = (val)(sums[0][odd_y] + times(sums[1][odd_y], c));
        turned[odd_y * OE + odd_x * EO] = times(sums[2][odd_y], s);
    }
}

/* Within the range of the nearest pixels of cell (r, i), widened: those of (y, x) of its four corners, or, where the
 * output is in the middle of an axis, of both corners. */
BP_FN val hold(val v, const struct source *in, int32_t r, int32_t i, const struct phase *p, int32_t y, int32_t x,
               val beyond)
{
    int32_t r1 = r + y, r2 = p->middle_y ? r + 1 : r1, i1 = i + x, i2 = p->middle_x ? i + 1 : i1;
    val low = least(least(lowest(in, r1, i1), lowest(in, r1, i2)), least(lowest(in, r2, i1), lowest(in, r2, i2)));
    val high = most(most(highest(in, r1, i1), highest(in, r1, i2)), most(highest(in, r2, i1), highest(in, r2, i2)));
    if (BP_TARGET_CUDA || p->factor % 2)
        widen(&low, &high, beyond);
    return least(most(v, low), high);
}

/* All output pixels at (px, py) of their cells and at its mirror images; px and py of the first half or the middle.
 * Constant but for the pointers. */
BP_FN void draw(const struct source *BP_RESTRICT in, val *BP_RESTRICT up, const float weights[3][5][5], int32_t factor,
                int32_t py, int32_t px)
{
    const struct phase p = {factor, 2 * py + 1 == factor, 2 * px + 1 == factor};
    int32_t first = py == 0 ? 0 : 1, rows = py == 0 ? CELL_ROWS(factor) : PART_ROWS(factor);
    int32_t line = factor * CELLS(factor), right = (factor - 1 - 2 * px) * CELLS(factor);
    int32_t down = (factor - 1 - 2 * py) * line;
    const struct folded folded = fold_weights(weights);
    const val beyond = variable(WEIGHT(SLACK));
    BP_EACH_2D(n, rows, i, CELLS(factor))
    {
        int32_t r = first + n;
        val plain[FOLDS], turned[FOLDS], same[FOLDS], other[FOLDS];
        sum_folds(in, r, i, weights, &folded, 0, plain, turned);
        sum_folds(in, r, i, weights, &folded, 1, plain, turned);
        BP_UNROLL(4)
        for (int32_t k = 0; k < FOLDS; k++) {
            same[k] = (val)(plain[k] + turned[k]);
            other[k] = (val)(plain[k] - turned[k]);
        }
        val *out = up + (r * factor + py) * line + px * CELLS(factor) + i;
        out[0] = hold((val)((same[EE] + same[OO]) + (same[EO] + same[OE])), in, r, i, &p, 0, 0, beyond);
        if (!p.middle_x)
            out[right] = hold((val)((other[EE] - other[OO]) - (other[EO] - other[OE])), in, r, i, &p, 0, 1, beyond);
        if (!p.middle_y)
            out[down] = hold((val)((other[EE] - other[OO]) + (other[EO] - other[OE])), in, r, i, &p, 1, 0, beyond);
        if (!p.middle_x && !p.middle_y)
            out[down + right] = hold((val)((same[EE] + same[OO]) - (same[EO] + same[OE])), in, r, i, &p, 1, 1, beyond);
    }
}

/* Output row `row` of `up`, sharpened, at column px of cell i. amount: four times what is added, a weight. */
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

#if !BP_TARGET_CUDA
/* Copies n samples, which are one of the sizes a compiler knows for all tiles but the last: then it is a few moves. */
BP_FN void copy_row(void *to, const void *from, int32_t n, int32_t factor, int32_t wide)
{
    if (n == TILE_COLUMNS(factor) * factor)
        __builtin_memcpy(to, from, (size_t)(TILE_COLUMNS(factor) * factor * (wide ? 2 : 1)));
    else
        __builtin_memcpy(to, from, (size_t)(n * (wide ? 2 : 1)));
}

/* n output pixels, sharpened, of `up`'s row `row`: all of the tile's cells in vectors, copied as far as they are of the
 * picture. */
#define STORE_ROW(type, wide, to, n)                                                                                   \
    do {                                                                                                               \
        type line[64 * 3]; /* or 32 * 4 */                                                                             \
        for (int32_t i = 0; i < CELLS(factor); i++)                                                                    \
            BP_UNROLL(4) for (int32_t px = 0; px < factor; px++) line[i * factor + px] =                    \
                (type)to_sample(sharpen(up, factor, row, px, i, amount), wide);                                        \
        copy_row(to, line + factor, n, factor, wide);                                                                  \
    } while (0)

/* The same of bytes, by an even factor: vectors are not shuffled by 2, and less by 4. */
BP_FN void store_pairs(const val *up, int32_t factor, int32_t row, val amount, char *to, int32_t n)
{
    uint16_t pairs[2][64], line[2 * 32];
    BP_UNROLL(2)
    for (int32_t k = 0; k < factor / 2; k++)
        for (int32_t i = 0; i < CELLS(factor); i++)
            pairs[k][i] = pair_of(to_sample(sharpen(up, factor, row, 2 * k, i, amount), 0),
                                  to_sample(sharpen(up, factor, row, 2 * k + 1, i, amount), 0));
    for (int32_t i = 0; i < 32 && factor == 4; i++) {
        line[2 * i] = pairs[0][i];
        line[2 * i + 1] = pairs[1][i];
    }
    copy_row(to, factor == 4 ? line + 2 : pairs[0] + 1, n, factor, 0);
}
#endif

/* Writes what of the tile is inside the picture. */
BP_FN void store_tile(const struct plane *p, int32_t wide, int32_t factor, int32_t x, int32_t y,
                      const val *BP_RESTRICT up, val amount)
{
    int32_t rows = bp_mini(PART_ROWS(factor) * factor, p->out_height - y);
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
        char *to = out + (int64_t)r * p->out_stride * (wide ? 2 : 1);
        if (wide)
            STORE_ROW(uint16_t, 1, to, n);
        else if (factor % 2)
            STORE_ROW(uint8_t, 0, to, n);
        else
            store_pairs(up, factor, row, amount, to, n);
    }
#endif
}

/* The part of a tile from input row y0 on; factor and wide are constants where this is called. */
BP_FN void luma_part(const struct luma_args *a, struct tile_memory *m, int32_t x0, int32_t y0, int32_t factor,
                     int32_t wide)
{
    struct source *in = &m->source;
    load_patch(&a->plane, wide, x0 - BORDER, y0 - BORDER, CELLS(factor) + MORE, PATCH_H(factor), PATCH_W, in->patch);
    BP_SYNC();
    multiply_gradients(in->patch, factor, m->u.sums.jxx, m->u.sums.jyy, m->u.sums.jxy);
    BP_SYNC();
    find_edges(m->u.sums.jxx, m->u.sums.jyy, m->u.sums.jxy, factor, in->c, in->s);
#if !BP_TARGET_CUDA
    keep_folds(in->patch, factor, in->even[0], in->even[1], in->odd[0], in->odd[1]);
    keep_ranges(in->patch, factor, in->low, in->high);
#endif
    BP_SYNC();
    if (factor == 2) {
        draw(in, m->u.up, weights_2[0][0], 2, 0, 0);
    } else if (factor == 3) {
        draw(in, m->u.up, weights_3[0][0], 3, 0, 0);
        draw(in, m->u.up, weights_3[0][1], 3, 0, 1);
        draw(in, m->u.up, weights_3[1][0], 3, 1, 0);
        draw(in, m->u.up, weights_3[1][1], 3, 1, 1);
    } else {
        draw(in, m->u.up, weights_4[0][0], 4, 0, 0);
        draw(in, m->u.up, weights_4[0][1], 4, 0, 1);
        draw(in, m->u.up, weights_4[1][0], 4, 1, 0);
        draw(in, m->u.up, weights_4[1][1], 4, 1, 1);
    }
    BP_SYNC();
    store_tile(&a->plane, wide, factor, x0 * factor, y0 * factor, m->u.up, WEIGHT(4.0f * SHARPEN * a->sharpness));
}

BP_FN void luma_tile(const struct luma_args *a, int32_t tx, int32_t ty, int32_t factor, int32_t wide)
{
    BP_SHARED struct tile_memory m;
    int32_t x0 = tx * TILE_COLUMNS(factor), end = bp_mini((ty + 1) * TILE_ROWS(factor), a->plane.in_height);
    for (int32_t y0 = ty * TILE_ROWS(factor); y0 < end; y0 += PART_ROWS(factor)) {
        luma_part(a, &m, x0, y0, factor, wide);
        BP_SYNC();
    }
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
