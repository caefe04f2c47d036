/* SPDX-License-Identifier: Apache-2.0 */
#include "one_frame.h"

#include <stdlib.h>

int32_t one_frame_init(struct one_frame *o, const struct kernels *kernels, const struct bp_video_info *info,
                       int32_t factor, double sharpness, struct bp_err *err)
{
    *o = (struct one_frame){0};
    upscaler_init(&o->upscaler, kernels, info, factor, sharpness);
    o->packed = malloc(o->upscaler.in_bytes);
    o->pixels = malloc(o->upscaler.out_bytes);
    if (!o->packed || !o->pixels)
        return BP_NOMEM;
    int32_t rc = kernels->dev->alloc(kernels->dev, o->upscaler.in_bytes, &o->in, err);
    return rc == BP_OK ? kernels->dev->alloc(kernels->dev, o->upscaler.out_bytes, &o->out, err) : rc;
}

void one_frame_free(struct one_frame *o)
{
    const struct bp_device *dev = o->upscaler.kernels->dev;
    dev->free(dev, &o->in);
    dev->free(dev, &o->out);
    free(o->packed);
    free(o->pixels);
}

/* What came out as a frame, without its time. */
static struct bp_video_frame frame_of(const struct upscaler *u, const void *out)
{
    struct bp_video_frame f = {
        .width = u->planes[0].out_width, .height = u->planes[0].out_height, .depth = u->wide ? 10 : 8};
    for (int i = 0; i < 3; i++) {
        f.planes[i] = (const uint8_t *)out + u->out_at[i];
        f.strides[i] = u->planes[i].out_stride * (u->wide ? 2 : 1);
    }
    return f;
}

int32_t one_frame_draw(struct one_frame *o, const struct bp_video_frame *in, struct bp_video_frame *out,
                       struct bp_err *err)
{
    const struct bp_device *dev = o->upscaler.kernels->dev;
    upscaler_pack(&o->upscaler, in, o->packed);
    int32_t rc = dev->upload(dev, &o->in, 0, o->packed, o->upscaler.in_bytes, err);
    if (rc == BP_OK)
        rc = upscaler_launch(&o->upscaler, &o->in, &o->out, NULL, err);
    if (rc == BP_OK)
        rc = dev->download(dev, &o->out, 0, o->pixels, o->upscaler.out_bytes, err);
    *out = frame_of(&o->upscaler, o->pixels);
    out->time = in->time;
    out->duration = in->duration;
    return rc;
}
