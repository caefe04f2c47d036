/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - a log-linear histogram of durations: 64 steps an octave, so a percentile is at most 1.6 % off. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   64
#define HISTOGRAM_OCTAVES 38

struct histogram {
    uint64_t count, sum_us, max_us;
    uint64_t bucket[HISTOGRAM_OCTAVES * HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *h, uint64_t us);
/* The value q (0..1) of all are not above, in microseconds; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, double q);
void histogram_clear(struct histogram *h);

#endif
