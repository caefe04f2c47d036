/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for NVIDIA's driver library, found through LD_LIBRARY_PATH. It checks the order of calls as the driver
 * does (cuInit first, a context before memory), keeps "device" memory in malloc, and runs no kernel. Environment:
 *
 *   FAKECUDA_FAIL=function=result   that function returns that CUresult
 *   FAKECUDA_DEVICES=n              number of GPUs, 1 without it
 *   FAKECUDA_LOG=path               one line is appended for each call
 *
 * fakecuda_live() says how many things (allocations, modules, contexts) were not given back.
 */
#include <ffnvcodec/dynlink_cuda.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define NOT_INITIALIZED 3
#define OUT_OF_MEMORY   2
#define INVALID_CONTEXT 201
#define INVALID_IMAGE   200
#define NOT_FOUND       500

static int initialized, retained, live;
static CUcontext current;

EXPORT int fakecuda_live(void);
EXPORT CUresult cuInit(unsigned int flags);
EXPORT CUresult cuDeviceGetCount(int *count);
EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal);
EXPORT CUresult cuDeviceGetName(char *name, int n, CUdevice device);
EXPORT CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device);
EXPORT CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device);
EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device);
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);
EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags);
EXPORT CUresult cuCtxSetCurrent(CUcontext ctx);
EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t bytes);
EXPORT CUresult cuMemFree_v2(CUdeviceptr at);
EXPORT CUresult cuMemsetD8_v2(CUdeviceptr at, unsigned char value, size_t n);
EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n);
EXPORT CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n);
EXPORT CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options,
                                   void **values);
EXPORT CUresult cuModuleUnload(CUmodule module);
EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name);
EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                               unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
                               CUstream stream, void **params, void **extra);
EXPORT CUresult cuStreamSynchronize(CUstream stream);
EXPORT CUresult cuGetErrorName(CUresult error, const char **name);
EXPORT CUresult cuGetErrorString(CUresult error, const char **text);

static void record(const char *fmt, ...)
{
    const char *path = getenv("FAKECUDA_LOG");
    FILE *f = path ? fopen(path, "ae") : NULL;
    if (!f)
        return;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fputc('\n', f);
    fclose(f);
}

/* The result FAKECUDA_FAIL asks of this function, else `otherwise`. */
static CUresult answer(const char *function, int otherwise)
{
    const char *wanted = getenv("FAKECUDA_FAIL");
    size_t n = strlen(function);
    if (wanted && strncmp(wanted, function, n) == 0 && wanted[n] == '=')
        return (CUresult)atoi(wanted + n + 1);
    return (CUresult)otherwise;
}

static int need_init(void)
{
    return initialized ? 0 : NOT_INITIALIZED;
}

static int need_context(void)
{
    return current ? 0 : INVALID_CONTEXT;
}

int fakecuda_live(void)
{
    return live;
}

CUresult cuInit(unsigned int flags)
{
    record("cuInit %u", flags);
    CUresult r = answer("cuInit", 0);
    initialized = initialized || r == CUDA_SUCCESS;
    return r;
}

CUresult cuDeviceGetCount(int *count)
{
    record("cuDeviceGetCount");
    *count = getenv("FAKECUDA_DEVICES") ? atoi(getenv("FAKECUDA_DEVICES")) : 1;
    return answer("cuDeviceGetCount", need_init());
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    record("cuDeviceGet %d", ordinal);
    *device = ordinal;
    return answer("cuDeviceGet", need_init());
}

CUresult cuDeviceGetName(char *name, int n, CUdevice device)
{
    record("cuDeviceGetName %d", device);
    snprintf(name, (size_t)n, "Fake GPU");
    return answer("cuDeviceGetName", need_init());
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    record("cuDeviceGetAttribute %d %d", (int)attribute, device);
    *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR   ? 8
             : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? 6
                                                                         : 80;
    return answer("cuDeviceGetAttribute", need_init());
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    record("cuDeviceTotalMem %d", device);
    *bytes = (size_t)24 << 30;
    return answer("cuDeviceTotalMem_v2", need_init());
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device)
{
    record("cuDevicePrimaryCtxRetain %d", device);
    CUresult r = answer("cuDevicePrimaryCtxRetain", need_init());
    if (r == CUDA_SUCCESS) {
        *ctx = (CUcontext)(void *)&retained;
        retained++;
        live++;
    }
    return r;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    record("cuDevicePrimaryCtxRelease %d", device);
    retained--;
    live--;
    return answer("cuDevicePrimaryCtxRelease_v2", 0);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags)
{
    record("cuDevicePrimaryCtxSetFlags %d %u", device, flags);
    return answer("cuDevicePrimaryCtxSetFlags_v2", need_init());
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    record("cuCtxSetCurrent %s", ctx ? "primary" : "none");
    CUresult r = answer("cuCtxSetCurrent", need_init());
    current = r == CUDA_SUCCESS ? ctx : current;
    return r;
}

CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t bytes)
{
    record("cuMemAlloc %zu", bytes);
    CUresult r = answer("cuMemAlloc_v2", need_context());
    if (r != CUDA_SUCCESS)
        return r;
    void *memory = malloc(bytes);
    if (!memory)
        return (CUresult)OUT_OF_MEMORY;
    *at = (CUdeviceptr)(uintptr_t)memory;
    live++;
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr at)
{
    record("cuMemFree");
    free((void *)(uintptr_t)at);
    live--;
    return answer("cuMemFree_v2", 0);
}

CUresult cuMemsetD8_v2(CUdeviceptr at, unsigned char value, size_t n)
{
    record("cuMemsetD8 %zu", n);
    CUresult r = answer("cuMemsetD8_v2", need_context());
    if (r == CUDA_SUCCESS)
        memset((void *)(uintptr_t)at, value, n);
    return r;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n)
{
    record("cuMemcpyHtoD %zu", n);
    CUresult r = answer("cuMemcpyHtoD_v2", need_context());
    if (r == CUDA_SUCCESS)
        memcpy((void *)(uintptr_t)to, from, n);
    return r;
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n)
{
    record("cuMemcpyDtoH %zu", n);
    CUresult r = answer("cuMemcpyDtoH_v2", need_context());
    if (r == CUDA_SUCCESS)
        memcpy(to, (const void *)(uintptr_t)from, n);
    return r;
}

#ifndef FAKECUDA_OLD
/* A module is its PTX; says what is wrong as the driver's compiler would, into the buffer of option ERROR_LOG_BUFFER.
 */
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options, void **values)
{
    record("cuModuleLoadDataEx");
    CUresult r = answer("cuModuleLoadDataEx", need_context());
    if (r == CUDA_SUCCESS && !strstr(image, ".target sm_75"))
        r = (CUresult)INVALID_IMAGE;
    for (unsigned int i = 0; r != CUDA_SUCCESS && i < n; i++)
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
            strcpy(values[i], "line 3: fake error\nline 4: another");
    if (r == CUDA_SUCCESS) {
        *module = (CUmodule)(void *)(uintptr_t)image;
        live++;
    }
    return r;
}
#endif

CUresult cuModuleUnload(CUmodule module)
{
    (void)module;
    record("cuModuleUnload");
    live--;
    return answer("cuModuleUnload", 0);
}

/* A function is the place of its .entry in the PTX. */
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    record("cuModuleGetFunction %s", name);
    char entry[128];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    char *at = strstr((char *)(void *)module, entry);
    *function = (CUfunction)(void *)at;
    return answer("cuModuleGetFunction", at ? need_context() : NOT_FOUND);
}

/* Every kernel's first parameter is the grid in items. */
CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
                        CUstream stream, void **params, void **extra)
{
    (void)stream, (void)extra;
    const char *name = (const char *)(void *)function + strlen(".entry ");
    const int32_t *items = params[0];
    record("cuLaunchKernel %.*s blocks %u,%u,%u threads %u,%u,%u shared %u items %d,%d", (int)strcspn(name, "("), name,
           grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, items[0], items[1]);
    return answer("cuLaunchKernel", need_context());
}

CUresult cuStreamSynchronize(CUstream stream)
{
    record("cuStreamSynchronize %s", stream ? "stream" : "default");
    return answer("cuStreamSynchronize", need_context());
}

CUresult cuGetErrorName(CUresult error, const char **name)
{
    static const struct {
        int result;
        const char *name;
    } names[] = {{2, "CUDA_ERROR_OUT_OF_MEMORY"},     {3, "CUDA_ERROR_NOT_INITIALIZED"},
                 {100, "CUDA_ERROR_NO_DEVICE"},       {200, "CUDA_ERROR_INVALID_IMAGE"},
                 {201, "CUDA_ERROR_INVALID_CONTEXT"}, {218, "CUDA_ERROR_INVALID_PTX"},
                 {500, "CUDA_ERROR_NOT_FOUND"},       {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].result == (int)error) {
            *name = names[i].name;
            return CUDA_SUCCESS;
        }
    *name = NULL;
    return (CUresult)1;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = "fake words";
    return cuGetErrorName(error, &(const char *){NULL});
}
