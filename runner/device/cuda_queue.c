/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of the GPU are streams that the default stream waits for and that wait for it, events are events. Waits for
 * them sleep, so that they cost no core.
 */
#include "device/cuda.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_BLOCKING 0

struct bp_queue {
    CUstream stream;
};

struct bp_event {
    CUevent event;
};

static int32_t host_alloc(const struct bp_device *dev, uint64_t bytes, void **out, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    *out = NULL;
    if (bytes == 0)
        return device_fail(err, BP_INVALID, "host memory of 0 bytes");
    int32_t rc = cuda_check(&cuda->fn, cuda->fn.mem_alloc_host(out, bytes), "locking host memory for the GPU", err);
    if (rc != BP_OK) {
        *out = NULL;
        return rc;
    }
    cuda->stats.host_allocations++;
    memset(*out, 0, bytes);
    return BP_OK;
}

/* The driver frees it only when nothing uses it any more. */
static void host_free(const struct bp_device *dev, void **memory)
{
    if (*memory)
        cuda_of(dev)->fn.mem_free_host(*memory);
    *memory = NULL;
}

static int32_t queue_open(const struct bp_device *dev, struct bp_queue **out, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    struct bp_queue *q = calloc(1, sizeof *q);
    *out = NULL;
    if (!q)
        return device_fail(err, BP_NOMEM, "no memory for a queue of the GPU");
    int32_t rc = cuda_check(fn, fn->stream_create(&q->stream, STREAM_BLOCKING), "opening a queue of the GPU", err);
    if (rc == BP_OK)
        *out = q;
    else
        free(q);
    return rc;
}

static void queue_close(const struct bp_device *dev, struct bp_queue **queue)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    if (!*queue)
        return;
    fn->stream_sync((*queue)->stream);
    fn->stream_destroy((*queue)->stream);
    free(*queue);
    *queue = NULL;
}

static int32_t upload_on(const struct bp_device *dev, struct bp_queue *q, const struct bp_buffer *to, uint64_t offset,
                         const void *from, uint64_t n, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    int32_t rc = device_check_span(to, offset, n, "upload", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cuda->stats.uploads++;
    cuda->stats.uploaded_bytes += (int64_t)n;
    return cuda_check(&cuda->fn, cuda->fn.upload_async(cuda_address(to, offset), from, n, q->stream),
                      "copying to the GPU", err);
}

static int32_t download_on(const struct bp_device *dev, struct bp_queue *q, const struct bp_buffer *from,
                           uint64_t offset, void *to, uint64_t n, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    int32_t rc = device_check_span(from, offset, n, "download", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cuda->stats.downloads++;
    cuda->stats.downloaded_bytes += (int64_t)n;
    return cuda_check(&cuda->fn, cuda->fn.download_async(to, cuda_address(from, offset), n, q->stream),
                      "copying from the GPU", err);
}

static int32_t launch_on(const struct bp_device *dev, struct bp_queue *q, struct bp_kernel *kernel, struct bp_grid grid,
                         const void *args, uint32_t args_bytes, struct bp_err *err)
{
    return cuda_launch(dev, q->stream, kernel, grid, args, args_bytes, err);
}

static int32_t event_open(const struct bp_device *dev, struct bp_event **out, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    struct bp_event *e = calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return device_fail(err, BP_NOMEM, "no memory for an event");
    int32_t rc = cuda_check(fn, fn->event_create(&e->event, CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING),
                            "making an event of the GPU", err);
    if (rc == BP_OK)
        *out = e;
    else
        free(e);
    return rc;
}

static void event_close(const struct bp_device *dev, struct bp_event **event)
{
    if (!*event)
        return;
    cuda_of(dev)->fn.event_destroy((*event)->event);
    free(*event);
    *event = NULL;
}

static int32_t event_record(const struct bp_device *dev, struct bp_event *e, struct bp_queue *q, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    return cuda_check(fn, fn->event_record(e->event, q->stream), "marking a moment of the GPU's work", err);
}

static int32_t queue_wait(const struct bp_device *dev, struct bp_queue *q, struct bp_event *e, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    return cuda_check(fn, fn->stream_wait(q->stream, e->event, 0), "making the GPU's work wait", err);
}

static int32_t event_wait(const struct bp_device *dev, struct bp_event *e, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    return cuda_check(fn, fn->event_sync(e->event), "waiting for the GPU", err);
}

void cuda_queue_functions(struct bp_device *dev)
{
    dev->host_alloc = host_alloc;
    dev->host_free = host_free;
    dev->queue_open = queue_open;
    dev->queue_close = queue_close;
    dev->upload_on = upload_on;
    dev->download_on = download_on;
    dev->launch_on = launch_on;
    dev->event_open = event_open;
    dev->event_close = event_close;
    dev->event_record = event_record;
    dev->queue_wait = queue_wait;
    dev->event_wait = event_wait;
}
