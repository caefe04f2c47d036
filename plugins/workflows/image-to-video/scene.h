/* SPDX-License-Identifier: Apache-2.0 */
/* scene.h - a photo, a camera and a canvas on the device: draws the frames of one job. */
#ifndef IMAGE_TO_VIDEO_SCENE_H
#define IMAGE_TO_VIDEO_SCENE_H

#include "camera.h"
#include "photo.h"

struct scene {
    const struct kernels *kernels;
    const struct request *request;
    struct camera camera;
    struct device_photo photo;
    struct bp_buffer depth; /* empty without parallax */
    int32_t depth_width, depth_height;
    float depth_scale;
};

/* Loads the kernels of this workflow onto a device. Free with kernels_unload(), also after an error. */
int32_t kernels_load(const struct bp_device *dev, struct kernels *out, struct bp_err *err);
void kernels_unload(struct kernels *kernels);

/* Prepares the device for all frames of a request; kernels and request must outlive the scene. scene_free() after an
 * error too. */
int32_t scene_init(struct scene *scene, const struct kernels *kernels, const struct request *request,
                   const struct bp_image *image, struct bp_err *err);
void scene_free(struct scene *scene);
/* Launches what draws frame i (0 .. request->frames - 1) into nv12, which has scene_bytes() bytes: luma, then chroma.
 */
int32_t scene_launch(const struct scene *scene, int32_t i, const struct bp_buffer *nv12, struct bp_queue *queue,
                     struct bp_err *err);
uint64_t scene_bytes(const struct request *request);

#endif
