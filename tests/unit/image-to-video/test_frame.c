/* SPDX-License-Identifier: Apache-2.0 */
/* Frames against a reference in plain double arithmetic that shares no code with the kernels. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "device/device.h"
#include "scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct bp_device *dev;
    struct kernels kernels;
    struct bp_image image;
};

static struct bp_image make_photo(int32_t w, int32_t h)
{
    struct bp_image image = {w, h, malloc((size_t)w * (size_t)h * 4)};
    assert_non_null(image.pixels);
    uint32_t random = 5;
    for (int32_t i = 0; i < w * h; i++) {
        random = random * 1664525 + 1013904223;
        int32_t x = i % w, y = i / w, v = (x * 3 + y) % 200 + (int32_t)(random >> 27);
        uint8_t *p = image.pixels + (size_t)i * 4;
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(255 - v / 2);
        p[2] = (uint8_t)(y * 255 / h);
        p[3] = 255;
    }
    return image;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct bp_err err;
    assert_int_equal(device_open("cpu", &f->dev, &err), BP_OK);
    assert_int_equal(kernels_load(f->dev, &f->kernels, &err), BP_OK);
    f->image = make_photo(300, 220);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kernels_unload(&f->kernels);
    device_close(&f->dev);
    bp_image_free(&f->image);
    free(f);
    return 0;
}

static struct request small_request(int32_t move)
{
    return (struct request){.duration_s = 1,
                            .strength = 0.6,
                            .fps = 25,
                            .width = 270,
                            .height = 146,
                            .move = move,
                            .easing = EASING_LINEAR,
                            .frames = 25,
                            .vignette = 0.3,
                            .seed = 3};
}

static double to_linear(uint8_t v)
{
    double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

static double from_linear(double v)
{
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static double keys(double d)
{
    d = fabs(d);
    if (d < 1)
        return 1.5 * d * d * d - 2.5 * d * d + 1;
    return d < 2 ? -0.5 * d * d * d + 2.5 * d * d - 4 * d + 2 : 0;
}

/* The photo's linear colour at (x, y), by a bicubic filter `wide` pixels wide. */
static void sample(const struct bp_image *image, double x, double y, double wide, double rgb[3])
{
    double total = 0, sum[3] = {0, 0, 0};
    for (int j = (int)floor(y - 2 * wide); j <= (int)ceil(y + 2 * wide); j++)
        for (int i = (int)floor(x - 2 * wide); i <= (int)ceil(x + 2 * wide); i++) {
            int u = i < 0 ? 0 : i >= image->width ? image->width - 1 : i;
            int v = j < 0 ? 0 : j >= image->height ? image->height - 1 : j;
            double w = keys((i - x) / wide) * keys((j - y) / wide);
            const uint8_t *p = image->pixels + ((size_t)v * (size_t)image->width + (size_t)u) * 4;
            for (int c = 0; c < 3; c++)
                sum[c] += w * to_linear(p[c]);
            total += w;
        }
    for (int c = 0; c < 3; c++)
        rgb[c] = sum[c] / total;
}

/* Encoded R'G'B' of output pixel (x, y): the mean over views, the vignette, the curve. */
struct reference {
    const struct scene *scene;
    const struct bp_image *image;
    double t[MAX_SAMPLES];
    int samples;
};

static void look(const struct reference *ref, double t, double x, double y, double out[3])
{
    struct bent_view b;
    struct straight_view s;
    if (camera_is_bent(ref->scene->request)) {
        camera_bent(&ref->scene->camera, t, &b);
        double w = b.h[6] * x + b.h[7] * y + 1;
        sample(ref->image, (b.h[0] * x + b.h[1] * y + b.h[2]) / w, (b.h[3] * x + b.h[4] * y + b.h[5]) / w, 1, out);
        return;
    }
    camera_straight(&ref->scene->camera, t, &s);
    sample(ref->image, s.x0 + x * s.scale, s.y0 + y * s.scale, s.scale > 1 ? s.scale : 1, out);
}

static void pixel(const struct reference *ref, int x, int y, double rgb[3])
{
    const struct request *r = ref->scene->request;
    x = x < 0 ? 0 : x;
    double cx = (r->width - 1) / 2.0, cy = (r->height - 1) / 2.0;
    double k = 1 / sqrt(1 - 0.8 * r->vignette) - 1;
    double r2 = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (cx * cx + cy * cy), sum[3] = {0, 0, 0};
    for (int i = 0; i < ref->samples; i++) {
        double one[3];
        look(ref, ref->t[i], x, y, one);
        for (int c = 0; c < 3; c++)
            sum[c] += one[c] / ref->samples;
    }
    for (int c = 0; c < 3; c++)
        rgb[c] = from_linear(sum[c] / ((1 + k * r2) * (1 + k * r2)));
}

static double luma(const double rgb[3])
{
    return 16 + 219 * (0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]);
}

