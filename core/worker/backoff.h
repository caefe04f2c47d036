/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h - how long to wait before trying again: doubling from a quarter second to 30 s, each a little different. */
#ifndef WORKER_BACKOFF_H
#define WORKER_BACKOFF_H

#include <stdint.h>

/* Zeroed is fresh. */
struct backoff {
    int tries;
};
/* The next delay, ms; at least what the server asked for (retry_after_s, 0: nothing). Counts the try. */
int64_t backoff_next_ms(struct backoff *b, int64_t retry_after_s);

#endif
