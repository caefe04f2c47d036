/* SPDX-License-Identifier: Apache-2.0 */
#include "upscaler.h"

#include "video_upscale.kernel.h"

#include <bp/workflow.h>
#include <math.h>

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

/* Sizes of the planes and where they lie. */
static void lay_out(struct upscaler *u, int32_t width, int32_t height)
{
    int32_t out_w = width * u->factor & ~1, out_h = height * u->factor & ~1;
    uint64_t sample = u->wide ? 2 : 1;
    for (int i = 0; i < 3; i++) {
        struct plane *p = &u->planes[i];
        *p = (struct plane){.in_width = i ? (width + 1) / 2 : width,
                            .in_height = i ? (height + 1) / 2 : height,
                            .out_width = i ? out_w / 2 : out_w,
                            .out_height = i ? out_h / 2 : out_h};
        p->in_stride = p->in_width;
        p->out_stride = p->out_width;
        u->in_at[i] = u->in_bytes;
        u->out_at[i] = u->out_bytes;
        u->in_bytes += (uint64_t)p->in_width * (uint64_t)p->in_height * sample;
        u->out_bytes += (uint64_t)p->out_width * (uint64_t)p->out_height * sample;
        u->in_bytes = (u->in_bytes + 255) / 256 * 256;
        u->out_bytes = (u->out_bytes + 255) / 256 * 256;
    }
}

void upscaler_init(struct upscaler *u, const struct kernels *kernels, const struct bp_video_info *info, int32_t factor,
                   double sharpness)
{
    *u = (struct upscaler){
        .kernels = kernels, .factor = factor, .wide = info->depth == 10, .sharpness = (float)sharpness};
    lay_out(u, info->width, info->height);
    chroma_phases(factor, info->meta.chroma != BP_CHROMA_CENTRE, &u->across);
    chroma_phases(factor, info->meta.chroma == BP_CHROMA_TOP_LEFT, &u->down);
}

/* Without the gaps that a decoder leaves between rows. */
void upscaler_pack(const struct upscaler *u, const struct bp_video_frame *frame, void *in)
{
    size_t sample = u->wide ? 2 : 1;
    for (int i = 0; i < 3; i++) {
        const struct plane *p = &u->planes[i];
        size_t bytes = (size_t)p->in_width * sample;
        uint8_t *to = (uint8_t *)in + u->in_at[i];
        for (int32_t y = 0; y < p->in_height; y++)
            memcpy(to + (size_t)y * bytes, frame->planes[i] + (ptrdiff_t)y * frame->strides[i], bytes);
    }
}

static struct bp_grid tiles(int32_t width, int32_t height, int32_t tile_w, int32_t tile_h)
{
    return (struct bp_grid){(width + tile_w - 1) / tile_w, (height + tile_h - 1) / tile_h};
}

/* One frame on its way. */
struct passage {
    const struct bp_buffer *in, *out;
    struct bp_queue *queue;
};

static struct plane plane_of(const struct upscaler *u, int i, const struct passage *p)
{
    struct plane plane = u->planes[i];
    plane.in = (const char *)p->in->at + u->in_at[i];
    plane.out = (char *)p->out->at + u->out_at[i];
    return plane;
}

static int32_t draw_luma(const struct upscaler *u, const struct passage *p, struct bp_err *err)
{
    struct luma_args a = {.plane = plane_of(u, 0, p), .sharpness = u->sharpness};
    struct bp_grid grid = tiles(a.plane.in_width, a.plane.in_height, TILE_COLUMNS(u->factor), TILE_ROWS(u->factor));
    struct bp_kernel *kernel = u->kernels->luma[u->factor][u->wide];
    return bp_launch2d_on(u->kernels->dev, p->queue, kernel, grid.nx, grid.ny, &a, err);
}

static int32_t draw_chroma(const struct upscaler *u, int i, const struct passage *p, struct bp_err *err)
{
    struct chroma_args a = {
        .plane = plane_of(u, i, p), .factor = u->factor, .wide = u->wide, .across = u->across, .down = u->down};
    struct bp_grid grid = tiles(a.plane.in_width, a.plane.in_height, CHROMA_COLUMNS, CHROMA_ROWS);
    return bp_launch2d_on(u->kernels->dev, p->queue, u->kernels->chroma, grid.nx, grid.ny, &a, err);
}

int32_t upscaler_launch(const struct upscaler *u, const struct bp_buffer *in, const struct bp_buffer *out,
                        struct bp_queue *queue, struct bp_err *err)
{
    struct passage p = {in, out, queue};
    int32_t rc = draw_luma(u, &p, err);
    for (int i = 1; i < 3 && rc == BP_OK; i++)
        rc = draw_chroma(u, i, &p, err);
    return rc;
}
