/* SPDX-License-Identifier: Apache-2.0 */
/* convert.h - decoded frames of any kind as planar 4:2:0 of one size and depth. */
#ifndef MEDIA_CONVERT_H
#define MEDIA_CONVERT_H

#include <bp/media.h>
#include <libavutil/frame.h>

struct SwsContext;

struct converter {
    struct SwsContext *sws;
    int32_t from_format, from_width, from_height; /* what sws is made for */
    int32_t width, height, depth;                 /* what comes out */
};

/* 8 or 10: what a frame of this pixel format becomes; 0: nothing can be made of it. */
int32_t convert_depth(int32_t format);
/* 1: the frame is what is wanted already. */
int32_t convert_is_needless(const struct converter *c, const AVFrame *frame);
/* Into `to`, whose buffer is made at its first use and used again later. BP_NOMEM, BP_BADINPUT. */
int32_t convert_frame(struct converter *c, const AVFrame *frame, AVFrame *to, struct bp_err *err);
void convert_free(struct converter *c);

#endif
