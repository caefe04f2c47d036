/* SPDX-License-Identifier: Apache-2.0 */
#include "decoder.h"

#include "meta.h"
#include "video.h"

#include <bp/workflow.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_THREADS 16
#define TIME_MAX    (1LL << 60)
#define SHAPE_SLACK 0.02 /* how much the sides' ratio may change within a video */
#define END_SLACK_S 0.1  /* how much earlier than the file says its last packet may come */

/* Codecs of pictures that move; everything else FFmpeg knows stays shut. */
static const enum AVCodecID codecs[] = {
    AV_CODEC_ID_H264,    AV_CODEC_ID_HEVC,       AV_CODEC_ID_AV1,        AV_CODEC_ID_VP8,       AV_CODEC_ID_VP9,
    AV_CODEC_ID_MPEG4,   AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MJPEG,     AV_CODEC_ID_PRORES,
    AV_CODEC_ID_DNXHD,   AV_CODEC_ID_THEORA,     AV_CODEC_ID_VC1,        AV_CODEC_ID_WMV1,      AV_CODEC_ID_WMV2,
    AV_CODEC_ID_WMV3,    AV_CODEC_ID_H263,       AV_CODEC_ID_FLV1,       AV_CODEC_ID_MSMPEG4V2, AV_CODEC_ID_MSMPEG4V3,
    AV_CODEC_ID_GIF,     AV_CODEC_ID_APNG,       AV_CODEC_ID_PNG,        AV_CODEC_ID_FFV1,      AV_CODEC_ID_HUFFYUV,
    AV_CODEC_ID_FFVHUFF, AV_CODEC_ID_UTVIDEO,    AV_CODEC_ID_RAWVIDEO,   AV_CODEC_ID_DVVIDEO,   AV_CODEC_ID_CFHD,
    AV_CODEC_ID_V210,    AV_CODEC_ID_QTRLE};

/* In another time base, and not so far from 0 that sums of such times overflow. */
static int64_t rescaled(int64_t time, AVRational from, AVRational to)
{
    int64_t t = av_rescale_q(time, from, to);
    return t < -TIME_MAX ? -TIME_MAX : t > TIME_MAX ? TIME_MAX : t;
}

static int32_t thread_count(const struct bp_video_limits *limits)
{
    long cores = limits->threads > 0 ? limits->threads : sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (int32_t)cores;
}

static const AVCodec *find_codec(const struct decoder *d, struct bp_err *err)
{
    enum AVCodecID id = d->file.video->codecpar->codec_id;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (codecs[i] == id) {
            const AVCodec *found = avcodec_find_decoder(id);
            if (!found)
                bp_error(err, BP_FAIL, "this machine's FFmpeg has no decoder for %s", avcodec_get_name(id));
            return found;
        }
    bp_error(err, BP_BADINPUT, "the video's codec (%s) is not taken; H.264, H.265, AV1, VP9 and other usual ones are",
             avcodec_get_name(id));
    return NULL;
}

/* 0 or AVERROR; then d->codec is NULL. */
static int try_codec(struct decoder *d, const AVCodec *codec)
{
    d->codec = avcodec_alloc_context3(codec);
    if (!d->codec)
        return AVERROR(ENOMEM);
    int r = avcodec_parameters_to_context(d->codec, d->file.video->codecpar);
    d->codec->pkt_timebase = d->file.video->time_base;
    d->codec->max_pixels = d->limits.max_pixels;
    d->codec->thread_count = thread_count(&d->limits);
    d->codec->err_recognition = AV_EF_CRCCHECK;
    if (r >= 0)
        r = avcodec_open2(d->codec, codec, NULL);
    if (r < 0)
        avcodec_free_context(&d->codec);
    return r;
}

