/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/workflow.h>

#include <stdarg.h>
#include <stdio.h>

void bp_job_log(const struct bp_job *job, int32_t level, const char *fmt, ...)
{
    if (!BP_HAS(job, log))
        return;
    char line[501];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    job->log(job->ctx, level, line);
}

int32_t bp_job_progress(const struct bp_job *job, const char *what, int64_t done, int64_t all)
{
    char text[120];
    snprintf(text, sizeof text, "%.60s %lld of %lld", what, (long long)done, (long long)all);
    return job->progress(job->ctx, all > 0 ? (double)done / (double)all : 0, text);
}
