/* SPDX-License-Identifier: Apache-2.0 */
/* Which encoder a video gets, and how it is set. */
#include "av.h"
#include "meta.h"
#include "video.h"

#include <bp/workflow.h>
#include <libavutil/opt.h>
#include <stdio.h>

/*
 * A camera over one picture moves smoothly and no scene is cut, so x264 need not look for cuts nor try how many frames
 * between two references are worth it; five are. That frees most of the time its finest search for sub-pixel motion
 * takes, which subme=1 leaves out: 30 to 46 % less CPU and a file 7 to 12 % smaller, for 0.1 to 0.3 dB of PSNR (three
 * clips, docs/performance.md). A block moves as one and hardly otherwise than its neighbour, and nothing grows
 * brighter: blocks whole, the smallest search and no weights take up to another 14 % of CPU and 1 to 2 % of the file,
 * for at most 0.04 dB (a push, a pan, an orbit).
 */
#define X264_CAMERA  "open-gop=0:scenecut=0:b-adapt=0:bframes=5:subme=1:me=dia:partitions=none:weightp=0"
#define X264_FOOTAGE "open-gop=0"

/*
 * x264's AVX-512 code for macroblock trees reads memory it never wrote (seen with build 164), so the same
 * frames give other bytes from time to time. AVX2 is as fast and gives the same bytes always.
 */
static const char *x264_safe_code(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return ":asm=avx2,fma3,bmi1,bmi2,lzcnt";
#endif
    return "";
}

static void set_x264(AVCodecContext *c, const struct bp_video_spec *s)
{
    char params[200];
    snprintf(params, sizeof params, "%s%s", s->content == BP_VIDEO_CAMERA ? X264_CAMERA : X264_FOOTAGE,
             x264_safe_code());
    av_opt_set(c->priv_data, "preset", "veryfast", 0);
    if (s->quality > 0) /* without any loss it is a profile of its own */
        av_opt_set(c->priv_data, "profile", s->format == BP_VIDEO_PLANAR10 ? "high10" : "high", 0);
    av_opt_set_int(c->priv_data, "crf", s->quality, 0);
    av_opt_set(c->priv_data, "x264-params", params, 0);
}

/* HDR goes into the stream too, for players that do not look into the MP4's own boxes. */
static void set_x265(AVCodecContext *c, const struct bp_video_spec *s)
{
    static const char order[3] = {1, 2, 0}; /* G B R */
    static const char letters[] = "RGB";
    const struct bp_video_meta *m = &s->meta;
    char params[500];
    int n = snprintf(params, sizeof params, "log-level=none:info=0:open-gop=0:chromaloc=%d", m->chroma);
    if (s->threads > 0)
        n += snprintf(params + n, sizeof params - (size_t)n, ":pools=%d", s->threads);
    if (m->has_mastering) {
        n += snprintf(params + n, sizeof params - (size_t)n, ":master-display=");
        for (int i = 0; i < 3; i++)
            n += snprintf(params + n, sizeof params - (size_t)n, "%c(%d,%d)", letters[(int)order[i]],
                          m->mastering[order[i] * 2], m->mastering[order[i] * 2 + 1]);
        n += snprintf(params + n, sizeof params - (size_t)n, "WP(%d,%d)L(%u,%u)", m->mastering[6], m->mastering[7],
                      m->max_luminance, m->min_luminance);
    }
    if (m->has_light)
        snprintf(params + n, sizeof params - (size_t)n, ":max-cll=%u,%u", m->max_content_light, m->max_average_light);
    av_opt_set(c->priv_data, "preset", "veryfast", 0);
    av_opt_set(c->priv_data, "profile", "main10", 0);
    av_opt_set_double(c->priv_data, "crf", s->quality, 0);
    av_opt_set(c->priv_data, "x265-params", params, 0);
}

enum AVPixelFormat codec_format(const struct bp_video_spec *s)
{
    return s->format == BP_VIDEO_NV12      ? AV_PIX_FMT_NV12
           : s->format == BP_VIDEO_PLANAR8 ? AV_PIX_FMT_YUV420P
                                           : AV_PIX_FMT_YUV420P10;
}

/* Groups of pictures are closed, so that a video can be cut and continued at each key frame. */
void codec_configure(AVCodecContext *c, const struct bp_video_spec *s)
{
    c->width = s->width;
    c->height = s->height;
    c->pix_fmt = codec_format(s);
    c->time_base = (AVRational){1, s->fps};
    c->framerate = (AVRational){s->fps, 1};
    c->gop_size = s->key_interval;
    c->thread_count = s->threads;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | (int)AV_CODEC_FLAG_CLOSED_GOP;
    meta_configure(&s->meta, c);
}

/* 10 bits as H.265, which players show; where FFmpeg has no x265, as H.264's High 10, which some do. */
static const AVCodec *find_encoder(const struct bp_video_spec *s)
{
    const AVCodec *found = s->format == BP_VIDEO_PLANAR10 ? avcodec_find_encoder_by_name("libx265") : NULL;
    return found ? found : avcodec_find_encoder_by_name("libx264");
}

static int32_t open_software(struct bp_video *v, struct bp_err *err)
{
    const AVCodec *encoder = find_encoder(&v->spec);
    if (!encoder)
        return bp_error(err, BP_FAIL, "this machine's FFmpeg has no libx264; install libavcodec with x264");
    v->codec = avcodec_alloc_context3(encoder);
    if (!v->codec)
        return bp_error(err, BP_NOMEM, "no memory for a video encoder");
    codec_configure(v->codec, &v->spec);
    if (v->codec->codec_id == AV_CODEC_ID_HEVC)
        set_x265(v->codec, &v->spec);
    else
        set_x264(v->codec, &v->spec);
    int r = avcodec_open2(v->codec, encoder, NULL);
    return r < 0 ? av_fail(err, BP_FAIL, "opening the video encoder", r) : BP_OK;
}

int32_t codec_open(struct bp_video *v, struct bp_err *err)
{
    struct bp_err why = {0};
    v->frame = av_frame_alloc();
    v->packet = av_packet_alloc();
    if (!v->frame || !v->packet)
        return bp_error(err, BP_NOMEM, "no memory for a video encoder");
    if (v->spec.engine != BP_ENGINE_SOFTWARE && engine_open(v, &why) == BP_OK)
        return BP_OK;
    if (v->spec.engine == BP_ENGINE_HARDWARE)
        return bp_error(err, BP_UNSUPPORTED, "%.250s", why.text);
    snprintf(v->passed_over, sizeof v->passed_over, "%.199s", why.text);
    return open_software(v, err);
}
