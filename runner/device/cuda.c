/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA device: the first GPU, its primary context, the default stream and those of its queues. cuInit comes before
 * everything, and the context is made current once, because a runner uses its device from one thread.
 */
#include "device/cuda.h"

#include "device/cubin_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_SHARE 4 /* of the GPU's memory, at most, is kept for the next buffer */

static const struct cuda_driver *driver(const struct bp_device *dev)
{
    return &cuda_of(dev)->fn;
}

static void release(void *ctx, void *at)
{
    struct cuda *cuda = ctx;
    cuda->fn.mem_free((CUdeviceptr)(uintptr_t)at);
}

/* A new block; when there is no memory left, what was kept is given up for it. */
static int32_t new_block(struct cuda *cuda, uint64_t room, void **out, struct bp_err *err)
{
    char what[80];
    snprintf(what, sizeof what, "allocating %llu MiB of GPU memory", (unsigned long long)(room >> 20));
    CUdeviceptr at = 0;
    int32_t rc = cuda_check(&cuda->fn, cuda->fn.mem_alloc(&at, room), what, err);
    if (rc == BP_NOMEM && buffers_clear(&cuda->buffers) > 0)
        rc = cuda_check(&cuda->fn, cuda->fn.mem_alloc(&at, room), what, err);
    cuda->stats.allocations += rc == BP_OK;
    *out = (void *)(uintptr_t)at;
    return rc;
}

/* A block that is given again may still be read by a queue: clearing it, in the default stream, waits for that. */
static int32_t gpu_alloc(const struct bp_device *dev, uint64_t bytes, struct bp_buffer *out, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    *out = (struct bp_buffer){0};
    uint64_t room = buffers_room(bytes);
    if (bytes == 0 || room == 0)
        return device_fail(err, BP_INVALID, "buffer of %llu bytes", (unsigned long long)bytes);
    void *at = buffers_take(&cuda->buffers, room);
    int32_t rc = at ? BP_OK : new_block(cuda, room, &at, err);
    if (rc != BP_OK)
        return rc;
    rc = cuda_check(&cuda->fn, cuda->fn.mem_set((CUdeviceptr)(uintptr_t)at, 0, bytes), "clearing GPU memory", err);
    if (rc != BP_OK) {
        release(cuda, at);
        return rc;
    }
    buffers_used(&cuda->buffers, room);
    *out = (struct bp_buffer){at, bytes};
    return BP_OK;
}

static void gpu_free(const struct bp_device *dev, struct bp_buffer *buf)
{
    if (buf->at)
        buffers_give(&cuda_of(dev)->buffers, buf->at, buffers_room(buf->bytes));
    *buf = (struct bp_buffer){0};
}

static int32_t gpu_upload(const struct bp_device *dev, const struct bp_buffer *to, uint64_t offset, const void *from,
                          uint64_t n, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    int32_t rc = device_check_span(to, offset, n, "upload", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cuda->stats.uploads++;
    cuda->stats.uploaded_bytes += (int64_t)n;
    return cuda_check(&cuda->fn, cuda->fn.upload(cuda_address(to, offset), from, n), "copying to the GPU", err);
}

static int32_t gpu_download(const struct bp_device *dev, const struct bp_buffer *from, uint64_t offset, void *to,
                            uint64_t n, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    int32_t rc = device_check_span(from, offset, n, "download", err);
    if (rc != BP_OK || n == 0)
        return rc;
    cuda->stats.downloads++;
    cuda->stats.downloaded_bytes += (int64_t)n;
    return cuda_check(&cuda->fn, cuda->fn.download(to, cuda_address(from, offset), n), "copying from the GPU", err);
}

/* All streams of the context: the manual promises of a wait for the default stream no more than its own work. */
static int32_t gpu_sync(const struct bp_device *dev, struct bp_err *err)
{
    return cuda_check(driver(dev), driver(dev)->ctx_sync(), "waiting for the GPU", err);
}

static void gpu_stats(const struct bp_device *dev, struct bp_device_stats *out)
{
    device_copy_stats(&cuda_of(dev)->stats, out);
}

static int32_t find_gpu(struct cuda *cuda, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda->fn;
    int count = 0;
    int32_t rc = cuda_check(fn, fn->init(0), "starting CUDA", err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_count(&count), "counting the GPUs", err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->driver_version(&cuda->driver_version), "asking for the driver's version", err);
    if (rc == BP_OK && count < 1)
        rc = device_fail(err, BP_UNSUPPORTED, "no GPU: the NVIDIA driver is there but finds no device");
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_get(&cuda->gpu, 0), "opening the first GPU", err);
    return rc;
}

