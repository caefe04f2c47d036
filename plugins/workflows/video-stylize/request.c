/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <bp/workflow.h>

/* A number of the manifest's schema; absent it is the default there. */
static int32_t read_number(const struct bp_job *job, const char *name, double fallback, double minimum, double maximum,
                           double *out, struct bp_err *err)
{
    *out = bp_param_f_or(job, name, fallback);
    if (*out >= minimum && *out <= maximum)
        return BP_OK;
    return bp_error(err, BP_INVALID, "%s is %g, allowed are %g to %g", name, *out, minimum, maximum);
}

int32_t request_read(const struct bp_job *job, struct request *out, struct bp_err *err)
{
    double quality;
    memset(out, 0, sizeof *out);
    if (read_number(job, "strength", 1, 0, 1, &out->strength, err) != BP_OK ||
        read_number(job, "brushSize", 5, 2, 12, &out->brush_size, err) != BP_OK ||
        read_number(job, "stability", 0.8, 0, 1, &out->stability, err) != BP_OK ||
        read_number(job, "quality", 18, 0, 40, &quality, err) != BP_OK)
        return BP_INVALID;
    out->quality = (int64_t)quality;
    return BP_OK;
}
