/* SPDX-License-Identifier: Apache-2.0 */
#include "video.h"

#include "av.h"
#include "meta.h"

#include <bp/workflow.h>
#include <stdlib.h>

static int32_t check_spec(const struct bp_video_spec *s, struct bp_err *err)
{
    if (s->width < 16 || s->height < 16 || s->width > 16384 || s->height > 16384 || s->width % 2 || s->height % 2)
        return bp_error(err, BP_INVALID, "a video cannot be %d by %d: both sides must be even, 16 to 16384", s->width,
                        s->height);
    if (s->fps < 1 || s->fps > 240 || s->quality < 0 || s->quality > 51 || s->key_interval < 1)
        return bp_error(err, BP_INVALID, "a video cannot have %d frames/s, quality %d and a key frame each %d frames",
                        s->fps, s->quality, s->key_interval);
    if (s->format < BP_VIDEO_NV12 || s->format > BP_VIDEO_PLANAR10 || s->time_base.num < 0 || s->time_base.den < 0)
        return bp_error(err, BP_INVALID, "a video cannot have the format %d and the time base %d/%d", s->format,
                        s->time_base.num, s->time_base.den);
    return BP_OK;
}

int32_t bp_video_open(const struct bp_video_spec *spec, struct bp_video **out, struct bp_err *err)
{
    *out = NULL;
    av_quiet();
    int32_t rc = check_spec(spec, err);
    if (rc != BP_OK)
        return rc;
    struct bp_video *v = calloc(1, sizeof *v);
    if (!v)
        return bp_error(err, BP_NOMEM, "no memory for a video encoder");
    v->spec = *spec;
    v->spec.meta = meta_complete(&spec->meta);
    v->base = spec->time_base.num > 0 && spec->time_base.den > 0
                  ? (AVRational){spec->time_base.num, spec->time_base.den}
                  : (AVRational){1, spec->fps};
    v->packets.temp_dir = spec->temp_dir;
    v->time = INT64_MIN;
    rc = codec_open(v, err);
    if (rc != BP_OK)
        bp_video_close(&v);
    *out = v;
    return rc;
}

void bp_video_close(struct bp_video **video)
{
    struct bp_video *v = *video;
    if (!v)
        return;
    *video = NULL;
    avcodec_free_context(&v->codec);
    av_frame_free(&v->frame);
    av_frame_free(&v->wide);
    av_packet_free(&v->packet);
    packets_free(&v->packets);
    free(v);
}

/* Takes what the encoder has ready. */
static int32_t collect(struct bp_video *v, struct bp_err *err)
{
    for (;;) {
        int r = avcodec_receive_packet(v->codec, v->packet);
        if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
            return BP_OK;
        if (r < 0)
            return av_fail(err, BP_FAIL, "encoding the video", r);
        struct packet p = {.frame = v->packet->pts,
                           .bytes = (uint32_t)v->packet->size,
                           .key = (v->packet->flags & AV_PKT_FLAG_KEY) != 0};
        p.time = v->in_flight[p.frame % VIDEO_IN_FLIGHT].time;
        p.duration = v->in_flight[p.frame % VIDEO_IN_FLIGHT].duration;
        int32_t rc = packets_add(&v->packets, &p, v->packet->data, err);
        av_packet_unref(v->packet);
        if (rc != BP_OK)
            return rc;
    }
}

static void keep(void *opaque, uint8_t *data)
{
    (void)opaque, (void)data; /* the caller's memory */
}

/* Lends the caller's pixels to FFmpeg until the frame is unreferenced; the encoders copy them while it is sent. */
static int lend_plane(AVFrame *f, int i, const uint8_t *plane, int32_t stride, int32_t rows)
{
    f->data[i] = (uint8_t *)(uintptr_t)plane;
    f->linesize[i] = stride;
    f->buf[i] = av_buffer_create(f->data[i], (size_t)stride * (size_t)rows, keep, NULL, AV_BUFFER_FLAG_READONLY);
    return f->buf[i] ? 0 : AVERROR(ENOMEM);
}

/* Encodes what v->frame lends as the next frame. r: how the lending went. */
static int32_t encode(struct bp_video *v, int r, int64_t time, int64_t duration, struct bp_err *err)
{
    AVFrame *f = v->frame;
    if (r >= 0 && v->frames - (int64_t)v->packets.n >= VIDEO_IN_FLIGHT)
        r = AVERROR_BUG;
    v->in_flight[v->frames % VIDEO_IN_FLIGHT].time = time;
    v->in_flight[v->frames % VIDEO_IN_FLIGHT].duration = duration > 0 ? duration : 0;
    f->format = codec_format(&v->spec);
    f->width = v->spec.width;
    f->height = v->spec.height;
    if (r >= 0 && v->wide)
        r = engine_widen(v);
    AVFrame *given = v->wide ? v->wide : f;
    given->pts = v->frames;
    if (r >= 0)
        r = avcodec_send_frame(v->codec, given);
    av_frame_unref(f);
    if (r < 0)
        return av_fail(err, BP_FAIL, "encoding the video", r);
    v->frames++;
    v->time = time;
    return collect(v, err);
}

