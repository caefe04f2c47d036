/* SPDX-License-Identifier: Apache-2.0 */
/* The best a device can do: 16 bytes in and out an item, and products and sums without a memory access. */
#include <bp/kernel.h>

#include "kernel_args.h"

BP_KERNEL_PIXEL(copy, struct copy_args, a, x, y)
{
    int64_t at = y * a->width + x;
    a->out[at] = a->in[at];
}

#if BP_TARGET_CUDA
typedef float lanes;
#define LANES 1
#else
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
#define LANES 16
#endif

/* On the CPU a lane is a vector, which the compiler splits into what the machine has. */
BP_KERNEL_TILE(compute, struct compute_args, a, tx, ty)
{
    float *out = a->out + (ty * a->width + tx) * 256;
    BP_EACH(i, 256 / LANES)
    {
        lanes v[COMPUTE_CHAINS], sum = {0};
        for (int32_t k = 0; k < COMPUTE_CHAINS; k++)
            v[k] = sum + (float)(i + k);
        for (int32_t n = 0; n < COMPUTE_ROUNDS; n++)
            for (int32_t k = 0; k < COMPUTE_CHAINS; k++)
                v[k] = v[k] * a->a + a->b;
        for (int32_t k = 0; k < COMPUTE_CHAINS; k++)
            sum += v[k];
        *(lanes *)(out + i * LANES) = sum;
    }
}
