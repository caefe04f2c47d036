/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h - so many per client address and minute. A fixed number of addresses is remembered; the oldest is forgotten.
 */
#ifndef HTTP_RATE_H
#define HTTP_RATE_H

#include <stdint.h>

struct rate;
struct rate *rate_new(void);
void rate_free(struct rate *r);

struct rate_verdict {
    uint32_t remaining;
    int retry_after_s; /* > 0: over the limit */
};
/* Counts one from `ip` (an IPv6 address counts with its /64). limit >= 1. */
struct rate_verdict rate_take(struct rate *r, const char *ip, uint32_t limit, int64_t now_ms);

#endif