/* Times count frames unless there is a time base; then the last frame's follows from how many there are. What the
 * result is written with must be there before all are drawn. */
static int32_t check_add(const struct bp_video *v, int32_t format_fits, int64_t time, struct bp_err *err)
{
    if (v->finished)
        return bp_error(err, BP_INVALID, "the video is finished, no frame can be added");
    if (!format_fits)
        return bp_error(err, BP_INVALID, "the frame is not of the format or size that the video was opened with");
    if (time <= v->time || time < -PACKETS_TIME_MAX || time > PACKETS_TIME_MAX)
        return bp_error(err, BP_INVALID, "frame %lld cannot be shown at %lld, the one before is at %lld",
                        (long long)v->frames, (long long)time, (long long)v->time);
    return format_load(err);
}

int32_t bp_video_add(struct bp_video *v, const struct bp_frame *frame, struct bp_err *err)
{
    const struct bp_video_spec *s = &v->spec;
    int32_t rc = check_add(v, s->format == BP_VIDEO_NV12, v->frames, err);
    if (rc != BP_OK)
        return rc;
    int r = lend_plane(v->frame, 0, frame->luma, s->width, s->height);
    if (r >= 0)
        r = lend_plane(v->frame, 1, frame->chroma, s->width, s->height / 2);
    return encode(v, r, v->frames, 1, err);
}

int32_t bp_video_add_planar(struct bp_video *v, const struct bp_video_frame *frame, struct bp_err *err)
{
    const struct bp_video_spec *s = &v->spec;
    int timed = s->time_base.num > 0 && s->time_base.den > 0, depth = s->format == BP_VIDEO_PLANAR10 ? 10 : 8;
    int64_t time = timed ? frame->time : v->frames;
    int fits =
        s->format != BP_VIDEO_NV12 && frame->depth == depth && frame->width == s->width && frame->height == s->height;
    int32_t rc = check_add(v, fits, time, err);
    if (rc != BP_OK)
        return rc;
    int r = 0;
    for (int i = 0; i < 3 && r >= 0; i++)
        r = lend_plane(v->frame, i, frame->planes[i], frame->strides[i], i ? s->height / 2 : s->height);
    return encode(v, r, time, timed ? frame->duration : 1, err);
}

int32_t bp_video_finish(struct bp_video *v, struct bp_err *err)
{
    if (v->finished)
        return BP_OK;
    int r = avcodec_send_frame(v->codec, NULL);
    if (r < 0)
        return av_fail(err, BP_FAIL, "encoding the video's end", r);
    v->finished = 1;
    return collect(v, err);
}

const char *bp_video_encoder(const struct bp_video *v)
{
    return v->codec->codec->name;
}

const char *bp_video_passed_over(const struct bp_video *v)
{
    return v->passed_over;
}

int64_t bp_video_frames(const struct bp_video *v)
{
    return v->frames;
}

static struct packets_origin origin_of(const struct bp_video *v, const uint8_t tag[16])
{
    struct packets_origin o = {
        .spec = v->spec, .header = v->codec->extradata, .header_bytes = (uint32_t)v->codec->extradata_size};
    memcpy(o.tag, tag, sizeof o.tag);
    return o;
}

int32_t bp_video_save(const struct bp_video *v, const uint8_t tag[16], uint64_t max_bytes, uint8_t **bytes, uint64_t *n,
                      int64_t *frames, struct bp_err *err)
{
    struct packets_origin origin = origin_of(v, tag);
    uint64_t own = packets_overhead(&origin, 0), count = 0;
    *bytes = NULL;
    *n = 0;
    *frames = own < max_bytes ? packets_whole(&v->packets, max_bytes - own, v->frames, v->finished, &count) : 0;
    return packets_save(&v->packets, count, *frames, &origin, bytes, n, err);
}

int32_t bp_video_restore(struct bp_video *v, const uint8_t tag[16], const uint8_t *bytes, uint64_t n,
                         struct bp_err *err)
{
    if (v->frames || v->finished)
        return bp_error(err, BP_INVALID, "a video that was begun cannot be restored");
    struct packets_origin origin = origin_of(v, tag);
    int32_t rc = packets_load(&v->packets, &origin, bytes, n, &v->frames, err);
    for (uint64_t i = 0; rc == BP_OK && i < v->packets.n; i++)
        v->time = v->packets.list[i].time > v->time ? v->packets.list[i].time : v->time;
    return rc;
}
