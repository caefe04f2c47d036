/* SPDX-License-Identifier: Apache-2.0 */
/* rates.h - what the device under test can do at best, measured. */
#ifndef BENCH_GPU_RATES_H
#define BENCH_GPU_RATES_H

#include <bp/device.h>

struct rates {
    double copy_bytes_s; /* read and written together, by a kernel that copies */
    double flops_s;      /* products and sums, not fused, as the kernels are compiled */
    double up_bytes_s;   /* from page-locked memory */
    double down_bytes_s;
    double launch_s; /* of a kernel that does nothing */
};

int32_t rates_measure(const struct bp_device *dev, int quick, struct rates *out, struct bp_err *err);
double seconds_now(void);

#endif
