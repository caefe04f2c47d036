/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "difference.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct bp_image image(int32_t w, int32_t h)
{
    struct bp_image i = {w, h, calloc((size_t)w * (size_t)h, 4)};
    assert_non_null(i.pixels);
    for (int32_t n = 0; n < w * h * 4; n++)
        i.pixels[n] = (uint8_t)(n * 7);
    return i;
}

static void same_pictures_do_not_differ(void **state)
{
    struct bp_image a = image(200, 130), b = image(200, 130);
    struct difference d = {0};
    (void)state;
    difference_images(&d, &a, &b);
    assert_true(d.worst == 0 && d.frames == 1 && d.samples == 200 * 130 * 3);
    assert_true(difference_psnr(&d) == 99);
    free(a.pixels);
    free(b.pixels);
}

/* A spot of 8 x 8 in 200 x 130 pixels is small in the mean and large in its tile. */
static void small_wrong_spot_counts_in_its_tile(void **state)
{
    struct bp_image a = image(200, 130), b = image(200, 130);
    struct difference d = {0};
    (void)state;
    for (int32_t y = 70; y < 78; y++)
        for (int32_t x = 70; x < 78; x++)
            for (int c = 0; c < 3; c++)
                b.pixels[(y * 200 + x) * 4 + c] = (uint8_t)(a.pixels[(y * 200 + x) * 4 + c] ^ 0x80);
    difference_images(&d, &a, &b);
    double tile = sqrt(64.0 * 128 * 128 / (64 * 64)); /* 64 pixels by 128 among 64 x 64 */
    assert_true(fabs(d.worst - tile) < 1e-9);
    assert_true(fabs(difference_psnr(&d) - 10 * log10(255.0 * 255 / (64.0 * 128 * 128 / (200 * 130)))) < 1e-9);
    free(a.pixels);
    free(b.pixels);
}

/* Tiles at the right and lower edge are smaller, and count by what they have. */
static void difference_at_an_edge_is_not_thinned_out(void **state)
{
    struct bp_image a = image(65, 65), b = image(65, 65);
    struct difference d = {0};
    (void)state;
    uint8_t *p = b.pixels + (65 * 65 - 1) * 4;
    for (int c = 0; c < 3; c++)
        p[c] = (uint8_t)(p[c] ^ 0x40);
    difference_images(&d, &a, &b);
    assert_true(fabs(d.worst - 64) < 1e-9); /* a tile of one pixel */
    free(a.pixels);
    free(b.pixels);
}

static void difference_in_alpha_alone_is_seen(void **state)
{
    struct bp_image a = image(64, 64), b = image(64, 64);
    struct difference d = {0};
    (void)state;
    for (int32_t i = 0; i < 64 * 64; i++)
        b.pixels[i * 4 + 3] ^= 0x80;
    difference_images(&d, &a, &b);
    assert_true(d.worst > 50);
    free(a.pixels);
    free(b.pixels);
}

struct planes {
    uint8_t luma[66 * 66], u[33 * 33], v[33 * 33];
    uint16_t luma10[66 * 66], u10[33 * 33], v10[33 * 33];
};

static struct bp_video_frame frame8(const struct planes *p)
{
    return (struct bp_video_frame){
        .planes = {p->luma, p->u, p->v}, .strides = {66, 33, 33}, .width = 66, .height = 66, .depth = 8};
}

static struct bp_video_frame frame10(const struct planes *p)
{
    return (struct bp_video_frame){
        .planes = {(const uint8_t *)p->luma10, (const uint8_t *)p->u10, (const uint8_t *)p->v10},
        .strides = {132, 66, 66},
        .width = 66,
        .height = 66,
        .depth = 10};
}

static void frames_differ_by_their_worst_tile_in_8_and_10_bits(void **state)
{
    static struct planes a, b;
    struct difference d = {0}, deep = {0}, across = {0};
    (void)state;
    b.u[32 * 33 + 32] = 40; /* the lower right tile: 2 x 2 luma, one U, one V */
    b.u10[32 * 33 + 32] = 160;
    struct bp_video_frame x = frame8(&a), y = frame8(&b), x10 = frame10(&a), y10 = frame10(&b);
    difference_frames(&d, &x, &y);
    assert_true(fabs(d.worst - sqrt(1600.0 / 6)) < 1e-9 && d.samples == 66 * 66 + 2 * 33 * 33);
    difference_frames(&deep, &x10, &y10);
    assert_true(fabs(deep.worst - d.worst) < 1e-9);
    difference_frames(&across, &y, &y10);
    assert_true(across.worst == 0);
    difference_frames(&d, &x, &x);
    assert_true(d.frames == 2 && fabs(d.worst - deep.worst) < 1e-9); /* the worst stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pictures_do_not_differ),
        cmocka_unit_test(small_wrong_spot_counts_in_its_tile),
        cmocka_unit_test(difference_at_an_edge_is_not_thinned_out),
        cmocka_unit_test(difference_in_alpha_alone_is_seen),
        cmocka_unit_test(frames_differ_by_their_worst_tile_in_8_and_10_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
