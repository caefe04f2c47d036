/* SPDX-License-Identifier: Apache-2.0 */
/* video.h - struct bp_video, shared by encoding (video.c) and writing (mp4.c). */
#ifndef MEDIA_VIDEO_H
#define MEDIA_VIDEO_H

#include "packets.h"

#include <libavcodec/avcodec.h>

struct bp_video {
    struct bp_video_spec spec;
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *packet;
    struct packets packets;
    int64_t frames; /* added, restored ones included */
    int32_t finished;
};

#endif