/* U and V of the pair at even (x, y): 1 2 1 along, 1 1 down. */
static void chroma(const struct reference *ref, int x, int y, double uv[2])
{
    double mean[3] = {0, 0, 0}, l;
    for (int j = 0; j < 2; j++)
        for (int i = -1; i <= 1; i++) {
            double rgb[3];
            pixel(ref, x + i, y + j, rgb);
            for (int c = 0; c < 3; c++)
                mean[c] += rgb[c] * (i ? 1 : 2) / 8;
        }
    l = (luma(mean) - 16) / 219;
    uv[0] = 128 + 224 * (mean[2] - l) / 1.8556;
    uv[1] = 128 + 224 * (mean[0] - l) / 1.5748;
}

/* Every 7th pixel and 6th pair: off by 0.6 at most where no rounding is 0.5. */
static void compare(const struct reference *ref, const uint8_t *nv12)
{
    const struct request *r = ref->scene->request;
    for (int y = 0; y < r->height; y += 5)
        for (int x = 0; x < r->width; x += 7) {
            double rgb[3];
            pixel(ref, x, y, rgb);
            assert_true(fabs(nv12[y * r->width + x] - luma(rgb)) < 0.75);
        }
    for (int y = 0; y < r->height; y += 6)
        for (int x = 0; x < r->width; x += 6) {
            double uv[2];
            const uint8_t *at = nv12 + r->width * r->height + y / 2 * r->width + x;
            chroma(ref, x, y, uv);
            assert_true(fabs(at[0] - uv[0]) < 0.75 && fabs(at[1] - uv[1]) < 0.75);
        }
}

/* Frame i as it is downloaded after its launch. */
static int32_t draw(const struct scene *scene, int32_t i, uint8_t *nv12, struct bp_err *err)
{
    const struct bp_device *dev = scene->kernels->dev;
    struct bp_buffer frame;
    uint64_t bytes = scene_bytes(scene->request);
    int32_t rc = dev->alloc(dev, bytes, &frame, err);
    if (rc == BP_OK)
        rc = scene_launch(scene, i, &frame, NULL, err);
    if (rc == BP_OK)
        rc = dev->download(dev, &frame, 0, nv12, bytes, err);
    dev->free(dev, &frame);
    return rc;
}

static void check_against_reference(struct fixture *f, const struct request *r, int32_t frame)
{
    struct scene scene;
    struct bp_err err;
    assert_int_equal(scene_init(&scene, &f->kernels, r, &f->image, &err), BP_OK);
    assert_int_equal(scene.photo.view.width, f->image.width); /* not shrunk: the reference has the photo as it is */
    uint8_t *nv12 = calloc(1, scene_bytes(r));
    assert_int_equal(draw(&scene, frame, nv12, &err), BP_OK);
    struct reference ref = {.scene = &scene, .image = &f->image, .samples = 1};
    ref.t[0] = frame / (double)(r->frames - 1);
    double half = r->motion_blur / 2 / (r->frames - 1);
    double samples = ceil(camera_motion(&scene.camera, ref.t[0] - half, ref.t[0] + half) / 2);
    if (samples > 1) {
        ref.samples = (int)fmin(samples, MAX_SAMPLES);
        double first = ref.t[0] - half + half / ref.samples;
        for (int i = 0; i < ref.samples; i++)
            ref.t[i] = first + i * 2 * half / ref.samples;
    }
    compare(&ref, nv12);
    free(nv12);
    scene_free(&scene);
}

static void straight_frames_are_what_the_reference_says(void **state)
{
    for (int32_t move = MOVE_PUSH; move < MOVE_ORBIT; move++) {
        struct request r = small_request(move);
        check_against_reference(*state, &r, 0);
        check_against_reference(*state, &r, 13);
    }
}

static void orbit_frames_are_what_the_reference_says(void **state)
{
    struct fixture *f = *state;
    struct request r = small_request(MOVE_ORBIT);
    r.width = 300; /* one photo pixel a pixel: not shrunk */
    r.height = 220;
    bp_image_free(&f->image);
    f->image = make_photo(300, 220);
    check_against_reference(f, &r, 0);
    check_against_reference(f, &r, 24);
}

static void motion_blur_is_the_mean_over_the_shutter(void **state)
{
    struct request r = small_request(MOVE_PAN_RIGHT);
    r.motion_blur = 1;
    r.frames = 5; /* fast: several samples */
    r.strength = 1;
    check_against_reference(*state, &r, 2);
}

