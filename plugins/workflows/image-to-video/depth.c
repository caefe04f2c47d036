/* SPDX-License-Identifier: Apache-2.0 */
#include "depth.h"

#include <bp/workflow.h>
#include <math.h>
#include <stdlib.h>

#define GUIDE_RADIUS 12     /* map pixels; a cue is carried this far to the next edge */
#define GUIDE_EPS    0.002f /* contrast (squared, 0..1) below which an edge is none */
#define CUE_LOW      0.55f
#define CUE_FOCUS    0.30f
#define CUE_COLOUR   0.15f

/* Planes of one size; all cut from one piece of memory. */
struct planes {
    int32_t w, h;
    size_t n;
    float *memory;
    float *grey, *colour, *cue, *a, *b, *c, *d, *sum;
};

static int32_t planes_make(struct planes *p, int32_t w, int32_t h, struct bp_err *err)
{
    *p = (struct planes){.w = w, .h = h, .n = (size_t)w * (size_t)h};
    p->memory = calloc(8 * p->n, sizeof(float));
    if (!p->memory)
        return bp_error(err, BP_NOMEM, "no memory to estimate depth");
    float **members[] = {&p->grey, &p->colour, &p->cue, &p->a, &p->b, &p->c, &p->d, &p->sum};
    for (size_t i = 0; i < 8; i++)
        *members[i] = p->memory + i * p->n;
    return BP_OK;
}

/* Means of the image's pixels under each map pixel: brightness and how colourful. */
static void reduce(const struct bp_image *image, struct planes *p)
{
    for (int32_t y = 0; y < p->h; y++) {
        int32_t y0 = (int32_t)((int64_t)y * image->height / p->h),
                y1 = (int32_t)((int64_t)(y + 1) * image->height / p->h);
        for (int32_t x = 0; x < p->w; x++) {
            int32_t x0 = (int32_t)((int64_t)x * image->width / p->w);
            int32_t x1 = (int32_t)((int64_t)(x + 1) * image->width / p->w);
            int64_t sum[3] = {0, 0, 0}, count = 0;
            for (int32_t j = y0; j < (y1 > y0 ? y1 : y0 + 1); j++)
                for (int32_t i = x0; i < (x1 > x0 ? x1 : x0 + 1); i++, count++)
                    for (int c = 0; c < 3; c++)
                        sum[c] += image->pixels[((size_t)j * (size_t)image->width + (size_t)i) * 4 + (size_t)c];
            float scale = 1.0f / (255.0f * (float)count);
            float r = (float)sum[0] * scale, g = (float)sum[1] * scale, b = (float)sum[2] * scale;
            size_t at = (size_t)y * (size_t)p->w + (size_t)x;
            p->grey[at] = 0.2126f * r + 0.7152f * g + 0.0722f * b;
            p->colour[at] = fmaxf(r, fmaxf(g, b)) - fminf(r, fminf(g, b)) + 0.5f * (r - b); /* far is pale and blue */
        }
    }
}

/* One line of a box mean, the edge pixel repeated outward. step: between neighbours of the line. */
static void box_line(const float *in, float *out, int32_t n, int32_t radius, size_t step)
{
    float sum = 0;
    for (int32_t i = -radius; i <= radius; i++)
        sum += in[(size_t)(i < 0 ? 0 : i >= n ? n - 1 : i) * step];
    float scale = 1.0f / (float)(2 * radius + 1);
    for (int32_t i = 0; i < n; i++) {
        out[(size_t)i * step] = sum * scale;
        int32_t gone = i - radius, come = i + radius + 1;
        sum += in[(size_t)(come >= n ? n - 1 : come) * step] - in[(size_t)(gone < 0 ? 0 : gone) * step];
    }
}

/* Box mean of a plane in place. */
static void box(const struct planes *p, float *plane, int32_t radius)
{
    for (int32_t y = 0; y < p->h; y++)
        box_line(plane + (size_t)y * (size_t)p->w, p->sum + (size_t)y * (size_t)p->w, p->w, radius, 1);
    for (int32_t x = 0; x < p->w; x++)
        box_line(p->sum + x, plane + x, p->h, radius, (size_t)p->w);
}

