/* SPDX-License-Identifier: Apache-2.0 */
/* queue_call.h - one request to the queue service, for every engine. [loop] */
#ifndef HOST_QUEUE_CALL_H
#define HOST_QUEUE_CALL_H

#include "bus/bus.h"
#include <bp/queue.h>

/* A queue operation with everything its borrowed arguments need: strings are copied into it with queue_call_str. */
struct queue_call;
typedef void (*queue_reply)(struct bp_op *op, const struct bp_err *err,
                            void *arg); /* err->rc: the op's rc, or the batch's. On BP_TIMEOUT op is NULL */

struct queue_call *queue_call_new(int32_t kind, int64_t now_ms);
struct bp_op *queue_call_op(struct queue_call *q);
const char *queue_call_str(struct queue_call *q, const char *s); /* copy that lives as long as q; NULL stays NULL */
void *queue_call_mem(struct queue_call *q, size_t bytes);        /* zeroed memory that lives as long as q */
/* Of an op in a reply: 1 when its batch took effect, so that an error is the operation's own and the queue works. NULL:
 * 0. */
int queue_op_taken(const struct bp_op *op);
/* Called on the loop when the op ended after the deadline, e.g. to give a lease back. */
void queue_call_on_late(struct queue_call *q, queue_reply late);
/* Called on the loop before the reply when the store said that the op's results are as they will be unless its batch is
 * lost: they may be looked at as in the reply, which still comes and tells. Of a call without `then`. */
void queue_call_on_early(struct queue_call *q, queue_reply early);
/* `then` goes with q: in the same batch, right behind it. fn is called after q's own reply, and also when q could not
 * be sent (op NULL). then is consumed. */
void queue_call_then(struct queue_call *q, struct queue_call *then, queue_reply fn, void *arg);
/* Sends; q is consumed. Results in the op (and their `memory`) are freed after reply returned. 0 or BP_LATER,
 * BP_NOTFOUND, BP_STOPPED with reply not called. timeout_ms > 0. */
int queue_call_send(struct bus *b, struct queue_call *q, int64_t timeout_ms, queue_reply fn, void *arg,
                    struct bp_err *err);
/* Frees a call that was never sent. */
void queue_call_free(struct queue_call *q);

/* The queue actor's batch function: hands a whole batch to the facet's apply(), once. Used by the host. */
void queue_batch(struct request **batch, uint32_t n, void *arg);

#endif
