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

#define CALL_MAGIC   0x71c4a11dU
#define INLINE_BYTES 384

/* One allocation for the common call: the op, its reply and the first of its strings. The loop's, but for what a batch
 * does with it until it is done. */
struct queue_call {
    uint32_t magic;
    int taken, was_early;
    struct request *request;   /* while it runs and could be handed over early */
    uint32_t room, chunk_room; /* bytes left of `here` and of the newest chunk */
    struct bp_op op;
    queue_reply reply, late, early;
    void *arg;
    struct chunk *chunks;
    char *chunk_at;
    struct queue_call *then;
    _Alignas(max_align_t) char here[INLINE_BYTES];
};

/* The call of an op. */
struct queue_call *queue_call_of(const struct bp_op *op);
/* bp_host.op_early. */
int32_t queue_op_early(struct bp_self *self, struct bp_op *op);

#endif
