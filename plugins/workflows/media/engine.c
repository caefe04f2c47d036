/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPU's encoder and decoder (NVENC, NVDEC), as FFmpeg offers them. Whether they are there shows when they are
 * opened: a driver without them, a GPU without them, too many sessions on a consumer's card or a size they do not take
 * all end in the same way.
 */
#include "av.h"
#include "video.h"

#include <bp/device.h>
#include <bp/workflow.h>
#include <libavutil/opt.h>
#include <stdio.h>

/* A test puts encoders that every machine has in their place. */
#ifndef ENGINE_H264
#define ENGINE_H264 "h264_nvenc"
#define ENGINE_HEVC "hevc_nvenc"
#endif

int32_t bp_engine_for(const struct bp_device *dev, const char *wish)
{
    if (wish && strcmp(wish, "software") == 0)
        return BP_ENGINE_SOFTWARE;
    if (wish && strcmp(wish, "hardware") == 0)
        return BP_ENGINE_HARDWARE;
    return dev->kind == BP_DEVICE_CUDA ? BP_ENGINE_AUTO : BP_ENGINE_SOFTWARE;
}

static int is_deep(const struct bp_video_spec *s)
{
    return s->format == BP_VIDEO_PLANAR10;
}

/*
 * NVENC's constant quality is on x264's scale. Every key frame is an IDR frame, as x264's closed groups are, so that a
 * video can be cut and continued there.
 */
static void set_nvenc(AVCodecContext *c, const struct bp_video_spec *s)
{
    av_opt_set(c->priv_data, "preset", "p4", 0);
    av_opt_set(c->priv_data, "tune", "hq", 0);
    av_opt_set(c->priv_data, "profile", is_deep(s) ? "main10" : "high", 0);
    av_opt_set(c->priv_data, "rc", "vbr", 0);
    av_opt_set_double(c->priv_data, "cq", s->quality > 0 ? s->quality : 1, 0); /* 0 would mean: choose */
    av_opt_set_int(c->priv_data, "forced-idr", 1, 0);
    av_opt_set_int(c->priv_data, "strict_gop", 1, 0);
    av_opt_set_int(c->priv_data, "no-scenecut", s->content == BP_VIDEO_CAMERA, 0);
    c->max_b_frames = 2;
    c->bit_rate = 0;
}

/* NVENC takes 10 bits as P010 only: the upper ten of sixteen, U and V in turn. */
static int32_t make_wide(struct bp_video *v, struct bp_err *err)
{
    v->wide = av_frame_alloc();
    if (!v->wide)
        return bp_error(err, BP_NOMEM, "no memory for a frame");
    v->wide->format = AV_PIX_FMT_P010;
    v->wide->width = v->spec.width;
    v->wide->height = v->spec.height;
    if (av_frame_get_buffer(v->wide, 0) < 0)
        return bp_error(err, BP_NOMEM, "no memory for a frame of %d by %d", v->spec.width, v->spec.height);
    return BP_OK;
}

static uint16_t *row(const AVFrame *f, int plane, int y)
{
    return (uint16_t *)(void *)(f->data[plane] + (ptrdiff_t)y * f->linesize[plane]);
}

int engine_widen(struct bp_video *v)
{
    const AVFrame *from = v->frame;
    AVFrame *to = v->wide;
    int r = av_frame_make_writable(to); /* the encoder may still look at the last one */
    if (r < 0)
        return r;
    for (int y = 0; y < v->spec.height; y++) {
        const uint16_t *in = row(from, 0, y);
        uint16_t *out = row(to, 0, y);
        for (int x = 0; x < v->spec.width; x++)
            out[x] = (uint16_t)(in[x] << 6);
    }
    for (int y = 0; y < v->spec.height / 2; y++) {
        const uint16_t *in_u = row(from, 1, y), *in_v = row(from, 2, y);
        uint16_t *out = row(to, 1, y);
        for (int x = 0; x < v->spec.width / 2; x++) {
            out[2 * x] = (uint16_t)(in_u[x] << 6);
            out[2 * x + 1] = (uint16_t)(in_v[x] << 6);
        }
    }
    return 0;
}

static int32_t try_open(struct bp_video *v, const AVCodec *encoder, struct bp_err *err)
{
    v->codec = avcodec_alloc_context3(encoder);
    if (!v->codec)
        return bp_error(err, BP_NOMEM, "no memory for a video encoder");
    codec_configure(v->codec, &v->spec);
    set_nvenc(v->codec, &v->spec);
    int32_t rc = BP_OK;
    if (is_deep(&v->spec)) {
        v->codec->pix_fmt = AV_PIX_FMT_P010;
        rc = make_wide(v, err);
    }
    int r = rc == BP_OK ? avcodec_open2(v->codec, encoder, NULL) : 0;
    return r < 0 ? av_fail(err, BP_UNSUPPORTED, "opening the GPU's video encoder", r) : rc;
}

int32_t engine_open(struct bp_video *v, struct bp_err *err)
{
    const char *name = is_deep(&v->spec) ? ENGINE_HEVC : ENGINE_H264;
    const AVCodec *encoder = avcodec_find_encoder_by_name(name);
    int32_t rc =
        encoder ? try_open(v, encoder, err)
                : bp_error(err, BP_UNSUPPORTED, "this machine's FFmpeg has no %s; install libavcodec with NVENC", name);
    if (rc != BP_OK) {
        avcodec_free_context(&v->codec);
        av_frame_free(&v->wide);
    }
    return rc;
}

/* NVDEC takes 4:2:0 of 8 and 10 bits; what else a codec knows would only show in the middle of the file. */
const AVCodec *engine_decoder(const AVCodecParameters *stream, char why[160])
{
    static const struct {
        enum AVCodecID id;
        const char *name;
    } decoders[] = {{AV_CODEC_ID_H264, "h264_cuvid"},
                    {AV_CODEC_ID_HEVC, "hevc_cuvid"},
                    {AV_CODEC_ID_VP9, "vp9_cuvid"},
                    {AV_CODEC_ID_AV1, "av1_cuvid"},
                    {AV_CODEC_ID_VP8, "vp8_cuvid"}};
    const AVCodec *found = NULL;
    int deep = stream->format == AV_PIX_FMT_YUV420P10 && stream->codec_id != AV_CODEC_ID_H264;
    int fits = stream->format == AV_PIX_FMT_YUV420P || stream->format == AV_PIX_FMT_YUVJ420P || deep;
    const char *name = NULL;
    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++)
        if (decoders[i].id == stream->codec_id)
            name = decoders[i].name;
    if (name && fits)
        found = avcodec_find_decoder_by_name(name);
    if (!name || !fits)
        snprintf(why, 160, "the GPU's decoder takes no %s%s", avcodec_get_name(stream->codec_id),
                 name ? " of these pixels" : "");
    else if (!found)
        snprintf(why, 160, "this machine's FFmpeg has no %s", name);
    return found;
}
