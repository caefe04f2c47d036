/* SPDX-License-Identifier: Apache-2.0 */
#include "av.h"

#include <bp/workflow.h>
#include <errno.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/samplefmt.h>

int32_t av_fail(struct bp_err *err, int32_t rc, const char *attempted, int av_result)
{
    char words[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av_result, words, sizeof words);
    if (av_result == AVERROR(ENOMEM))
        rc = BP_NOMEM;
    if (av_result == AVERROR(ENOSPC) || av_result == AVERROR(EDQUOT))
        rc = BP_NOSPACE;
    return bp_error(err, rc, "%s failed: %s", attempted, words);
}

void av_quiet(void)
{
    av_log_set_level(AV_LOG_QUIET);
}

float av_sample_at(const AVFrame *f, int channel, int i)
{
    int planar = av_sample_fmt_is_planar((enum AVSampleFormat)f->format);
    int at = planar ? i : i * f->ch_layout.nb_channels + channel;
    const void *data = f->extended_data[planar ? channel : 0];
    switch (av_get_packed_sample_fmt((enum AVSampleFormat)f->format)) {
    case AV_SAMPLE_FMT_U8:
        return (float)(((const uint8_t *)data)[at] - 128) / 128;
    case AV_SAMPLE_FMT_S16:
        return (float)((const int16_t *)data)[at] / 32768;
    case AV_SAMPLE_FMT_S32:
        return (float)((const int32_t *)data)[at] / 2147483648.0F;
    case AV_SAMPLE_FMT_FLT:
        return ((const float *)data)[at];
    case AV_SAMPLE_FMT_DBL:
        return (float)((const double *)data)[at];
    default:
        return 0;
    }
}
