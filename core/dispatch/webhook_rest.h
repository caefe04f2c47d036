/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_rest.h - servers that failed lately and are left alone for a while, so that one that is down does not hold up
 * the deliveries of all others. A small table; the oldest entry makes room. All [loop]. */
#ifndef DISPATCH_WEBHOOK_REST_H
#define DISPATCH_WEBHOOK_REST_H

#include <stdint.h>

#define WEBHOOK_RESTS 64

struct webhook_rests {
    struct webhook_rest {
        uint64_t url; /* its hash; 0: free */
        int64_t until_ms;
        uint32_t failures; /* in a row */
    } entry[WEBHOOK_RESTS];
};

/* How long this URL still rests, 0: not at all. Times are monotonic. */
int64_t webhook_rest_left(const struct webhook_rests *r, const char *url, int64_t now_ms);
/* It failed: one second at first, doubled with each failure in a row, at most a minute. */
void webhook_rest_failed(struct webhook_rests *r, const char *url, int64_t now_ms);
/* It answered. */
void webhook_rest_over(struct webhook_rests *r, const char *url);

#endif
