/* SPDX-License-Identifier: Apache-2.0 */
/* A workflow that does what its param "mode" says, right and wrong. */
#include <bp/filter.h>

#include "kit_probe.kernel.h"
#include "kit_probe_args.h"

static int32_t run_scaled(struct bp_filter *f, const char *kernel, float scale, struct bp_err *err)
{
    struct kit_probe_args args = {f->from, f->to, scale};
    return bp_filter_run(f, kernel, &args, err);
}

/* The copy in a queue of its own, with all that came after ABI 1.0; leaves `left` of its things behind. */
static int32_t run_queued(struct bp_filter *f, int32_t left, struct bp_err *err)
{
    const struct bp_device *dev = f->kernels->dev;
    struct bp_queue *queue = NULL;
    struct bp_event *event = NULL;
    void *memory = NULL;
    struct kit_probe_args args = {f->from, f->to, 1};
    int32_t rc = dev->queue_open(dev, &queue, err);
    rc = rc ? rc : dev->event_open(dev, &event, err);
    rc = rc ? rc : dev->host_alloc(dev, 4, &memory, err);
    rc = rc ? rc : dev->upload_on(dev, queue, &f->to_buffer, 0, memory, 4, err);
    rc = rc ? rc : bp_launch2d_on(dev, queue, f->kernels->kernels[0], f->to.width, f->to.height, &args, err);
    rc = rc ? rc : dev->download_on(dev, queue, &f->to_buffer, 0, memory, 4, err);
    rc = rc ? rc : dev->event_record(dev, event, queue, err);
    rc = rc ? rc : dev->queue_wait(dev, queue, event, err);
    rc = rc ? rc : dev->event_wait(dev, event, err);
    if (left)
        return rc;
    dev->queue_close(dev, &queue);
    dev->event_close(dev, &event);
    dev->host_free(dev, &memory);
    return rc;
}

static int32_t pass(struct bp_filter *f, struct bp_err *err)
{
    char mode[32];
    struct bp_buffer lost;
    bp_param_s(f->job, "mode", mode, sizeof mode);
    if (strcmp(mode, "unknown") == 0)
        return run_scaled(f, "no_such_kernel", 1, err);
    if (strcmp(mode, "empty") == 0)
        return bp_filter_resize(f, 0, 5, err);
    if (strcmp(mode, "huge") == 0)
        return bp_filter_resize(f, 200000, 200000, err);
    if (strcmp(mode, "fill") == 0)
        return run_scaled(f, "kit_probe_fill", 127.6f, err);
    if (strcmp(mode, "queue") == 0 || strcmp(mode, "queue-left") == 0)
        return run_queued(f, mode[5] != 0, err);
    if (strcmp(mode, "leak") == 0)
        return f->kernels->dev->alloc(f->kernels->dev, 64, &lost, err);
    if (strcmp(mode, "double") == 0) {
        int32_t rc = bp_filter_resize(f, f->from.width * 2, f->from.height * 2, err);
        return rc ? rc : run_scaled(f, "kit_probe_copy", 0.5f, err);
    }
    bp_job_log(f->job, BP_LOG_INFO, "%s of %s in %s", f->job->settings, f->job->slug, f->job->settings_dir);
    return run_scaled(f, "kit_probe_copy", 1, err);
}

BP_IMAGE_FILTER("kit-probe", kit_probe_kernels, pass)
