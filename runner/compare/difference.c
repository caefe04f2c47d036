/* SPDX-License-Identifier: Apache-2.0 */
#include "difference.h"

#include <math.h>

#define PSNR_MAX 99.0

static void take_tile(struct difference *d, double square, int64_t samples)
{
    double rms = samples ? sqrt(square / (double)samples) : 0;
    if (rms > d->worst)
        d->worst = rms;
    d->square += square;
    d->samples += samples;
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Alpha counts as a fourth colour, but its samples are not counted: where it is the same, it must not hide the others.
 */
static void image_tile(struct difference *d, const struct bp_image *a, const struct bp_image *b, int32_t x0, int32_t y0)
{
    int64_t square = 0;
    int32_t x1 = least(x0 + DIFFERENCE_TILE, a->width), y1 = least(y0 + DIFFERENCE_TILE, a->height);
    for (int32_t y = y0; y < y1; y++) {
        const uint8_t *p = a->pixels + ((int64_t)y * a->width + x0) * 4;
        const uint8_t *q = b->pixels + ((int64_t)y * a->width + x0) * 4;
        for (int32_t i = 0; i < (x1 - x0) * 4; i++)
            square += (p[i] - q[i]) * (p[i] - q[i]);
    }
    take_tile(d, (double)square, (int64_t)(x1 - x0) * (y1 - y0) * 3);
}

void difference_images(struct difference *d, const struct bp_image *a, const struct bp_image *b)
{
    for (int32_t y = 0; y < a->height; y += DIFFERENCE_TILE)
        for (int32_t x = 0; x < a->width; x += DIFFERENCE_TILE)
            image_tile(d, a, b, x, y);
    d->frames++;
}

/* A sample on the scale 0..255. */
static double sample(const struct bp_video_frame *f, int plane, int32_t x, int32_t y)
{
    const uint8_t *row = f->planes[plane] + (int64_t)y * f->strides[plane];
    return f->depth > 8 ? ((const uint16_t *)(const void *)row)[x] / 4.0 : row[x];
}

static double part(const struct bp_video_frame *a, const struct bp_video_frame *b, int plane, const int32_t box[4])
{
    double square = 0;
    if (a->depth == 8 && b->depth == 8) {
        int64_t sum = 0;
        for (int32_t y = box[1]; y < box[3]; y++) {
            const uint8_t *p = a->planes[plane] + (int64_t)y * a->strides[plane];
            const uint8_t *q = b->planes[plane] + (int64_t)y * b->strides[plane];
            for (int32_t x = box[0]; x < box[2]; x++)
                sum += (p[x] - q[x]) * (p[x] - q[x]);
        }
        return (double)sum;
    }
    for (int32_t y = box[1]; y < box[3]; y++)
        for (int32_t x = box[0]; x < box[2]; x++) {
            double by = sample(a, plane, x, y) - sample(b, plane, x, y);
            square += by * by;
        }
    return square;
}

static void frame_tile(struct difference *d, const struct bp_video_frame *a, const struct bp_video_frame *b, int32_t x0,
                       int32_t y0)
{
    double square = 0;
    int64_t samples = 0;
    for (int plane = 0; plane < 3; plane++) {
        int half = plane > 0;
        int32_t w = half ? (a->width + 1) / 2 : a->width, h = half ? (a->height + 1) / 2 : a->height;
        int32_t tile = half ? DIFFERENCE_TILE / 2 : DIFFERENCE_TILE, x = half ? x0 / 2 : x0, y = half ? y0 / 2 : y0;
        const int32_t box[4] = {x, y, least(x + tile, w), least(y + tile, h)};
        square += part(a, b, plane, box);
        samples += (int64_t)(box[2] - box[0]) * (box[3] - box[1]);
    }
    take_tile(d, square, samples);
}

void difference_frames(struct difference *d, const struct bp_video_frame *a, const struct bp_video_frame *b)
{
    for (int32_t y = 0; y < a->height; y += DIFFERENCE_TILE)
        for (int32_t x = 0; x < a->width; x += DIFFERENCE_TILE)
            frame_tile(d, a, b, x, y);
    d->frames++;
}

double difference_psnr(const struct difference *d)
{
    if (d->square <= 0 || d->samples == 0)
        return PSNR_MAX;
    double db = 10 * log10(255.0 * 255.0 / (d->square / (double)d->samples));
    return db > PSNR_MAX ? PSNR_MAX : db;
}