/* 1: the GPU decodes. */
static int try_gpu(struct decoder *d)
{
    if (d->limits.engine == BP_ENGINE_SOFTWARE)
        return 0;
    const AVCodec *codec = engine_decoder(d->file.video->codecpar, d->passed_over);
    int r = codec ? try_codec(d, codec) : 0;
    if (codec && r < 0) {
        char words[AV_ERROR_MAX_STRING_SIZE] = "";
        av_strerror(r, words, sizeof words);
        snprintf(d->passed_over, sizeof d->passed_over, "opening %s failed: %.64s", codec->name, words);
    }
    return codec && r >= 0;
}

static int32_t open_codec(struct decoder *d, struct bp_err *err)
{
    const AVCodec *found = find_codec(d, err);
    if (!found)
        return err->rc;
    d->packet = av_packet_alloc();
    if (!d->packet)
        return bp_error(err, BP_NOMEM, "no memory to decode a video");
    if (try_gpu(d))
        return BP_OK;
    if (d->limits.engine == BP_ENGINE_HARDWARE)
        return bp_error(err, BP_UNSUPPORTED, "the GPU's video decoder does not open for this video (%s): %s",
                        avcodec_get_name(found->id), d->passed_over);
    int r = try_codec(d, found);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to decode a video");
    if (r < 0)
        return bp_error(err, BP_BADINPUT, "the video's %s cannot be decoded: its parameters are damaged or unknown",
                        avcodec_get_name(found->id));
    return BP_OK;
}

int32_t decoder_open(struct decoder *d, const char *path, const struct bp_video_limits *limits, struct bp_err *err)
{
    *d = (struct decoder){.limits = container_limits(limits)};
    int32_t rc = container_open(path, &d->limits, &d->file, err);
    if (rc != BP_OK)
        return rc;
    if (meta_is_foreign(&d->file))
        return bp_error(
            err, BP_BADINPUT,
            "the video is Dolby Vision without a picture for other players (profile 5), which is not taken");
    AVRational rate = d->file.video->avg_frame_rate;
    if (rate.num > 0 && rate.den > 0)
        d->step = rescaled(1, av_inv_q(rate), d->file.base);
    if (d->step < 1)
        d->step = 1;
    return open_codec(d, err);
}

void decoder_close(struct decoder *d)
{
    avcodec_free_context(&d->codec);
    av_packet_free(&d->packet);
    convert_free(&d->convert);
    container_close(&d->file);
}

static double seconds_at(const struct decoder *d, int64_t time)
{
    return (double)time * av_q2d(d->file.base);
}

static int32_t damage(const struct decoder *d, struct bp_err *err)
{
    if (d->frames == 0)
        return bp_error(err, BP_BADINPUT, "the video is damaged or cut short: no frame of it can be decoded");
    return bp_error(err, BP_BADINPUT, "the video is damaged after frame %lld (%.2f s)", (long long)d->frames,
                    seconds_at(d, d->time));
}

/* What is broadcast begins and ends anywhere, even within a frame. */
static int is_broadcast(const struct decoder *d)
{
    return (d->file.format->iformat->flags & AVFMT_TS_DISCONT) != 0;
}

/* Seconds that a file lacks of what its head says, 0: none, or it does not say. The head's word is for all streams. */
static double missing_seconds(const struct decoder *d)
{
    const AVFormatContext *f = d->file.format;
    if (f->duration <= 0 || f->duration_estimation_method != AVFMT_DURATION_FROM_STREAM || is_broadcast(d))
        return 0;
    int exact = strncmp(f->iformat->name, "matroska", 8) == 0; /* others round, or guess */
    double says = (double)f->duration / AV_TIME_BASE;
    double missing = says - (double)d->end_us / AV_TIME_BASE - (double)d->step * av_q2d(d->file.base);
    return missing > (exact ? END_SLACK_S : 1.5 + 0.1 * says) ? missing : 0;
}

