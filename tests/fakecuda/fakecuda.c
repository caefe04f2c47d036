/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for NVIDIA's driver library, found through LD_LIBRARY_PATH. It checks the order of calls as the driver
 * does (cuInit first, a context before memory), keeps "device" memory in malloc, and runs the kernels it was taught
 * (kernels.c). Its compiler puts a line before the PTX and calls that a cubin. Environment:
 *
 *   FAKECUDA_FAIL=function=result   that function returns that CUresult
 *   FAKECUDA_DEVICES=n              number of GPUs, 1 without it
 *   FAKECUDA_DRIVER=n               version of the driver, 12020 without it
 *   FAKECUDA_ASYNC=late             streams do nothing before somebody waits (stream.c)
 *   FAKECUDA_WRONG=1                kernels compute wrongly (kernels.c)
 *   FAKECUDA_LOG=path               one line is appended for each call
 *
 * fakecuda_break(result) is what a kernel does that spoils its context: all calls after it fail with that.
 * fakecuda_live() says how many things (allocations, modules, contexts, streams...) were not given back.
 */
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int initialized, retained, live, broken;
static CUcontext current;

EXPORT int fakecuda_live(void);
EXPORT void fakecuda_break(int result);
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
EXPORT CUresult cuDriverGetVersion(int *version);
EXPORT CUresult cuDeviceGetPCIBusId(char *id, int n, CUdevice device);
EXPORT CUresult cuMemAllocHost_v2(void **at, size_t bytes);
EXPORT CUresult cuMemFreeHost(void *at);
EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream stream);
EXPORT CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream stream);
EXPORT CUresult cuLinkCreate_v2(unsigned int n, CUjit_option *options, void **values, CUlinkState *link);
EXPORT CUresult cuLinkAddData_v2(CUlinkState link, CUjitInputType type, void *data, size_t bytes, const char *name,
                                 unsigned int n, CUjit_option *options, void **values);
EXPORT CUresult cuLinkComplete(CUlinkState link, void **cubin, size_t *bytes);
EXPORT CUresult cuLinkDestroy(CUlinkState link);
EXPORT CUresult cuGetErrorName(CUresult error, const char **name);
EXPORT CUresult cuGetErrorString(CUresult error, const char **text);

void fake_record(const char *fmt, ...)
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

/* From now on every call fails, as after a kernel that reached outside its memory. */
void fakecuda_break(int result)
{
    broken = result;
}

CUresult fake_answer(const char *function, int otherwise)
{
    if (broken)
        return (CUresult)broken;
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

int fake_need_context(void)
{
    return current ? 0 : INVALID_CONTEXT;
}

int fakecuda_live(void)
{
    return live;
}

void fake_live(int n)
{
    live += n;
}

CUresult cuInit(unsigned int flags)
{
    fake_record("cuInit %u", flags);
    CUresult r = fake_answer("cuInit", 0);
    initialized = initialized || r == CUDA_SUCCESS;
    return r;
}

CUresult cuDeviceGetCount(int *count)
{
    fake_record("cuDeviceGetCount");
    *count = getenv("FAKECUDA_DEVICES") ? atoi(getenv("FAKECUDA_DEVICES")) : 1;
    return fake_answer("cuDeviceGetCount", need_init());
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    fake_record("cuDeviceGet %d", ordinal);
    *device = ordinal;
    return fake_answer("cuDeviceGet", need_init());
}

CUresult cuDeviceGetName(char *name, int n, CUdevice device)
{
    fake_record("cuDeviceGetName %d", device);
    snprintf(name, (size_t)n, "Fake GPU");
    return fake_answer("cuDeviceGetName", need_init());
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    fake_record("cuDeviceGetAttribute %d %d", (int)attribute, device);
    *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR   ? 8
             : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? 6
                                                                         : 80;
    return fake_answer("cuDeviceGetAttribute", need_init());
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    fake_record("cuDeviceTotalMem %d", device);
    *bytes = (size_t)24 << 30;
    return fake_answer("cuDeviceTotalMem_v2", need_init());
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice device)
{
    fake_record("cuDevicePrimaryCtxRetain %d", device);
    CUresult r = fake_answer("cuDevicePrimaryCtxRetain", need_init());
    if (r == CUDA_SUCCESS) {
        *ctx = (CUcontext)(void *)&retained;
        retained++;
        live++;
    }
    return r;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    fake_record("cuDevicePrimaryCtxRelease %d", device);
    retained--;
    live--;
    return fake_answer("cuDevicePrimaryCtxRelease_v2", 0);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags)
{
    fake_record("cuDevicePrimaryCtxSetFlags %d %u", device, flags);
    return fake_answer("cuDevicePrimaryCtxSetFlags_v2", need_init());
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    fake_record("cuCtxSetCurrent %s", ctx ? "primary" : "none");
    CUresult r = fake_answer("cuCtxSetCurrent", need_init());
    current = r == CUDA_SUCCESS ? ctx : current;
    return r;
}

CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t bytes)
{
    fake_record("cuMemAlloc %zu", bytes);
    CUresult r = fake_answer("cuMemAlloc_v2", fake_need_context());
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
    fake_record("cuMemFree");
    fake_drain();
    free((void *)(uintptr_t)at);
    live--;
    return fake_answer("cuMemFree_v2", 0);
}

