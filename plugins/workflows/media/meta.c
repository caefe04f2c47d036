/* SPDX-License-Identifier: Apache-2.0 */
#include "meta.h"

#include <libavutil/display.h>
#include <libavutil/dovi_meta.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <math.h>

#define CHROMA_UNITS 50000 /* of chromaticities, as SMPTE ST 2086 is carried */
#define LIGHT_UNITS  10000

/* FFmpeg's numbers of primaries, transfer and matrix are those of H.273; reserved ones are taken as not said. */
static int32_t said(int value, int last)
{
    return value > 0 && value != 3 && value <= last ? value : AVCOL_PRI_UNSPECIFIED;
}

/* As players guess: small pictures are television's, all others HDTV's. */
static void guess_colours(struct bp_video_meta *m, int height)
{
    int32_t small = height <= 576, pal = height > 480;
    if (m->matrix == AVCOL_SPC_UNSPECIFIED)
        m->matrix = m->primaries == AVCOL_PRI_BT2020 ? AVCOL_SPC_BT2020_NCL
                    : !small                         ? AVCOL_SPC_BT709
                    : pal                            ? AVCOL_SPC_BT470BG
                                                     : AVCOL_SPC_SMPTE170M;
    if (m->primaries == AVCOL_PRI_UNSPECIFIED)
        m->primaries = m->matrix == AVCOL_SPC_BT2020_NCL ? AVCOL_PRI_BT2020
                       : !small                          ? AVCOL_PRI_BT709
                       : pal                             ? AVCOL_PRI_BT470BG
                                                         : AVCOL_PRI_SMPTE170M;
    if (m->transfer == AVCOL_TRC_UNSPECIFIED)
        m->transfer = small ? AVCOL_TRC_SMPTE170M : AVCOL_TRC_BT709;
}

int32_t meta_is_full_range(const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    int unsaid = f->color_range == AVCOL_RANGE_UNSPECIFIED;
    int grey = d && d->nb_components < 3 && !(d->flags & AV_PIX_FMT_FLAG_PAL); /* without chroma, perhaps with alpha */
    return f->color_range == AVCOL_RANGE_JPEG || (d && strncmp(d->name, "yuvj", 4) == 0) || (unsaid && grey);
}

static void read_colours(const struct container *c, const AVFrame *f, struct bp_video_meta *m)
{
    const AVCodecParameters *p = c->video->codecpar;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    int space = f->colorspace == AVCOL_SPC_UNSPECIFIED ? (int)p->color_space : (int)f->colorspace;
    int primaries = f->color_primaries == AVCOL_PRI_UNSPECIFIED ? (int)p->color_primaries : (int)f->color_primaries;
    int transfer = f->color_trc == AVCOL_TRC_UNSPECIFIED ? (int)p->color_trc : (int)f->color_trc;
    m->primaries = said(primaries, AVCOL_PRI_EBU3213);
    m->transfer = said(transfer, AVCOL_TRC_ARIB_STD_B67);
    m->matrix = said(space, AVCOL_SPC_ICTCP);
    m->full_range = meta_is_full_range(f);
    if (d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL))) { /* converted to this, see convert.c */
        m->matrix = m->primaries = m->transfer = AVCOL_SPC_BT709;
        m->full_range = 0;
    }
    guess_colours(m, f->height);
    int site = (int)f->chroma_location;
    m->chroma = site == AVCHROMA_LOC_CENTER    ? BP_CHROMA_CENTRE
                : site == AVCHROMA_LOC_TOPLEFT ? BP_CHROMA_TOP_LEFT
                                               : BP_CHROMA_LEFT;
}

static uint32_t scaled(AVRational r, int64_t units)
{
    if (r.den == 0 || r.num < 0)
        return 0;
    int64_t v = av_rescale(r.num, units, r.den > 0 ? r.den : 1);
    return v > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)v;
}

