/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h - whether and when a failed call is sent again: a bucket of tokens a service, and rests with full jitter.
 *
 * The bucket keeps a service that is down from being asked three times as often: repetitions are paid for, successes
 * earn. Any thread.
 */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include "services.h"
#include <pthread.h>
#include <stdint.h>

#define RETRY_TOKENS      500
#define RETRY_COST        5  /* of a repetition after an answer */
#define RETRY_COST_LOST   10 /* after none */
#define RETRY_REST_MAX_MS 20000
#define RETRY_HINT_MAX_MS 5000 /* a server's wish counts so much beyond our own rest */

struct retry {
    pthread_mutex_t mutex;
    int tokens[AWS_N_SERVICES];
};

void retry_init(struct retry *r);
void retry_end(struct retry *r);
/* Pays for one repetition; lost: 1 when there was no answer. The price, or 0: too little is left, do not repeat. */
int retry_pay(struct retry *r, enum aws_service s, int lost);
/* A call succeeded: gives back what its last repetition cost, or earns 1 (paid 0). */
void retry_earn(struct retry *r, enum aws_service s, int paid);
/* Rest before repetition `tries` (0, 1, ...): share (0 to 1, drawn by the caller) of base_ms * 2^tries, at most
 * RETRY_REST_MAX_MS. hint_ms (0: none) is what the server asked for: no less than that, within RETRY_HINT_MAX_MS. */
int64_t retry_rest_ms(int64_t base_ms, int tries, double share, int64_t hint_ms);
/* The server's wish from the values of x-amz-retry-after (milliseconds) and Retry-After (seconds, or a date, which is
 * taken against now_ms); either may be NULL. 0: none. */
int64_t retry_hint_ms(const char *amz, const char *http, int64_t now_ms);

#endif
