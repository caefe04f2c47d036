/* SPDX-License-Identifier: Apache-2.0 */
#include "device/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int32_t device_fail(struct bp_err *err, int32_t rc, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        err->rc = rc;
    }
    return rc;
}

int32_t device_check_span(const struct bp_buffer *buf, uint64_t offset, uint64_t n, const char *what,
                          struct bp_err *err)
{
    if (offset <= buf->bytes && n <= buf->bytes - offset)
        return BP_OK;
    return device_fail(err, BP_INVALID, "%s of %llu bytes at offset %llu does not fit a buffer of %llu bytes", what,
                       (unsigned long long)n, (unsigned long long)offset, (unsigned long long)buf->bytes);
}

int32_t device_check_launch(const struct bp_kernel_twin *twin, struct bp_grid grid, uint32_t args_bytes,
                            struct bp_err *err)
{
    if (grid.nx < 1 || grid.ny < 1)
        return device_fail(err, BP_INVALID, "launch of kernel %s over an empty grid of %d by %d", twin->name, grid.nx,
                           grid.ny);
    if (args_bytes != twin->args_bytes)
        return device_fail(err, BP_INVALID, "launch of kernel %s with %u bytes of arguments, it takes %u", twin->name,
                           args_bytes, twin->args_bytes);
    return BP_OK;
}

int32_t device_find_kernel(const struct bp_kernel_image *image, const char *name)
{
    for (uint32_t i = 0; i < image->n_kernels; i++)
        if (strcmp(image->twins[i * BP_CPU_LEVELS]->name, name) == 0)
            return (int32_t)i;
    return -1;
}

void device_copy_stats(const struct bp_device_stats *from, struct bp_device_stats *to)
{
    uint32_t theirs = to->size;
    memcpy(to, from, theirs < sizeof *from ? theirs : sizeof *from);
    to->size = theirs;
}
