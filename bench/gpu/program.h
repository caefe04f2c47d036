/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - what the programs of this folder have in common: DEVICE [quick], and frames held against the CPU's. */
#ifndef BENCH_GPU_PROGRAM_H
#define BENCH_GPU_PROGRAM_H

#include "timed.h"

/* 0: all is right; 1: it measured, and something is not; negative: it could not, and err says why. */
typedef int32_t bench_fn(struct bp_device *dev, const struct bp_device *cpu, int quick, struct bp_err *err);

/* main(): opens the devices, runs it and says what failed. The exit status. */
int program_run(int argc, char **argv, bench_fn *bench);
/* By how much samples of 8, or of more bits in two bytes each, differ at the most. */
int program_worst(const uint8_t *a, const uint8_t *b, size_t bytes, int32_t depth);
/* A row of the table: what it was, and whether `worst` is at most `allowed`. 0: it is; 1. */
int32_t program_compared(const char *what, int32_t depth, int worst, int allowed);

#endif
