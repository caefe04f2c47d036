/* SPDX-License-Identifier: Apache-2.0 */
#include "device/device.h"
#include "device/internal.h"

#include <stdlib.h>
#include <string.h>

static int32_t open_auto(struct bp_device *dev, struct bp_err *err)
{
    struct bp_err why = {0};
    if (cuda_open(dev, &why) == BP_OK)
        return BP_OK;
    memset(dev, 0, sizeof *dev);
    int32_t rc = cpu_open(dev, err);
    if (rc == BP_OK)
        device_fail(err, BP_OK, "%.250s", why.text);
    return rc;
}

static int32_t open_kind(const char *which, struct bp_device *dev, struct bp_err *err)
{
    if (strcmp(which, "auto") == 0)
        return open_auto(dev, err);
    if (strcmp(which, "cpu") == 0)
        return cpu_open(dev, err);
    if (strcmp(which, "cuda") == 0)
        return cuda_open(dev, err);
    return device_fail(err, BP_INVALID, "there is no device \"%.60s\": use auto, cpu or cuda", which);
}

int32_t device_open(const char *which, struct bp_device **dev, struct bp_err *err)
{
    struct bp_err own = {0};
    err = err ? err : &own;
    memset(err, 0, sizeof *err);
    *dev = NULL;
    struct bp_device *d = calloc(1, sizeof *d);
    if (!d)
        return device_fail(err, BP_NOMEM, "no memory to open a device");
    int32_t rc = open_kind(which, d, err);
    if (rc != BP_OK) {
        free(d);
        return rc;
    }
    d->size = (uint32_t)sizeof *d;
    *dev = d;
    return BP_OK;
}

void device_close(struct bp_device **dev)
{
    struct bp_device *d = *dev;
    if (!d)
        return;
    *dev = NULL;
    if (d->kind == BP_DEVICE_CUDA)
        cuda_close(d);
    else
        cpu_close(d);
    free(d);
}

int32_t device_cache_modules(struct bp_device *dev, const char *dir, int64_t limit_bytes, struct bp_err *err)
{
    return dev->kind == BP_DEVICE_CUDA ? cuda_cache_modules(dev, dir, limit_bytes, err) : BP_OK;
}

int32_t device_pci_id(const struct bp_device *dev, char *out, size_t n)
{
    return dev->kind == BP_DEVICE_CUDA ? cuda_pci_id(dev, out, n) : BP_UNSUPPORTED;
}