/* Local contrast: the mean difference to the neighbourhood. */
static void measure_focus(struct planes *p)
{
    memcpy(p->a, p->grey, p->n * sizeof(float));
    box(p, p->a, 1);
    for (size_t i = 0; i < p->n; i++)
        p->a[i] = fabsf(p->grey[i] - p->a[i]);
    box(p, p->a, 4);
}

/* Stretches a plane to 0..1; a flat one becomes 1/2. */
static void normalise(const struct planes *p, float *plane)
{
    float lo = plane[0], hi = plane[0];
    for (size_t i = 0; i < p->n; i++) {
        lo = fminf(lo, plane[i]);
        hi = fmaxf(hi, plane[i]);
    }
    for (size_t i = 0; i < p->n; i++)
        plane[i] = hi - lo > 1e-6f ? (plane[i] - lo) / (hi - lo) : 0.5f;
}

static void mix_cues(struct planes *p)
{
    measure_focus(p);
    normalise(p, p->a);
    normalise(p, p->colour);
    for (size_t i = 0; i < p->n; i++) {
        size_t row = i / (size_t)p->w;
        float low = (float)row / (float)(p->h - 1);
        p->cue[i] = CUE_LOW * low + CUE_FOCUS * sqrtf(p->a[i]) + CUE_COLOUR * p->colour[i];
    }
}

/* Guided filter (He, Sun, Tang 2010): within each window the cue becomes a linear function of the grey picture. */
static void follow_edges(struct planes *p)
{
    for (size_t i = 0; i < p->n; i++) {
        p->a[i] = p->grey[i];
        p->b[i] = p->cue[i];
        p->c[i] = p->grey[i] * p->grey[i];
        p->d[i] = p->grey[i] * p->cue[i];
    }
    float *means[] = {p->a, p->b, p->c, p->d};
    for (int i = 0; i < 4; i++)
        box(p, means[i], GUIDE_RADIUS);
    for (size_t i = 0; i < p->n; i++) {
        float slope = (p->d[i] - p->a[i] * p->b[i]) / (fmaxf(p->c[i] - p->a[i] * p->a[i], 0) + GUIDE_EPS);
        p->d[i] = p->b[i] - slope * p->a[i];
        p->c[i] = slope;
    }
    box(p, p->c, GUIDE_RADIUS);
    box(p, p->d, GUIDE_RADIUS);
    for (size_t i = 0; i < p->n; i++)
        p->cue[i] = p->c[i] * p->grey[i] + p->d[i];
}

int32_t depth_estimate(const struct bp_image *image, struct depth *out, struct bp_err *err)
{
    *out = (struct depth){0};
    double shrink = fmax(1.0, fmax(image->width, image->height) / (double)DEPTH_LONG_SIDE);
    int32_t w = (int32_t)fmax(2, round(image->width / shrink)), h = (int32_t)fmax(2, round(image->height / shrink));
    struct planes p;
    int32_t rc = planes_make(&p, w, h, err);
    if (rc != BP_OK)
        return rc;
    reduce(image, &p);
    mix_cues(&p);
    follow_edges(&p);
    box(&p, p.cue, 2);
    box(&p, p.cue, 2);
    normalise(&p, p.cue);
    out->values = malloc(p.n * sizeof(float));
    if (out->values) {
        memcpy(out->values, p.cue, p.n * sizeof(float));
        out->width = w;
        out->height = h;
    }
    free(p.memory);
    return out->values ? BP_OK : bp_error(err, BP_NOMEM, "no memory to estimate depth");
}

void depth_free(struct depth *depth)
{
    free(depth->values);
    *depth = (struct depth){0};
}

float depth_steepest(const struct depth *d)
{
    float most = 0;
    for (int32_t y = 0; y < d->height; y++)
        for (int32_t x = 0; x < d->width; x++) {
            const float *at = d->values + (size_t)y * (size_t)d->width + x;
            if (x + 1 < d->width)
                most = fmaxf(most, fabsf(at[1] - at[0]));
            if (y + 1 < d->height)
                most = fmaxf(most, fabsf(at[d->width] - at[0]));
        }
    return most;
}
