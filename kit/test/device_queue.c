/* SPDX-License-Identifier: Apache-2.0 */
/* The account of queues, events and page-locked memory. */
#include "test.h"

static int32_t counted_host_alloc(const struct bp_device *dev, uint64_t bytes, void **out, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    *out = NULL;
    int32_t rc = test_device_fails(t, BP_NOMEM, "host_alloc", err);
    if (rc == BP_OK)
        rc = t->real->host_alloc(t->real, bytes, out, err);
    t->host_blocks += rc == BP_OK;
    return rc;
}

static void counted_host_free(const struct bp_device *dev, void **memory)
{
    struct bp_test *t = test_of_device(dev);
    t->host_blocks -= *memory != NULL;
    t->real->host_free(t->real, memory);
}

static int32_t counted_queue_open(const struct bp_device *dev, struct bp_queue **out, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    *out = NULL;
    int32_t rc = test_device_fails(t, BP_NOMEM, "queue_open", err);
    if (rc == BP_OK)
        rc = t->real->queue_open(t->real, out, err);
    t->queues += rc == BP_OK;
    return rc;
}

static void counted_queue_close(const struct bp_device *dev, struct bp_queue **queue)
{
    struct bp_test *t = test_of_device(dev);
    t->queues -= *queue != NULL;
    t->real->queue_close(t->real, queue);
}

static int32_t counted_event_open(const struct bp_device *dev, struct bp_event **out, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    *out = NULL;
    int32_t rc = test_device_fails(t, BP_NOMEM, "event_open", err);
    if (rc == BP_OK)
        rc = t->real->event_open(t->real, out, err);
    t->events_open += rc == BP_OK;
    return rc;
}

static void counted_event_close(const struct bp_device *dev, struct bp_event **event)
{
    struct bp_test *t = test_of_device(dev);
    t->events_open -= *event != NULL;
    t->real->event_close(t->real, event);
}

static int32_t counted_upload_on(const struct bp_device *dev, struct bp_queue *queue, const struct bp_buffer *to,
                                 uint64_t offset, const void *from, uint64_t n, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "upload_on", err);
    return rc ? rc : t->real->upload_on(t->real, queue, to, offset, from, n, err);
}

static int32_t counted_download_on(const struct bp_device *dev, struct bp_queue *queue, const struct bp_buffer *from,
                                   uint64_t offset, void *to, uint64_t n, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "download_on", err);
    return rc ? rc : t->real->download_on(t->real, queue, from, offset, to, n, err);
}

static int32_t counted_launch_on(const struct bp_device *dev, struct bp_queue *queue, struct bp_kernel *kernel,
                                 struct bp_grid grid, const void *args, uint32_t args_bytes, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "launch_on", err);
    return rc ? rc : t->real->launch_on(t->real, queue, kernel, grid, args, args_bytes, err);
}

static int32_t counted_event_record(const struct bp_device *dev, struct bp_event *event, struct bp_queue *queue,
                                    struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "event_record", err);
    return rc ? rc : t->real->event_record(t->real, event, queue, err);
}

static int32_t counted_queue_wait(const struct bp_device *dev, struct bp_queue *queue, struct bp_event *event,
                                  struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "queue_wait", err);
    return rc ? rc : t->real->queue_wait(t->real, queue, event, err);
}

static int32_t counted_event_wait(const struct bp_device *dev, struct bp_event *event, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "event_wait", err);
    return rc ? rc : t->real->event_wait(t->real, event, err);
}

void test_device_queues(struct bp_test *t)
{
    struct bp_device *d = &t->counted;
    d->host_alloc = counted_host_alloc;
    d->host_free = counted_host_free;
    d->queue_open = counted_queue_open;
    d->queue_close = counted_queue_close;
    d->upload_on = counted_upload_on;
    d->download_on = counted_download_on;
    d->launch_on = counted_launch_on;
    d->event_open = counted_event_open;
    d->event_close = counted_event_close;
    d->event_record = counted_event_record;
    d->queue_wait = counted_queue_wait;
    d->event_wait = counted_event_wait;
}
