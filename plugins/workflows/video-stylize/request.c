/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <bp/workflow.h>

int32_t request_read(const struct bp_job *job, struct request *out, struct bp_err *err)
{
    double quality;
    memset(out, 0, sizeof *out);
    if (bp_param_f_in(job, "strength", 1, 0, 1, &out->strength, err) != BP_OK ||
        bp_param_f_in(job, "brushSize", 5, 2, 12, &out->brush_size, err) != BP_OK ||
        bp_param_f_in(job, "stability", 0.8, 0, 1, &out->stability, err) != BP_OK ||
        bp_param_f_in(job, "quality", 18, 1, 40, &quality, err) != BP_OK)
        return BP_INVALID;
    out->quality = (int64_t)quality;
    return BP_OK;
}
