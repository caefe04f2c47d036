/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <math.h>

#define TAU 6.28318530717958647692

struct dice dice_new(uint64_t seed, const char *what)
{
    uint64_t z = seed;
    for (; *what; what++)
        z = (z ^ (unsigned char)*what) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return (struct dice){z ? z : 1};
}

double dice_uniform(struct dice *d)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return (double)((d->state * 0x2545F4914F6CDD1Dull) >> 11) / 9007199254740992.0;
}

double dice_exponential(struct dice *d, double mean)
{
    return -log(1 - dice_uniform(d)) * mean;
}

/* Box and Muller's. */
double dice_normal(struct dice *d)
{
    double u = 1 - dice_uniform(d), v = dice_uniform(d);
    return sqrt(-2 * log(u)) * cos(TAU * v);
}
