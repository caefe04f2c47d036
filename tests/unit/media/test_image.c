/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "picture.h"
#include "pictures.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double difference(const struct bp_image *a, const struct bp_image *b)
{
    double sum = 0;
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    size_t n = (size_t)a->width * (size_t)a->height * 4;
    for (size_t i = 0; i < n; i++)
        sum += abs(a->pixels[i] - b->pixels[i]);
    return sum / (double)n;
}

static void a_png_comes_back_as_it_was(void **state)
{
    (void)state;
    struct bp_image image = picture_make(123, 77), back;
    struct bp_err err;
    image.pixels[3] = 40; /* some transparency */
    assert_int_equal(bp_image_write(&image, "a.png", &err), BP_OK);
    assert_int_equal(bp_image_read("a.png", &back, &err), BP_OK);
    assert_true(difference(&image, &back) == 0);
    bp_image_free(&image);
    bp_image_free(&back);
    assert_null(back.pixels);
}

static void jpeg_and_webp_are_read_whatever_the_file_is_called(void **state)
{
    (void)state;
    static const char *const encoders[] = {"mjpeg", "libwebp"};
    struct bp_image image = picture_make(160, 120);
    for (int i = 0; i < 2; i++) {
        struct bp_image back;
        struct bp_err err = {0};
        if (!picture_write(&image, encoders[i], "photo.dat"))
            continue;
        assert_int_equal(bp_image_read("photo.dat", &back, &err), BP_OK);
        assert_true(difference(&image, &back) < 8);
        bp_image_free(&back);
    }
    bp_image_free(&image);
}

static int32_t read_rc(const char *path, struct bp_err *err)
{
    struct bp_image image;
    int32_t rc = bp_image_read(path, &image, err);
    assert_int_equal(rc, err->rc);
    assert_null(image.pixels);
    return rc;
}

static void what_is_no_picture_is_said_to_be_none(void **state)
{
    (void)state;
    struct bp_err err;
    file_write("a.txt", "hello, world\n", 13);
    assert_int_equal(read_rc("a.txt", &err), BP_BADINPUT);
    assert_non_null(strstr(err.text, "not a picture"));
    file_write("empty", "", 0);
    assert_int_equal(read_rc("empty", &err), BP_BADINPUT);
    assert_non_null(strstr(err.text, "empty"));
    file_write("list.m3u8", "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", 31); /* FFmpeg would open what it names */
    assert_int_equal(read_rc("list.m3u8", &err), BP_BADINPUT);
    file_write("two", "\xff\xd8", 2);
    assert_int_equal(read_rc("two", &err), BP_BADINPUT);
    assert_int_equal(read_rc("/nowhere/at/all.jpg", &err), BP_IO);
    assert_int_equal(read_rc(".", &err), BP_IO);
}

static void check_cut_short(const char *encoder)
{
    struct bp_image image = picture_make(200, 150);
    struct bp_err err;
    size_t n;
    if (picture_write(&image, encoder, "whole")) {
        uint8_t *bytes = file_read("whole", &n);
        for (size_t keep = 1; keep < n * 9 / 10; keep += n / 13 + 1) {
            file_write("cut", bytes, keep);
            assert_int_equal(read_rc("cut", &err), BP_BADINPUT);
        }
        free(bytes);
    }
    bp_image_free(&image);
}

static void a_picture_cut_short_is_refused(void **state)
{
    (void)state;
    check_cut_short("png");
    check_cut_short("mjpeg");
    check_cut_short("libwebp");
}

/* Whatever is flipped: a picture or an error, never a crash. */
static void a_damaged_picture_never_crashes(void **state)
{
    (void)state;
    static const char *const encoders[] = {"png", "mjpeg", "libwebp"};
    struct bp_image image = picture_make(64, 48);
    for (int e = 0; e < 3; e++) {
        size_t n;
        if (!picture_write(&image, encoders[e], "whole"))
            continue;
        uint8_t *bytes = file_read("whole", &n);
        uint32_t random = 1;
        for (int i = 0; i < 150; i++) {
            random = random * 1664525 + 1013904223;
            size_t at = (i < 100 ? (size_t)i : random >> 8) % n;
            uint8_t was = bytes[at];
            bytes[at] ^= (uint8_t)(1 + (random >> 24) % 255);
            file_write("damaged", bytes, n);
            bytes[at] = was;
            struct bp_image back;
            struct bp_err err = {0};
            int32_t rc = bp_image_read("damaged", &back, &err);
            assert_true(rc == BP_OK || rc == BP_BADINPUT || rc == BP_NOMEM);
            bp_image_free(&back);
        }
        free(bytes);
    }
    bp_image_free(&image);
}

