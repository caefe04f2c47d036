/* SPDX-License-Identifier: Apache-2.0 */
/*
 * camera.h - the move: where each output pixel looks in the photo, at each moment. Pure arithmetic in double; the
 * camera never looks past the photo's edge.
 */
#ifndef IMAGE_TO_VIDEO_CAMERA_H
#define IMAGE_TO_VIDEO_CAMERA_H

#include "kernel_args.h"
#include "request.h"

/* A move over a photo of this size. Sizes may be of the photo as it is or as it was shrunk: all scales with them. */
struct camera {
    const struct request *request;
    double width, height; /* of the photo */
    double base;          /* photo pixels per output pixel at zoom 1: the photo just covers the output */
    double zoom_from, zoom_to;
    double aim_x, aim_y;       /* what a push goes to, from the photo's middle, in photo pixels */
    double travel_x, travel_y; /* of a pan, from its start to its end */
    double angle;              /* of an orbit, radians, from -angle to +angle; its sign is the direction */
    double relief; /* parallax: how much more (pan, push: factor; orbit: photo pixels) near moves than far */
};

void camera_init(struct camera *camera, const struct request *request, double width, double height);
/* Does this request need perspective or depth, that is bent views? */
int32_t camera_is_bent(const struct request *request);
/* The smallest and largest number of photo pixels per output pixel during the move. */
double camera_min_scale(const struct camera *camera);
double camera_max_scale(const struct camera *camera);
/* Time 0..1 of the whole move, eased, to a fraction of the way. */
double camera_ease(int32_t easing, double t);
/* The view at time t (0..1; clamped). */
void camera_straight(const struct camera *camera, double t, struct straight_view *out);
void camera_bent(const struct camera *camera, double t, struct bent_view *out);
/* How far, in output pixels, the picture moves at most between two times. */
double camera_motion(const struct camera *camera, double t0, double t1);

#endif
