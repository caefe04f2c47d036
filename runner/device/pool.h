/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - threads that share out the pieces of one piece of work. The caller works too, so a pool of one has no
 * threads at all. One piece of work at a time, started from one thread.
 */
#ifndef RUNNER_DEVICE_POOL_H
#define RUNNER_DEVICE_POOL_H

#include <stdint.h>

struct pool;

/* threads: how many work, the caller included; 1..256. NULL: no memory or no thread. Free with pool_free(). */
struct pool *pool_new(int32_t threads);
void pool_free(struct pool *pool);
int32_t pool_threads(const struct pool *pool);
/* Calls work(arg, i) for each i in 0..n-1, in any order on any thread; returns when all returned. */
void pool_run(struct pool *pool, uint32_t n, void (*work)(void *arg, uint32_t i), void *arg);

#endif
