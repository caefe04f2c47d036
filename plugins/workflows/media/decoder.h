/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder.h - the frames of one file, one after the other, checked: whole, of one shape, within the limits, at times
 * that grow. Used by one thread at a time.
 */
#ifndef MEDIA_DECODER_H
#define MEDIA_DECODER_H

#include "container.h"
#include "convert.h"

#include <libavcodec/avcodec.h>

struct decoder {
    struct container file;
    struct bp_video_limits limits;
    struct converter convert;
    AVCodecContext *codec;
    char passed_over[160]; /* why the GPU's decoder was not taken, "" */
    AVPacket *packet;
    int32_t draining;   /* the file has no more packets */
    int32_t damaged;    /* something could not be decoded since the last whole frame */
    int64_t frames;     /* given out */
    int64_t time, step; /* of the last frame, and the usual distance; in file.base */
    int64_t first;
    int64_t end_us; /* where the last packet of any stream ended */
};

/* BP_BADINPUT, BP_IO, BP_NOMEM, BP_FAIL: FFmpeg lacks the decoder. decoder_close() in any case. */
int32_t decoder_open(struct decoder *d, const char *path, const struct bp_video_limits *limits, struct bp_err *err);
/*
 * The next frame as decoded into `raw` (unreferenced by the caller) and, when it is not of the wanted kind, into
 * `converted`; *out describes whichever it is. BP_NOTFOUND: no more.
 */
int32_t decoder_next(struct decoder *d, AVFrame *raw, AVFrame *converted, struct bp_video_frame *out,
                     struct bp_err *err);
void decoder_close(struct decoder *d);

#endif
