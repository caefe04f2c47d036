/* SPDX-License-Identifier: Apache-2.0 */
/* Frames against a reference in plain double arithmetic that shares no code with the kernels. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "painter.h"

#include <math.h>
#include <stdlib.h>

/* A plane of doubles; beyond its edges the nearest sample. */
struct sheet {
    int32_t width, height;
    double *at;
};

static struct sheet sheet_make(int32_t width, int32_t height)
{
    struct sheet s = {width, height, calloc((size_t)width * (size_t)height, sizeof(double))};
    assert_non_null(s.at);
    return s;
}

static double *cell(const struct sheet *s, int32_t x, int32_t y)
{
    x = x < 0 ? 0 : x >= s->width ? s->width - 1 : x;
    y = y < 0 ? 0 : y >= s->height ? s->height - 1 : y;
    return &s->at[(size_t)y * (size_t)s->width + (size_t)x];
}

/* ---- the reference ---- */

static void hold(const struct painter *p, int plane, const struct sheet *before, double follow, struct sheet *now)
{
    for (int32_t y = 0; y < now->height; y++)
        for (int32_t x = 0; x < now->width; x++) {
            double mean = 0, energy = 0;
            for (int j = -2; j <= 2 && before; j++)
                for (int i = -2; i <= 2; i++) {
                    double d = painter_in(p, plane, x + i, y + j) - *cell(before, x + i, y + j);
                    mean += d / 25;
                    energy += d * d / 25;
                }
            double frame = painter_in(p, plane, x, y), change = before ? frame - *cell(before, x, y) : 0;
            double sure = fmin(fmax((energy + 8 * mean * mean - 24) / (96 - 24), 0), 1);
            double part = follow + (1 - follow) * sure;
            *cell(now, x, y) = before ? *cell(before, x, y) + part * change : frame;
        }
}

static struct sheet halve(const struct sheet *luma)
{
    struct sheet half = sheet_make((luma->width + 1) / 2, (luma->height + 1) / 2);
    for (int32_t y = 0; y < half.height; y++)
        for (int32_t x = 0; x < half.width; x++)
            *cell(&half, x, y) = (*cell(luma, 2 * x, 2 * y) + *cell(luma, 2 * x + 1, 2 * y) +
                                  *cell(luma, 2 * x, 2 * y + 1) + *cell(luma, 2 * x + 1, 2 * y + 1)) /
                                 4;
    return half;
}

/* Direction along the edge at (x, y), an angle, and how much longer than a round one strokes are. */
static void flow(const struct sheet *half, int32_t x, int32_t y, double *angle, double *longer)
{
    static const double gauss[] = {0.2706, 0.2168, 0.1113, 0.0366};
    double j[3] = {0, 0, 0};
    for (int dy = -3; dy <= 3; dy++)
        for (int dx = -3; dx <= 3; dx++) {
            double g[2] = {0, 0}, w = gauss[abs(dx)] * gauss[abs(dy)];
            for (int k = -1; k <= 1; k++) {
                double side = k ? 3 / 32.0 : 10 / 32.0;
                g[0] += side * (*cell(half, x + dx + 1, y + dy + k) - *cell(half, x + dx - 1, y + dy + k));
                g[1] += side * (*cell(half, x + dx + k, y + dy + 1) - *cell(half, x + dx + k, y + dy - 1));
            }
            j[0] += w * g[0] * g[0];
            j[1] += w * g[1] * g[1];
            j[2] += w * g[0] * g[1];
        }
    double root = sqrt((j[0] - j[1]) * (j[0] - j[1]) + 4 * j[2] * j[2]);
    *angle = 0.5 * atan2(2 * j[2], j[0] - j[1]) + acos(-1) / 2;
    *longer = 1 + root / (j[0] + j[1] + 4) / 2;
}

struct reference {
    struct sheet held[3], half;
};

/* Mean of a tent around a sample: of the plane's values, or of their squares. */
static double tent(const struct sheet *s, int32_t x, int32_t y, int32_t step, int power)
{
    double sum = 0;
    for (int j = 1 - step; j < step; j++)
        for (int i = 1 - step; i < step; i++)
            sum += (step - abs(i)) * (step - abs(j)) * pow(*cell(s, x + i, y + j), power);
    return sum / pow(step, 4);
}

/* Weight in sector k of what lies at (u, v) of the unit circle. */
static double sector(int k, double u, double v)
{
    double pi = acos(-1), z = 1 / 3.0, bend = (z + cos(pi / 8)) / (sin(pi / 8) * sin(pi / 8)), turn = k * pi / 4;
    double a = cos(turn) * u + sin(turn) * v, b = -sin(turn) * u + cos(turn) * v;
    double w = fmax(0, a + z - bend * b * b), near = fmax(0, 1 - u * u - v * v);
    return w * w * near * near;
}

