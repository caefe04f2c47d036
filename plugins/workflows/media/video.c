/* SPDX-License-Identifier: Apache-2.0 */
#include "video.h"

#include "av.h"

#include <bp/workflow.h>
#include <libavutil/opt.h>
#include <stdlib.h>

static int32_t check_spec(const struct bp_video_spec *s, struct bp_err *err)
{
    if (s->width < 16 || s->height < 16 || s->width > 16384 || s->height > 16384 || s->width % 2 || s->height % 2)
        return bp_error(err, BP_INVALID, "a video cannot be %d by %d: both sides must be even, 16 to 16384", s->width,
                        s->height);
    if (s->fps < 1 || s->fps > 120 || s->quality < 0 || s->quality > 51 || s->key_interval < 1)
        return bp_error(err, BP_INVALID, "a video cannot have %d frames/s, quality %d and a key frame each %d frames",
                        s->fps, s->quality, s->key_interval);
    return BP_OK;
}

/*
 * What moves here is a camera over one picture: motion is smooth and no scene is cut, so x264 need not look for cuts
 * nor try how many frames between two references are worth it; five are. That frees most of the time its finest search
 * for sub-pixel motion takes, which subme=1 leaves out: 30 to 46 % less CPU and a file 7 to 12 % smaller, for 0.1 to
 * 0.3 dB of PSNR (three clips, docs/performance.md).
 */
#define X264_PARAMS "open-gop=0:scenecut=0:b-adapt=0:bframes=5:subme=1"

/*
 * x264's AVX-512 code for macroblock trees reads memory it never wrote (seen with build 164), so the same
 * frames give other bytes from time to time. AVX2 is as fast and gives the same bytes always.
 */
static const char *x264_params(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return X264_PARAMS ":asm=avx2,fma3,bmi1,bmi2,lzcnt";
#endif
    return X264_PARAMS;
}

/* Groups of pictures are closed, so that a video can be cut and continued at each key frame. */
static void configure(AVCodecContext *c, const struct bp_video_spec *s)
{
    c->width = s->width;
    c->height = s->height;
    c->pix_fmt = AV_PIX_FMT_NV12;
    c->time_base = (AVRational){1, s->fps};
    c->framerate = (AVRational){s->fps, 1};
    c->gop_size = s->key_interval;
    c->thread_count = s->threads;
    c->color_range = AVCOL_RANGE_MPEG;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->chroma_sample_location = AVCHROMA_LOC_LEFT;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | (int)AV_CODEC_FLAG_CLOSED_GOP;
    av_opt_set(c->priv_data, "preset", "veryfast", 0);
    av_opt_set(c->priv_data, "profile", "high", 0);
    av_opt_set_int(c->priv_data, "crf", s->quality, 0);
    av_opt_set(c->priv_data, "x264-params", x264_params(), 0);
}

static int32_t open_codec(struct bp_video *v, struct bp_err *err)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name("libx264");
    if (!encoder)
        return bp_error(err, BP_FAIL, "this machine's FFmpeg has no libx264; install libavcodec with x264");
    v->codec = avcodec_alloc_context3(encoder);
    v->frame = av_frame_alloc();
    v->packet = av_packet_alloc();
    if (!v->codec || !v->frame || !v->packet)
        return bp_error(err, BP_NOMEM, "no memory for a video encoder");
    configure(v->codec, &v->spec);
    int r = avcodec_open2(v->codec, encoder, NULL);
    return r < 0 ? av_fail(err, BP_FAIL, "opening the H.264 encoder", r) : BP_OK;
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
    rc = open_codec(v, err);
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
        struct packet p = {v->packet->pts, (uint32_t)v->packet->size, (v->packet->flags & AV_PKT_FLAG_KEY) != 0};
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

/* Lends the caller's pixels to FFmpeg until the frame is unreferenced; x264 copies them while it is sent. */
static int lend_frame(struct bp_video *v, const struct bp_frame *frame)
{
    AVFrame *f = v->frame;
    const uint8_t *planes[2] = {frame->luma, frame->chroma};
    size_t bytes = (size_t)v->spec.width * (size_t)v->spec.height;
    f->format = AV_PIX_FMT_NV12;
    f->width = v->spec.width;
    f->height = v->spec.height;
    f->pts = v->frames;
    for (int i = 0; i < 2; i++) {
        f->data[i] = (uint8_t *)(uintptr_t)planes[i];
        f->linesize[i] = v->spec.width;
        f->buf[i] = av_buffer_create(f->data[i], bytes >> i, keep, NULL, AV_BUFFER_FLAG_READONLY);
        if (!f->buf[i])
            return AVERROR(ENOMEM);
    }
    return 0;
}

int32_t bp_video_add(struct bp_video *v, const struct bp_frame *frame, struct bp_err *err)
{
    if (v->finished)
        return bp_error(err, BP_INVALID, "the video is finished, no frame can be added");
    int r = lend_frame(v, frame);
    if (r >= 0)
        r = avcodec_send_frame(v->codec, v->frame);
    av_frame_unref(v->frame);
    if (r < 0)
        return av_fail(err, BP_FAIL, "encoding the video", r);
    v->frames++;
    return collect(v, err);
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
    return packets_load(&v->packets, &origin, bytes, n, &v->frames, err);
}
