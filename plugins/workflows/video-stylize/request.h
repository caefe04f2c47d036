/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - what a job asks for: its params, checked again, because a runner trusts nobody. */
#ifndef VIDEO_STYLIZE_REQUEST_H
#define VIDEO_STYLIZE_REQUEST_H

#include <bp/job.h>

/* No padding: its bytes say whether two jobs ask for the same video. */
struct request {
    double strength;   /* 0..1 */
    double brush_size; /* 2..12: radius of a round stroke, in pixels */
    double stability;  /* 0..1 */
    int64_t quality;   /* x264's constant rate factor */
};

/* BP_INVALID names the param, its value and what is allowed. Absent ones get the manifest's default. */
int32_t request_read(const struct bp_job *job, struct request *out, struct bp_err *err);

#endif
