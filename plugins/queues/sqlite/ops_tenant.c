/* SPDX-License-Identifier: Apache-2.0 */
/* Setting and listing tenants. */
#include <string.h>

#include "ops.h"
#include "rows.h"
#include "tenant.h"

#define FIRST_TEXT 7

static const size_t TEXTS[] = {offsetof(struct bp_tenant_row, name), offsetof(struct bp_tenant_row, webhook_url)};

/* Settings as the file says, counts as they are by now. */
static int32_t numbers(struct store *s, sqlite3_stmt *q, void *row)
{
    struct bp_tenant_row *r = row;
    struct tenant *t;
    int32_t rc = tenant_of(s, sqlite3_column_int64(q, 0), &t);
    if (rc)
        return rc;
    r->size = sizeof *r;
    r->weight = sqlite3_column_int(q, 1);
    r->max_pending = sqlite3_column_int(q, 2);
    r->max_running = sqlite3_column_int(q, 3);
    r->disabled = sqlite3_column_int(q, 4);
    r->webhook_version = sqlite3_column_int(q, 5);
    r->created_ms = sqlite3_column_int64(q, 6);
    r->scheduled = t->count[BP_JOB_SCHEDULED];
    r->queued = t->count[BP_JOB_QUEUED];
    r->leased = t->count[BP_JOB_LEASED];
    return BP_OK;
}

static const struct rows_kind TENANT_ROWS = {
    .bytes = sizeof(struct bp_tenant_row),
    .texts = TEXTS,
    .n_texts = sizeof TEXTS / sizeof TEXTS[0],
    .first_text = FIRST_TEXT,
    .numbers = numbers,
};

int32_t tenant_rows(struct store *s, int64_t id, struct bp_tenant_row **rows, uint32_t *n)
{
    void *out;
    int32_t rc = tenants_count(s);
    if (rc)
        return rc;
    sqlite3_stmt *q = id ? statement_query(s, ST_TENANT_ROW, "l", id) : statement_query(s, ST_TENANT_ROWS, "");
    rc = rows_read(s, q, &TENANT_ROWS, &out, n);
    *rows = out;
    return rc;
}

int32_t op_tenant_list(struct store *s, struct bp_op *op)
{
    struct bp_op_tenant_list *l = &op->u.tenant_list;
    int64_t id = 0;
    l->count = 0;
    l->tenants = NULL;
    l->memory = NULL;
    int32_t rc = l->name ? names_find(s, &s->tenants, l->name, &id) : BP_OK;
    if (rc)
        return rc;
    if (l->name && !id)
        return op_error(op, BP_NOTFOUND, "no tenant '%.100s'", l->name);
    rc = tenant_rows(s, id, &l->tenants, &l->count);
    l->memory = l->tenants;
    return rc;
}

/* ---- put ---- */

static const char *wrong(const struct bp_op_tenant_put *p)
{
    if (!p->name || !*p->name || strlen(p->name) > NAME_MAX_BYTES)
        return "a tenant needs a name of 1 to 255 bytes";
    if (p->weight == 0 || p->weight > WEIGHT_MAX)
        return "weight must be from 1 to 1000";
    if (p->disabled > 1)
        return "disabled must be 0 or 1";
    if (p->webhook_version == 0)
        return "webhook_version must be 1 or more";
    return NULL;
}

static int32_t chosen(int32_t wanted, int32_t present)
{
    return wanted < 0 ? present : wanted;
}

/* Its first limit of leases: from now on its jobs queue in a lane of their own, so that no lease passes over them.
 * Moving those that are there takes a second for each hundred thousand or so, once. */
static int32_t lane_begin(struct store *s, const struct tenant *t)
{
    int32_t rc = statement_run(s, ST_LANE_FILL, "l", t->id);
    return rc ? rc : tenants_lane(s, t->id);
}

static int32_t put_write(struct store *s, const struct bp_op_tenant_put *p, struct tenant *t)
{
    int32_t max_running = chosen(p->max_running, t->max_running);
    bool begins = max_running > 0 && !t->lane;
    int32_t rc = begins ? lane_begin(s, t) : BP_OK;
    rc = rc ? rc
            : statement_run(s, ST_TENANT_SET, "iiiiiil", chosen(p->weight, t->weight),
                            chosen(p->max_pending, t->max_pending), max_running, chosen(p->disabled, t->disabled),
                            t->lane || begins, chosen(p->webhook_version, t->webhook_version), t->id);
    if (!rc && p->webhook_url)
        rc = statement_run(s, ST_TENANT_HOOK, "sl", p->webhook_url, t->id);
    if (!rc && p->webhook_url && !*p->webhook_url)
        rc = statement_run(s, ST_HOOKS_DROP, "l", t->id);
    return rc ? rc : tenant_reload(s, t);
}

int32_t op_tenant_put(struct store *s, struct bp_op *op)
{
    struct bp_op_tenant_put *p = &op->u.tenant_put;
    struct tenant *t;
    int64_t id;
    const char *why = wrong(p);
    p->existed = 0;
    if (why)
        return op_error(op, BP_INVALID, "%s", why);
    int32_t rc = names_find(s, &s->tenants, p->name, &id);
    p->existed = id != 0;
    if (!rc && !id)
        rc = tenant_get(s, p->name, op->now_ms, &id);
    rc = rc ? rc : tenant_of(s, id, &t);
    return rc ? rc : put_write(s, p, t);
}
