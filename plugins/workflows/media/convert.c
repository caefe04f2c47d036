/* SPDX-License-Identifier: Apache-2.0 */
#include "convert.h"

#include "meta.h"

#include <bp/workflow.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

int32_t convert_depth(int32_t format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)format);
    if (!d || (d->flags & (AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT)) ||
        !sws_isSupportedInput((enum AVPixelFormat)format))
        return 0;
    return d->comp[0].depth > 8 ? 10 : 8;
}

static enum AVPixelFormat wanted(const struct converter *c)
{
    return c->depth == 10 ? AV_PIX_FMT_YUV420P10 : AV_PIX_FMT_YUV420P;
}

int32_t convert_is_needless(const struct converter *c, const AVFrame *f)
{
    return f->width == c->width && f->height == c->height &&
           (f->format == wanted(c) || (c->depth == 8 && f->format == AV_PIX_FMT_YUVJ420P));
}

static int is_rgb(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    return d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

/* RGB becomes BT.709 of video range; all else keeps its matrix and range, so that only planes are resampled. */
static int set_colours(struct SwsContext *sws, const AVFrame *f)
{
    int full = meta_is_full_range(f);
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    if (is_rgb((enum AVPixelFormat)f->format))
        return sws_setColorspaceDetails(sws, bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16);
    return sws_setColorspaceDetails(sws, bt709, full, bt709, full, 0, 1 << 16, 1 << 16);
}

static int32_t prepare(struct converter *c, const AVFrame *f, struct bp_err *err)
{
    if (c->sws && f->format == c->from_format && f->width == c->from_width && f->height == c->from_height)
        return BP_OK;
    sws_freeContext(c->sws);
    c->sws = sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, c->width, c->height, wanted(c),
                            SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!c->sws)
        return bp_error(err, BP_BADINPUT, "the video's pixel format (%s, %d by %d) is not supported",
                        av_get_pix_fmt_name((enum AVPixelFormat)f->format), f->width, f->height);
    c->from_format = f->format;
    c->from_width = f->width;
    c->from_height = f->height;
    (void)set_colours(c->sws, f); /* refused where there is nothing to set: grey */
    return BP_OK;
}

static int32_t make_buffer(const struct converter *c, AVFrame *to, struct bp_err *err)
{
    if (to->buf[0])
        return BP_OK;
    to->format = wanted(c);
    to->width = c->width;
    to->height = c->height;
    if (av_frame_get_buffer(to, 0) < 0)
        return bp_error(err, BP_NOMEM, "no memory for a frame of %d by %d", c->width, c->height);
    return BP_OK;
}

int32_t convert_frame(struct converter *c, const AVFrame *f, AVFrame *to, struct bp_err *err)
{
    int32_t rc = prepare(c, f, err);
    if (rc == BP_OK)
        rc = make_buffer(c, to, err);
    if (rc != BP_OK)
        return rc;
    int done = sws_scale(c->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, to->data, to->linesize);
    return done == c->height ? BP_OK : bp_error(err, BP_FAIL, "converting a frame's pixels failed");
}

void convert_free(struct converter *c)
{
    sws_freeContext(c->sws);
    c->sws = NULL;
}
