/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_video_upscale DEVICE [quick]: video-upscale on a device against the CPU device, as gpu_image_to_video. */
#include "device/device.h"
#include "program.h"
#include "upscaler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int factor_now;

static int work_of(const char *kernel, struct bp_grid grid, const void *args, struct work *out)
{
    (void)grid;
    const struct plane *p = args; /* the first member of both structs */
    int wide = strcmp(kernel, "chroma") == 0 ? ((const struct chroma_args *)args)->wide : strstr(kernel, "_10") != NULL;
    double bytes = wide ? 2 : 1, in = (double)p->in_width * p->in_height, pixels = (double)p->out_width * p->out_height;
    /* an output pixel's part of what it and its mirror images are drawn from: products, sums and the folding */
    double f = factor_now, filters = factor_now == 3 ? 64 : 46;
    out->bytes = (in + pixels) * bytes;
    /* luma: three filters, their sum and limits, sharpening, rounding; edges once an input pixel */
    out->flops = strcmp(kernel, "chroma") == 0 ? pixels * 18 : pixels * (filters + 33 + 50 / (f * f));
    return 0;
}

/* A frame of noise and edges. */
static void make_frame(uint16_t *room, int32_t width, int32_t height, int32_t depth, struct bp_video_frame *out)
{
    uint32_t h = 1;
    size_t luma = (size_t)width * (size_t)height, chroma = luma / 4;
    for (size_t i = 0; i < luma + 2 * chroma; i++) {
        h ^= h << 13, h ^= h >> 17, h ^= h << 5;
        uint32_t v = ((uint32_t)(i % (size_t)width) / 9 % 2 * 150 + h % 60) << (depth - 8);
        if (depth == 8)
            ((uint8_t *)room)[i] = (uint8_t)v;
        else
            room[i] = (uint16_t)v;
    }
    int32_t bytes = depth == 8 ? 1 : 2;
    uint8_t *at = (uint8_t *)room;
    *out = (struct bp_video_frame){.planes = {at, at + luma * (size_t)bytes, at + (luma + chroma) * (size_t)bytes},
                                   .strides = {width * bytes, width / 2 * bytes, width / 2 * bytes},
                                   .width = width,
                                   .height = height,
                                   .depth = depth};
}

struct result {
    uint8_t *bytes;
    size_t n;
};

/* Up, larger, and down again: the luma plane in out. */
static int32_t draw(const struct upscaler *u, const struct bp_video_frame *frame, struct result *out,
                    struct bp_err *err)
{
    const struct bp_device *dev = u->kernels->dev;
    struct bp_buffer in = {0}, big = {0};
    uint8_t *host = malloc(u->in_bytes > u->out_bytes ? u->in_bytes : u->out_bytes);
    int32_t rc = host ? dev->alloc(dev, u->in_bytes, &in, err) : BP_NOMEM;
    if (rc == BP_OK)
        rc = dev->alloc(dev, u->out_bytes, &big, err);
    if (rc == BP_OK) {
        upscaler_pack(u, frame, host);
        rc = dev->upload(dev, &in, 0, host, u->in_bytes, err);
    }
    if (rc == BP_OK)
        rc = upscaler_launch(u, &in, &big, NULL, err);
    if (rc == BP_OK)
        rc = dev->download(dev, &big, 0, host, u->out_bytes, err);
    dev->free(dev, &in);
    dev->free(dev, &big);
    out->bytes = host;
    out->n = rc == BP_OK ? u->out_at[1] : 0;
    return rc;
}

static int32_t upscale(const struct bp_device *dev, const struct bp_video_frame *in, int32_t factor, struct result *out,
                       struct bp_err *err)
{
    struct kernels kernels = {0};
    struct upscaler u = {0};
    struct bp_video_info info = {.width = in->width, .height = in->height, .depth = in->depth};
    int32_t rc = kernels_load(dev, &kernels, err);
    upscaler_init(&u, &kernels, &info, factor, 0.5);
    if (rc == BP_OK)
        rc = draw(&u, in, out, err);
    kernels_unload(&kernels);
    return rc;
}

/* A CPU rounds to 32nds of an 8-bit step, a GPU does not (numbers.h): samples may differ by so many steps. */
#define WITHIN_8  1
#define WITHIN_10 3

static int32_t compare(const struct bp_device *dev, const struct bp_device *cpu, int32_t width, int32_t height,
                       int32_t factor, int32_t depth, struct bp_err *err)
{
    struct bp_video_frame in;
    struct result got = {0}, wanted = {0};
    char what[8];
    uint16_t *room = malloc((size_t)width * (size_t)height * 3);
    if (!room)
        return BP_NOMEM;
    make_frame(room, width, height, depth, &in);
    factor_now = factor;
    int32_t rc = upscale(dev, &in, factor, &got, err);
    if (rc == BP_OK)
        rc = upscale(cpu, &in, factor, &wanted, err);
    if (rc == BP_OK) {
        snprintf(what, sizeof what, "%dx", factor);
        rc = program_compared(what, depth, program_worst(got.bytes, wanted.bytes, got.n, depth),
                              depth == 10 ? WITHIN_10 : WITHIN_8);
    }
    free(got.bytes);
    free(wanted.bytes);
    free(room);
    return rc;
}

static int32_t bench(struct bp_device *dev, const struct bp_device *cpu, int quick, struct bp_err *err)
{
    struct rates rates;
    int32_t width = quick ? 320 : 1920, height = quick ? 180 : 1080, bad = 0;
    int32_t rc = rates_measure(dev, quick, &rates, err);
    if (rc < 0)
        return rc;
    print_rates(dev, &rates);
    printf("video-upscale, from %d by %d\n", width, height);
    const struct bp_device *timed = timed_device(dev, &rates, work_of, quick);
    for (int32_t factor = 2; factor <= 4; factor++)
        for (int32_t depth = 8; depth <= 10; depth += 2) {
            rc = compare(timed, cpu, width, height, factor, depth, err);
            if (rc < 0)
                return rc;
            bad |= rc;
        }
    timed_print();
    return bad;
}

int main(int argc, char **argv)
{
    return program_run(argc, argv, bench);
}
