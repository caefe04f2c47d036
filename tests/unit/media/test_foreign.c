/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants really send: unusual pictures, which must come out right, and what is none, which is refused in words.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "odd_pictures.h"
#include "pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 0: this machine's ffmpeg is absent or cannot write that. */
static int ffmpeg(const char *source, const char *args, const char *path)
{
    char command[400];
    snprintf(command, sizeof command, "ffmpeg -v quiet -f lavfi -i %s %s -y %s </dev/null", source, args, path);
    unlink(path);
    return system(command) == 0 && access(path, R_OK) == 0; // NOLINT(cert-env33-c): words of this file alone
}

/* The middle pixel within `slack` of these colours. */
static void check_pixel(const char *path, int red, int green, int blue, int slack)
{
    struct bp_image image;
    struct bp_err err = {0};
    if (bp_image_read(path, &image, &err) != BP_OK)
        fail_msg("%s: %s", path, err.text);
    const uint8_t *p = image.pixels + ((size_t)image.height / 2 * (size_t)image.width + (size_t)image.width / 2) * 4;
    if (abs(p[0] - red) > slack || abs(p[1] - green) > slack || abs(p[2] - blue) > slack)
        fail_msg("%s: %d %d %d", path, p[0], p[1], p[2]);
    bp_image_free(&image);
}

static void every_kind_of_pixel_keeps_its_colour(void **state)
{
    (void)state;
    static const struct {
        const char *args, *path;
        int grey;
    } kinds[] = {{"-pix_fmt rgb48be", "rgb16.png", 0}, {"-pix_fmt rgba64be", "rgba16.png", 0},
                 {"-pix_fmt pal8", "palette.png", 0},  {"-pix_fmt rgba", "rgba.png", 0},
                 {"-pix_fmt gray", "grey.png", 1},     {"-pix_fmt gray16be", "grey16.png", 1},
                 {"-pix_fmt ya8", "greyalpha.png", 1}, {"-pix_fmt ya16be", "greyalpha16.png", 1},
                 {"-pix_fmt gray", "grey.jpg", 1},     {"-pix_fmt yuvj444p", "444.jpg", 0},
                 {"-pix_fmt yuvj422p", "422.jpg", 0},  {"-pix_fmt yuvj420p", "420.jpg", 0},
                 {"-c:v libwebp", "lossy.webp", 0},    {"-c:v libwebp -lossless 1", "lossless.webp", 0}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char args[100];
        snprintf(args, sizeof args, "-frames:v 1 -q:v 2 %s", kinds[i].args);
        if (!ffmpeg(kinds[i].grey ? "color=0x808080:s=64x48" : "color=0x4080c0:s=64x48", args, kinds[i].path))
            continue;
        int slack = strstr(kinds[i].args, "pal8") ? 24 : 6; /* ffmpeg's palette has 256 colours of its own */
        check_pixel(kinds[i].path, kinds[i].grey ? 128 : 64, 128, kinds[i].grey ? 128 : 192, slack);
    }
}

static void a_cmyk_jpeg_keeps_its_colour(void **state)
{
    (void)state;
    static const uint8_t light[4] = {64, 128, 192, 255}, dark[4] = {64, 128, 192, 128};
    cmyk_write("cmyk.jpg", light);
    check_pixel("cmyk.jpg", 64, 128, 192, 3);
    cmyk_write("cmyk.jpg", dark);
    check_pixel("cmyk.jpg", 32, 64, 96, 3);
}

static void check_refused(const char *path, const char *words)
{
    struct bp_image image;
    struct bp_err err = {0};
    assert_int_equal(bp_image_read(path, &image, &err), BP_BADINPUT);
    assert_null(image.pixels);
    if (!strstr(err.text, words))
        fail_msg("%s: \"%s\" has no \"%s\"", path, err.text, words);
}

static void what_is_no_single_picture_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *source, *args, *path, *words;
    } files[] = {
        {"testsrc2=s=64x48:r=5:d=1", "-c:v libwebp_anim", "a.webp", "the WebP file is an animation"},
        {"testsrc2=s=64x48:r=5:d=1", "-f apng", "a.png", "the PNG file is an animation"},
        {"testsrc2=s=64x48:r=5:d=1", "-f gif", "gif.jpg", "the file is a GIF"},
        {"testsrc2=s=64x48:r=5:d=1", "-f mp4", "video.jpg", "the file is a video"},
        {"testsrc2=s=64x48:r=5:d=1", "-f matroska", "mkv.jpg", "the file is a video"},
        {"testsrc2=s=64x48:r=5:d=1", "-c:v mjpeg -f avi", "avi.jpg", "the file is a video"},
        {"sine=d=0.2", "-f wav", "sound.jpg", "the file is sound"},
        {"sine=d=0.2", "-c:a flac -f flac", "sound.png", "the file is sound"},
        {"testsrc2=s=64x48", "-frames:v 1 -c:v bmp -f image2", "bmp.png", "the file is a BMP picture"},
        {"testsrc2=s=64x48", "-frames:v 1 -c:v tiff -f image2", "tiff.jpg", "the file is a TIFF picture"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (ffmpeg(files[i].source, files[i].args, files[i].path))
            check_refused(files[i].path, files[i].words);
    file_write("phone.jpg",
               "\0\0\0\x18"
               "ftypheic\0\0\0\0mif1heic",
               24);
    check_refused("phone.jpg", "the file is a HEIC picture, a JPEG, PNG or WebP picture is needed");
}

static void a_bomb_costs_no_memory(void **state)
{
    (void)state;
    long before = peak_kib();
    png_head_write("bomb.png", 0x7fffffff, 0x7fffffff);
    check_refused("bomb.png", "megapixels");
    png_head_write("bomb.png", 10000, 9999); /* within the limit, but not in so few bytes */
    check_refused("bomb.png", "cannot hold 10000 by 9999 pixels");
    jpeg_head_write("bomb.jpg", 65535, 65535);
    check_refused("bomb.jpg", "4294 megapixels (65535 by 65535)");
    jpeg_head_write("bomb.jpg", 10000, 9999);
    check_refused("bomb.jpg", "cannot hold 10000 by 9999 pixels");
    file_write("bomb.webp", "RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff", 30);
    check_refused("bomb.webp", "megapixels (16777216 by 16777216)");
    assert_in_range(peak_kib() - before, 0, 32 * 1024);
}

/* The container says small, the picture in it 16383 by 16383: what counts is what would be decoded. */
static void a_webp_that_lies_about_its_size_is_refused(void **state)
{
    (void)state;
    long before = peak_kib();
    webp_lie_write("lie.webp");
    check_refused("lie.webp", "damaged");
    assert_in_range(peak_kib() - before, 0, 32 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_pixel_keeps_its_colour),       cmocka_unit_test(a_cmyk_jpeg_keeps_its_colour),
        cmocka_unit_test(what_is_no_single_picture_is_named),         cmocka_unit_test(a_bomb_costs_no_memory),
        cmocka_unit_test(a_webp_that_lies_about_its_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
