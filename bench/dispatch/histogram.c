/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include <string.h>

/* Below 64 each value has its own bucket; above, the top 7 bits choose. */
static unsigned bucket_of(uint64_t us)
{
    if (us < HISTOGRAM_STEPS)
        return (unsigned)us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us) - 5;
    if (octave >= HISTOGRAM_OCTAVES)
        return HISTOGRAM_OCTAVES * HISTOGRAM_STEPS - 1;
    return octave * HISTOGRAM_STEPS + (unsigned)(us >> (octave - 1) & (HISTOGRAM_STEPS - 1));
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned bucket)
{
    unsigned octave = bucket / HISTOGRAM_STEPS, step = bucket % HISTOGRAM_STEPS;
    if (octave == 0)
        return step;
    uint64_t width = UINT64_C(1) << (octave - 1);
    return (HISTOGRAM_STEPS + (uint64_t)step) * width + width / 2;
}

void histogram_add(struct histogram *h, uint64_t us)
{
    h->bucket[bucket_of(us)]++;
    h->count++;
    h->sum_us += us;
    h->max_us = us > h->max_us ? us : h->max_us;
}

uint64_t histogram_percentile(const struct histogram *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)h->count), seen = 0;
    want = want < 1 ? 1 : want;
    if (h->count == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES * HISTOGRAM_STEPS; i++) {
        seen += h->bucket[i];
        if (seen >= want)
            return value_of(i) < h->max_us ? value_of(i) : h->max_us;
    }
    return h->max_us;
}

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}