CUresult cuMemsetD8_v2(CUdeviceptr at, unsigned char value, size_t n)
{
    fake_record("cuMemsetD8 %zu", n);
    CUresult r = fake_answer("cuMemsetD8_v2", fake_need_context());
    if (r == CUDA_SUCCESS)
        fake_drain(), memset((void *)(uintptr_t)at, value, n);
    return r;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n)
{
    fake_record("cuMemcpyHtoD %zu", n);
    CUresult r = fake_answer("cuMemcpyHtoD_v2", fake_need_context());
    if (r == CUDA_SUCCESS)
        r = fake_copy(NULL, (void *)(uintptr_t)to, from, n);
    return r;
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n)
{
    fake_record("cuMemcpyDtoH %zu", n);
    CUresult r = fake_answer("cuMemcpyDtoH_v2", fake_need_context());
    if (r == CUDA_SUCCESS)
        r = fake_copy(NULL, to, (const void *)(uintptr_t)from, n);
    return r;
}

/* ---- page-locked memory: copies of a stream must use it, or they do not overlap ---- */

static struct locked {
    struct locked *next;
    char *at;
    size_t bytes;
} * locked;

static int is_locked(const void *at, size_t n)
{
    for (const struct locked *l = locked; l; l = l->next)
        if ((const char *)at >= l->at && (const char *)at + n <= l->at + l->bytes)
            return 1;
    return 0;
}

CUresult cuMemAllocHost_v2(void **at, size_t bytes)
{
    fake_record("cuMemAllocHost %zu", bytes);
    CUresult r = fake_answer("cuMemAllocHost_v2", fake_need_context());
    if (r != CUDA_SUCCESS)
        return r;
    struct locked *l = malloc(sizeof *l);
    *at = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!l || !*at) {
        free(l);
        free(*at);
        return (CUresult)OUT_OF_MEMORY;
    }
    memset(*at, 0xa5, bytes); /* the driver does not clear it */
    *l = (struct locked){locked, *at, bytes};
    locked = l;
    live++;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *at)
{
    fake_record("cuMemFreeHost");
    fake_drain();
    for (struct locked **p = &locked; *p; p = &(*p)->next) {
        struct locked *l = *p;
        if (l->at != at)
            continue;
        *p = l->next;
        free(l->at);
        free(l);
        live--;
        return fake_answer("cuMemFreeHost", 0);
    }
    return (CUresult)INVALID_VALUE;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream stream)
{
    fake_record("cuMemcpyHtoDAsync %zu%s", n, is_locked(from, n) ? "" : " pageable");
    CUresult r = fake_answer("cuMemcpyHtoDAsync_v2", fake_need_context());
    return r == CUDA_SUCCESS ? fake_copy(stream, (void *)(uintptr_t)to, from, n) : r;
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream stream)
{
    fake_record("cuMemcpyDtoHAsync %zu%s", n, is_locked(to, n) ? "" : " pageable");
    CUresult r = fake_answer("cuMemcpyDtoHAsync_v2", fake_need_context());
    return r == CUDA_SUCCESS ? fake_copy(stream, to, (const void *)(uintptr_t)from, n) : r;
}

/* ---- modules ---- */

static int driver_version(void)
{
    return getenv("FAKECUDA_DRIVER") ? atoi(getenv("FAKECUDA_DRIVER")) : 12020;
}

CUresult cuDriverGetVersion(int *version)
{
    fake_record("cuDriverGetVersion");
    *version = driver_version();
    return fake_answer("cuDriverGetVersion", 0);
}

CUresult cuDeviceGetPCIBusId(char *id, int n, CUdevice device)
{
    fake_record("cuDeviceGetPCIBusId %d", device);
    snprintf(id, (size_t)n, "0000:01:00.0");
    return fake_answer("cuDeviceGetPCIBusId", need_init());
}

/* The line before the PTX in what this driver makes of it. */
static const char *cubin_head(void)
{
    static char head[64];
    snprintf(head, sizeof head, "fakecubin sm_86 %d\n", driver_version());
    return head;
}

