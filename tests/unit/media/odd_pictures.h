/* SPDX-License-Identifier: Apache-2.0 */
/* odd_pictures.h - pictures that are unusual, and files that only seem to be some. Failures abort the test program. */
#ifndef TEST_ODD_PICTURES_H
#define TEST_ODD_PICTURES_H

#include <bp/media.h>

/* A JPEG of 8 by 8 pixels of one colour in four inks, as Adobe's programs write it: how much of the paper is bare. */
void cmyk_write(const char *path, const uint8_t bare[4]);
/* Small files whose heads say another size. */
void png_head_write(const char *path, uint32_t width, uint32_t height);
void jpeg_head_write(const char *path, uint32_t width, uint32_t height);
/* A WebP whose container says 16 by 16, and the picture in it 16383 by 16383. */
void webp_lie_write(const char *path);
/* A PNG that is stored another way round, with EXIF that tells how it is upright. */
void png_turned_write(const struct bp_image *upright, const char *path);
/* Largest resident size of this process so far. A bomb that was unpacked would show. */
long peak_kib(void);

#endif
