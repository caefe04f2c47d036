/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that show whether each item is run exactly once, and whether a tile's memory works. */
#include <bp/kernel.h>

#include "kernel_args.h"

BP_KERNEL_PIXEL(count, struct count_args, a, x, y)
{
    a->hits[y * a->width + x] += 1 + x + 1000 * y;
}

BP_KERNEL_TILE(smooth, struct smooth_args, a, tx, ty)
{
    BP_SHARED float row[66];
    int32_t tile = ty * 8 + tx;
    BP_EACH (i, 66)
        row[i] = bp_sqrtf(a->in[tile * 66 + i]);
    BP_SYNC();
    BP_EACH (i, 64)
        a->out[tile * 64 + i] = a->gain * (row[i] + row[i + 1] + row[i + 2]);
}
