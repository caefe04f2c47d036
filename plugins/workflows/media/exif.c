/* SPDX-License-Identifier: Apache-2.0 */
/* EXIF is a TIFF: a byte order, then directories of 12-byte entries. The orientation is tag 0x0112 of the first one. */
#include "picture.h"

#include <string.h>

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3

struct tiff {
    const uint8_t *bytes;
    size_t n;
    int32_t big_endian;
};

static uint32_t read_number(const struct tiff *t, size_t at, uint32_t width)
{
    uint32_t v = 0;
    for (uint32_t i = 0; i < width; i++)
        v = v << 8 | t->bytes[at + (t->big_endian ? i : width - 1 - i)];
    return v;
}

int32_t exif_orientation(const uint8_t *tiff, size_t n)
{
    struct tiff t = {tiff, n, 0};
    if (n < 8 || (memcmp(tiff, "II", 2) != 0 && memcmp(tiff, "MM", 2) != 0))
        return 1;
    t.big_endian = tiff[0] == 'M';
    size_t at = read_number(&t, 4, 4);
    if (read_number(&t, 2, 2) != 42 || at > n - 2)
        return 1;
    uint32_t entries = read_number(&t, at, 2);
    at += 2;
    for (uint32_t i = 0; i < entries && n - at >= 12; i++, at += 12) {
        if (read_number(&t, at, 2) != TAG_ORIENTATION || read_number(&t, at + 2, 2) != TYPE_SHORT)
            continue;
        uint32_t v = read_number(&t, at + 8, 2);
        return v >= 1 && v <= 8 ? (int32_t)v : 1;
    }
    return 1;
}
