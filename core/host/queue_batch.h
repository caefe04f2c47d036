/* SPDX-License-Identifier: Apache-2.0 */
/* queue_batch.h - the thread side of queue_call.h: a batch of requests becomes one apply(), and its answers are
 * checked. */
#ifndef HOST_QUEUE_BATCH_H
#define HOST_QUEUE_BATCH_H

#include "host/queue_call.h"

/* What queue_batch() takes as arg, or NULL. fault is called on the actor's thread when the plugin breaks the contract.
 */
struct queue_watch {
    void (*fault)(void *arg, const char *what);
    void *arg;
};

/* The batch of this call took effect. */
void queue_call_take(struct queue_call *q);
/* What goes behind it in the same batch, or NULL. */
struct queue_call *queue_call_next(struct queue_call *q);

#endif
