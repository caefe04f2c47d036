/* SPDX-License-Identifier: Apache-2.0 */
/* The workflow: each frame of a video made larger, the rest as bp/video_filter.h does it. */
#include "request.h"
#include "upscaler.h"

#include <bp/video_filter.h>

#define MAX_SIDE       8192
#define MAX_OUT_PIXELS (8192LL * 4320)

/* One job while it runs. */
struct work {
    const struct kernels *kernels;
    struct request request;
    struct upscaler upscaler;
};

static int32_t check_size(const struct bp_video_info *info, int32_t factor, struct bp_err *err)
{
    int64_t width = (int64_t)info->width * factor, height = (int64_t)info->height * factor;
    if (width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_OUT_PIXELS && width >= 16 && height >= 16)
        return BP_OK;
    int32_t fits = 0;
    for (int32_t f = 2; f < factor; f++)
        if (info->width * f <= MAX_SIDE && info->height * f <= MAX_SIDE &&
            (int64_t)info->width * f * info->height * f <= MAX_OUT_PIXELS)
            fits = f;
    if (width < 16 || height < 16)
        return bp_error(err, BP_BADINPUT, "the video has only %d by %d pixels; %d times that is less than 16 by 16",
                        info->width, info->height, factor);
    if (fits)
        return bp_error(err, BP_BADINPUT,
                        "the video would have %lld by %lld pixels, at most 8192 by 4320 are made; "
                        "take factor %d",
                        (long long)width, (long long)height, fits);
    return bp_error(err, BP_BADINPUT,
                    "the video has %d by %d pixels and cannot be made larger: at most 8192 by 4320 "
                    "are made",
                    info->width, info->height);
}

static int32_t open_upscaler(void *arg, const struct bp_video_info *info, const struct bp_video_planes *in,
                             struct bp_video_planes *out, struct bp_err *err)
{
    struct work *w = arg;
    (void)in; /* as upscaler_pack() lays it out */
    int32_t rc = check_size(info, w->request.factor, err);
    if (rc != BP_OK)
        return rc;
    upscaler_init(&w->upscaler, w->kernels, info, w->request.factor, w->request.sharpness);
    bp_video_planes_init(out, w->upscaler.planes[0].out_width, w->upscaler.planes[0].out_height, info->depth);
    return BP_OK;
}

static int32_t launch(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    const struct work *w = arg;
    return upscaler_launch(&w->upscaler, &slot->device_in, &slot->device_out, slot->queue, err);
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    struct work w = {.kernels = state};
    int32_t rc = request_read(job, &w.request, err);
    if (rc != BP_OK)
        return rc;
    const struct bp_video_filter filter = {.job = job,
                                           .dev = w.kernels->dev,
                                           .drawing = "video-upscale/1",
                                           .request = &w.request,
                                           .request_bytes = sizeof w.request,
                                           .quality = w.request.quality,
                                           .arg = &w,
                                           .open = open_upscaler,
                                           .launch = launch};
    return bp_video_filter_run(&filter, err);
}

BP_STATE_WORKFLOW("video-upscale", struct kernels, kernels_load, kernels_unload, run)
