/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of all names a batch uses, read and made before its transaction, and the pools of its tenants. */
#include <json-c/json.h>
#include <string.h>

#include "ops.h"

static int32_t want_slugs(struct store *s, const struct bp_worker_row *w)
{
    struct json_object *a = w && w->workflows ? json_tokener_parse(w->workflows) : NULL;
    int32_t rc = BP_OK;
    for (size_t i = 0; !rc && json_object_is_type(a, json_type_array) && i < json_object_array_length(a); i++) {
        struct json_object *slug = json_object_array_get_idx(a, i);
        const char *text = json_object_is_type(slug, json_type_string) ? json_object_get_string(slug) : NULL;
        char *copy = text ? mem_text(&s->mem, text, strlen(text)) : NULL;
        rc = copy ? names_want(s, &s->workflows, copy) : BP_OK;
    }
    json_object_put(a);
    return rc;
}

static int32_t want_create(struct store *s, const struct bp_op *op)
{
    const struct bp_op_submit *u = &op->u.submit;
    const struct bp_worker_row *w = op->u.worker_put.worker;
    int32_t rc = BP_OK;
    if (op->kind == BP_OP_SUBMIT && !submit_wrong(s, u)) {
        rc = names_want(s, &s->tenants, u->tenant);
        rc = rc ? rc : names_want(s, &s->workflows, u->workflow);
        rc = rc ? rc : names_want(s, &s->effects, u->effect);
    }
    if (op->kind == BP_OP_WORKER_PUT && w && w->worker_id && *w->worker_id) {
        rc = names_want(s, &s->workers, w->worker_id);
        rc = rc ? rc : want_slugs(s, w);
    }
    return rc;
}

static int32_t want_find(struct store *s, const struct bp_op *op)
{
    const struct bp_op_lease *l = &op->u.lease;
    int32_t rc = BP_OK;
    if (op->kind == BP_OP_EXTEND)
        return names_want(s, &s->workers, op->u.extend.worker_id);
    if (op->kind != BP_OP_LEASE)
        return BP_OK;
    rc = names_want(s, &s->workers, l->worker_id);
    for (uint32_t i = 0; !rc && l->workflows && i < l->n_workflows; i++)
        rc = names_want(s, &s->workflows, l->workflows[i]);
    return rc;
}

static int32_t resolve_all(struct store *s, bool create)
{
    int32_t rc = names_resolve(s, &s->tenants, create);
    rc = rc ? rc : names_resolve(s, &s->effects, create);
    rc = rc ? rc : names_resolve(s, &s->workflows, create);
    return rc ? rc : names_resolve(s, &s->workers, create);
}

static int32_t settle_tenant(struct store *s, const struct bp_op *op)
{
    const struct bp_op_submit *u = &op->u.submit;
    int64_t tenant;
    if (op->kind != BP_OP_SUBMIT || !u->tenant)
        return BP_OK;
    int32_t rc = names_find(s, &s->tenants, u->tenant, &tenant);
    return rc ? rc : pool_settle(s, tenant, u->tenant);
}

int32_t batch_names(struct store *s, struct bp_op *const *ops, uint32_t n)
{
    int32_t rc = BP_OK;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = want_create(s, ops[i]);
    rc = rc ? rc : resolve_all(s, true);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = settle_tenant(s, ops[i]);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = want_find(s, ops[i]);
    return rc ? rc : resolve_all(s, false);
}
