/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in one buffer. */
#include <bp/video_filter.h>

void bp_video_planes_init(struct bp_video_planes *p, int32_t width, int32_t height, int32_t depth)
{
    *p = (struct bp_video_planes){.width = width, .height = height, .depth = depth};
    for (int i = 0; i < 3; i++) {
        p->widths[i] = i ? (width + 1) / 2 : width;
        p->heights[i] = i ? (height + 1) / 2 : height;
        p->at[i] = p->bytes;
        p->bytes += (uint64_t)p->widths[i] * (uint64_t)p->heights[i] * (depth == 10 ? 2 : 1);
        p->bytes = (p->bytes + 255) / 256 * 256;
    }
}

/* A decoder leaves gaps between rows. */
void bp_video_planes_pack(const struct bp_video_planes *p, const struct bp_video_frame *frame, void *to)
{
    for (int i = 0; i < 3; i++) {
        size_t bytes = (size_t)p->widths[i] * (p->depth == 10 ? 2 : 1);
        uint8_t *row = (uint8_t *)to + p->at[i];
        for (int32_t y = 0; y < p->heights[i]; y++)
            memcpy(row + (size_t)y * bytes, frame->planes[i] + (ptrdiff_t)y * frame->strides[i], bytes);
    }
}

struct bp_video_frame bp_video_planes_frame(const struct bp_video_planes *p, const void *from)
{
    struct bp_video_frame f = {.width = p->width, .height = p->height, .depth = p->depth};
    for (int i = 0; i < 3; i++) {
        f.planes[i] = (const uint8_t *)from + p->at[i];
        f.strides[i] = p->widths[i] * (p->depth == 10 ? 2 : 1);
    }
    return f;
}
