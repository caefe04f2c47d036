/* SPDX-License-Identifier: Apache-2.0 */
/* Temporal stability, measured: what stands still does not flicker, what moves leaves nothing behind. */
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

#define WIDTH  128
#define HEIGHT 72

/* What stands behind everything. */
static double scene(int plane, int32_t x, int32_t y)
{
    double v = plane ? 110 + 10 * plane : 80 + 0.6 * x;
    if ((x / 16 + y / 16) % 2)
        v += plane ? 15 : 40;
    return v + 12 * sin(x * 0.9 + y * 0.4);
}

/* The scene with noise of its own in each frame and a square of `side` whose left edge is at x = left. */
static void draw(struct painter *p, int frame, double noise, int32_t left, int32_t side, double light)
{
    uint32_t seed = 1000u + 77u * (uint32_t)frame;
    for (int plane = 0; plane < 3; plane++)
        for (int32_t y = 0; y < p->in.heights[plane]; y++)
            for (int32_t x = 0; x < p->in.widths[plane]; x++) {
                int32_t u = plane ? 2 * x : x, v = plane ? 2 * y : y;
                int in = u >= left && u < left + side && v >= 20 && v < 20 + side;
                double value = in ? 235 - 50 * plane : scene(plane, u, v) + light;
                painter_set(p, plane, x, y, value + noise * painter_noise(&seed));
            }
}

/* The mean change from frame to frame of a still, noisy clip. */
static double flicker(double stability, double noise, int plane)
{
    struct painter p;
    double sum = 0;
    int64_t n = 0;
    painter_open(&p, WIDTH, HEIGHT, 8, (struct style){1, 4, stability});
    uint8_t *last = malloc(p.out.bytes);
    assert_non_null(last);
    for (int frame = 0; frame < 20; frame++) {
        draw(&p, frame, noise, -1000, 0, 0);
        painter_paint(&p);
        uint64_t from = p.out.at[plane], size = (uint64_t)p.out.widths[plane] * (uint64_t)p.out.heights[plane];
        for (uint64_t i = from; i < from + size && frame >= 10; i++, n++)
            sum += abs(p.painted[i] - last[i]);
        memcpy(last, p.painted, p.out.bytes);
    }
    free(last);
    painter_close(&p);
    return sum / (double)n;
}

static void a_still_noisy_clip_flickers_less(void **state)
{
    (void)state;
    for (int plane = 0; plane < 3; plane++)
        for (int noise = 2; noise <= 4; noise += 2) {
            double plain = flicker(0, noise, plane), held = flicker(0.8, noise, plane), most = flicker(1, noise, plane);
            print_message("plane %d, noise %d: changes by %.3f a frame, held %.3f, held most %.3f\n", plane, noise,
                          plain, held, most);
            assert_true(held < plain * 0.45);
            assert_true(most < plain * 0.3);
        }
}

/* The mean difference of both paintings where the square has just been, over `frames` behind it. */
static double ghost(int32_t side, int32_t speed, double stability)
{
    struct painter held, plain;
    double sum = 0;
    int64_t n = 0;
    painter_open(&held, WIDTH, HEIGHT, 8, (struct style){1, 3, stability});
    painter_open(&plain, WIDTH, HEIGHT, 8, (struct style){1, 3, 0});
    for (int frame = 0; frame < 12; frame++) {
        int32_t left = 8 + speed * frame;
        draw(&held, frame, 2, left, side, 0);
        memcpy(plain.frame, held.frame, held.in.bytes);
        painter_paint(&held);
        painter_paint(&plain);
        for (int32_t y = 20; y < 20 + side && frame > 3; y++)
            for (int32_t x = left - 3 * speed; x < left; x++, n++)
                sum += fabs(painter_out(&held, 0, x, y) - painter_out(&plain, 0, x, y));
    }
    painter_close(&held);
    painter_close(&plain);
    return sum / (double)n;
}

/* A square 120 brighter than the scene would leave 96 of it behind if all were held alike at 0.8. */
static void what_moves_leaves_no_ghost(void **state)
{
    (void)state;
    print_message("behind a square: %.2f, a small one %.2f, a slow one %.2f\n", ghost(24, 6, 0.8), ghost(6, 4, 0.8),
                  ghost(24, 1, 0.8));
    assert_true(ghost(24, 6, 0.8) < 3);
    assert_true(ghost(6, 4, 0.8) < 3);
    assert_true(ghost(24, 1, 0.8) < 3);
    assert_true(ghost(24, 6, 1) < 4);
}

/* Light that grows by two steps a frame, as slowly as it is hard to tell from noise, is not held back for long. */
static void slow_light_is_followed(void **state)
{
    struct painter held, plain;
    double sum = 0;
    (void)state;
    painter_open(&held, WIDTH, HEIGHT, 8, (struct style){1, 3, 1});
    painter_open(&plain, WIDTH, HEIGHT, 8, (struct style){1, 3, 0});
    for (int frame = 0; frame < 25; frame++) {
        draw(&held, frame, 2, -1000, 0, 2 * frame);
        memcpy(plain.frame, held.frame, held.in.bytes);
        painter_paint(&held);
        painter_paint(&plain);
    }
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH; x++)
            sum += (painter_out(&plain, 0, x, y) - painter_out(&held, 0, x, y)) / (WIDTH * HEIGHT);
    assert_true(sum > 0 && sum < 4);
    painter_close(&held);
    painter_close(&plain);
}

static void a_cut_starts_anew(void **state)
{
    struct painter held, plain;
    double sum = 0;
    (void)state;
    painter_open(&held, WIDTH, HEIGHT, 8, (struct style){1, 4, 1});
    painter_open(&plain, WIDTH, HEIGHT, 8, (struct style){1, 4, 0});
    for (int frame = 0; frame < 5; frame++) {
        draw(&held, frame, 2, -1000, 0, frame == 4 ? 60 : 0);
        memcpy(plain.frame, held.frame, held.in.bytes);
        painter_paint(&held);
        painter_paint(&plain);
    }
    for (int32_t y = 0; y < HEIGHT; y++)
        for (int32_t x = 0; x < WIDTH; x++)
            sum += fabs(painter_out(&plain, 0, x, y) - painter_out(&held, 0, x, y));
    assert_true(sum == 0);
    painter_close(&held);
    painter_close(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_still_noisy_clip_flickers_less),
        cmocka_unit_test(what_moves_leaves_no_ghost),
        cmocka_unit_test(slow_light_is_followed),
        cmocka_unit_test(a_cut_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
