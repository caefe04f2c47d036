/* SPDX-License-Identifier: Apache-2.0 */
#include "share.h"

#include <stdlib.h>

#include "counters.h"

#define WEIGHT_MAX 1000

static struct share *find(const struct store *s, int64_t workflow, int64_t tenant)
{
    for (size_t i = 0; i < s->batch.n_shares; i++) {
        struct share *x = &s->batch.shares[i];
        if (x->workflow == workflow && x->tenant == tenant)
            return x;
    }
    return NULL;
}

static int by_id(const void *a, const void *b)
{
    const struct share *x = a, *y = b;
    if (x->workflow != y->workflow)
        return x->workflow < y->workflow ? -1 : 1;
    return x->tenant < y->tenant ? -1 : x->tenant > y->tenant;
}

/* The pairs of the segment, in the order in which every controller locks them. */
static int32_t collect(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    struct batch *b = &s->batch;
    b->n_shares = 0;
    b->shares = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const struct bp_op_submit *u = &ops[i]->u.submit;
        int64_t tenant, workflow;
        if (ops[i]->kind != BP_OP_SUBMIT || u->fair != 1 || b->plans[i].why)
            continue;
        int32_t rc = names_find(s, &s->tenants, u->tenant, &tenant);
        rc = rc ? rc : names_find(s, &s->workflows, u->workflow, &workflow);
        if (!rc && !b->shares && !(b->shares = mem_alloc(&s->mem, n * sizeof *b->shares)))
            rc = store_nomem(s);
        if (rc)
            return rc;
        if (!find(s, workflow, tenant))
            b->shares[b->n_shares++] = (struct share){.workflow = workflow, .tenant = tenant};
    }
    if (b->n_shares)
        qsort(b->shares, b->n_shares, sizeof *b->shares, by_id);
    return BP_OK;
}

static void questions(struct store *s)
{
    struct batch *b = &s->batch;
    sql_clear(&s->q);
    for (size_t i = 0; i < b->n_shares; i++) {
        sql_add(&s->q, i ? "," : "INSERT INTO shares (workflow_id, tenant_id, finish) VALUES ");
        sql_add(&s->q, "(%l,%l,0)", b->shares[i].workflow, b->shares[i].tenant);
    }
    sql_add(&s->q, " ON DUPLICATE KEY UPDATE finish=finish RETURNING workflow_id, tenant_id, finish;");
    for (size_t i = 0; i < b->n_shares; i++)
        sql_add(&s->q,
                i ? ",%l"
                  : "SELECT owner_id, MAX(share_clock) FROM dispatch_counters WHERE owner=1 AND owner_id IN (%l",
                b->shares[i].workflow);
    sql_add(&s->q, ") GROUP BY owner_id");
}

static int32_t answers(struct store *s)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct share *x = find(s, column_int(&r, 0), column_int(&r, 1));
        if (x)
            x->finish = x->guess = column_double(&r, 2);
    }
    reply_done(&r);
    rc = rc ? rc : query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct workflow *w = batch_workflow(s, column_int(&r, 0));
        if (w)
            w->clock = column_double(&r, 1);
        rc = w ? BP_OK : store_nomem(s);
    }
    reply_done(&r);
    return rc ? rc : query_end(s);
}

int32_t share_load(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    int32_t rc = collect(s, ops, n);
    if (rc || s->batch.n_shares == 0)
        return rc;
    questions(s);
    rc = query_send(s, &s->q);
    return rc ? rc : answers(s);
}

static double weight_of(const struct store *s, int64_t tenant)
{
    const struct tenant_rule *r = tenant_rule(s, tenant);
    return !r || r->weight < 1 ? 1 : r->weight > WEIGHT_MAX ? WEIGHT_MAX : r->weight;
}

/* The start tag behind a finish tag, which moves on. */
static double next(struct store *s, const struct job *j, double *finish)
{
    const struct workflow *w = batch_workflow(s, j->workflow_id);
    double v = !w ? 0 : w->clock > w->clock_leased ? w->clock : w->clock_leased;
    double start = v > *finish ? v : *finish;
    *finish = start + 1 / weight_of(s, j->tenant_id);
    return start;
}

double share_guess(struct store *s, const struct job *j)
{
    struct share *x = find(s, j->workflow_id, j->tenant_id);
    return x ? next(s, j, &x->guess) : 0;
}

double share_take(struct store *s, const struct job *j)
{
    struct share *x = find(s, j->workflow_id, j->tenant_id);
    if (!x)
        return 0;
    x->moved = true;
    return next(s, j, &x->finish);
}

void share_leased(struct store *s, const struct job *j)
{
    struct workflow *w = j->share_tag > 0 ? batch_workflow(s, j->workflow_id) : NULL;
    if (w && j->share_tag > w->clock_leased)
        w->clock_leased = j->share_tag;
}

void share_write(struct store *s, struct sql *q)
{
    bool any = false;
    for (size_t i = 0; i < s->batch.n_shares; i++) {
        const struct share *x = &s->batch.shares[i];
        if (!x->moved)
            continue;
        sql_add(q, any ? "," : "INSERT INTO shares (workflow_id, tenant_id, finish) VALUES ");
        sql_add(q, "(%l,%l,%d)", x->workflow, x->tenant, x->finish);
        any = true;
    }
    if (any)
        sql_add(q, " ON DUPLICATE KEY UPDATE finish=VALUES(finish);");
    s->batch.n_shares = 0;
}
