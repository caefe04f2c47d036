/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A computation whose result is known: whole numbers and floats in turn, each round of the one fed by the other, so that
 * one wrong bit anywhere changes all that follows. Multiplication, addition and square root only: these give the same
 * bits on every device.
 */
#include <bp/kernel.h>

#include "kernel_args.h"

BP_KERNEL_PIXEL(known_answer, struct known_answer_args, a, x, y)
{
    uint32_t h = a->seed + (uint32_t)x * 2654435761u + (uint32_t)y * 2246822519u;
    float f = (float)(x & 255) + 1.0f;
    for (int32_t i = 0; i < ANSWER_ROUNDS; i++) {
        h ^= h << 13;
        h ^= h >> 17;
        h ^= h << 5;
        f = bp_sqrtf(f * 1.5f + (float)(int32_t)(h & 0xffffu));
        h += (uint32_t)(int32_t)(f * 64.0f);
    }
    a->out[y * a->width + x] = h;
}
