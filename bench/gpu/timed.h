/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timed.h - a device that measures every kernel launched on it, and the table of what it measured.
 *
 * A launch is done many times over, which changes nothing for kernels that only write what they are to write, and timed
 * as a whole. Its floor is the time its bytes or its arithmetic would take at the measured rates, whichever is longer.
 */
#ifndef BENCH_GPU_TIMED_H
#define BENCH_GPU_TIMED_H

#include "rates.h"

/* What a launch must at least move (every byte once) and compute. */
struct work {
    double bytes, flops;
};
/* 0, or -1: it does not know this kernel. */
typedef int work_of_fn(const char *kernel, struct bp_grid grid, const void *args, struct work *out);

/* A device in front of `real`; from now on it measures. One at a time. */
const struct bp_device *timed_device(const struct bp_device *real, const struct rates *rates, work_of_fn *work_of,
                                     int quick);
/* Prints a row for each kernel: its time, its floor and what part of its time that is. Returns the lowest part. */
double timed_print(void);

/* "what   value" rows of the table. */
void print_rates(const struct bp_device *dev, const struct rates *r);

#endif
