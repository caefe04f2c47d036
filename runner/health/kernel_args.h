/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_args.h - arguments of the known answer; read by kernel.cu (CUDA and C) and by the host. */
#ifndef RUNNER_HEALTH_KERNEL_ARGS_H
#define RUNNER_HEALTH_KERNEL_ARGS_H

#include <stdint.h>

#define ANSWER_WIDTH  1024
#define ANSWER_HEIGHT 512
#define ANSWER_ROUNDS 16

struct known_answer_args {
    uint32_t *out; /* ANSWER_WIDTH values a row */
    uint32_t seed;
    int32_t width;
};

#endif
