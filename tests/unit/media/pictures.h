/* SPDX-License-Identifier: Apache-2.0 */
/* pictures.h - pictures and videos for tests: made here, looked at here. Failures abort the test program. */
#ifndef TEST_PICTURES_H
#define TEST_PICTURES_H

#include <bp/media.h>
#include <stddef.h>

/* A photo-like test picture: soft colours, fine lines, a bright disc. Free with bp_image_free(). */
struct bp_image picture_make(int32_t width, int32_t height);
/* Encodes with FFmpeg's `encoder` ("mjpeg", "png", "libwebp") to a file; 0: this FFmpeg has no such encoder. */
int picture_write(const struct bp_image *image, const char *encoder, const char *path);
/* All of a file; free(). */
uint8_t *file_read(const char *path, size_t *n);
void file_write(const char *path, const void *bytes, size_t n);
/* Puts a PNG chunk behind IHDR. */
void png_insert(const char *path, const char type[4], const void *body, size_t n);

/* Runs the ffmpeg program with these words of a shell, to make `path`. */
void video_make(const char *how, const char *path);

struct video_facts {
    int width, height, fps;
    int frames; /* decoded without an error */
    int errors;
    int index_first; /* the file's moov comes before its mdat */
    double *luma;    /* mean luma of each frame; free() */
};
struct video_facts video_look(const char *path);
/* Mean absolute difference of the luma of frame i of two videos; -1 when one has not that many. */
double video_difference(const char *a, const char *b, int i);

#endif
