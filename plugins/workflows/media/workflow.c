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

static struct bp_self *kept_self;
static const struct bp_host *kept_host;

void bp_workflow_keep(struct bp_self *self, const struct bp_host *host)
{
    kept_self = self;
    kept_host = host;
}

const char *bp_config_s(const char *name, char *out, uint32_t n)
{
    struct bp_job settings = {.size = (uint32_t)sizeof settings, .params = "{}"};
    if (kept_host && BP_HAS(kept_host, config))
        settings.params = kept_host->config(kept_self);
    return bp_param_s(&settings, name, out, n);
}
