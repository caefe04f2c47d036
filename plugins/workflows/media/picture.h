/* SPDX-License-Identifier: Apache-2.0 */
/* picture.h - what a picture file says about itself before it is decoded. Reads hostile bytes. */
#ifndef MEDIA_PICTURE_H
#define MEDIA_PICTURE_H

#include <bp/plugin.h>

#define PICTURE_JPEG 1
#define PICTURE_PNG  2
#define PICTURE_WEBP 3

struct picture {
    int32_t format;        /* PICTURE_* */
    int32_t width, height; /* as stored, before turning; 0: the file does not say */
    int32_t orientation;   /* EXIF's 1..8 */
    int32_t animated;      /* 1: more than one picture */
};

/* Looks at the first n bytes (all of the file). BP_BADINPUT when it is none of these formats. */
int32_t picture_probe(const uint8_t *bytes, size_t n, struct picture *out, struct bp_err *err);

/* Orientation of a TIFF block as EXIF has it (after "Exif\0\0" in a JPEG); 1 when it has none or is damaged. */
int32_t exif_orientation(const uint8_t *tiff, size_t n);

#endif
