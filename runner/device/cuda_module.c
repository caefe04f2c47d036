/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels on the GPU: loaded from the cache or compiled by the driver, found by name, launched. */
#include "device/cuda.h"

#include "device/cubin_cache.h"
#include "device/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JIT_LOG_BYTES 160

static void gpu_module_free(const struct bp_device *dev, struct bp_module **module)
{
    if (*module && (*module)->loaded)
        cuda_of(dev)->fn.module_unload((*module)->loaded);
    module_delete(module);
}

/* What the driver says about PTX it refuses: its compiler's first line goes into the error. */
struct jit_log {
    char text[JIT_LOG_BYTES];
    CUjit_option options[2];
    void *values[2];
};

static void jit_log_init(struct jit_log *log)
{
    *log = (struct jit_log){.options = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES}};
    log->values[0] = log->text;
    log->values[1] = (void *)(uintptr_t)(sizeof log->text - 1);
}

static int32_t jit_check(const struct cuda_driver *fn, CUresult result, struct jit_log *log, const char *name,
                         struct bp_err *err)
{
    if (result == CUDA_SUCCESS)
        return BP_OK;
    char what[80];
    struct bp_err plain = {0};
    snprintf(what, sizeof what, "loading the kernels of %.40s", name);
    int32_t rc = cuda_check(fn, result, what, &plain);
    log->text[strcspn(log->text, "\n")] = 0;
    return device_fail(err, rc, "%.150s%s%.90s", plain.text, log->text[0] ? ": " : "", log->text);
}

/* Loads PTX or a cubin. */
static int32_t load_image(const struct cuda_driver *fn, struct bp_module *m, const void *bytes, struct bp_err *err)
{
    struct jit_log log;
    jit_log_init(&log);
    CUmodule loaded = NULL;
    CUresult result = fn->module_load(&loaded, bytes, 2, log.options, log.values);
    m->loaded = result == CUDA_SUCCESS ? loaded : NULL;
    return jit_check(fn, result, &log, m->image->name, err);
}

/* Compiles the PTX to a cubin for this GPU, loads it and keeps it for the next runner. */
static int32_t compile(struct cuda *cuda, struct bp_module *m, const struct cubin_key *key, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda->fn;
    struct jit_log log;
    CUlinkState link = NULL;
    void *cubin = NULL;
    size_t n = 0;
    jit_log_init(&log);
    CUresult result = fn->link_create(2, log.options, log.values, &link);
    if (result == CUDA_SUCCESS)
        result = fn->link_add(link, CU_JIT_INPUT_PTX, (void *)(uintptr_t)m->image->ptx, strlen(m->image->ptx) + 1,
                              m->image->name, 0, NULL, NULL);
    if (result == CUDA_SUCCESS)
        result = fn->link_complete(link, &cubin, &n);
    int32_t rc = jit_check(fn, result, &log, m->image->name, err);
    if (rc == BP_OK)
        rc = load_image(fn, m, cubin, err);
    if (rc == BP_OK) {
        cuda->stats.compiled++;
        cubin_cache_put(cuda->cache, key, cubin, n);
    }
    if (link)
        fn->link_destroy(link); /* the cubin is part of it */
    return rc;
}

/* A cubin the driver does not take, whatever the reason, is forgotten and made anew. */
static int32_t load(const struct bp_device *dev, struct bp_module *m, struct bp_err *err)
{
    struct cuda *cuda = cuda_of(dev);
    struct cubin_key key = {{0}};
    struct bp_err ignored;
    if (!cuda->cache) {
        cuda->stats.compiled++;
        return load_image(&cuda->fn, m, m->image->ptx, err);
    }
    cubin_key_make(&key, dev->major_cc, dev->minor_cc, cuda->driver_version, m->image->ptx);
    void *cubin = cubin_cache_get(cuda->cache, &key);
    int32_t rc = cubin ? load_image(&cuda->fn, m, cubin, &ignored) : BP_NOTFOUND;
    free(cubin);
    if (rc == BP_OK)
        return rc;
    if (cubin)
        cubin_cache_forget(cuda->cache, &key);
    return compile(cuda, m, &key, err);
}

static int32_t find_functions(const struct bp_device *dev, struct bp_module *m, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    for (uint32_t i = 0; i < m->image->n_kernels; i++) {
        struct bp_kernel *k = &m->kernels[i];
        k->twin = m->image->twins[i * BP_CPU_LEVELS];
        char what[80];
        snprintf(what, sizeof what, "finding kernel %.50s", k->twin->name);
        CUfunction function = NULL;
        int32_t rc = cuda_check(fn, fn->module_function(&function, m->loaded, k->twin->name), what, err);
        if (rc != BP_OK)
            return rc;
        k->function = function;
    }
    return BP_OK;
}

static int32_t gpu_module_load(const struct bp_device *dev, const struct bp_kernel_image *image, struct bp_module **out,
                               struct bp_err *err)
{
    struct bp_module *m = *out = module_new(image, err);
    if (!m)
        return BP_NOMEM;
    int32_t rc = load(dev, m, err);
    if (rc == BP_OK)
        rc = find_functions(dev, m, err);
    if (rc == BP_OK)
        cuda_of(dev)->stats.modules++;
    else
        gpu_module_free(dev, out);
    return rc;
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

int32_t cuda_launch(const struct bp_device *dev, CUstream stream, struct bp_kernel *kernel, struct bp_grid grid,
                    const void *args, uint32_t args_bytes, struct bp_err *err)
{
    const struct cuda_driver *fn = &cuda_of(dev)->fn;
    uint32_t blocks[2] = {1, 1};
    int32_t rc = device_check_launch(kernel->twin, grid, args_bytes, err);
    if (rc == BP_OK)
        rc = plan_blocks(kernel->twin, grid, blocks, err);
    if (rc != BP_OK)
        return rc;
    cuda_of(dev)->stats.launches++;
    void *params[] = {&grid, (void *)(uintptr_t)args};
    char what[80];
    snprintf(what, sizeof what, "launching kernel %.50s", kernel->twin->name);
    return cuda_check(
        fn, fn->launch(kernel->function, blocks[0], blocks[1], 1, BP_TILE_THREADS, 1, 1, 0, stream, params, NULL), what,
        err);
}

static int32_t gpu_launch(const struct bp_device *dev, struct bp_kernel *kernel, struct bp_grid grid, const void *args,
                          uint32_t args_bytes, struct bp_err *err)
{
    return cuda_launch(dev, NULL, kernel, grid, args, args_bytes, err);
}

void cuda_module_functions(struct bp_device *dev)
{
    dev->module_load = gpu_module_load;
    dev->module_free = gpu_module_free;
    dev->kernel_get = module_kernel;
    dev->launch = gpu_launch;
}
