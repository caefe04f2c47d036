/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA device: the first GPU, its primary context, the default stream. cuInit comes before everything, and the
 * context is made current once, because a runner uses its device from one thread.
 */
#include "device/cuda_driver.h"
#include "device/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JIT_LOG_BYTES 160

struct cuda {
    struct cuda_driver fn;
    CUdevice gpu;
};

struct bp_kernel {
    CUfunction function;
    const struct bp_kernel_twin *twin; /* name, kind and size of the arguments */
};

struct bp_module {
    CUmodule loaded;
    const struct bp_kernel_image *image;
    struct bp_kernel *kernels;
};

static const struct cuda_driver *driver(const struct bp_device *dev)
{
    const struct cuda *cuda = dev->ctx;
    return &cuda->fn;
}

static CUdeviceptr address(const struct bp_buffer *buf, uint64_t offset)
{
    return (CUdeviceptr)(uintptr_t)buf->at + offset;
}

static int32_t gpu_alloc(const struct bp_device *dev, uint64_t bytes, struct bp_buffer *out, struct bp_err *err)
{
    const struct cuda_driver *fn = driver(dev);
    *out = (struct bp_buffer){0};
    if (bytes == 0)
        return device_fail(err, BP_INVALID, "buffer of 0 bytes");
    char what[80];
    snprintf(what, sizeof what, "allocating %llu MiB of GPU memory", (unsigned long long)(bytes >> 20));
    CUdeviceptr at = 0;
    int32_t rc = cuda_check(fn, fn->mem_alloc(&at, bytes), what, err);
    if (rc != BP_OK)
        return rc;
    rc = cuda_check(fn, fn->mem_set(at, 0, bytes), "clearing GPU memory", err);
    if (rc != BP_OK) {
        fn->mem_free(at);
        return rc;
    }
    *out = (struct bp_buffer){(void *)(uintptr_t)at, bytes};
    return BP_OK;
}

static void gpu_free(const struct bp_device *dev, struct bp_buffer *buf)
{
    if (buf->at)
        driver(dev)->mem_free(address(buf, 0));
    *buf = (struct bp_buffer){0};
}

static int32_t gpu_upload(const struct bp_device *dev, const struct bp_buffer *to, uint64_t offset, const void *from,
                          uint64_t n, struct bp_err *err)
{
    const struct cuda_driver *fn = driver(dev);
    int32_t rc = device_check_span(to, offset, n, "upload", err);
    if (rc != BP_OK || n == 0)
        return rc;
    return cuda_check(fn, fn->upload(address(to, offset), from, n), "copying to the GPU", err);
}

static int32_t gpu_download(const struct bp_device *dev, const struct bp_buffer *from, uint64_t offset, void *to,
                            uint64_t n, struct bp_err *err)
{
    const struct cuda_driver *fn = driver(dev);
    int32_t rc = device_check_span(from, offset, n, "download", err);
    if (rc != BP_OK || n == 0)
        return rc;
    return cuda_check(fn, fn->download(to, address(from, offset), n), "copying from the GPU", err);
}

static void gpu_module_free(const struct bp_device *dev, struct bp_module **module)
{
    struct bp_module *m = *module;
    if (!m)
        return;
    if (m->loaded)
        driver(dev)->module_unload(m->loaded);
    free(m->kernels);
    free(m);
    *module = NULL;
}

/* The driver compiles the PTX for its GPU here; what it says about bad PTX goes into the error. */
static int32_t load_ptx(const struct bp_device *dev, struct bp_module *m, struct bp_err *err)
{
    const struct cuda_driver *fn = driver(dev);
    char log[JIT_LOG_BYTES] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)(sizeof log - 1)};
    char what[80];
    snprintf(what, sizeof what, "loading the kernels of %.40s", m->image->name);
    CUresult result = fn->module_load(&m->loaded, m->image->ptx, 2, options, values);
    if (result == CUDA_SUCCESS)
        return BP_OK;
    m->loaded = NULL;
    struct bp_err plain = {0};
    int32_t rc = cuda_check(fn, result, what, &plain);
    log[strcspn(log, "\n")] = 0;
    return device_fail(err, rc, "%.150s%s%.90s", plain.text, log[0] ? ": " : "", log);
}

static int32_t find_functions(const struct bp_device *dev, struct bp_module *m, struct bp_err *err)
{
    const struct cuda_driver *fn = driver(dev);
    for (uint32_t i = 0; i < m->image->n_kernels; i++) {
        struct bp_kernel *k = &m->kernels[i];
        k->twin = m->image->twins[i * BP_CPU_LEVELS];
        char what[80];
        snprintf(what, sizeof what, "finding kernel %.50s", k->twin->name);
        int32_t rc = cuda_check(fn, fn->module_function(&k->function, m->loaded, k->twin->name), what, err);
        if (rc != BP_OK)
            return rc;
    }
    return BP_OK;
}

