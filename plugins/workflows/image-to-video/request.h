/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - what a job asks for: its params, checked again, because a runner trusts nobody. */
#ifndef IMAGE_TO_VIDEO_REQUEST_H
#define IMAGE_TO_VIDEO_REQUEST_H

#include <bp/job.h>

#define MOVE_PUSH      1
#define MOVE_PULL      2
#define MOVE_PAN_LEFT  3
#define MOVE_PAN_RIGHT 4
#define MOVE_PAN_UP    5
#define MOVE_PAN_DOWN  6
#define MOVE_ORBIT     7

#define EASING_LINEAR 1
#define EASING_IN     2
#define EASING_OUT    3
#define EASING_IN_OUT 4

/* No padding: its bytes say whether two jobs ask for the same video. */
struct request {
    double duration_s;
    double strength, parallax, motion_blur, vignette; /* 0..1 */
    int64_t seed;
    int32_t fps, width, height; /* width and height even */
    int32_t move, easing;       /* MOVE_*, EASING_* */
    int32_t frames;             /* duration * fps, at least 2 */
};

/* BP_INVALID names the param, its value and what is allowed. Absent ones get the manifest's default. */
int32_t request_read(const struct bp_job *job, struct request *out, struct bp_err *err);

#endif
