/* SPDX-License-Identifier: Apache-2.0 */
/* patch.h - input around a tile; included by kernel.cu alone. */
#ifndef VIDEO_UPSCALE_PATCH_H
#define VIDEO_UPSCALE_PATCH_H

#include "kernel_args.h"
#include "numbers.h"

BP_FN val sample_at(const struct plane *p, int32_t wide, int64_t at)
{
    return to_val(wide ? ((const uint16_t *)p->in)[at] : ((const uint8_t *)p->in)[at], wide);
}

/* height rows of input from (left, top) on; beyond the picture's edges the nearest sample. */
BP_FN void load_patch(const struct plane *p, int32_t wide, int32_t left, int32_t top, int32_t width, int32_t height,
                      int32_t stride, val *BP_RESTRICT patch)
{
    if (left >= 0 && left + width <= p->in_width) {
        BP_EACH_2D(r, height, i, width)
        patch[r * stride + i] =
            sample_at(p, wide, (int64_t)bp_clampi(top + r, 0, p->in_height - 1) * p->in_stride + left + i);
    } else {
        BP_EACH_2D(r, height, i, width)
        patch[r * stride + i] = sample_at(p, wide,
                                          (int64_t)bp_clampi(top + r, 0, p->in_height - 1) * p->in_stride +
                                              bp_clampi(left + i, 0, p->in_width - 1));
    }
}

#endif
