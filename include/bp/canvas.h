/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/canvas.h - a picture in a device's memory. May stand in a kernel's argument struct: bp/kernel.h has bp_pixel() to
 * go with it.
 */
#ifndef BP_CANVAS_H
#define BP_CANVAS_H

#include <stdint.h>

/* sRGB, four bytes a pixel, R G B A, alpha not multiplied in; rows follow each other without a gap. */
struct bp_canvas {
    uint8_t *pixels; /* an address of the device */
    int32_t width, height;
};

#endif
