/* SPDX-License-Identifier: Apache-2.0 */
/* Formats: JPEG ITU-T T.81 annex B, PNG (W3C, 2nd edition), WebP container (RFC 9649). */
#include "picture.h"

#include <bp/workflow.h>

static uint32_t be(const uint8_t *p, uint32_t width)
{
    uint32_t v = 0;
    for (uint32_t i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

static uint32_t le(const uint8_t *p, uint32_t width)
{
    uint32_t v = 0;
    for (uint32_t i = width; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static int is_frame_header(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Segments up to the frame header; the EXIF block comes before it. */
static void probe_jpeg(const uint8_t *p, size_t n, struct picture *out)
{
    size_t at = 2;
    while (n - at >= 4 && p[at] == 0xff) {
        uint8_t marker = p[at + 1];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        size_t bytes = be(p + at + 2, 2);
        if (marker == 0xda || bytes < 2 || bytes > n - at - 2)
            return;
        const uint8_t *body = p + at + 4;
        if (marker == 0xe1 && bytes >= 8 && memcmp(body, "Exif\0\0", 6) == 0)
            out->orientation = exif_orientation(body + 6, bytes - 8);
        if (is_frame_header(marker) && bytes >= 7) {
            out->height = (int32_t)be(body + 1, 2);
            out->width = (int32_t)be(body + 3, 2);
            return;
        }
        at += 2 + bytes;
    }
}

static int32_t dimension(uint32_t v)
{
    return v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

static void probe_png(const uint8_t *p, size_t n, struct picture *out)
{
    size_t at = 8;
    while (n - at >= 12) {
        size_t bytes = be(p + at, 4);
        const uint8_t *type = p + at + 4, *body = p + at + 8;
        if (bytes > n - at - 12)
            return;
        if (memcmp(type, "IHDR", 4) == 0 && bytes >= 8) {
            out->width = dimension(be(body, 4));
            out->height = dimension(be(body + 4, 4));
        }
        if (memcmp(type, "eXIf", 4) == 0)
            out->orientation = exif_orientation(body, bytes);
        if (memcmp(type, "acTL", 4) == 0 && bytes >= 8)
            out->animated = be(body, 4) > 1;
        at += 12 + bytes;
    }
}

static void probe_webp_chunk(const uint8_t *type, const uint8_t *body, size_t bytes, struct picture *out)
{
    if (memcmp(type, "VP8X", 4) == 0 && bytes >= 10) {
        out->width = (int32_t)le(body + 4, 3) + 1;
        out->height = (int32_t)le(body + 7, 3) + 1;
        out->animated = (body[0] & 0x02) != 0;
    }
    if (memcmp(type, "VP8 ", 4) == 0 && bytes >= 10 && !out->width) {
        out->width = (int32_t)le(body + 6, 2) & 0x3fff;
        out->height = (int32_t)le(body + 8, 2) & 0x3fff;
    }
    if (memcmp(type, "VP8L", 4) == 0 && bytes >= 5 && !out->width) {
        uint32_t bits = le(body + 1, 4);
        out->width = (int32_t)(bits & 0x3fff) + 1;
        out->height = (int32_t)(bits >> 14 & 0x3fff) + 1;
    }
    if (memcmp(type, "EXIF", 4) == 0) {
        size_t skip = bytes >= 6 && memcmp(body, "Exif\0\0", 6) == 0 ? 6 : 0;
        out->orientation = exif_orientation(body + skip, bytes - skip);
    }
}

static void probe_webp(const uint8_t *p, size_t n, struct picture *out)
{
    size_t at = 12;
    while (n - at >= 8) {
        size_t bytes = le(p + at + 4, 4);
        if (bytes > n - at - 8)
            return;
        probe_webp_chunk(p + at, p + at + 8, bytes, out);
        size_t step = 8 + bytes + (bytes & 1);
        if (step > n - at)
            return;
        at += step;
    }
}

/* What else tenants send, so that they are told what it is. The first row that fits; heads without a row are unknown.
 */
static const struct {
    const char *head;
    uint32_t at, bytes;
    const char *what;
} others[] = {{"ftypheic", 4, 8, "a HEIC picture"},
              {"ftypheix", 4, 8, "a HEIC picture"},
              {"ftypmif1", 4, 8, "a HEIF picture"},
              {"ftypavif", 4, 8, "an AVIF picture"},
              {"GIF8", 0, 4, "a GIF"},
              {"BM", 0, 2, "a BMP picture"},
              {"II*\0", 0, 4, "a TIFF picture or a camera's raw file"},
              {"MM\0*", 0, 4, "a TIFF picture or a camera's raw file"},
              {"%PDF", 0, 4, "a PDF"},
              {"<svg", 0, 4, "an SVG drawing"},
              {"ftyp", 4, 4, "a video"},
              {"moov", 4, 4, "a video"},
              {"AVI ", 8, 4, "a video"},
              {"\x1a\x45\xdf\xa3", 0, 4, "a video"},
              {"FLV", 0, 3, "a video"},
              {"WAVE", 8, 4, "sound"},
              {"ID3", 0, 3, "sound"},
              {"\xff\xfb", 0, 2, "sound"},
              {"OggS", 0, 4, "sound"},
              {"fLaC", 0, 4, "sound"}};

static const char *name_other(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (n >= others[i].at + others[i].bytes && memcmp(p + others[i].at, others[i].head, others[i].bytes) == 0)
            return others[i].what;
    return NULL;
}

static int32_t refuse(const uint8_t *p, size_t n, struct bp_err *err)
{
    const char *other = name_other(p, n);
    if (n == 0)
        return bp_error(err, BP_BADINPUT, "the file is empty, a JPEG, PNG or WebP picture is needed");
    if (other)
        return bp_error(err, BP_BADINPUT, "the file is %s, a JPEG, PNG or WebP picture is needed", other);
    return bp_error(err, BP_BADINPUT, "the file is not a picture: it is neither JPEG, PNG nor WebP");
}

int32_t picture_probe(const uint8_t *p, size_t n, struct picture *out, struct bp_err *err)
{
    *out = (struct picture){.orientation = 1};
    if (n >= 4 && memcmp(p, "\xff\xd8\xff", 3) == 0) {
        out->format = PICTURE_JPEG;
        probe_jpeg(p, n, out);
    } else if (n >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) {
        out->format = PICTURE_PNG;
        probe_png(p, n, out);
    } else if (n >= 12 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBP", 4) == 0) {
        out->format = PICTURE_WEBP;
        probe_webp(p, n, out);
    } else {
        return refuse(p, n, err);
    }
    return BP_OK;
}
