/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the machine's own clock: what AWS compares signatures and expiries with, less the skew the client knows. */
#ifndef AWS_CLOCK_H
#define AWS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since the Unix epoch. Any thread. */
static inline int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
