/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include "depth.h"
#include "image_to_video.kernel.h"

#include <bp/workflow.h>
#include <math.h>

#define BLUR_STEP 2.0 /* output pixels between two samples of motion blur; finer shows no difference */

int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err)
{
    *out = (struct kernels){.dev = dev};
    const struct {
        const char *name;
        struct bp_kernel **at;
    } wanted[] = {{"linearize", &out->linearize},
                  {"shrink_columns", &out->shrink_columns},
                  {"shrink_rows", &out->shrink_rows},
                  {"frame_straight_4", &out->straight[0]},
                  {"frame_straight_6", &out->straight[1]},
                  {"frame_straight_8", &out->straight[2]},
                  {"frame_bent", &out->bent}};
    int32_t rc = dev->module_load(dev, &image_to_video_kernels, &out->module, err);
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

uint64_t scene_bytes(const struct request *r)
{
    return (uint64_t)r->width * (uint64_t)r->height * 3 / 2;
}

/* A relief that would fold the photo over itself is made flatter. */
static void limit_relief(struct scene *s, const struct depth *depth)
{
    struct bent_view v;
    double steepest = depth_steepest(depth) * s->depth_scale, most = 0;
    for (int t = 0; t <= 1; t++) {
        camera_bent(&s->camera, t, &v);
        most = fmax(most, fmax(fabs(v.px + v.pz * s->camera.width), (double)fabsf(v.px)));
        most = fmax(most, fmax(fabs(v.py + v.pz * s->camera.height), (double)fabsf(v.py)));
    }
    if (most * steepest > 0.5)
        s->camera.relief *= 0.5 / (most * steepest);
}

static int32_t make_depth(struct scene *s, const struct bp_image *image, struct bp_err *err)
{
    const struct bp_device *dev = s->kernels->dev;
    struct depth depth;
    int32_t rc = depth_estimate(image, &depth, err);
    if (rc != BP_OK)
        return rc;
    s->depth_width = depth.width;
    s->depth_height = depth.height;
    s->depth_scale = (float)depth.width / (float)s->photo.view.width;
    limit_relief(s, &depth);
    uint64_t bytes = (uint64_t)depth.width * (uint64_t)depth.height * sizeof(float);
    rc = dev->alloc(dev, bytes, &s->depth, err);
    if (rc == BP_OK)
        rc = dev->upload(dev, &s->depth, 0, depth.values, bytes, err);
    depth_free(&depth);
    return rc;
}

/*
 * How much to shrink the photo: a straight view filters by itself up to MAX_SCALE, so nothing is lost where it is
 * nearest; a bent one takes 4 by 4 pixels as they are.
 */
static double shrink_factor(const struct camera *c, const struct request *r)
{
    return fmax(1, camera_is_bent(r) ? camera_max_scale(c) : camera_min_scale(c));
}

/* Depth is read between four of its values, so an orbit without parallax has a flat map of 2 by 2. */
static int32_t make_flat_depth(struct scene *s, struct bp_err *err)
{
    s->depth_width = s->depth_height = 2;
    s->depth_scale = 0;
    return s->kernels->dev->alloc(s->kernels->dev, 4 * sizeof(float), &s->depth, err);
}

int32_t scene_init(struct scene *s, const struct kernels *kernels, const struct request *r,
                   const struct bp_image *image, struct bp_err *err)
{
    *s = (struct scene){.kernels = kernels, .request = r};
    camera_init(&s->camera, r, image->width, image->height);
    int32_t rc = photo_make(kernels, image, shrink_factor(&s->camera, r), &s->photo, err);
    if (rc != BP_OK)
        return rc;
    camera_init(&s->camera, r, s->photo.view.width, s->photo.view.height);
    if (r->parallax > 0)
        rc = make_depth(s, image, err);
    else if (camera_is_bent(r))
        rc = make_flat_depth(s, err);
    return rc;
}

void scene_free(struct scene *s)
{
    if (!s->kernels)
        return;
    photo_free(s->kernels, &s->photo);
    s->kernels->dev->free(s->kernels->dev, &s->depth);
    s->kernels = NULL;
}

/* The moments whose mean is frame i: the shutter is open for motion_blur of a frame, around its time. */
struct shutter {
    int32_t samples;
    double first, step; /* times of the samples */
};

static struct shutter open_shutter(const struct scene *s, int32_t i)
{
    const struct request *r = s->request;
    double frame = 1.0 / (r->frames - 1), t = i * frame, half = frame * r->motion_blur / 2;
    double samples = ceil(camera_motion(&s->camera, t - half, t + half) / BLUR_STEP);
    struct shutter shutter = {(int32_t)fmin(fmax(samples, 1), MAX_SAMPLES), t, 0};
    if (shutter.samples > 1) {
        shutter.step = 2 * half / shutter.samples;
        shutter.first = t - half + shutter.step / 2;
    }
    return shutter;
}

/* Where a frame is drawn. */
struct target {
    const struct bp_buffer *nv12;
    struct bp_queue *queue;
};

static void fill_canvas(const struct scene *s, const struct target *to, int32_t samples, struct canvas *c)
{
    const struct request *r = s->request;
    *c = (struct canvas){.photo = s->photo.view,
                         .luma = to->nv12->at,
                         .width = r->width,
                         .height = r->height,
                         .gain = 1.0f / (65535.0f * (float)samples)};
    c->chroma = c->luma + (size_t)r->width * (size_t)r->height;
    c->vignette = (float)(1 / sqrt(1 - 0.8 * r->vignette) - 1);
    c->centre_x = (float)(r->width - 1) / 2;
    c->centre_y = (float)(r->height - 1) / 2;
    c->inverse_r2 = 1 / (c->centre_x * c->centre_x + c->centre_y * c->centre_y);
}

static struct bp_grid tiles(const struct request *r)
{
    return (struct bp_grid){(r->width + TILE_W - 1) / TILE_W, (r->height + TILE_H - 1) / TILE_H};
}

static int32_t draw_straight(const struct scene *s, const struct shutter *shutter, const struct target *to,
                             struct bp_err *err)
{
    struct straight_args a = {.samples = shutter->samples};
    fill_canvas(s, to, a.samples, &a.canvas);
    float scale = 1;
    for (int32_t i = 0; i < a.samples; i++) {
        camera_straight(&s->camera, shutter->first + i * shutter->step, &a.views[i]);
        scale = fmaxf(scale, a.views[i].scale);
    }
    int32_t k = scale <= 1 ? 0 : scale <= 1.5f ? 1 : 2;
    struct bp_grid grid = tiles(s->request);
    return bp_launch2d_on(s->kernels->dev, to->queue, s->kernels->straight[k], grid.nx, grid.ny, &a, err);
}

static int32_t draw_bent(const struct scene *s, const struct shutter *shutter, const struct target *to,
                         struct bp_err *err)
{
    struct bent_args a = {.samples = shutter->samples,
                          .depth = s->depth.at,
                          .depth_width = s->depth_width,
                          .depth_height = s->depth_height,
                          .depth_scale = s->depth_scale};
    fill_canvas(s, to, a.samples, &a.canvas);
    for (int32_t i = 0; i < a.samples; i++)
        camera_bent(&s->camera, shutter->first + i * shutter->step, &a.views[i]);
    struct bp_grid grid = tiles(s->request);
    return bp_launch2d_on(s->kernels->dev, to->queue, s->kernels->bent, grid.nx, grid.ny, &a, err);
}

int32_t scene_launch(const struct scene *s, int32_t i, const struct bp_buffer *nv12, struct bp_queue *queue,
                     struct bp_err *err)
{
    struct shutter shutter = open_shutter(s, i);
    struct target to = {nv12, queue};
    return camera_is_bent(s->request) ? draw_bent(s, &shutter, &to, err) : draw_straight(s, &shutter, &to, err);
}