/* Says what is wrong as the driver's compiler would, into the buffer of option ERROR_LOG_BUFFER. */
static CUresult refuse(CUresult r, unsigned int n, const CUjit_option *options, void **values)
{
    for (unsigned int i = 0; r != CUDA_SUCCESS && i < n; i++)
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
            strcpy(values[i], "line 3: fake error\nline 4: another");
    return r;
}

struct link {
    unsigned int n;
    CUjit_option options[4];
    void *values[4];
    char *cubin;
};

CUresult cuLinkCreate_v2(unsigned int n, CUjit_option *options, void **values, CUlinkState *link)
{
    fake_record("cuLinkCreate");
    CUresult r = fake_answer("cuLinkCreate_v2", fake_need_context());
    struct link *l = r == CUDA_SUCCESS ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return r == CUDA_SUCCESS ? (CUresult)OUT_OF_MEMORY : r;
    l->n = n < 4 ? n : 4;
    memcpy(l->options, options, l->n * sizeof *options);
    memcpy(l->values, values, l->n * sizeof *values);
    live++;
    *link = (CUlinkState)(void *)l;
    return CUDA_SUCCESS;
}

CUresult cuLinkAddData_v2(CUlinkState link, CUjitInputType type, void *data, size_t bytes, const char *name,
                          unsigned int n, CUjit_option *options, void **values)
{
    struct link *l = (struct link *)(void *)link;
    (void)n, (void)options, (void)values;
    fake_record("cuLinkAddData %d %s", (int)type, name);
    CUresult r = fake_answer("cuLinkAddData_v2", 0);
    if (r == CUDA_SUCCESS && (strnlen(data, bytes) != bytes - 1 || !strstr(data, ".target sm_75")))
        r = (CUresult)INVALID_IMAGE;
    if (r == CUDA_SUCCESS && asprintf(&l->cubin, "%s%s", cubin_head(), (const char *)data) < 0)
        r = (CUresult)OUT_OF_MEMORY;
    return refuse(r, l->n, l->options, l->values);
}

CUresult cuLinkComplete(CUlinkState link, void **cubin, size_t *bytes)
{
    struct link *l = (struct link *)(void *)link;
    fake_record("cuLinkComplete");
    *cubin = l->cubin;
    *bytes = l->cubin ? strlen(l->cubin) + 1 : 0;
    return refuse(fake_answer("cuLinkComplete", 0), l->n, l->options, l->values);
}

CUresult cuLinkDestroy(CUlinkState link)
{
    struct link *l = (struct link *)(void *)link;
    fake_record("cuLinkDestroy");
    free(l->cubin);
    free(l);
    live--;
    return fake_answer("cuLinkDestroy", 0);
}

#ifndef FAKECUDA_OLD
/* A module is a copy of its PTX. */
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options, void **values)
{
    int is_cubin = strncmp(image, "fakecubin", 9) == 0;
    fake_record("cuModuleLoadDataEx %s", is_cubin ? "cubin" : "ptx");
    CUresult r = fake_answer("cuModuleLoadDataEx", fake_need_context());
    if (r == CUDA_SUCCESS && is_cubin && strncmp(image, cubin_head(), strlen(cubin_head())) != 0)
        r = (CUresult)NO_BINARY;
    if (r == CUDA_SUCCESS && !strstr(image, ".target sm_75"))
        r = (CUresult)INVALID_IMAGE;
    char *text = r == CUDA_SUCCESS ? strdup(image) : NULL;
    if (r == CUDA_SUCCESS && !text)
        r = (CUresult)OUT_OF_MEMORY;
    if (text) {
        *module = (CUmodule)(void *)text;
        live++;
    }
    return refuse(r, n, options, values);
}
#endif

CUresult cuModuleUnload(CUmodule module)
{
    fake_record("cuModuleUnload");
    fake_drain();
    free(module);
    live--;
    return fake_answer("cuModuleUnload", 0);
}

/* A function is the place of its .entry in the PTX. */
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    fake_record("cuModuleGetFunction %s", name);
    char entry[128];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    char *at = strstr((char *)(void *)module, entry);
    *function = (CUfunction)(void *)at;
    return fake_answer("cuModuleGetFunction", at ? fake_need_context() : NOT_FOUND);
}

/* Every kernel's first parameter is the grid in items. */
CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
                        CUstream stream, void **params, void **extra)
{
    (void)extra;
    const char *entry = (const char *)(void *)function + strlen(".entry ");
    const struct bp_grid *items = params[0];
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(entry, "("), entry);
    fake_record("cuLaunchKernel %s blocks %u,%u,%u threads %u,%u,%u shared %u items %d,%d", name, grid_x, grid_y,
                grid_z, block_x, block_y, block_z, shared, items->nx, items->ny);
    CUresult r = fake_answer("cuLaunchKernel", fake_need_context());
    return r == CUDA_SUCCESS ? fake_launch(stream, name, *items, params[1]) : r;
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
