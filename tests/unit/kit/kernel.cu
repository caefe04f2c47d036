/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/kernel.h>

#include "kit_probe_args.h"

/* The nearest pixel of `from`; beyond its edges the pixel at the edge. */
BP_KERNEL_PIXEL(kit_probe_copy, struct kit_probe_args, a, x, y)
{
    const uint8_t *from = bp_pixel_near(&a->from, (int32_t)bp_floorf((float)x * a->scale), (int32_t)bp_floorf((float)y * a->scale));
    uint8_t *to = bp_pixel(&a->to, x, y);
    for (int32_t c = 0; c < 4; c++)
        to[c] = from[c];
}

BP_KERNEL_PIXEL(kit_probe_fill, struct kit_probe_args, a, x, y)
{
    uint8_t *to = bp_pixel(&a->to, x, y);
    to[0] = bp_byte(-3);
    to[1] = bp_byte(a->scale);
    to[2] = bp_byte(300);
    to[3] = 255;
}
