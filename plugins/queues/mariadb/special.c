/* SPDX-License-Identifier: Apache-2.0 */
#include "special.h"

#include "depend.h"
#include "share.h"
#include "unique.h"

bool special_doubtful(struct store *s, const struct bp_op_submit *u, int64_t tenant)
{
    const struct tenant_rule *r = tenant_rule(s, tenant);
    return u->unique_key || u->n_after || (r && (r->max_pending || r->disabled));
}

/* ---- loading ---- */

/* The tenants whose limits the segment may meet: of all its submits, and with a lease those of all jobs at hand. */
static int32_t limits_load(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    struct batch *b = &s->batch;
    size_t m = 0;
    int32_t rc = BP_OK;
    if (!s->rules.limits)
        return BP_OK;
    int64_t *ids = mem_alloc(&s->mem, (n + b->n_jobs) * sizeof *ids + 1);
    if (!ids)
        return store_nomem(s);
    for (uint32_t i = 0; !rc && i < n; i++)
        if (ops[i]->kind == BP_OP_SUBMIT && !b->plans[i].why)
            rc = names_find(s, &s->tenants, ops[i]->u.submit.tenant, &ids[m++]);
    for (size_t i = 0; b->n_fronts && i < b->n_slots; i++)
        if (b->slots[i])
            ids[m++] = b->slots[i]->tenant_id;
    return rc ? rc : tenants_lock(s, ids, m);
}

int32_t special_load(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    int32_t rc = limits_load(s, ops, n);
    rc = rc ? rc : unique_load(s, ops, n);
    return rc ? rc : share_load(s, ops, n);
}

/* ---- deciding ---- */

bool special_taken(struct store *s, struct bp_op *op, const struct job *j)
{
    struct bp_op_submit *u = &op->u.submit;
    const struct tenant_rule *r = tenant_rule(s, j->tenant_id);
    int32_t status;
    if (r && r->disabled) {
        u->outcome = BP_SUBMIT_DISABLED;
        op_error(op, BP_DENIED, "tenant '%.100s' is disabled", u->tenant);
        return false;
    }
    int64_t holder = unique_holder(s, j->tenant_id, u->unique_key, &status);
    if (holder) {
        u->outcome = BP_SUBMIT_PENDING;
        u->id = holder;
        u->existed = 1;
        u->status = status;
        return false;
    }
    if (!depend_check(s, op, j))
        return false;
    if (r && r->max_pending && tenant_pending(s, j->tenant_id) >= r->max_pending) {
        u->outcome = BP_SUBMIT_LIMIT;
        op_error(op, BP_LATER, "tenant '%.100s' has %d jobs that have not ended, as many as it may", u->tenant,
                 r->max_pending);
        return false;
    }
    return true;
}

int32_t special_take(struct store *s, const struct bp_op *op, struct job *j)
{
    const struct bp_op_submit *u = &op->u.submit;
    if (!names_there(&s->tenants, j->tenant_id)) {
        sql_add(&s->batch.made, "UPDATE tenants SET there=1, created_ms=%l WHERE id=%l AND there=0;", op->now_ms,
                j->tenant_id);
        names_make(&s->tenants, j->tenant_id);
        s->tenant_made = true;
    }
    int32_t rc = u->unique_key ? unique_take(s, j) : BP_OK;
    rc = rc ? rc : depend_take(s, op, j);
    if (rc || !u->fair)
        return rc;
    double tag = share_take(s, j);
    if (tag == j->share_tag)
        return BP_OK;
    j->share_tag = tag;
    return batch_rare(s, j);
}

/* ---- writing ---- */

static void rare_write(struct store *s, struct sql *q)
{
    for (const struct link *l = s->batch.rare; l; l = l->next) {
        struct job *j = l->job;
        sql_add(q,
                l == s->batch.rare ? "INSERT INTO ai_job_dispatches (id, flags, waits_for, share_tag) VALUES " : ",");
        sql_add(q, "(%l,%i,%i,%d)", j->row.id, j->flags, j->row.waits_for, j->share_tag);
        j->rare = false;
    }
    if (s->batch.rare)
        sql_add(q, " ON DUPLICATE KEY UPDATE flags=VALUES(flags), waits_for=VALUES(waits_for), "
                   "share_tag=VALUES(share_tag);");
    s->batch.rare = NULL;
}

void special_write(struct store *s, struct sql *q)
{
    struct sql *w = &s->batch.withdrawn;
    if (w->n || w->failed) {
        sql_add(q, "DELETE FROM ai_job_dispatches WHERE id IN (");
        sql_join(q, w);
        sql_add(q, ");");
        sql_clear(w);
    }
    sql_join(q, &s->batch.made);
    sql_clear(&s->batch.made);
    rare_write(s, q);
    unique_write(s, q);
    share_write(s, q);
}