static void a_picture_over_100_megapixels_is_refused_before_it_is_decoded(void **state)
{
    (void)state;
    struct bp_image image = picture_make(16, 16);
    struct bp_err err;
    size_t n;
    assert_int_equal(bp_image_write(&image, "big.png", &err), BP_OK);
    uint8_t *png = file_read("big.png", &n);
    memcpy(png + 16, "\0\0\x40\0\0\0\x40\0", 8); /* 16384 by 16384 in IHDR */
    file_write("big.png", png, n);
    assert_int_equal(read_rc("big.png", &err), BP_BADINPUT);
    assert_non_null(strstr(err.text, "268 megapixels (16384 by 16384)"));
    memcpy(png + 16, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    file_write("big.png", png, n);
    assert_int_equal(read_rc("big.png", &err), BP_BADINPUT);
    free(png);
    bp_image_free(&image);
}

static void an_animation_is_refused(void **state)
{
    (void)state;
    struct bp_image image = picture_make(16, 16);
    struct bp_err err;
    assert_int_equal(bp_image_write(&image, "a.png", &err), BP_OK);
    png_insert("a.png", "acTL", "\0\0\0\x02\0\0\0\0", 8);
    assert_int_equal(read_rc("a.png", &err), BP_BADINPUT);
    assert_non_null(strstr(err.text, "animation"));
    bp_image_free(&image);
}

/* A TIFF with one entry, in either byte order. */
static size_t make_exif(uint8_t out[26], char order, uint8_t orientation)
{
    static const uint8_t little[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0};
    static const uint8_t big[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1};
    memcpy(out, order == 'I' ? little : big, 26);
    out[order == 'I' ? 18 : 19] = orientation;
    return 26;
}

static void exif_is_read_in_both_byte_orders_and_never_past_its_end(void **state)
{
    (void)state;
    for (uint8_t o = 0; o <= 9; o++)
        for (int k = 0; k < 2; k++) {
            uint8_t exif[26];
            size_t n = make_exif(exif, "IM"[k], o);
            assert_int_equal(exif_orientation(exif, n), o >= 1 && o <= 8 ? o : 1);
            for (size_t cut = 0; cut < 22; cut++) {
                uint8_t *copy = malloc(cut ? cut : 1);
                memcpy(copy, exif, cut);
                assert_int_equal(exif_orientation(copy, cut), 1);
                free(copy);
            }
        }
}

/* The corner pixels of a 3 by 2 picture, in reading order after turning. From the EXIF standard: where the stored first
 * row and column are on the upright picture. */
static void a_picture_is_turned_upright(void **state)
{
    (void)state;
    static const char *const upright[] = {"",       "abcdef", "cbafed", "fedcba", "defabc",
                                          "adbecf", "daebfc", "fcebda", "cfbead"};
    for (uint8_t o = 1; o <= 8; o++) {
        uint8_t pixels[6 * 4], exif[26];
        for (int i = 0; i < 6; i++)
            memcpy(pixels + i * 4, (uint8_t[]){(uint8_t)('a' + i), 0, 0, 255}, 4);
        struct bp_image image = {3, 2, pixels}, back;
        struct bp_err err;
        assert_int_equal(bp_image_write(&image, "o.png", &err), BP_OK);
        png_insert("o.png", "eXIf", exif, make_exif(exif, 'M', o));
        assert_int_equal(bp_image_read("o.png", &back, &err), BP_OK);
        assert_int_equal(back.width, o < 5 ? 3 : 2);
        assert_int_equal(back.height, o < 5 ? 2 : 3);
        for (int i = 0; i < 6; i++)
            assert_int_equal(back.pixels[i * 4], upright[o][i]);
        bp_image_free(&back);
    }
}

static struct bp_image read_on_one_core(const char *path)
{
    cpu_set_t all, one;
    struct bp_image image;
    struct bp_err err;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(bp_image_read(path, &image, &err), BP_OK);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    return image;
}

/* Large enough to be converted by several threads; 592 is of whole vectors, 601 is not. */
static void a_picture_is_the_same_on_any_number_of_cores(void **state)
{
    (void)state;
    static const char *const encoders[] = {"png", "mjpeg"};
    static const int32_t widths[] = {592, 601};
    for (int i = 0; i < 4; i++) {
        struct bp_image image = picture_make(widths[i / 2], 481), all;
        struct bp_err err;
        assert_true(picture_write(&image, encoders[i % 2], "large"));
        struct bp_image one = read_on_one_core("large");
        assert_int_equal(bp_image_read("large", &all, &err), BP_OK);
        assert_true(difference(&one, &all) == 0);
        assert_true(difference(&image, &all) < 8);
        bp_image_free(&image);
        bp_image_free(&one);
        bp_image_free(&all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_png_comes_back_as_it_was),
        cmocka_unit_test(jpeg_and_webp_are_read_whatever_the_file_is_called),
        cmocka_unit_test(what_is_no_picture_is_said_to_be_none),
        cmocka_unit_test(a_picture_cut_short_is_refused),
        cmocka_unit_test(a_damaged_picture_never_crashes),
        cmocka_unit_test(a_picture_over_100_megapixels_is_refused_before_it_is_decoded),
        cmocka_unit_test(an_animation_is_refused),
        cmocka_unit_test(exif_is_read_in_both_byte_orders_and_never_past_its_end),
        cmocka_unit_test(a_picture_is_turned_upright),
        cmocka_unit_test(a_picture_is_the_same_on_any_number_of_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
