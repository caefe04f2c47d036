/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference.h - how much two pictures, or two videos, differ: the root mean square of what their samples differ by, on
 * the scale 0..255, in the worst tile of 64 x 64 pixels of the worst frame. A mean over a whole picture would not
 * notice a small thing that is quite wrong.
 */
#ifndef COMPARE_DIFFERENCE_H
#define COMPARE_DIFFERENCE_H

#include <bp/media.h>

#define DIFFERENCE_TILE 64

struct difference {
    double worst;  /* as above */
    double square; /* sum of squares, and of how many samples: over all, for the PSNR */
    int64_t samples, frames;
};

/* Of two pictures of the same size. */
void difference_images(struct difference *d, const struct bp_image *a, const struct bp_image *b);
/* Of two frames of the same size. Their depths may differ. */
void difference_frames(struct difference *d, const struct bp_video_frame *a, const struct bp_video_frame *b);
/* Peak signal to noise ratio over all, dB, at most 99. */
double difference_psnr(const struct difference *d);

#endif
