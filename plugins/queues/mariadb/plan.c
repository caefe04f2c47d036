/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "ops.h"
#include "share.h"
#include "special.h"

/* ---- keys ---- */

static struct key_known *key_find(struct store *s, int64_t tenant, const char *key)
{
    for (struct key_known *k = s->batch.keys_known; k; k = k->next)
        if (k->tenant == tenant && strcmp(k->key, key) == 0)
            return k;
    return NULL;
}

struct key_known *plan_key_add(struct store *s, int64_t tenant, const char *key, const char *hash)
{
    struct key_known *k = mem_alloc(&s->mem, sizeof *k);
    if (!k)
        return NULL;
    *k = (struct key_known){.tenant = tenant, .key = key, .hash = hash, .next = s->batch.keys_known};
    return s->batch.keys_known = k;
}

/* What stands for an idempotency key outside of its tenant's pool. NULL: no memory. */
static const char *key_digest(struct store *s, const char *key)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    char *hex = mem_alloc(&s->mem, 2 * sizeof digest + 1);
    if (!hex || EVP_Digest(key, strlen(key), digest, &n, EVP_sha256(), NULL) != 1)
        return NULL;
    for (unsigned int i = 0; i < n; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    return hex;
}

int32_t plan_begin(struct store *s, const struct bp_op_submit *u, struct submit_plan *plan)
{
    plan->why = submit_wrong(s, u);
    if (plan->why || !u->idempotency_key)
        return BP_OK;
    plan->key = key_digest(s, u->idempotency_key);
    return plan->key ? BP_OK : store_nomem(s);
}

/* ---- new jobs ---- */

static int32_t new_row(struct store *s, const struct bp_op *op, struct submit_plan *plan)
{
    const struct bp_op_submit *u = &op->u.submit;
    struct job *j = mem_alloc(&s->mem, sizeof *j);
    if (!j)
        return store_nomem(s);
    struct bp_job_row *r = &j->row;
    int64_t now = op->now_ms;
    r->size = sizeof *r;
    r->not_before_ms = u->not_before_ms > now ? u->not_before_ms : 0;
    r->status = r->not_before_ms ? BP_JOB_SCHEDULED : BP_JOB_QUEUED;
    r->priority = u->priority;
    r->max_attempts = u->max_attempts ? u->max_attempts : 3;
    r->created_ms = r->updated_ms = now;
    j->queued_ms = r->not_before_ms ? r->not_before_ms : now;
    r->params = u->params ? u->params : "{}";
    r->inputs = u->inputs ? u->inputs : "[]";
    r->idempotency_key = u->idempotency_key;
    r->unique_key = u->unique_key;
    j->content = j->fresh = true;
    int32_t rc = names_find(s, &s->tenants, u->tenant, &j->tenant_id);
    rc = rc ? rc : names_find(s, &s->workflows, u->workflow, &j->workflow_id);
    if (!rc && u->effect)
        rc = names_find(s, &s->effects, u->effect, &j->effect_id);
    if (!rc && u->fair)
        j->share_tag = share_guess(s, j);
    plan->job = j;
    return rc;
}

/* A submit is new unless its key is known, from the table or from a submit before it that is surely taken. */
static int32_t plan_one(struct store *s, const struct bp_op *op, struct submit_plan *plan)
{
    const struct bp_op_submit *u = &op->u.submit;
    struct pool *pool;
    int64_t tenant = 0;
    if (plan->why)
        return BP_OK;
    int32_t rc = names_find(s, &s->tenants, u->tenant, &tenant);
    rc = rc ? rc : pool_find(s, tenant, &pool);
    if (rc)
        return rc;
    bool doubtful = special_doubtful(s, u, tenant);
    plan->known = plan->key ? key_find(s, tenant, plan->key) : NULL;
    if (plan->known && !plan->known->doubtful)
        return BP_OK;
    plan->down = pool_up(pool) ? NULL : pool;
    if (plan->down)
        return BP_OK;
    if (plan->key) {
        if (!plan->known)
            plan->known = plan_key_add(s, tenant, plan->key, u->request_hash ? u->request_hash : "");
        if (!plan->known)
            return store_nomem(s);
        plan->known->doubtful = doubtful;
    }
    return rc ? rc : new_row(s, op, plan);
}

int32_t plan_all(struct store *s, struct bp_op *const *ops, uint32_t n, bool *any)
{
    int32_t rc = BP_OK;
    *any = false;
    for (uint32_t i = 0; !rc && i < n; i++) {
        if (ops[i]->kind == BP_OP_SUBMIT)
            rc = plan_one(s, ops[i], &s->batch.plans[i]);
        *any = *any || s->batch.plans[i].job;
    }
    return rc;
}