/* sheets: n planes, the first of luma; result[]: of each. */
static void paint(const struct sheet *const sheets[], int n, const struct reference *r, int32_t x, int32_t y,
                  double radius, double result[3])
{
    double angle, longer, total = 0, sums[8][5] = {{0}};
    int32_t step = radius <= 4 ? 1 : radius <= 8 ? 2 : 3, far = (int32_t)(radius * 1.5) + 1;
    flow(&r->half, n == 1 ? x / 2 : x, n == 1 ? y / 2 : y, &angle, &longer);
    for (int32_t j = -far / step - 1; j <= far / step + 1; j++)
        for (int32_t i = -far / step - 1; i <= far / step + 1; i++) {
            double dx = i * step / radius, dy = j * step / radius;
            double u = (cos(angle) * dx + sin(angle) * dy) / longer, v = (cos(angle) * dy - sin(angle) * dx) * longer;
            if (u * u + v * v >= 1)
                continue;
            for (int k = 0; k < 8; k++) {
                double w = sector(k, u, v);
                sums[k][4] += w;
                for (int p = 0; p < n; p++) {
                    sums[k][p] += w * tent(sheets[p], x + i * step, y + j * step, step, 1);
                    sums[k][3] += w * tent(sheets[p], x + i * step, y + j * step, step, 2);
                }
            }
        }
    result[0] = result[1] = result[2] = 0;
    for (int k = 0; k < 8; k++) {
        double variance = sums[k][3] / sums[k][4];
        for (int p = 0; p < n; p++)
            variance -= pow(sums[k][p] / sums[k][4], 2);
        double counts = 1 / (1 + pow(fmax(variance, 0) / 16, 4));
        total += counts;
        for (int p = 0; p < n; p++)
            result[p] += counts * sums[k][p] / sums[k][4];
    }
    for (int p = 0; p < n; p++)
        result[p] /= total;
}

/* ---- frames ---- */

/* Soft gradients, an oblique edge, fine lines, a disc and noise, moved on from frame to frame. */
static void draw(struct painter *p, int frame)
{
    uint32_t seed = 7 + (uint32_t)frame;
    for (int plane = 0; plane < 3; plane++)
        for (int32_t y = 0; y < p->in.heights[plane]; y++)
            for (int32_t x = 0; x < p->in.widths[plane]; x++) {
                int32_t u = (plane ? 2 * x : x) + 3 * frame, v = plane ? 2 * y : y;
                double value = 60 + 0.5 * u + 0.7 * v + 3 * painter_noise(&seed) + 10 * plane;
                value += 2 * u + 3 * v > 130 ? 70 : 0;
                value -= u % 11 == 0 && v > 14 ? 50 : 0;
                if ((u - 26) * (u - 26) + (v - 12) * (v - 12) < 60)
                    value = 250 - 60 * plane;
                painter_set(p, plane, x, y, value);
            }
}

static void compare(const struct painter *p, const struct reference *r, const struct style *style)
{
    double unit = p->in.depth == 10 ? 0.25 : 1, got[3];
    for (int chroma = 0; chroma < 2; chroma++)
        for (int32_t y = 0; y < p->out.heights[chroma]; y++)
            for (int32_t x = 0; x < p->out.widths[chroma]; x++) {
                const struct sheet *const sheets[] = {chroma ? &r->half : &r->held[0], &r->held[1], &r->held[2]};
                paint(sheets, chroma ? 3 : 1, r, x, y, style->brush_size / (chroma ? 2 : 1), got);
                for (int plane = chroma; plane <= 2 * chroma; plane++) {
                    double in = painter_in(p, plane, x, y), wanted = in + style->strength * (got[plane] - in);
                    if (fabs(painter_out(p, plane, x, y) - wanted) > 0.52 * unit)
                        fail_msg("plane %d (%d, %d) of %d by %d, brush %g: %g, not %g", plane, x, y, p->in.width,
                                 p->in.height, style->brush_size, painter_out(p, plane, x, y), wanted);
                }
            }
}

static void check(int32_t width, int32_t height, int32_t depth, struct style style, int frames)
{
    struct painter p;
    struct reference now = {0}, before = {0};
    painter_open(&p, width, height, depth, style);
    for (int n = 0; n < frames; n++) {
        draw(&p, n);
        painter_paint(&p);
        for (int i = 0; i < 3; i++) {
            now.held[i] = sheet_make(p.in.widths[i], p.in.heights[i]);
            hold(&p, i, n ? &before.held[i] : NULL, fmax(1 - style.stability, 0.05), &now.held[i]);
            free(before.held[i].at);
        }
        now.half = halve(&now.held[0]);
        compare(&p, &now, &style);
        free(now.half.at);
        before = now;
    }
    for (int i = 0; i < 3; i++)
        free(before.held[i].at);
    painter_close(&p);
}

