/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h - the CPU device, for its two files: cpu.c (memory, kernels) and cpu_queue.c (queues and events). */
#ifndef RUNNER_DEVICE_CPU_H
#define RUNNER_DEVICE_CPU_H

#include "device/buffers.h"
#include "device/internal.h"

#include <pthread.h>

struct cpu {
    struct pool *pool;
    pthread_mutex_t launching; /* the pool does one thing at a time */
    struct bp_queue *queues;   /* open ones */
    struct buffers buffers;
    struct bp_device_stats stats;
};

/* Runs a kernel over its whole grid. Any thread. */
void cpu_run(struct cpu *cpu, const struct bp_kernel_twin *twin, struct bp_grid grid, const void *args);
/* Waits until all queues are empty. Called by all that names no queue. */
void cpu_drain(struct cpu *cpu);
/* Sets the functions of queues and events in the table. */
void cpu_queue_functions(struct bp_device *dev);

#endif
