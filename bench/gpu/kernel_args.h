/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_args.h - of the kernels that measure what a device can do at best. */
#ifndef BENCH_GPU_KERNEL_ARGS_H
#define BENCH_GPU_KERNEL_ARGS_H

#include <stdint.h>

struct quad {
    float v[4];
};

struct copy_args {
    const struct quad *in;
    struct quad *out;
    int64_t width;
};

#define COMPUTE_ROUNDS 256
#define COMPUTE_CHAINS 8 /* of results that wait for each other; a GPU and a CPU have several under way */
#define COMPUTE_FLOPS  (2.0 * COMPUTE_ROUNDS * COMPUTE_CHAINS)

struct compute_args {
    float *out;
    float a, b;
    int64_t width;
};

#endif
