/* SPDX-License-Identifier: Apache-2.0 */
#include "early.h"

void early_begin(struct early *e, const struct bp_host *host, uint32_t n)
{
    e->may = n <= EARLY_OPS && BP_HAS(host, op_early);
    e->n = 0;
}

void early_hand(struct early *e, struct bp_self *self, const struct bp_host *host, struct bp_op *op)
{
    if (e->may && e->n < EARLY_OPS && host->op_early(self, op) == BP_OK)
        e->ops[e->n++] = op;
}

bool early_has(const struct early *e, const struct bp_op *op)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (e->ops[i] == op)
            return true;
    return false;
}
