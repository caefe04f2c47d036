/* SPDX-License-Identifier: Apache-2.0 */
#include <bp/workflow.h>

double bp_param_f_or(const struct bp_job *job, const char *name, double fallback)
{
    return bp_json_f(job->params, name, fallback);
}

double bp_param_f(const struct bp_job *job, const char *name)
{
    return bp_param_f_or(job, name, 0);
}

int32_t bp_param_f_in(const struct bp_job *job, const char *name, double fallback, double minimum, double maximum,
                      double *out, struct bp_err *err)
{
    *out = bp_param_f_or(job, name, fallback);
    if (*out >= minimum && *out <= maximum)
        return BP_OK;
    return bp_error(err, BP_INVALID, "%s is %g, allowed are %g to %g", name, *out, minimum, maximum);
}

int64_t bp_param_i_or(const struct bp_job *job, const char *name, int64_t fallback)
{
    return bp_json_i(job->params, name, fallback);
}

int64_t bp_param_i(const struct bp_job *job, const char *name)
{
    return bp_param_i_or(job, name, 0);
}

int32_t bp_param_b_or(const struct bp_job *job, const char *name, int32_t fallback)
{
    return bp_json_b(job->params, name, fallback);
}

const char *bp_param_s(const struct bp_job *job, const char *name, char *out, uint32_t n)
{
    return bp_json_s(job->params, name, out, n);
}
