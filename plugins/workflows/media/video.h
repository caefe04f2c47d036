/* SPDX-License-Identifier: Apache-2.0 */
/* video.h - struct bp_video, shared by encoding (video.c, codec.c) and writing (mp4.c, sound.c). */
#ifndef MEDIA_VIDEO_H
#define MEDIA_VIDEO_H

#include "format.h"
#include "packets.h"

#include <libavcodec/avcodec.h>

#define VIDEO_IN_FLIGHT 512 /* frames an encoder keeps at the most */

struct bp_video {
    struct bp_video_spec spec; /* its meta is complete */
    AVRational base;           /* of the frames' times */
    AVCodecContext *codec;     /* which counts in frames */
    char passed_over[200];     /* why the GPU's encoder was not taken, "" */
    AVFrame *frame;
    AVFrame *wide; /* the frame as the GPU's encoder takes 10 bits; NULL: it takes `frame` as it is */
    AVPacket *packet;
    struct packets packets;
    int64_t frames; /* added, restored ones included */
    int64_t time;   /* of the last one */
    int32_t finished;
    struct {
        int64_t time, duration;
    } in_flight[VIDEO_IN_FLIGHT]; /* of frame i at i % VIDEO_IN_FLIGHT, until its packet comes */
};

/* Opens v->codec as v->spec says. */
int32_t codec_open(struct bp_video *v, struct bp_err *err);

/* Format, sizes, times, colours: what all encoders are told. */
enum AVPixelFormat codec_format(const struct bp_video_spec *s);
void codec_configure(AVCodecContext *c, const struct bp_video_spec *s);

/* engine.c: opens the GPU's encoder for v->spec into v->codec. On error v->codec is NULL, and err says what it said. */
int32_t engine_open(struct bp_video *v, struct bp_err *err);
/* v->frame (10 bits, planar) into v->wide. 0 or AVERROR. */
int engine_widen(struct bp_video *v);
/* The GPU's decoder for a stream; NULL: there is none for it, and why says so. */
const AVCodec *engine_decoder(const AVCodecParameters *stream, char why[160]);

/* The sound that goes with a video: packets of the source's streams, in order, for streams of the MP4. */
struct sound;

/* Adds a stream to mp4 for each stream of sound that it can hold; *out: sound_close(). what: in and out. */
int32_t sound_open(struct bp_video_sound *what, const struct bp_video_limits *limits, AVFormatContext *mp4,
                   struct sound **out, struct bp_err *err);
/* Writes all packets that come before `seconds` of the video's time. */
int32_t sound_write_until(struct sound *s, double seconds, struct bp_err *err);
/* What it means that the muxer failed with sound given to it: BP_BADINPUT when it did not like that, else BP_IO. */
int32_t sound_fail(struct bp_err *err, int av_result);
void sound_close(struct sound **sound);

#endif