static int32_t gpu_module_load(const struct bp_device *dev, const struct bp_kernel_image *image, struct bp_module **out,
                               struct bp_err *err)
{
    *out = NULL;
    struct bp_module *m = calloc(1, sizeof *m);
    if (m)
        m->kernels = calloc(image->n_kernels, sizeof m->kernels[0]);
    if (!m || !m->kernels) {
        free(m);
        return device_fail(err, BP_NOMEM, "no memory to load the kernels of %s", image->name);
    }
    m->image = image;
    int32_t rc = load_ptx(dev, m, err);
    if (rc == BP_OK)
        rc = find_functions(dev, m, err);
    if (rc != BP_OK) {
        gpu_module_free(dev, &m);
        return rc;
    }
    *out = m;
    return BP_OK;
}

static int32_t gpu_kernel_get(const struct bp_device *dev, struct bp_module *module, const char *name,
                              struct bp_kernel **out, struct bp_err *err)
{
    (void)dev;
    *out = NULL;
    int32_t i = device_find_kernel(module->image, name);
    if (i < 0)
        return device_fail(err, BP_NOTFOUND, "%s has no kernel \"%.80s\"", module->image->name, name);
    *out = &module->kernels[i];
    return BP_OK;
}

/* Blocks of a launch: one per tile, or rows of BP_TILE_THREADS pixels. A grid has at most 65,535 blocks upward; a pixel
 * kernel goes on from there by itself, a tile kernel cannot. */
static int32_t plan_blocks(const struct bp_kernel_twin *twin, struct bp_grid grid, uint32_t blocks[2],
                           struct bp_err *err)
{
    uint32_t nx = (uint32_t)grid.nx, ny = (uint32_t)grid.ny;
    if (twin->kind == BP_KERNEL_TILES && ny > 65535)
        return device_fail(err, BP_INVALID, "launch of kernel %s over %u rows of tiles, a GPU takes 65535", twin->name,
                           ny);
    blocks[0] = twin->kind == BP_KERNEL_TILES ? nx : (nx + BP_TILE_THREADS - 1) / BP_TILE_THREADS;
    blocks[1] = ny < 65535 ? ny : 65535;
    return BP_OK;
}

static int32_t gpu_launch(const struct bp_device *dev, struct bp_kernel *kernel, struct bp_grid grid, const void *args,
                          uint32_t args_bytes, struct bp_err *err)
{
    const struct cuda_driver *fn = driver(dev);
    uint32_t blocks[2] = {1, 1};
    int32_t rc = device_check_launch(kernel->twin, grid, args_bytes, err);
    if (rc == BP_OK)
        rc = plan_blocks(kernel->twin, grid, blocks, err);
    if (rc != BP_OK)
        return rc;
    void *params[] = {&grid, (void *)(uintptr_t)args};
    char what[80];
    snprintf(what, sizeof what, "launching kernel %.50s", kernel->twin->name);
    return cuda_check(
        fn, fn->launch(kernel->function, blocks[0], blocks[1], 1, BP_TILE_THREADS, 1, 1, 0, NULL, params, NULL), what,
        err);
}

static int32_t gpu_sync(const struct bp_device *dev, struct bp_err *err)
{
    return cuda_check(driver(dev), driver(dev)->stream_sync(NULL), "waiting for the GPU", err);
}

static int32_t find_gpu(struct cuda *cuda, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda->fn;
    int count = 0;
    int32_t rc = cuda_check(fn, fn->init(0), "starting CUDA", err);
    if (rc == BP_OK)
        rc = cuda_check(fn, fn->device_count(&count), "counting the GPUs", err);
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
                              .module_load = gpu_module_load,
                              .module_free = gpu_module_free,
                              .kernel_get = gpu_kernel_get,
                              .launch = gpu_launch,
                              .sync = gpu_sync};
    int32_t rc = cuda_driver_open(&cuda->fn, err);
    if (rc == BP_OK)
        rc = find_gpu(cuda, err);
    if (rc == BP_OK)
        rc = describe_gpu(cuda, dev, err);
    if (rc == BP_OK)
        rc = enter_context(cuda, err);
    if (rc != BP_OK) {
        free(cuda);
        dev->ctx = NULL;
    }
    return rc;
}

void cuda_close(struct bp_device *dev)
{
    struct cuda *cuda = dev->ctx;
    cuda->fn.ctx_set(NULL);
    cuda->fn.ctx_release(cuda->gpu);
    free(cuda);
    dev->ctx = NULL;
}
