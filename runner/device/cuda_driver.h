/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuda_driver.h - the functions of libcuda.so.1 we call, found at run time so that bp-runner starts without a GPU.
 *
 * Types come from ffnvcodec's dynlink_cuda.h; the few functions it does not know are typed here after the CUDA
 * driver API manual. The library is never closed: it keeps threads of its own.
 */
#ifndef RUNNER_DEVICE_CUDA_DRIVER_H
#define RUNNER_DEVICE_CUDA_DRIVER_H

#include <bp/plugin.h>
#include <ffnvcodec/dynlink_cuda.h>

typedef CUresult CUDAAPI cuda_total_mem_fn(size_t *bytes, CUdevice dev);
typedef CUresult CUDAAPI cuda_ctx_set_current_fn(CUcontext ctx);
typedef CUresult CUDAAPI cuda_ctx_sync_fn(void);
typedef CUresult CUDAAPI cuda_module_load_fn(CUmodule *module, const void *image, unsigned int n, CUjit_option *options,
                                             void **values);
typedef CUresult CUDAAPI cuda_driver_version_fn(int *version);
typedef CUresult CUDAAPI cuda_mem_alloc_host_fn(void **at, size_t bytes);
typedef CUresult CUDAAPI cuda_mem_free_host_fn(void *at);
typedef CUresult CUDAAPI cuda_stream_wait_fn(CUstream stream, CUevent event, unsigned int flags);
typedef CUresult CUDAAPI cuda_pci_id_fn(char *id, int n, CUdevice dev);
typedef CUresult CUDAAPI cuda_memset_fn(CUdeviceptr to, unsigned char value, size_t n);

/* X(member, type, name, older name or NULL). Every row is required. */
#define CUDA_FUNCTIONS(X)                                                                                              \
    X(init, tcuInit, "cuInit", NULL)                                                                                   \
    X(device_count, tcuDeviceGetCount, "cuDeviceGetCount", NULL)                                                       \
    X(device_get, tcuDeviceGet, "cuDeviceGet", NULL)                                                                   \
    X(device_name, tcuDeviceGetName, "cuDeviceGetName", NULL)                                                          \
    X(driver_version, cuda_driver_version_fn, "cuDriverGetVersion", NULL)                                              \
    X(device_attribute, tcuDeviceGetAttribute, "cuDeviceGetAttribute", NULL)                                           \
    X(device_pci_id, cuda_pci_id_fn, "cuDeviceGetPCIBusId", NULL)                                                      \
    X(device_memory, cuda_total_mem_fn, "cuDeviceTotalMem_v2", NULL)                                                   \
    X(ctx_retain, tcuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", NULL)                                         \
    X(ctx_release, tcuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", "cuDevicePrimaryCtxRelease")            \
    X(ctx_flags, tcuDevicePrimaryCtxSetFlags, "cuDevicePrimaryCtxSetFlags_v2", "cuDevicePrimaryCtxSetFlags")           \
    X(ctx_set, cuda_ctx_set_current_fn, "cuCtxSetCurrent", NULL)                                                       \
    X(ctx_sync, cuda_ctx_sync_fn, "cuCtxSynchronize", NULL)                                                            \
    X(mem_alloc, tcuMemAlloc_v2, "cuMemAlloc_v2", NULL)                                                                \
    X(mem_free, tcuMemFree_v2, "cuMemFree_v2", NULL)                                                                   \
    X(mem_set, cuda_memset_fn, "cuMemsetD8_v2", NULL)                                                                  \
    X(mem_alloc_host, cuda_mem_alloc_host_fn, "cuMemAllocHost_v2", "cuMemAllocHost")                                   \
    X(mem_free_host, cuda_mem_free_host_fn, "cuMemFreeHost", NULL)                                                     \
    X(upload, tcuMemcpyHtoD_v2, "cuMemcpyHtoD_v2", NULL)                                                               \
    X(download, tcuMemcpyDtoH_v2, "cuMemcpyDtoH_v2", NULL)                                                             \
    X(upload_async, tcuMemcpyHtoDAsync_v2, "cuMemcpyHtoDAsync_v2", NULL)                                               \
    X(download_async, tcuMemcpyDtoHAsync_v2, "cuMemcpyDtoHAsync_v2", NULL)                                             \
    X(link_create, tcuLinkCreate, "cuLinkCreate_v2", "cuLinkCreate")                                                   \
    X(link_add, tcuLinkAddData, "cuLinkAddData_v2", "cuLinkAddData")                                                   \
    X(link_complete, tcuLinkComplete, "cuLinkComplete", NULL)                                                          \
    X(link_destroy, tcuLinkDestroy, "cuLinkDestroy", NULL)                                                             \
    X(module_load, cuda_module_load_fn, "cuModuleLoadDataEx", NULL)                                                    \
    X(module_unload, tcuModuleUnload, "cuModuleUnload", NULL)                                                          \
    X(module_function, tcuModuleGetFunction, "cuModuleGetFunction", NULL)                                              \
    X(launch, tcuLaunchKernel, "cuLaunchKernel", NULL)                                                                 \
    X(stream_create, tcuStreamCreate, "cuStreamCreate", NULL)                                                          \
    X(stream_destroy, tcuStreamDestroy_v2, "cuStreamDestroy_v2", "cuStreamDestroy")                                    \
    X(stream_wait, cuda_stream_wait_fn, "cuStreamWaitEvent", NULL)                                                     \
    X(event_create, tcuEventCreate, "cuEventCreate", NULL)                                                             \
    X(event_destroy, tcuEventDestroy_v2, "cuEventDestroy_v2", "cuEventDestroy")                                        \
    X(event_record, tcuEventRecord, "cuEventRecord", NULL)                                                             \
    X(event_sync, tcuEventSynchronize, "cuEventSynchronize", NULL)                                                     \
    X(stream_sync, tcuStreamSynchronize, "cuStreamSynchronize", NULL)                                                  \
    X(error_name, tcuGetErrorName, "cuGetErrorName", NULL)                                                             \
    X(error_text, tcuGetErrorString, "cuGetErrorString", NULL)

struct cuda_driver {
#define CUDA_MEMBER(member, type, name, older) type *member;
    CUDA_FUNCTIONS(CUDA_MEMBER)
#undef CUDA_MEMBER
};

/* Finds libcuda.so.1 and all functions. BP_UNSUPPORTED: no driver here, or one too old. Borrowed for ever. */
int32_t cuda_driver_open(struct cuda_driver *out, struct bp_err *err);
/* BP_OK for CUDA_SUCCESS; else the sentence "<attempted> failed: CUDA_ERROR_... (words)" and the rc it means:
 * BP_NOMEM, BP_UNSUPPORTED (no device), BP_INVALID (PTX), BP_IO. */
int32_t cuda_check(const struct cuda_driver *cuda, CUresult result, const char *attempted, struct bp_err *err);

#endif
