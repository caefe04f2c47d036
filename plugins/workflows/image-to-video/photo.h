/* SPDX-License-Identifier: Apache-2.0 */
/* photo.h - the photo on the device: linear light, no larger than the move can show, with its border. */
#ifndef IMAGE_TO_VIDEO_PHOTO_H
#define IMAGE_TO_VIDEO_PHOTO_H

#include "kernel_args.h"

#include <bp/device.h>
#include <bp/media.h>

/* The kernels, got once per runner. */
struct kernels {
    const struct bp_device *dev;
    struct bp_module *module;
    struct bp_kernel *linearize, *shrink_columns, *shrink_rows, *straight[3], *bent; /* straight: 4, 6 and 8 taps */
};

struct device_photo {
    struct bp_buffer pixels;
    struct photo view; /* as kernels get it */
};

/*
 * Copies the image to the device and shrinks it by `factor` (>= 1) with a Lanczos filter, which leaves nothing that
 * could alias. BP_NOMEM, BP_IO. Free with photo_free().
 */
int32_t photo_make(const struct kernels *kernels, const struct bp_image *image, double factor, struct device_photo *out,
                   struct bp_err *err);
void photo_free(const struct kernels *kernels, struct device_photo *photo);

#endif
