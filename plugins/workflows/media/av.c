/* SPDX-License-Identifier: Apache-2.0 */
#include "av.h"

#include <bp/workflow.h>
#include <errno.h>
#include <libavutil/error.h>
#include <libavutil/log.h>

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
