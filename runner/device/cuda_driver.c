/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cuda_driver.h"
#include "device/internal.h"

#include <dlfcn.h>

/* Results that mean something to the caller; the numbers are the driver API's. */
static const struct {
    int result;
    int32_t rc;
} meanings[] = {
    {2, BP_NOMEM},         /* OUT_OF_MEMORY */
    {1, BP_INVALID},       /* INVALID_VALUE */
    {100, BP_UNSUPPORTED}, /* NO_DEVICE */
    {803, BP_UNSUPPORTED}, /* SYSTEM_DRIVER_MISMATCH */
    {804, BP_UNSUPPORTED}, /* COMPAT_NOT_SUPPORTED_ON_DEVICE */
    {200, BP_INVALID},     /* INVALID_IMAGE */
    {209, BP_UNSUPPORTED}, /* NO_BINARY_FOR_GPU */
    {218, BP_INVALID},     /* INVALID_PTX */
    {222, BP_UNSUPPORTED}, /* UNSUPPORTED_PTX_VERSION */
    {500, BP_NOTFOUND},    /* NOT_FOUND */
};

int32_t cuda_check(const struct cuda_driver *cuda, CUresult result, const char *attempted, struct bp_err *err)
{
    if (result == CUDA_SUCCESS)
        return BP_OK;
    int32_t rc = BP_IO;
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].result == (int)result)
            rc = meanings[i].rc;
    const char *name = NULL, *text = NULL;
    if (cuda->error_name(result, &name) != CUDA_SUCCESS || !name)
        name = "unknown CUDA error";
    if (cuda->error_text(result, &text) != CUDA_SUCCESS || !text)
        text = "the driver has no words for it";
    return device_fail(err, rc, "%s failed: %s (%d, %s)", attempted, name, (int)result, text);
}

static void *find(void *lib, const char *name, const char *older)
{
    void *at = dlsym(lib, name);
    return at || !older ? at : dlsym(lib, older);
}

int32_t cuda_driver_open(struct cuda_driver *out, struct bp_err *err)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return device_fail(err, BP_UNSUPPORTED, "no GPU: %.180s", dlerror());
#define CUDA_FIND(member, type, name, older)                                                                           \
    if (!(out->member = (type *)find(lib, name, older)))                                                               \
        return device_fail(err, BP_UNSUPPORTED, "no GPU: libcuda.so.1 has no %s; update the NVIDIA driver", name);
    CUDA_FUNCTIONS(CUDA_FIND)
#undef CUDA_FIND
    return BP_OK;
}
