/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "odd_pictures.h"

#include "pictures.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Bits of a JPEG scan, 0xff followed by 0. */
struct bits {
    uint8_t *out;
    size_t n;
    uint32_t held, count;
};

static void put_bits(struct bits *b, uint32_t value, uint32_t count)
{
    for (; count-- > 0;) {
        b->held = b->held << 1 | (value >> count & 1);
        if (++b->count < 8)
            continue;
        b->out[b->n++] = (uint8_t)b->held;
        if ((b->held & 0xff) == 0xff)
            b->out[b->n++] = 0;
        b->held = b->count = 0;
    }
}

/* A flat block: its difference to grey (128) by the tables below, then the end-of-block code. */
static void put_block(struct bits *b, int value)
{
    uint32_t magnitude = (uint32_t)abs(value - 128), size = 0;
    while (magnitude >> size)
        size++;
    put_bits(b, size, 4);
    put_bits(b, value >= 128 ? magnitude : magnitude ^ ((1U << size) - 1), size);
    put_bits(b, 0, 1);
}

/* An 8 by 8 JPEG of one colour in four inks as Adobe's programs write them: what is stored is the paper left bare. */
static size_t make_cmyk(uint8_t out[400], const uint8_t bare[4])
{
    static const uint8_t head[] = {0xff, 0xd8, 0xff, 0xee, 0, 14, 'A',  'd',  'o', 'b', 'e', 0,
                                   100,  0,    0,    0,    0, 0,  0xff, 0xdb, 0,   67,  0,   8};
    static const uint8_t rest[] = {
        0xff, 0xc0, 0,  20,   8, 0,    8,    0,    8,  4,  1,    0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4,  0x11, 0, 0xff,
        0xc4, 0,    28, 0x00, 0, 0,    0,    9,    0,  0,  0,    0,    0, 0, 0,    0, 0, 0,    0, 0,  0,    1, 2,
        3,    4,    5,  6,    7, 8,    0xff, 0xc4, 0,  20, 0x10, 1,    0, 0, 0,    0, 0, 0,    0, 0,  0,    0, 0,
        0,    0,    0,  0,    0, 0xff, 0xda, 0,    14, 4,  1,    0,    2, 0, 3,    0, 4, 0,    0, 63, 0};
    struct bits b = {.out = out};
    memcpy(out, head, sizeof head);
    memset(out + sizeof head, 1, 63); /* of the quantisation table */
    memcpy(out + sizeof head + 63, rest, sizeof rest);
    b.n = sizeof head + 63 + sizeof rest;
    for (int i = 0; i < 4; i++)
        put_block(&b, bare[i]);
    put_bits(&b, 0x7f, 7);
    out[b.n++] = 0xff;
    out[b.n++] = 0xd9;
    return b.n;
}

void cmyk_write(const char *path, const uint8_t bare[4])
{
    uint8_t jpeg[400];
    file_write(path, jpeg, make_cmyk(jpeg, bare));
}

static void put_number(uint8_t *p, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

void png_head_write(const char *path, uint32_t width, uint32_t height)
{
    struct bp_image image = picture_make(16, 16);
    struct bp_err err;
    size_t n;
    assert_int_equal(bp_image_write(&image, path, &err), BP_OK);
    uint8_t *png = file_read(path, &n);
    put_number(png + 16, width, 4);
    put_number(png + 20, height, 4);
    file_write(path, png, n);
    free(png);
    bp_image_free(&image);
}

void jpeg_head_write(const char *path, uint32_t width, uint32_t height)
{
    uint8_t jpeg[400];
    static const uint8_t bare[4] = {1, 2, 3, 4};
    size_t n = make_cmyk(jpeg, bare);
    uint8_t *frame = memmem(jpeg, n, "\xff\xc0", 2);
    put_number(frame + 5, height, 2);
    put_number(frame + 7, width, 2);
    file_write(path, jpeg, n);
}

void webp_lie_write(const char *path)
{
    static const char lie[] = "RIFF\x2a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0"
                              "VP8L\x0c\0\0\0\x2f\xff\xff\xff\x0f\0\0\0\0\0\0\0";
    file_write(path, lie, sizeof lie - 1);
}

/* EXIF's orientation 5: rows and columns are swapped. */
void png_turned_write(const struct bp_image *upright, const char *path)
{
    static const uint8_t exif[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 5};
    int32_t w = upright->height, h = upright->width;
    struct bp_image stored = {w, h, malloc((size_t)w * (size_t)h * 4)};
    struct bp_err err;
    assert_non_null(stored.pixels);
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++)
            memcpy(stored.pixels + ((size_t)y * (size_t)w + (size_t)x) * 4,
                   upright->pixels + ((size_t)x * (size_t)upright->width + (size_t)y) * 4, 4);
    assert_int_equal(bp_image_write(&stored, path, &err), BP_OK);
    png_insert(path, "eXIf", exif, sizeof exif);
    free(stored.pixels);
}

/* Largest resident size so far. A bomb that was unpacked would show. */
long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}