static int32_t describe_gpu(struct cuda *cuda, struct bp_device *dev, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda->fn;
    static const char what[] = "reading the GPU's properties";
    int major = 0, minor = 0, cores = 0;
    size_t memory = 0;
    int32_t rc = cuda_check(fn, fn->device_name(dev->name, (int)sizeof dev->name, cuda->gpu), what, err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, cuda->gpu), what,
                        err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, cuda->gpu), what,
                        err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_attribute(&cores, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, cuda->gpu), what,
                        err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_memory(&memory, cuda->gpu), what, err);
    dev->name[sizeof dev->name - 1] = 0;
    dev->major_cc = major;
    dev->minor_cc = minor;
    dev->cores = cores;
    dev->memory = (int64_t)memory;
    return rc;
}

/* Waiting for the GPU must not burn the core that encodes, hence blocking waits. The flag is advice: a context that is
 * active already keeps its own. */
static int32_t enter_context(struct cuda *cuda, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda->fn;
    CUcontext ctx = NULL;
    (void)fn->ctx_flags(cuda->gpu, CU_CTX_SCHED_BLOCKING_SYNC);
    int32_t rc = cuda_check(fn, fn->ctx_retain(&ctx, cuda->gpu), "creating the GPU's primary context", err);
    if (rc != BP_OK)
        return rc;
    rc = cuda_check(fn, fn->ctx_set(ctx), "entering the GPU's primary context", err);
    if (rc != BP_OK)
        fn->ctx_release(cuda->gpu);
    return rc;
}

int32_t cuda_open(struct bp_device *dev, struct bp_err *err)
{
    struct cuda *cuda = calloc(1, sizeof *cuda);
    if (!cuda)
        return device_fail(err, BP_NOMEM, "no memory to open the GPU");
    *dev = (struct bp_device){.kind = BP_DEVICE_CUDA,
                              .ctx = cuda,
                              .alloc = gpu_alloc,
                              .free = gpu_free,
                              .upload = gpu_upload,
                              .download = gpu_download,
                              .sync = gpu_sync,
                              .stats = gpu_stats};
    cuda_module_functions(dev);
    cuda_queue_functions(dev);
    int32_t rc = cuda_driver_open(&cuda->fn, err);
    if (rc == BP_OK)
        rc = find_gpu(cuda, err);
    if (rc == BP_OK)
        rc = describe_gpu(cuda, dev, err);
    if (rc == BP_OK)
        rc = enter_context(cuda, err);
    cuda->buffers = (struct buffers){
        .limit_bytes = dev->memory / KEPT_SHARE, .release = release, .ctx = cuda, .stats = &cuda->stats};
    if (rc != BP_OK) {
        free(cuda);
        dev->ctx = NULL;
    }
    return rc;
}

void cuda_close(struct bp_device *dev)
{
    struct cuda *cuda = dev->ctx;
    buffers_clear(&cuda->buffers);
    cubin_cache_close(&cuda->cache);
    cuda->fn.ctx_set(NULL);
    cuda->fn.ctx_release(cuda->gpu);
    free(cuda);
    dev->ctx = NULL;
}

int32_t cuda_cache_modules(struct bp_device *dev, const char *dir, int64_t limit_bytes, struct bp_err *err)
{
    struct cuda *cuda = dev->ctx;
    cubin_cache_close(&cuda->cache);
    return cubin_cache_open(dir, limit_bytes, &cuda->cache, err);
}

int32_t cuda_pci_id(const struct bp_device *dev, char *out, size_t n)
{
    const struct cuda *cuda = dev->ctx;
    out[0] = 0;
    return cuda->fn.device_pci_id(out, (int)n, cuda->gpu) == CUDA_SUCCESS ? BP_OK : BP_IO;
}
