/* SPDX-License-Identifier: Apache-2.0 */
/* Handing over what operations return, just before the commit: no memory then still undoes the batch. */
#include <string.h>

#include "job.h"
#include "ops.h"

static int32_t hand_lease(struct store *s, struct pending *p)
{
    struct bp_op_lease *l = &p->op->u.lease;
    int32_t rc = jobs_pack(s, p->jobs, p->n, &l->jobs, &l->memory);
    l->count = rc ? 0 : p->n;
    return rc;
}

/* What the worker needs to sign fresh URLs. */
static int32_t hand_extend(struct store *s, struct pending *p)
{
    struct bp_op_extend *x = &p->op->u.extend;
    struct job out = {0};
    struct bp_job_row *row;
    out.row.output_key = p->jobs->row.output_key;
    out.row.inputs = p->jobs->row.inputs;
    out.row.tenant = p->jobs->row.tenant;
    out.row.workflow = p->jobs->row.workflow;
    int32_t rc = jobs_pack(s, &out, 1, &row, &x->memory);
    if (rc)
        return rc;
    x->output_key = row->output_key;
    x->inputs = row->inputs;
    x->tenant = row->tenant;
    x->workflow = row->workflow;
    return BP_OK;
}

int32_t batch_pack(struct store *s)
{
    int32_t rc = BP_OK;
    for (struct pending *p = s->batch.first; !rc && p; p = p->next)
        rc = p->op->kind == BP_OP_LEASE    ? hand_lease(s, p)
             : p->op->kind == BP_OP_EXTEND ? hand_extend(s, p)
                                           : get_pack(s, p->op, p->jobs);
    if (rc)
        return rc;
    *s->batch.last = s->batch.packed;
    s->batch.packed = s->batch.first;
    s->batch.first = NULL;
    s->batch.last = &s->batch.first;
    return BP_OK;
}

/* A batch decided from memory holds up all other controllers, so its commit must not wait for us if there are any. */
bool batch_is_early(const struct store *s)
{
    const struct pending *p = s->batch.blind && !bounds_alone(s) ? NULL : s->batch.first;
    while (p && !p->early)
        p = p->next;
    return p != NULL;
}

void batch_hand_early(struct store *s)
{
    for (const struct pending *p = s->batch.packed; p; p = p->next)
        if (p->early)
            early_hand(&s->early, s->self, s->host, p->op);
}