static void all_cpu_levels_draw_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int32_t move;
        double parallax;
    } cases[] = {{MOVE_PUSH, 0}, {MOVE_ORBIT, 0}, {MOVE_PAN_LEFT, 0.7}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t *first = NULL;
        struct request r = small_request(cases[i].move);
        r.parallax = cases[i].parallax;
        for (int32_t level = 0; level <= f->dev->cpu_level; level++) {
            struct bp_device dev = *f->dev;
            struct kernels kernels;
            struct scene scene;
            struct bp_err err;
            dev.cpu_level = level;
            assert_int_equal(kernels_load(&dev, &kernels, &err), BP_OK);
            assert_int_equal(scene_init(&scene, &kernels, &r, &f->image, &err), BP_OK);
            uint8_t *nv12 = malloc(scene_bytes(&r));
            assert_int_equal(draw(&scene, 9, nv12, &err), BP_OK);
            if (first)
                assert_memory_equal(first, nv12, scene_bytes(&r));
            else
                first = malloc(scene_bytes(&r)), memcpy(first, nv12, scene_bytes(&r));
            free(nv12);
            scene_free(&scene);
            kernels_unload(&kernels);
        }
        free(first);
    }
}

/* Black and white pixels in turn are half the light when seen from afar: 188 in sRGB, not 128, and without a pattern.
 */
static void shrinking_neither_aliases_nor_darkens(void **state)
{
    struct fixture *f = *state;
    static const int32_t moves[] = {MOVE_PUSH, MOVE_ORBIT};
    struct bp_image board = {1900, 1100, malloc(1900 * 1100 * 4)};
    for (int32_t i = 0; i < 1900 * 1100; i++)
        memset(board.pixels + (size_t)i * 4, (i % 1900 + i / 1900) % 2 ? 255 : 0, 3), board.pixels[i * 4 + 3] = 255;
    for (int k = 0; k < 2; k++) {
        struct request r = small_request(moves[k]);
        struct scene scene;
        struct bp_err err;
        r.vignette = 0;
        assert_int_equal(scene_init(&scene, &f->kernels, &r, &board, &err), BP_OK);
        uint8_t *nv12 = malloc(scene_bytes(&r));
        for (int32_t frame = 0; frame < 25; frame += 8) {
            assert_int_equal(draw(&scene, frame, nv12, &err), BP_OK);
            for (int i = 0; i < r.width * r.height; i++)
                assert_in_range(nv12[i], 16 + 188 * 219 / 255 - 2, 16 + 188 * 219 / 255 + 2);
        }
        free(nv12);
        scene_free(&scene);
    }
    bp_image_free(&board);
}

/* Half transparent white is half the light, as much in a photo that is shrunk as in one that is not. */
static void what_is_transparent_is_dark(void **state)
{
    struct fixture *f = *state;
    static const int32_t widths[] = {300, 1900};
    for (int k = 0; k < 2; k++) {
        struct bp_image image = {widths[k], 1000, malloc((size_t)widths[k] * 1000 * 4)};
        for (int32_t i = 0; i < widths[k] * 1000; i++)
            memcpy(image.pixels + (size_t)i * 4, (uint8_t[]){255, 255, 255, 128}, 4);
        struct request r = small_request(MOVE_PUSH);
        struct scene scene;
        struct bp_err err;
        r.vignette = 0;
        assert_int_equal(scene_init(&scene, &f->kernels, &r, &image, &err), BP_OK);
        uint8_t *nv12 = malloc(scene_bytes(&r));
        assert_int_equal(draw(&scene, 12, nv12, &err), BP_OK);
        for (int i = 0; i < r.width * r.height; i++)
            assert_in_range(nv12[i], 16 + 188 * 219 / 255 - 1, 16 + 188 * 219 / 255 + 1);
        free(nv12);
        scene_free(&scene);
        bp_image_free(&image);
    }
}

/* Tiny, thin and odd pictures are drawn without reading outside them (AddressSanitizer watches). */
static void photos_of_any_shape_are_drawn(void **state)
{
    struct fixture *f = *state;
    static const int32_t sizes[][2] = {{1, 1}, {1, 700}, {900, 1}, {3, 2}, {17, 5}, {2000, 30}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int32_t move = MOVE_PUSH; move <= MOVE_ORBIT; move++) {
            struct bp_image image = make_photo(sizes[i][0], sizes[i][1]);
            struct request r = small_request(move);
            struct scene scene;
            struct bp_err err;
            r.parallax = move % 2;
            assert_int_equal(scene_init(&scene, &f->kernels, &r, &image, &err), BP_OK);
            uint8_t *nv12 = malloc(scene_bytes(&r));
            assert_int_equal(draw(&scene, 24, nv12, &err), BP_OK);
            free(nv12);
            scene_free(&scene);
            bp_image_free(&image);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(straight_frames_are_what_the_reference_says, setup, teardown),
        cmocka_unit_test_setup_teardown(orbit_frames_are_what_the_reference_says, setup, teardown),
        cmocka_unit_test_setup_teardown(motion_blur_is_the_mean_over_the_shutter, setup, teardown),
        cmocka_unit_test_setup_teardown(all_cpu_levels_draw_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(shrinking_neither_aliases_nor_darkens, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_transparent_is_dark, setup, teardown),
        cmocka_unit_test_setup_teardown(photos_of_any_shape_are_drawn, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
