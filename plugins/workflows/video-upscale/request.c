/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <bp/workflow.h>

int32_t request_read(const struct bp_job *job, struct request *out, struct bp_err *err)
{
    double factor, quality;
    memset(out, 0, sizeof *out);
    if (bp_param_f_in(job, "factor", 2, 2, 4, &factor, err) != BP_OK ||
        bp_param_f_in(job, "sharpness", 0.4, 0, 1, &out->sharpness, err) != BP_OK ||
        bp_param_f_in(job, "quality", 18, 1, 40, &quality, err) != BP_OK)
        return BP_INVALID;
    out->factor = (int32_t)factor;
    out->quality = (int32_t)quality;
    return BP_OK;
}
