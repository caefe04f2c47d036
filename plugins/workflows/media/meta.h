/* SPDX-License-Identifier: Apache-2.0 */
/* meta.h - struct bp_video_meta from and to what FFmpeg calls these things. */
#ifndef MEDIA_META_H
#define MEDIA_META_H

#include "container.h"

#include <libavcodec/avcodec.h>

/* Of a file whose first frame this is; fills in what neither says. */
void meta_read(const struct container *c, const AVFrame *frame, struct bp_video_meta *out);
/* 1: luma of the frame goes from 0 to the largest number. */
int32_t meta_is_full_range(const AVFrame *frame);
/* 1: the file or its first frame has Dolby Vision or HDR10+. */
int32_t meta_is_dynamic(const struct container *c, const AVFrame *frame);
/* 1: Dolby Vision in colours of its own, which nobody sees right without its data. */
int32_t meta_is_foreign(const struct container *c);
/* All zero becomes what it means. */
struct bp_video_meta meta_complete(const struct bp_video_meta *meta);
/* Colours and shape of a complete meta, for an encoder about to be opened. */
void meta_configure(const struct bp_video_meta *meta, AVCodecContext *codec);
/* Shape, HDR and turn, for a stream about to be written. 0 or AVERROR(ENOMEM). */
int meta_attach(const struct bp_video_meta *meta, AVStream *stream);

#endif
