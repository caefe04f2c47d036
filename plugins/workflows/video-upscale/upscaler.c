/* SPDX-License-Identifier: Apache-2.0 */
#include "upscaler.h"

#include "video_upscale.kernel.h"

#include <bp/workflow.h>
#include <math.h>
#include <stdlib.h>

int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err)
{
    *out = (struct kernels){.dev = dev};
    const struct {
        const char *name;
        struct bp_kernel **at;
    } wanted[] = {{"luma_2_8", &out->luma[2][0]},  {"luma_3_8", &out->luma[3][0]},  {"luma_4_8", &out->luma[4][0]},
                  {"luma_2_10", &out->luma[2][1]}, {"luma_3_10", &out->luma[3][1]}, {"luma_4_10", &out->luma[4][1]},
                  {"chroma", &out->chroma}};
    int32_t rc = dev->module_load(dev, &video_upscale_kernels, &out->module, err);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0] && rc == BP_OK; i++)
        rc = dev->kernel_get(dev, out->module, wanted[i].name, wanted[i].at, err);
    return rc;
}

void kernels_unload(struct kernels *kernels)
{
    if (kernels->dev)
        kernels->dev->module_free(kernels->dev, &kernels->module);
    *kernels = (struct kernels){0};
}

/* The interpolating cubic of Keys (1981) with a = -1/2. */
static double cubic(double d)
{
    d = fabs(d);
    if (d < 1)
        return (1.5 * d - 2.5) * d * d + 1;
    return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

/*
 * In units of input chroma: output sample k of a cell lies at k / factor when both pictures' chroma sits on the first
 * luma sample of its pair, for luma's own middles shift by 1 / (2 factor) - 1 / 2, half of which is chroma's; between
 * the two it lies like luma, at (k + 1/2) / factor - 1/2.
 */
void chroma_phases(int32_t factor, int32_t cosited, struct phases *out)
{
    memset(out, 0, sizeof *out);
    for (int32_t k = 0; k < factor; k++) {
        double at = cosited ? (k + 0.25) / factor - 0.25 : (k + 0.5) / factor - 0.5;
        double base = floor(at) - 1, sum = 0, w[4];
        for (int i = 0; i < 4; i++)
            sum += w[i] = cubic(base + i - at);
        out->start[k] = (int32_t)base;
        for (int i = 0; i < 4; i++)
            out->weights[k][i] = (float)(w[i] / sum);
    }
}

/* Sizes of the planes and where they lie; returns bytes in and out. */
static void lay_out(struct upscaler *u, int32_t width, int32_t height, uint64_t *in_bytes, uint64_t *out_bytes)
{
    int32_t out_w = width * u->factor & ~1, out_h = height * u->factor & ~1;
    uint64_t sample = u->wide ? 2 : 1;
    *in_bytes = *out_bytes = 0;
    for (int i = 0; i < 3; i++) {
        struct plane *p = &u->planes[i];
        *p = (struct plane){.in_width = i ? (width + 1) / 2 : width,
                            .in_height = i ? (height + 1) / 2 : height,
                            .out_width = i ? out_w / 2 : out_w,
                            .out_height = i ? out_h / 2 : out_h};
        p->in_stride = p->in_width;
        p->out_stride = p->out_width;
        u->in_at[i] = *in_bytes;
        u->out_at[i] = *out_bytes;
        *in_bytes += (uint64_t)p->in_width * (uint64_t)p->in_height * sample;
        *out_bytes += (uint64_t)p->out_width * (uint64_t)p->out_height * sample;
        *in_bytes = (*in_bytes + 255) / 256 * 256;
        *out_bytes = (*out_bytes + 255) / 256 * 256;
    }
}

int32_t upscaler_init(struct upscaler *u, const struct kernels *kernels, const struct bp_video_info *info,
                      int32_t factor, double sharpness, struct bp_err *err)
{
    const struct bp_device *dev = kernels->dev;
    uint64_t in_bytes, out_bytes;
    *u = (struct upscaler){
        .kernels = kernels, .factor = factor, .wide = info->depth == 10, .sharpness = (float)sharpness};
    lay_out(u, info->width, info->height, &in_bytes, &out_bytes);
    chroma_phases(factor, info->meta.chroma != BP_CHROMA_CENTRE, &u->across);
    chroma_phases(factor, info->meta.chroma == BP_CHROMA_TOP_LEFT, &u->down);
    u->packed = malloc(in_bytes);
    u->pixels = malloc(out_bytes);
    if (!u->packed || !u->pixels)
        return bp_error(err, BP_NOMEM, "no memory for frames of %d by %d", u->planes[0].out_width,
                        u->planes[0].out_height);
    int32_t rc = dev->alloc(dev, in_bytes, &u->in, err);
    return rc == BP_OK ? dev->alloc(dev, out_bytes, &u->out, err) : rc;
}

void upscaler_free(struct upscaler *u)
{
    if (!u->kernels)
        return;
    u->kernels->dev->free(u->kernels->dev, &u->in);
    u->kernels->dev->free(u->kernels->dev, &u->out);
    free(u->packed);
    free(u->pixels);
    *u = (struct upscaler){0};
}

/* The frame's rows without the gaps that a decoder leaves between them, in one upload. */
static int32_t upload(struct upscaler *u, const struct bp_video_frame *in, struct bp_err *err)
{
    size_t sample = u->wide ? 2 : 1;
    for (int i = 0; i < 3; i++) {
        const struct plane *p = &u->planes[i];
        size_t bytes = (size_t)p->in_width * sample;
        for (int32_t y = 0; y < p->in_height; y++)
            memcpy(u->packed + u->in_at[i] + (size_t)y * bytes, in->planes[i] + (ptrdiff_t)y * in->strides[i], bytes);
    }
    return u->kernels->dev->upload(u->kernels->dev, &u->in, 0, u->packed, u->in.bytes, err);
}

static struct bp_grid tiles(int32_t width, int32_t height, int32_t tile_w, int32_t tile_h)
{
    return (struct bp_grid){(width + tile_w - 1) / tile_w, (height + tile_h - 1) / tile_h};
}

static struct plane plane_of(const struct upscaler *u, int i)
{
    struct plane p = u->planes[i];
    p.in = (const char *)u->in.at + u->in_at[i];
    p.out = (char *)u->out.at + u->out_at[i];
    return p;
}

static int32_t draw_luma(const struct upscaler *u, struct bp_err *err)
{
    struct luma_args a = {.plane = plane_of(u, 0), .sharpness = u->sharpness};
    struct bp_grid grid = tiles(a.plane.in_width, a.plane.in_height, TILE_COLUMNS(u->factor), TILE_ROWS);
    return bp_launch2d(u->kernels->dev, u->kernels->luma[u->factor][u->wide], grid.nx, grid.ny, &a, err);
}

static int32_t draw_chroma(const struct upscaler *u, int i, struct bp_err *err)
{
    struct chroma_args a = {
        .plane = plane_of(u, i), .factor = u->factor, .wide = u->wide, .across = u->across, .down = u->down};
    struct bp_grid grid = tiles(a.plane.in_width, a.plane.in_height, CHROMA_COLUMNS, CHROMA_ROWS);
    return bp_launch2d(u->kernels->dev, u->kernels->chroma, grid.nx, grid.ny, &a, err);
}

int32_t upscaler_draw(struct upscaler *u, const struct bp_video_frame *in, struct bp_video_frame *out,
                      struct bp_err *err)
{
    const struct bp_device *dev = u->kernels->dev;
    int32_t rc = upload(u, in, err);
    if (rc == BP_OK)
        rc = draw_luma(u, err);
    for (int i = 1; i < 3 && rc == BP_OK; i++)
        rc = draw_chroma(u, i, err);
    if (rc == BP_OK)
        rc = dev->download(dev, &u->out, 0, u->pixels, u->out.bytes, err);
    *out = (struct bp_video_frame){.width = u->planes[0].out_width,
                                   .height = u->planes[0].out_height,
                                   .depth = in->depth,
                                   .key = in->key,
                                   .time = in->time,
                                   .duration = in->duration};
    for (int i = 0; i < 3; i++) {
        out->planes[i] = u->pixels + u->out_at[i];
        out->strides[i] = u->planes[i].out_stride * (u->wide ? 2 : 1);
    }
    return rc;
}