/* The file has no more packets: is it whole? */
static int32_t check_end(const struct decoder *d, struct bp_err *err)
{
    int64_t missing = container_missing_bytes(&d->file);
    double seconds = missing_seconds(d);
    if (missing > 0)
        return bp_error(err, BP_BADINPUT, "the video file is cut short: %lld bytes that its index names are missing",
                        (long long)missing);
    if (seconds > 0)
        return bp_error(err, BP_BADINPUT, "the video file is cut short: the last %.2f s of it are missing", seconds);
    if (d->frames == 0 || (d->damaged && !is_broadcast(d)))
        return damage(d, err);
    return BP_NOTFOUND;
}

/* How far the file goes, by the packets of all its streams. */
static void note_end(struct decoder *d, const AVPacket *p)
{
    const AVFormatContext *f = d->file.format;
    int64_t t = p->pts == AV_NOPTS_VALUE ? p->dts : p->pts;
    if (t == AV_NOPTS_VALUE)
        return;
    t = rescaled(t, f->streams[p->stream_index]->time_base, AV_TIME_BASE_Q);
    t += rescaled(p->duration > 0 ? p->duration : 0, f->streams[p->stream_index]->time_base, AV_TIME_BASE_Q);
    if (f->start_time != AV_NOPTS_VALUE)
        t -= rescaled(f->start_time, AV_TIME_BASE_Q, AV_TIME_BASE_Q);
    if (t > d->end_us)
        d->end_us = t;
}

/* Gives the decoder a packet of the video, or the end. */
static int32_t feed(struct decoder *d, struct bp_err *err)
{
    int r;
    do {
        av_packet_unref(d->packet);
        r = lavf.av_read_frame(d->file.format, d->packet);
        if (r >= 0)
            note_end(d, d->packet);
    } while (r >= 0 && d->packet->stream_index != d->file.video->index);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to read a video");
    if (r < 0 && r != AVERROR_EOF)
        d->damaged = 1;
    if (r >= 0 && (d->packet->flags & AV_PKT_FLAG_CORRUPT))
        d->damaged = 1;
    d->draining = r < 0;
    r = avcodec_send_packet(d->codec, r < 0 ? NULL : d->packet);
    av_packet_unref(d->packet);
    if (r == AVERROR(ENOMEM))
        return bp_error(err, BP_NOMEM, "no memory to decode a video");
    if (r < 0 && r != AVERROR_EOF)
        d->damaged = 1;
    return BP_OK;
}

/* The next frame that the decoder gives, whatever it is. */
static int32_t receive(struct decoder *d, AVFrame *raw, struct bp_err *err)
{
    for (;;) {
        int r = avcodec_receive_frame(d->codec, raw);
        if (r >= 0)
            return BP_OK;
        if (r == AVERROR(ENOMEM))
            return bp_error(err, BP_NOMEM, "no memory to decode a video");
        if (r != AVERROR(EAGAIN) && r != AVERROR_EOF)
            d->damaged = 1;
        if (r == AVERROR_EOF || (d->draining && r != AVERROR(EAGAIN)))
            return check_end(d, err);
        int32_t rc = d->draining ? check_end(d, err) : feed(d, err);
        if (rc != BP_OK)
            return rc;
    }
}

/* BP_LATER: a frame to pass over, being broken where a broadcast was joined or left. */
static int32_t check_whole(struct decoder *d, const AVFrame *f, struct bp_err *err)
{
    int broken = f->decode_error_flags || (f->flags & AV_FRAME_FLAG_CORRUPT);
    if (broken)
        d->damaged = 1;
    if (!d->damaged)
        return BP_OK;
    if (!is_broadcast(d) || (d->frames > 0 && !broken)) /* it goes on after the damage */
        return damage(d, err);
    if (d->frames == 0)
        d->damaged = 0;
    return BP_LATER;
}

