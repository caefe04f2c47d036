/* SPDX-License-Identifier: Apache-2.0 */
/*
 * early.h - the leases of a batch that were handed over before its commit, see bp/queue.h.
 *
 * Such an operation is the host's: nothing here looks into it, whatever becomes of the batch.
 */
#ifndef QUEUE_EARLY_H
#define QUEUE_EARLY_H

#include <bp/queue.h>
#include <stdbool.h>

/* Operations of a batch from which something is handed over. Under load many share a commit, and what is saved of it is
 * less than what it costs to be woken twice. */
#define EARLY_OPS 8

struct early {
    bool may;
    uint32_t n;
    const struct bp_op *ops[EARLY_OPS];
};

/* A batch of n operations begins. May something be handed over? Not if it is too large, or the host older. */
void early_begin(struct early *e, const struct bp_host *host, uint32_t n);
/* Hands one over, if somebody wants it. */
void early_hand(struct early *e, struct bp_self *self, const struct bp_host *host, struct bp_op *op);
bool early_has(const struct early *e, const struct bp_op *op);

#endif
