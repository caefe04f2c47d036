/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of kernel.cu, for it and for the tests. */
#ifndef TEST_DEVICE_KERNEL_ARGS_H
#define TEST_DEVICE_KERNEL_ARGS_H

#include <stdint.h>

struct count_args {
    int32_t *hits; /* one per item */
    int32_t width;
};

struct smooth_args {
    const float *in; /* 66 values a tile */
    float *out;      /* 64 values a tile */
    float gain;
};

#endif
