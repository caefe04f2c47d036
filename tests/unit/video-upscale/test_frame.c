/* SPDX-License-Identifier: Apache-2.0 */
/* Frames against a reference in plain double arithmetic that shares no code with the kernels, only their filters. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "device/device.h"
#include "one_frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHTS static const
#include "weights.h"

/* A CPU computes in 32nds of an 8-bit step, of which a 10-bit one has 8, and rounds each of some 50 products: what that
 * and the rounding to a sample come to at the worst, and as root mean square (the latter alone is 0.29). */
#define WITHIN_8  0.9
#define WITHIN_10 2.5
#define MEAN_8    0.32
#define MEAN_10   0.6

struct fixture {
    struct bp_device *dev;
    struct kernels kernels;
};

/* A frame with its own memory: soft gradients, an oblique edge, fine lines and noise. */
struct picture {
    struct bp_video_frame frame;
    uint8_t *memory;
    int32_t top; /* the largest sample */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct bp_err err;
    assert_int_equal(device_open("cpu", &f->dev, &err), BP_OK);
    assert_int_equal(kernels_load(f->dev, &f->kernels, &err), BP_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kernels_unload(&f->kernels);
    device_close(&f->dev);
    free(f);
    return 0;
}

static int32_t plane_width(const struct bp_video_frame *f, int plane)
{
    return plane ? (f->width + 1) / 2 : f->width;
}

static int32_t plane_height(const struct bp_video_frame *f, int plane)
{
    return plane ? (f->height + 1) / 2 : f->height;
}

/* Beyond the picture's edges the nearest pixel. */
static double sample(const struct bp_video_frame *f, int plane, int32_t x, int32_t y)
{
    int32_t w = plane_width(f, plane), h = plane_height(f, plane);
    x = x < 0 ? 0 : x >= w ? w - 1 : x;
    y = y < 0 ? 0 : y >= h ? h - 1 : y;
    const uint8_t *row = f->planes[plane] + (ptrdiff_t)y * f->strides[plane];
    uint16_t wide;
    memcpy(&wide, row + (f->depth == 10 ? x * 2 : 0), sizeof wide);
    return f->depth == 10 ? wide : row[x];
}

static double drawn_at(int32_t x, int32_t y, uint32_t *random)
{
    *random = *random * 1664525 + 1013904223;
    double v = 0.3 + 0.002 * x + 0.003 * y + (*random >> 26) / 1000.0;
    if (2 * x + 3 * y > 170)
        v += 0.3;
    if (x % 7 == 0 && y > 20)
        v -= 0.25;
    if ((x - 30) * (x - 30) + (y - 20) * (y - 20) < 60)
        v = 1;
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static struct picture make_picture(int32_t width, int32_t height, int32_t depth)
{
    struct picture p = {.frame = {.width = width, .height = height, .depth = depth, .time = 77, .duration = 3},
                        .top = depth == 10 ? 1023 : 255};
    int32_t bytes = depth == 10 ? 2 : 1, gap = 64;
    size_t at = 0, room = (size_t)(width * bytes + gap) * (size_t)height * 3 + 64;
    uint32_t random = 7;
    p.memory = calloc(1, room);
    for (int i = 0; i < 3; i++) {
        p.frame.strides[i] = plane_width(&p.frame, i) * bytes + gap;
        p.frame.planes[i] = p.memory + at;
        for (int32_t y = 0; y < plane_height(&p.frame, i); y++)
            for (int32_t x = 0; x < plane_width(&p.frame, i); x++) {
                uint16_t v = (uint16_t)lround(drawn_at(i ? x * 2 : x, i ? y * 2 : y + i, &random) * p.top);
                uint8_t *to = p.memory + at + (size_t)y * (size_t)p.frame.strides[i] + (size_t)(x * bytes);
                if (bytes == 2)
                    memcpy(to, &v, 2);
                else
                    *to = (uint8_t)v;
            }
        at += (size_t)p.frame.strides[i] * (size_t)plane_height(&p.frame, i);
    }
    return p;
}

static const float *weights_of(int32_t factor, int32_t py, int32_t px)
{
    return factor == 2   ? &weights_2[py][px][0][0][0]
           : factor == 3 ? &weights_3[py][px][0][0][0]
                         : &weights_4[py][px][0][0][0];
}

/* Luma before sharpening, in 255ths, at output pixel (x, y), which may lie outside. */
static double enlarged(const struct bp_video_frame *f, int32_t factor, int32_t x, int32_t y)
{
    int32_t u = (int32_t)floor((double)x / factor), v = (int32_t)floor((double)y / factor);
    int32_t px = x - u * factor, py = y - v * factor;
    double unit = f->depth == 10 ? 4 : 1, j[3] = {0, 0, 0}, sum[3] = {0, 0, 0}, low = 1e9, high = -1e9;
    for (int k = -1; k <= 1; k++)
        for (int i = -1; i <= 1; i++) {
            double w = (k ? 1 : 2) * (i ? 1 : 2) / 16.0;
            double gx = (sample(f, 0, u + i + 1, v + k) - sample(f, 0, u + i - 1, v + k)) / 2 / unit;
            double gy = (sample(f, 0, u + i, v + k + 1) - sample(f, 0, u + i, v + k - 1)) / 2 / unit;
            j[0] += w * gx * gx;
            j[1] += w * gy * gy;
            j[2] += w * gx * gy;
        }
    double energy = j[0] + j[1] + 30, c = (j[0] - j[1]) / energy, s = 2 * j[2] / energy;
    const float *w = weights_of(factor, py, px);
    double fx = (px + 0.5) / factor - 0.5, fy = (py + 0.5) / factor - 0.5;
    for (int k = -2; k <= 2; k++)
        for (int i = -2; i <= 2; i++) {
            double p = sample(f, 0, u + i, v + k) / unit;
            for (int n = 0; n < 3; n++)
                sum[n] += (double)w[n * 25 + (k + 2) * 5 + i + 2] * p;
            if (fabs(i - fx) <= 1 && fabs(k - fy) <= 1) {
                low = fmin(low, p);
                high = fmax(high, p);
            }
        }
    double value = sum[0] + c * sum[1] + s * sum[2], slack = 0.1 * (high - low);
    return fmin(fmax(value, low - slack), high + slack);
}

static double luma_at(const struct bp_video_frame *f, int32_t factor, double sharpness, int32_t x, int32_t y)
{
    double v = enlarged(f, factor, x, y), sum = 0, low = v, high = v;
    for (int n = 0; n < 4; n++) {
        double o = enlarged(f, factor, x + (n == 0) - (n == 1), y + (n == 2) - (n == 3));
        sum += o;
        low = fmin(low, o);
        high = fmax(high, o);
    }
    double room = 1 - (high - low) / 255;
    v += 0.2 * sharpness * room * room * (4 * v - sum);
    v *= f->depth == 10 ? 4 : 1;
    return fmin(fmax(v, 0), f->depth == 10 ? 1023 : 255);
}

static double keys(double d)
{
    d = fabs(d);
    if (d < 1)
        return 1.5 * d * d * d - 2.5 * d * d + 1;
    return d < 2 ? -0.5 * d * d * d + 2.5 * d * d - 4 * d + 2 : 0;
}

/* Where chroma sample i is among luma, and back. */
static double site(int32_t chroma, int vertical, double i)
{
    int cosited = vertical ? chroma == BP_CHROMA_TOP_LEFT : chroma != BP_CHROMA_CENTRE;
    return 2 * i + (cosited ? 0 : 0.5);
}

/* The place of an output sample among the input's chroma. */
static double chroma_place(int32_t chroma, int vertical, int32_t factor, int32_t i)
{
    double in_luma = (site(chroma, vertical, i) + 0.5) / factor - 0.5;
    return (in_luma - site(chroma, vertical, 0)) / 2;
}

static double chroma_at(const struct bp_video_frame *f, int plane, int32_t factor, int32_t chroma, int32_t x, int32_t y)
{
    double u = chroma_place(chroma, 0, factor, x), v = chroma_place(chroma, 1, factor, y), sum = 0, total = 0;
    for (int32_t k = (int32_t)floor(v) - 2; k <= floor(v) + 3; k++)
        for (int32_t i = (int32_t)floor(u) - 2; i <= floor(u) + 3; i++) {
            double w = keys(i - u) * keys(k - v);
            sum += w * sample(f, plane, i, k);
            total += w;
        }
    return fmin(fmax(sum / total, 0), f->depth == 10 ? 1023 : 255);
}

static void compare(const struct bp_video_frame *in, const struct bp_video_frame *out, int32_t factor, double sharpness,
                    int32_t chroma)
{
    assert_int_equal(out->width, in->width * factor / 2 * 2);
    assert_int_equal(out->height, in->height * factor / 2 * 2);
    assert_int_equal(out->time, 77);
    assert_int_equal(out->duration, 3);
    for (int plane = 0; plane < 3; plane++) {
        double squares = 0, n = 0;
        for (int32_t y = 0; y < plane_height(out, plane); y++)
            for (int32_t x = 0; x < plane_width(out, plane); x++) {
                double wanted =
                    plane ? chroma_at(in, plane, factor, chroma, x, y) : luma_at(in, factor, sharpness, x, y);
                double by = sample(out, plane, x, y) - wanted;
                squares += by * by;
                n++;
                if (fabs(by) > (in->depth == 10 ? WITHIN_10 : WITHIN_8))
                    fail_msg("plane %d (%d, %d) of %dx: %g, not %g", plane, x, y, factor, sample(out, plane, x, y),
                             wanted);
            }
        if (n > 1000 && sqrt(squares / n) > (in->depth == 10 ? MEAN_10 : MEAN_8))
            fail_msg("plane %d of %dx: off by %g on the average", plane, factor, sqrt(squares / n));
    }
}

static void check(struct fixture *f, int32_t width, int32_t height, int32_t depth, int32_t factor, int32_t chroma)
{
    struct picture p = make_picture(width, height, depth);
    struct bp_video_info info = {.width = width, .height = height, .depth = depth, .meta = {.chroma = chroma}};
    struct one_frame u;
    struct bp_video_frame out;
    struct bp_err err;
    assert_int_equal(one_frame_init(&u, &f->kernels, &info, factor, 0.7, &err), BP_OK);
    assert_int_equal(one_frame_draw(&u, &p.frame, &out, &err), BP_OK);
    compare(&p.frame, &out, factor, 0.7, chroma);
    one_frame_free(&u);
    free(p.memory);
}

static void every_factor_draws_what_the_reference_says(void **state)
{
    for (int32_t factor = 2; factor <= 4; factor++) {
        check(*state, 140, 50, 8, factor, BP_CHROMA_LEFT);
        check(*state, 140, 50, 10, factor, BP_CHROMA_LEFT);
    }
}

static void chroma_stays_where_it_sits(void **state)
{
    for (int32_t factor = 2; factor <= 4; factor++) {
        check(*state, 66, 22, 8, factor, BP_CHROMA_CENTRE);
        check(*state, 66, 22, 8, factor, BP_CHROMA_TOP_LEFT);
    }
}

/* Less than a tile, just a tile, a pixel more; odd sides, of which an odd factor leaves out one column or row. */
static void pictures_of_any_shape_are_drawn(void **state)
{
    static const int32_t sizes[][2] = {{8, 8}, {1, 17}, {17, 1}, {60, 8}, {61, 9}, {59, 7}, {121, 3}, {28, 33}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int32_t factor = 2; factor <= 4; factor++)
            check(*state, sizes[i][0], sizes[i][1], 8, factor, BP_CHROMA_LEFT);
}

/* Nothing but black and white, of which no sum may be too large for what it is kept in: then it would be off by far
 * more than what rounding so much contrast comes to. */
static void the_hardest_contrasts_do_not_overflow(void **state)
{
    struct fixture *f = *state;
    for (int32_t factor = 2; factor <= 4; factor++)
        for (int32_t depth = 8; depth <= 10; depth += 2) {
            struct picture p = make_picture(90, 40, depth);
            struct bp_video_info info = {.width = 90, .height = 40, .depth = depth};
            struct one_frame u;
            struct bp_video_frame out;
            struct bp_err err;
            uint32_t random = 5;
            for (int32_t y = 0; y < 40; y++)
                for (int32_t x = 0; x < 90; x++) {
                    random = random * 1664525 + 1013904223;
                    uint16_t v = (x < 30   ? x + y
                                  : x < 60 ? x / 2 + y / 3
                                           : (int32_t)(random >> 30)) %
                                         2
                                     ? (uint16_t)p.top
                                     : 0;
                    uint8_t *to = p.memory + (ptrdiff_t)y * p.frame.strides[0] + (depth == 10 ? x * 2 : x);
                    if (depth == 10)
                        memcpy(to, &v, 2);
                    else
                        *to = (uint8_t)v;
                }
            assert_int_equal(one_frame_init(&u, &f->kernels, &info, factor, 1, &err), BP_OK);
            assert_int_equal(one_frame_draw(&u, &p.frame, &out, &err), BP_OK);
            for (int32_t y = 0; y < out.height; y++)
                for (int32_t x = 0; x < out.width; x++) {
                    double by = sample(&out, 0, x, y) - luma_at(&p.frame, factor, 1, x, y);
                    if (fabs(by) > p.top / 100.0)
                        fail_msg("(%d, %d) of %dx, %d bits: off by %g", x, y, factor, depth, by);
                }
            one_frame_free(&u);
            free(p.memory);
        }
}

static void all_cpu_levels_draw_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    for (int32_t factor = 2; factor <= 4; factor++)
        for (int32_t depth = 8; depth <= 10; depth += 2) {
            struct picture p = make_picture(150, 41, depth);
            struct bp_video_info info = {.width = 150, .height = 41, .depth = depth};
            uint8_t *first = NULL;
            for (int32_t level = 0; level <= f->dev->cpu_level; level++) {
                struct bp_device dev = *f->dev;
                struct kernels kernels;
                struct one_frame u;
                struct bp_video_frame out;
                struct bp_err err;
                dev.cpu_level = level;
                assert_int_equal(kernels_load(&dev, &kernels, &err), BP_OK);
                assert_int_equal(one_frame_init(&u, &kernels, &info, factor, 1, &err), BP_OK);
                assert_int_equal(one_frame_draw(&u, &p.frame, &out, &err), BP_OK);
                if (first)
                    assert_memory_equal(first, u.pixels, u.upscaler.out_bytes);
                else
                    first = malloc(u.upscaler.out_bytes), memcpy(first, u.pixels, u.upscaler.out_bytes);
                one_frame_free(&u);
                kernels_unload(&kernels);
            }
            free(first);
            free(p.memory);
        }
}

/* Flat stays flat to the edge, black stays black and white white, whatever the sharpness. */
static void what_is_flat_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    static const uint8_t levels[] = {0, 16, 128, 235, 255};
    uint8_t pixels[64 * 32];
    for (size_t i = 0; i < sizeof levels; i++) {
        memset(pixels, levels[i], sizeof pixels);
        struct bp_video_frame in = {{pixels, pixels, pixels}, {64, 64, 64}, 64, 32, 8, 0, 0, 0}, out;
        struct bp_video_info info = {.width = 64, .height = 32, .depth = 8};
        struct one_frame u;
        struct bp_err err;
        assert_int_equal(one_frame_init(&u, &f->kernels, &info, 3, 1, &err), BP_OK);
        assert_int_equal(one_frame_draw(&u, &in, &out, &err), BP_OK);
        for (int plane = 0; plane < 3; plane++)
            for (int32_t y = 0; y < plane_height(&out, plane); y++)
                for (int32_t x = 0; x < plane_width(&out, plane); x++)
                    assert_int_equal((int)sample(&out, plane, x, y), levels[i]);
        one_frame_free(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_factor_draws_what_the_reference_says, setup, teardown),
        cmocka_unit_test_setup_teardown(chroma_stays_where_it_sits, setup, teardown),
        cmocka_unit_test_setup_teardown(pictures_of_any_shape_are_drawn, setup, teardown),
        cmocka_unit_test_setup_teardown(the_hardest_contrasts_do_not_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(all_cpu_levels_draw_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_flat_stays_as_it_is, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