static int32_t check_shape(struct decoder *d, const AVFrame *f, struct bp_err *err)
{
    struct converter *c = &d->convert;
    if ((int64_t)f->width * f->height > d->limits.max_pixels || f->width < 1 || f->height < 1)
        return bp_error(err, BP_BADINPUT, "a frame of the video has %d by %d pixels, at most %.1f megapixels are taken",
                        f->width, f->height, (double)d->limits.max_pixels / 1e6);
    if (c->width == 0) {
        c->width = f->width;
        c->height = f->height;
        c->depth = convert_depth(f->format);
    }
    if (c->depth == 0 || convert_depth(f->format) == 0)
        return bp_error(err, BP_BADINPUT, "the video's pixel format (number %d) is not supported", f->format);
    double ratio = ((double)f->width * c->height) / ((double)f->height * c->width);
    if (fabs(ratio - 1) > SHAPE_SLACK)
        return bp_error(err, BP_BADINPUT,
                        "the video changes its shape after frame %lld, from %d by %d to %d by %d; cut it there",
                        (long long)d->frames, c->width, c->height, f->width, f->height);
    return BP_OK;
}

/* When the frame is shown; where the file does not say, or says nothing that grows, one step after the last. */
static int64_t time_of(const struct decoder *d, const AVFrame *f)
{
    int64_t last = d->frames ? d->time : -d->step;
    if (f->best_effort_timestamp == AV_NOPTS_VALUE)
        return last + d->step;
    int64_t origin = rescaled(d->file.origin_us, AV_TIME_BASE_Q, d->file.base);
    int64_t t = rescaled(f->best_effort_timestamp, d->file.video->time_base, d->file.base) - origin;
    return d->frames && t <= last ? last + 1 : t;
}

static int32_t check_limits(struct decoder *d, int64_t time, struct bp_err *err)
{
    if (d->frames >= d->limits.max_frames)
        return bp_error(err, BP_BADINPUT, "the video has more than %lld frames, no more are taken",
                        (long long)d->limits.max_frames);
    if (d->frames == 0)
        d->first = time;
    double lasts = (double)time * av_q2d(d->file.base) - (double)d->first * av_q2d(d->file.base);
    if (lasts > d->limits.max_seconds || fabs(seconds_at(d, d->first)) > 1e6 + d->limits.max_seconds)
        return bp_error(err, BP_BADINPUT, "frame %lld of the video comes at %.0f s, at most %.0f s are taken",
                        (long long)d->frames + 1, seconds_at(d, time), d->limits.max_seconds);
    return BP_OK;
}

static void describe(const struct decoder *d, const AVFrame *raw, const AVFrame *f, struct bp_video_frame *out)
{
    *out = (struct bp_video_frame){.width = d->convert.width,
                                   .height = d->convert.height,
                                   .depth = d->convert.depth,
                                   .key = raw->key_frame,
                                   .time = d->time};
    for (int i = 0; i < 3; i++) {
        out->planes[i] = f->data[i];
        out->strides[i] = f->linesize[i];
    }
    if (raw->pkt_duration > 0)
        out->duration = rescaled(raw->pkt_duration, d->file.video->time_base, d->file.base);
}

/* A frame that is whole. */
static int32_t receive_whole(struct decoder *d, AVFrame *raw, struct bp_err *err)
{
    int32_t rc;
    do {
        rc = receive(d, raw, err);
        if (rc == BP_OK)
            rc = check_whole(d, raw, err);
    } while (rc == BP_LATER);
    return rc;
}

int32_t decoder_next(struct decoder *d, AVFrame *raw, AVFrame *converted, struct bp_video_frame *out,
                     struct bp_err *err)
{
    int32_t rc = receive_whole(d, raw, err);
    if (rc == BP_OK)
        rc = check_shape(d, raw, err);
    if (rc != BP_OK)
        return rc;
    int64_t time = time_of(d, raw);
    rc = check_limits(d, time, err);
    if (rc != BP_OK)
        return rc;
    const AVFrame *f = raw;
    if (!convert_is_needless(&d->convert, raw)) {
        rc = convert_frame(&d->convert, raw, converted, err);
        f = converted;
    }
    d->time = time;
    d->frames++;
    describe(d, raw, f, out);
    return rc;
}
