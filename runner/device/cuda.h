/* SPDX-License-Identifier: Apache-2.0 */
/* cuda.h - the CUDA device, for its files: cuda.c (the GPU, memory), cuda_module.c (kernels), cuda_queue.c. */
#ifndef RUNNER_DEVICE_CUDA_H
#define RUNNER_DEVICE_CUDA_H

#include "device/buffers.h"
#include "device/cuda_driver.h"
#include "device/internal.h"

struct cubin_cache;

struct cuda {
    struct cuda_driver fn;
    CUdevice gpu;
    int driver_version;        /* of cuDriverGetVersion: 12020 is CUDA 12.2 */
    struct cubin_cache *cache; /* NULL: modules are not kept */
    struct buffers buffers;
    struct bp_device_stats stats;
};

static inline struct cuda *cuda_of(const struct bp_device *dev)
{
    return dev->ctx;
}

static inline CUdeviceptr cuda_address(const struct bp_buffer *buf, uint64_t offset)
{
    return (CUdeviceptr)(uintptr_t)buf->at + offset;
}

/* Launches in a stream, NULL: the default one. */
int32_t cuda_launch(const struct bp_device *dev, CUstream stream, struct bp_kernel *kernel, struct bp_grid grid,
                    const void *args, uint32_t args_bytes, struct bp_err *err);
/* Set the functions of modules and kernels, of queues and events in the table. */
void cuda_module_functions(struct bp_device *dev);
void cuda_queue_functions(struct bp_device *dev);

#endif
