/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device of a plugin under test: the runner's own, with an account in front of it. Functions that are not named
 * here go straight to the real one, which finds what it needs in the table it is given: the table is a copy of its own.
 */
#include "device/device.h"

#include "test.h"

#include <stdlib.h>

struct bp_test *test_of_device(const struct bp_device *dev)
{
    return (struct bp_test *)(void *)((char *)(uintptr_t)dev - offsetof(struct bp_test, counted));
}

int32_t test_device_fails(struct bp_test *t, int32_t rc, const char *what, struct bp_err *err)
{
    return test_fails_now(t) ? bp_error(err, rc, "%s failed because the test asked for it", what) : BP_OK;
}

static int32_t counted_alloc(const struct bp_device *dev, uint64_t bytes, struct bp_buffer *out, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    *out = (struct bp_buffer){0};
    int32_t rc = test_device_fails(t, BP_NOMEM, "alloc", err);
    if (rc == BP_OK)
        rc = t->real->alloc(t->real, bytes, out, err);
    t->buffers += rc == BP_OK;
    return rc;
}

static void counted_free(const struct bp_device *dev, struct bp_buffer *buf)
{
    struct bp_test *t = test_of_device(dev);
    t->buffers -= buf->at != NULL;
    t->real->free(t->real, buf);
}

static int32_t counted_upload(const struct bp_device *dev, const struct bp_buffer *to, uint64_t offset,
                              const void *from, uint64_t n, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "upload", err);
    return rc ? rc : t->real->upload(t->real, to, offset, from, n, err);
}

static int32_t counted_download(const struct bp_device *dev, const struct bp_buffer *from, uint64_t offset, void *to,
                                uint64_t n, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "download", err);
    return rc ? rc : t->real->download(t->real, from, offset, to, n, err);
}

static int32_t counted_module_load(const struct bp_device *dev, const struct bp_kernel_image *image,
                                   struct bp_module **out, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    *out = NULL;
    int32_t rc = test_device_fails(t, BP_NOMEM, "module_load", err);
    if (rc == BP_OK)
        rc = t->real->module_load(t->real, image, out, err);
    t->modules += rc == BP_OK;
    return rc;
}

static void counted_module_free(const struct bp_device *dev, struct bp_module **module)
{
    struct bp_test *t = test_of_device(dev);
    t->modules -= *module != NULL;
    t->real->module_free(t->real, module);
}

static int32_t counted_kernel_get(const struct bp_device *dev, struct bp_module *module, const char *name,
                                  struct bp_kernel **out, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    *out = NULL;
    int32_t rc = test_device_fails(t, BP_IO, "kernel_get", err);
    return rc ? rc : t->real->kernel_get(t->real, module, name, out, err);
}

static int32_t counted_launch(const struct bp_device *dev, struct bp_kernel *kernel, struct bp_grid grid,
                              const void *args, uint32_t args_bytes, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "launch", err);
    return rc ? rc : t->real->launch(t->real, kernel, grid, args, args_bytes, err);
}

static int32_t counted_sync(const struct bp_device *dev, struct bp_err *err)
{
    struct bp_test *t = test_of_device(dev);
    int32_t rc = test_device_fails(t, BP_IO, "sync", err);
    return rc ? rc : t->real->sync(t->real, err);
}

int32_t test_device_open(struct bp_test *t, struct bp_err *err)
{
    const char *which = getenv("BP_TEST_DEVICE");
    int32_t rc = device_open(which ? which : "cpu", &t->real, err);
    if (rc != BP_OK)
        return rc;
    t->counted = *t->real;
    t->counted.alloc = counted_alloc;
    t->counted.free = counted_free;
    t->counted.upload = counted_upload;
    t->counted.download = counted_download;
    t->counted.module_load = counted_module_load;
    t->counted.module_free = counted_module_free;
    t->counted.kernel_get = counted_kernel_get;
    t->counted.launch = counted_launch;
    t->counted.sync = counted_sync;
    if (BP_HAS(t->real, stats))
        test_device_queues(t);
    return BP_OK;
}

void test_device_close(struct bp_test *t)
{
    device_close(&t->real);
}