static void every_brush_paints_what_the_reference_says(void **state)
{
    static const double brushes[] = {2, 3.3, 4, 5, 8, 12};
    (void)state;
    for (size_t i = 0; i < sizeof brushes / sizeof brushes[0]; i++)
        check(86, 26, i % 2 ? 10 : 8, (struct style){1, brushes[i], 0}, 1);
}

static void frames_that_follow_are_held_as_the_reference_says(void **state)
{
    (void)state;
    check(72, 20, 8, (struct style){0.7, 3, 0.8}, 4);
    check(72, 20, 10, (struct style){1, 3, 1}, 3);
}

/* Less than a tile, just a tile, a sample more; odd sides, of which the last column or row is left out. */
static void pictures_of_any_shape_are_painted(void **state)
{
    static const int32_t sizes[][2] = {{16, 16}, {2, 17}, {17, 3}, {64, 8}, {65, 9}, {63, 7}, {129, 18}, {131, 17}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check(sizes[i][0], sizes[i][1], 8, (struct style){1, 4, 0.5}, 2);
}

static void without_strength_frames_stay_as_they_are(void **state)
{
    (void)state;
    for (int32_t depth = 8; depth <= 10; depth += 2) {
        struct painter p;
        painter_open(&p, 100, 30, depth, (struct style){0, 6, 0.8});
        for (int n = 0; n < 3; n++) {
            draw(&p, n);
            painter_paint(&p);
            assert_memory_equal(p.frame, p.painted, p.in.bytes);
        }
        painter_close(&p);
    }
}

/* Flat stays flat to the edge, black stays black and white white. */
static void what_is_flat_stays_as_it_is(void **state)
{
    static const uint8_t levels[] = {0, 16, 128, 235, 255};
    (void)state;
    for (size_t i = 0; i < sizeof levels; i++) {
        struct painter p;
        painter_open(&p, 70, 18, 8, (struct style){1, 12, 0.8});
        memset(p.frame, levels[i], p.in.bytes);
        painter_paint(&p);
        for (int plane = 0; plane < 3; plane++)
            for (int32_t y = 0; y < p.out.heights[plane]; y++)
                for (int32_t x = 0; x < p.out.widths[plane]; x++)
                    assert_true(painter_out(&p, plane, x, y) == levels[i]);
        painter_close(&p);
    }
}

/* What makes it a Kuwahara filter: noise goes, and an edge stays as steep as it was. */
static void noise_goes_and_edges_stay(void **state)
{
    struct painter p;
    double before = 0, after = 0, step = 0;
    uint32_t seed = 3;
    (void)state;
    painter_open(&p, 96, 64, 8, (struct style){1, 5, 0});
    memset(p.frame, 128, p.in.bytes);
    for (int32_t y = 0; y < 64; y++)
        for (int32_t x = 0; x < 96; x++)
            painter_set(&p, 0, x, y, (x < 48 ? 70 : 170) + 8 * painter_noise(&seed));
    painter_paint(&p);
    for (int32_t y = 8; y < 56; y++) {
        step += (painter_out(&p, 0, 49, y) - painter_out(&p, 0, 46, y)) / 48;
        for (int32_t x = 10; x < 40; x++) {
            before += pow(painter_in(&p, 0, x, y) - 70, 2);
            after += pow(painter_out(&p, 0, x, y) - 70, 2);
        }
    }
    assert_true(after < before / 9);
    assert_true(step > 92 && step < 108);
    painter_close(&p);
}

static void all_cpu_levels_paint_the_same_bytes(void **state)
{
    (void)state;
    for (int32_t depth = 8; depth <= 10; depth += 2) {
        struct painter first;
        painter_open_at(&first, 150, 41, depth, (struct style){1, 5, 0.8}, 0);
        for (int32_t level = 1; level <= 2; level++) {
            struct painter p;
            painter_open_at(&p, 150, 41, depth, (struct style){1, 5, 0.8}, level);
            for (int n = 0; n < 2; n++) {
                draw(&p, n);
                painter_paint(&p);
            }
            first.stylizer.frames = 0;
            for (int n = 0; n < 2; n++) {
                draw(&first, n);
                painter_paint(&first);
            }
            assert_memory_equal(first.painted, p.painted, p.out.bytes);
            painter_close(&p);
        }
        painter_close(&first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_brush_paints_what_the_reference_says),
        cmocka_unit_test(frames_that_follow_are_held_as_the_reference_says),
        cmocka_unit_test(pictures_of_any_shape_are_painted),
        cmocka_unit_test(without_strength_frames_stay_as_they_are),
        cmocka_unit_test(what_is_flat_stays_as_it_is),
        cmocka_unit_test(noise_goes_and_edges_stay),
        cmocka_unit_test(all_cpu_levels_paint_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