static void read_mastering(const AVMasteringDisplayMetadata *d, struct bp_video_meta *m)
{
    if (!d->has_primaries || !d->has_luminance)
        return;
    for (int i = 0; i < 6; i++)
        m->mastering[i] = (uint16_t)scaled(d->display_primaries[i / 2][i % 2], CHROMA_UNITS);
    for (int i = 0; i < 2; i++)
        m->mastering[6 + i] = (uint16_t)scaled(d->white_point[i], CHROMA_UNITS);
    m->max_luminance = scaled(d->max_luminance, LIGHT_UNITS);
    m->min_luminance = scaled(d->min_luminance, LIGHT_UNITS);
    m->has_mastering = 1;
}

static void read_light(const AVContentLightMetadata *l, struct bp_video_meta *m)
{
    m->max_content_light = l->MaxCLL < 65535 ? l->MaxCLL : 65535;
    m->max_average_light = l->MaxFALL < 65535 ? l->MaxFALL : 65535;
    m->has_light = l->MaxCLL || l->MaxFALL;
}

/* Of the container, which may be wrong for a video that was cut, then of the frame, which is not. */
static void read_hdr(const struct container *c, const AVFrame *f, struct bp_video_meta *m)
{
    size_t n = 0;
    const void *data = lavf.av_stream_get_side_data(c->video, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, &n);
    if (data && n >= sizeof(AVMasteringDisplayMetadata))
        read_mastering(data, m);
    data = lavf.av_stream_get_side_data(c->video, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, &n);
    if (data && n >= sizeof(AVContentLightMetadata))
        read_light(data, m);
    const AVFrameSideData *side = av_frame_get_side_data(f, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    if (side && side->size >= sizeof(AVMasteringDisplayMetadata))
        read_mastering((const void *)side->data, m);
    side = av_frame_get_side_data(f, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (side && side->size >= sizeof(AVContentLightMetadata))
        read_light((const void *)side->data, m);
}

static void read_turn(const struct container *c, const AVFrame *f, struct bp_video_meta *m)
{
    size_t n = 0;
    const void *matrix = lavf.av_stream_get_side_data(c->video, AV_PKT_DATA_DISPLAYMATRIX, &n);
    const AVFrameSideData *side = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    if (!matrix && side) {
        matrix = side->data;
        n = side->size;
    }
    if (!matrix || n < sizeof m->display_matrix)
        return;
    memcpy(m->display_matrix, matrix, sizeof m->display_matrix);
    double degrees = av_display_rotation_get(m->display_matrix); /* anticlockwise; NaN: no turn at all */
    if (isnan(degrees))
        return;
    m->rotation = (int32_t)lround(360 - degrees) % 360;
    m->has_matrix = 1;
}

void meta_read(const struct container *c, const AVFrame *f, struct bp_video_meta *out)
{
    *out = (struct bp_video_meta){0};
    read_colours(c, f, out);
    read_hdr(c, f, out);
    read_turn(c, f, out);
    AVRational aspect = f->sample_aspect_ratio.num > 0 ? f->sample_aspect_ratio : c->video->sample_aspect_ratio;
    if (c->video->sample_aspect_ratio.num > 0) /* the container's word goes, as in players */
        aspect = c->video->sample_aspect_ratio;
    out->sample_aspect =
        aspect.num > 0 && aspect.den > 0 ? (struct bp_ratio){aspect.num, aspect.den} : (struct bp_ratio){1, 1};
}

static const AVDOVIDecoderConfigurationRecord *dolby(const struct container *c)
{
    size_t n = 0;
    const void *data = lavf.av_stream_get_side_data(c->video, AV_PKT_DATA_DOVI_CONF, &n);
    return n >= sizeof(AVDOVIDecoderConfigurationRecord) ? data : NULL;
}

int32_t meta_is_dynamic(const struct container *c, const AVFrame *f)
{
    return dolby(c) || av_frame_get_side_data(f, AV_FRAME_DATA_DYNAMIC_HDR_PLUS) ||
           av_frame_get_side_data(f, AV_FRAME_DATA_DOVI_METADATA);
}

int32_t meta_is_foreign(const struct container *c)
{
    const AVDOVIDecoderConfigurationRecord *d = dolby(c);
    return d && d->dv_bl_signal_compatibility_id == 0;
}

struct bp_video_meta meta_complete(const struct bp_video_meta *meta)
{
    struct bp_video_meta m = *meta;
    if (m.primaries == 0)
        m.primaries = AVCOL_PRI_BT709;
    if (m.transfer == 0)
        m.transfer = AVCOL_TRC_BT709;
    if (m.matrix == 0) /* in H.273 that is RGB, which no 4:2:0 video is in */
        m.matrix = AVCOL_SPC_BT709;
    if (m.sample_aspect.num <= 0 || m.sample_aspect.den <= 0)
        m.sample_aspect = (struct bp_ratio){1, 1};
    return m;
}

void meta_configure(const struct bp_video_meta *m, AVCodecContext *codec)
{
    codec->color_range = m->full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    codec->colorspace = (enum AVColorSpace)m->matrix;
    codec->color_primaries = (enum AVColorPrimaries)m->primaries;
    codec->color_trc = (enum AVColorTransferCharacteristic)m->transfer;
    codec->chroma_sample_location = m->chroma == BP_CHROMA_CENTRE     ? AVCHROMA_LOC_CENTER
                                    : m->chroma == BP_CHROMA_TOP_LEFT ? AVCHROMA_LOC_TOPLEFT
                                                                      : AVCHROMA_LOC_LEFT;
    if (m->sample_aspect.num != m->sample_aspect.den)
        codec->sample_aspect_ratio = (AVRational){m->sample_aspect.num, m->sample_aspect.den};
}

static int attach(AVStream *s, enum AVPacketSideDataType type, void *data, size_t n)
{
    int r = data ? lavf.av_stream_add_side_data(s, type, data, n) : AVERROR(ENOMEM);
    if (r < 0)
        av_free(data);
    return r < 0 ? r : 0;
}

static int attach_mastering(const struct bp_video_meta *m, AVStream *s)
{
    AVMasteringDisplayMetadata *d = av_mastering_display_metadata_alloc();
    if (!d)
        return AVERROR(ENOMEM);
    for (int i = 0; i < 6; i++)
        d->display_primaries[i / 2][i % 2] = (AVRational){m->mastering[i], CHROMA_UNITS};
    for (int i = 0; i < 2; i++)
        d->white_point[i] = (AVRational){m->mastering[6 + i], CHROMA_UNITS};
    d->max_luminance = (AVRational){(int)m->max_luminance, LIGHT_UNITS};
    d->min_luminance = (AVRational){(int)m->min_luminance, LIGHT_UNITS};
    d->has_primaries = d->has_luminance = 1;
    return attach(s, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, d, sizeof *d);
}

int meta_attach(const struct bp_video_meta *m, AVStream *s)
{
    int r = 0;
    if (m->sample_aspect.num != m->sample_aspect.den)
        s->sample_aspect_ratio = (AVRational){m->sample_aspect.num, m->sample_aspect.den};
    if (m->has_mastering)
        r = attach_mastering(m, s);
    if (r >= 0 && m->has_light) {
        size_t n = 0;
        AVContentLightMetadata *l = av_content_light_metadata_alloc(&n);
        if (l) {
            l->MaxCLL = m->max_content_light;
            l->MaxFALL = m->max_average_light;
        }
        r = attach(s, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, l, n);
    }
    if (r >= 0 && m->has_matrix)
        r = attach(s, AV_PKT_DATA_DISPLAYMATRIX, av_memdup(m->display_matrix, sizeof m->display_matrix),
                   sizeof m->display_matrix);
    return r;
}
