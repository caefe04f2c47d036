/* SPDX-License-Identifier: Apache-2.0 */
/* submit.h - from an order to the store's answer, for one job and for many. All [loop]. */
#ifndef DISPATCH_SUBMIT_H
#define DISPATCH_SUBMIT_H

#include "dispatch/order.h"

/* Why the store took no job: its own word for it, and what the tenant reads. */
struct submit_refusal {
    const char *reason; /* "idempotency_key", "after", "limit", "disabled": static */
    struct dispatch_answer answer;
    char message[400];
};

/* The order as the store is asked for it; everything is copied. */
struct queue_call *submit_call(struct dispatch *d, const struct order *o, const char *tenant, const char *who);
/* Can it be leased at once, as far as we know? */
int submit_is_due(struct dispatch *d, const struct bp_op_submit *sub);
/* A new job: counted, told, and waiting polls look for it; `woken`: one asked for a lease in the same transaction. */
void submit_accepted(struct dispatch *d, const struct bp_op_submit *sub, int woken);
/* Is this the tenant's to mend, not a failure of the queue? Then 1 with *out, whose answer.fields is the caller's. */
int submit_refused(const struct bp_op *op, const struct bp_err *err, struct submit_refusal *out);
/* Adds "replayed" or "duplicate" when the job was there before. */
void put_existed(struct json_object *o, const struct bp_op_submit *sub);

#endif
