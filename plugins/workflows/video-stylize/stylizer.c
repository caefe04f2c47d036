/* SPDX-License-Identifier: Apache-2.0 */
#include "stylizer.h"

#include "video_stylize.kernel.h"

#include <math.h>

#define LONGEST 1.5  /* strokes in radii of a round one */
#define FOLLOW  0.05 /* of a change, at the least: what is held never stands still for good */

int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err)
{
    *out = (struct kernels){.dev = dev};
    const struct {
        const char *name;
        struct bp_kernel **at;
    } wanted[] = {{"hold", &out->hold},
                  {"halve", &out->halve},
                  {"flow", &out->flow},
                  {"paint_luma", &out->paint_luma},
                  {"paint_chroma", &out->paint_chroma}};
    int32_t rc = dev->module_load(dev, &video_stylize_kernels, &out->module, err);
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

static double follow_of(double stability)
{
    return fmax(1 - stability, FOLLOW);
}

int32_t stylizer_memory(double stability)
{
    double left = 1 - follow_of(stability);
    return left > 1e-6 ? (int32_t)lround(log(1 / 6.0) / log(left)) : 0;
}

struct brush brush_of(double radius)
{
    int32_t step = 1;
    while (radius * LONGEST > MAX_REACH * step)
        step++;
    double reach = floor(radius * LONGEST / step);
    return (struct brush){step, reach < 1 ? 1 : (int32_t)reach, (float)(step / radius)};
}

static uint64_t samples(const struct bp_video_planes *p, int i)
{
    return (uint64_t)p->widths[i] * (uint64_t)p->heights[i];
}

int32_t stylizer_init(struct stylizer *s, const struct kernels *kernels, const struct bp_video_planes *in,
                      const struct bp_video_planes *out, const struct style *style, struct bp_err *err)
{
    const struct bp_device *dev = kernels->dev;
    uint64_t halved = samples(in, 1), all = samples(in, 0) + 2 * halved;
    *s = (struct stylizer){.kernels = kernels,
                           .in = *in,
                           .out = *out,
                           .strength = (float)style->strength,
                           .follow = (float)follow_of(style->stability),
                           .luma = brush_of(style->brush_size),
                           .chroma = brush_of(style->brush_size / 2)};
    int32_t rc = dev->alloc(dev, all * sizeof(float), &s->held[0], err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, all * sizeof(float), &s->held[1], err);
    if (rc == BP_OK)
        rc = dev->alloc(dev, halved * sizeof(float), &s->half, err);
    return rc == BP_OK ? dev->alloc(dev, halved * 4 * sizeof(float), &s->flow, err) : rc;
}

void stylizer_free(struct stylizer *s)
{
    if (!s->kernels)
        return;
    const struct bp_device *dev = s->kernels->dev;
    dev->free(dev, &s->held[0]);
    dev->free(dev, &s->held[1]);
    dev->free(dev, &s->half);
    dev->free(dev, &s->flow);
    *s = (struct stylizer){0};
}

/* One frame on its way. */
struct passage {
    const struct bp_buffer *from, *to;
    struct bp_queue *queue;
};

static float *held_plane(const struct stylizer *s, int64_t frame, int i)
{
    float *held = s->held[frame & 1].at;
    return held + (i > 0 ? samples(&s->in, 0) : 0) + (i > 1 ? samples(&s->in, 1) : 0);
}

static struct bp_grid tiles(int32_t width, int32_t height)
{
    return (struct bp_grid){(width + TILE_COLUMNS - 1) / TILE_COLUMNS, (height + TILE_ROWS - 1) / TILE_ROWS};
}

static int32_t launch_hold(const struct stylizer *s, const struct passage *p, int i, struct bp_err *err)
{
    struct hold_args a = {.in = (const char *)p->from->at + s->in.at[i],
                          .before = held_plane(s, s->frames + 1, i),
                          .held = held_plane(s, s->frames, i),
                          .width = s->in.widths[i],
                          .height = s->in.heights[i],
                          .wide = s->in.depth == 10,
                          .first = s->frames == 0,
                          .follow = s->follow};
    struct bp_grid grid = tiles(a.width, a.height);
    return bp_launch2d_on(s->kernels->dev, p->queue, s->kernels->hold, grid.nx, grid.ny, &a, err);
}

static int32_t launch_flow(const struct stylizer *s, const struct passage *p, struct bp_err *err)
{
    const struct bp_device *dev = s->kernels->dev;
    int32_t width = s->in.widths[1], height = s->in.heights[1];
    struct halve_args half = {held_plane(s, s->frames, 0), s->half.at, s->in.width, s->in.height};
    struct flow_args flow = {s->half.at, s->flow.at, width, height};
    int32_t rc = bp_launch2d_on(dev, p->queue, s->kernels->halve, width, height, &half, err);
    struct bp_grid grid = tiles(width, height);
    return rc == BP_OK ? bp_launch2d_on(dev, p->queue, s->kernels->flow, grid.nx, grid.ny, &flow, err) : rc;
}

/* i: 0 for luma, 1 for both of chroma. */
static int32_t launch_paint(const struct stylizer *s, const struct passage *p, int i, struct bp_err *err)
{
    struct paint_args a = {.flow = s->flow.at,
                           .width = s->in.widths[i],
                           .height = s->in.heights[i],
                           .out_width = s->out.widths[i],
                           .out_height = s->out.heights[i],
                           .flow_width = s->in.widths[1],
                           .flow_height = s->in.heights[1],
                           .wide = s->in.depth == 10,
                           .strength = s->strength,
                           .brush = i ? s->chroma : s->luma};
    for (int k = 0; k < 3; k++) {
        a.in[k] = (const char *)p->from->at + s->in.at[k];
        a.out[k] = (char *)p->to->at + s->out.at[k];
        a.held[k] = held_plane(s, s->frames, k);
    }
    if (i)
        a.held[0] = s->half.at;
    struct bp_kernel *kernel = i ? s->kernels->paint_chroma : s->kernels->paint_luma;
    struct bp_grid grid = tiles(a.out_width, a.out_height);
    return bp_launch2d_on(s->kernels->dev, p->queue, kernel, grid.nx, grid.ny, &a, err);
}

int32_t stylizer_launch(struct stylizer *s, const struct bp_buffer *from, const struct bp_buffer *to,
                        struct bp_queue *queue, struct bp_err *err)
{
    struct passage p = {from, to, queue};
    int32_t rc = BP_OK;
    for (int i = 0; i < 3 && rc == BP_OK; i++)
        rc = launch_hold(s, &p, i, err);
    if (rc == BP_OK)
        rc = launch_flow(s, &p, err);
    for (int i = 0; i < 2 && rc == BP_OK; i++)
        rc = launch_paint(s, &p, i, err);
    s->frames++;
    return rc;
}
