/* SPDX-License-Identifier: Apache-2.0 */
/* av.h - what the files here share about FFmpeg. */
#ifndef MEDIA_AV_H
#define MEDIA_AV_H

#include <bp/plugin.h>
#include <libavutil/frame.h>

/* "<attempted> failed: <FFmpeg's words>" with BP_NOMEM, BP_NOSPACE or else `rc`. Returns the code. */
int32_t av_fail(struct bp_err *err, int32_t rc, const char *attempted, int av_result);
/* FFmpeg prints nothing: what matters comes back as errors. */
void av_quiet(void);
/* Sample i of a channel as -1..1, whatever it is stored as. */
float av_sample_at(const AVFrame *f, int channel, int i);

#endif
