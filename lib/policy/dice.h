/* SPDX-License-Identifier: Apache-2.0 */
/* dice.h - numbers that look random and are the same each time (xorshift, Marsaglia 2003). */
#ifndef POLICY_DICE_H
#define POLICY_DICE_H

#include <stdint.h>

#define DICE_SEED 0x9e3779b97f4a7c15u

/* *state must not be 0, and never becomes it. */
static inline uint64_t dice_roll(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
