/* SPDX-License-Identifier: Apache-2.0 */
/* The workflow: each frame of a video painted, the rest as bp/video_filter.h does it. */
#include "request.h"
#include "stylizer.h"

/* One job while it runs. */
struct work {
    const struct kernels *kernels;
    struct request request;
    struct stylizer stylizer;
};

static int32_t open_stylizer(void *arg, const struct bp_video_info *info, const struct bp_video_planes *in,
                             struct bp_video_planes *out, struct bp_err *err)
{
    struct work *w = arg;
    const struct style style = {w->request.strength, w->request.brush_size, w->request.stability};
    (void)info;
    return stylizer_init(&w->stylizer, w->kernels, in, out, &style, err);
}

static int32_t launch(void *arg, const struct bp_pipeline_slot *slot, struct bp_err *err)
{
    struct work *w = arg;
    return stylizer_launch(&w->stylizer, &slot->device_in, &slot->device_out, slot->queue, err);
}

static int32_t run(void *state, const struct bp_job *job, struct bp_err *err)
{
    struct work w = {.kernels = state};
    int32_t rc = request_read(job, &w.request, err);
    if (rc != BP_OK)
        return rc;
    struct bp_video_filter filter = {.job = job,
                                     .dev = w.kernels->dev,
                                     .drawing = "video-stylize/1",
                                     .request = &w.request,
                                     .request_bytes = sizeof w.request,
                                     .quality = (int32_t)w.request.quality,
                                     .warmup = stylizer_memory(w.request.stability),
                                     .arg = &w,
                                     .open = open_stylizer,
                                     .launch = launch};
    rc = bp_video_filter_run(&filter, err);
    stylizer_free(&w.stylizer);
    return rc;
}

BP_STATE_WORKFLOW("video-stylize", struct kernels, kernels_load, kernels_unload, run)
