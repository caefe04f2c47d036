/* SPDX-License-Identifier: Apache-2.0 */
/* Making, changing and listing tenants. */
#include <string.h>

#include "counters.h"
#include "ops.h"

#define WEIGHT_MAX 1000
#define URL_MAX    2048

static const char *wrong(const struct bp_op_tenant_put *t)
{
    if (!t->name || !*t->name || !text_fits(t->name, NAME_MAX_BYTES))
        return "a tenant needs a name of 1 to 255 bytes of UTF-8";
    if (t->weight == 0 || t->weight > WEIGHT_MAX)
        return "the weight of a tenant is from 1 to 1000";
    if (t->disabled > 1)
        return "disabled is 0 or 1";
    if (t->webhook_version == 0)
        return "the version of a webhook's key is 1 or more";
    if (!text_fits(t->webhook_url, URL_MAX))
        return "a webhook's URL must be at most 2048 bytes of UTF-8";
    return NULL;
}

static void set_number(struct sql *q, const char *column, int32_t value)
{
    if (value >= 0)
        sql_add(q, ", %r=%i", column, value);
}

static void change_text(struct store *s, const struct bp_op *op, int64_t id, bool there)
{
    const struct bp_op_tenant_put *t = &op->u.tenant_put;
    struct sql *q = &s->q;
    sql_clear(q);
    sql_add(q, "UPDATE tenants SET there=1");
    if (!there)
        sql_add(q, ", created_ms=%l", op->now_ms);
    set_number(q, "weight", t->weight);
    set_number(q, "max_pending", t->max_pending);
    set_number(q, "max_running", t->max_running);
    set_number(q, "disabled", t->disabled);
    set_number(q, "webhook_version", t->webhook_version);
    if (t->webhook_url)
        sql_add(q, ", webhook_url=%s", *t->webhook_url ? t->webhook_url : NULL);
    sql_add(q,
            ", special=(weight<>1 OR max_pending>0 OR max_running>0 OR disabled<>0 OR webhook_url IS NOT NULL) WHERE "
            "id=%l",
            id);
}

/* *id 0: not even named. */
static int32_t tenant_find(struct store *s, const char *name, bool locked, int64_t *id, bool *there)
{
    struct reply r;
    *id = 0;
    *there = false;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, there FROM tenants WHERE name=%s%r", name, locked ? " FOR UPDATE" : "");
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        *id = column_int(&r, 0);
        *there = column_int(&r, 1) != 0;
    }
    reply_done(&r);
    return rc;
}

int32_t tenant_there(struct store *s, const char *name, int64_t *id)
{
    bool there = false;
    int32_t rc = name && text_fits(name, NAME_MAX_BYTES) ? tenant_find(s, name, false, id, &there) : BP_OK;
    *id = there ? *id : 0;
    return rc;
}

int32_t op_tenant_put(struct store *s, struct bp_op *op)
{
    struct bp_op_tenant_put *t = &op->u.tenant_put;
    int64_t id;
    bool there;
    t->existed = 0;
    const char *why = wrong(t);
    if (why)
        return op_error(op, BP_INVALID, "%s", why);
    /* The number first: its lock lets one change of tenants happen at a time, so that numbers become visible in order.
     */
    int32_t rc = query_text(s, "UPDATE tenants_version SET version=version+1 WHERE id=1");
    s->rules.version = -1;
    rc = rc ? rc : tenant_find(s, t->name, true, &id, &there);
    if (rc)
        return rc;
    t->existed = there;
    s->tenant_made = s->tenant_made || !there;
    if (!id) {
        sql_clear(&s->q);
        sql_add(&s->q, "INSERT INTO tenants (name, there) VALUES (%s,0) RETURNING id", t->name);
        rc = query_int(s, &s->q, &id);
    }
    names_make(&s->tenants, id);
    change_text(s, op, id, there);
    rc = rc ? rc : query_run(s, &s->q);
    return rc ? rc : tenants_read(s);
}

/* ---- handing over ---- */

static size_t text_bytes(const struct reply *r)
{
    return strlen(r->row[1]) + 1 + (r->row[7] ? strlen(r->row[7]) + 1 : 0) + (r->row[12] ? strlen(r->row[12]) + 1 : 0);
}

static char *row_put(struct bp_tenant_row *t, const struct reply *r, char *text)
{
    *t = (struct bp_tenant_row){.size = sizeof *t, .name = strcpy(text, r->row[1])};
    text += strlen(text) + 1;
    t->weight = (int32_t)column_int(r, 2);
    t->max_pending = (int32_t)column_int(r, 3);
    t->max_running = (int32_t)column_int(r, 4);
    t->disabled = (int32_t)column_int(r, 5);
    t->webhook_version = (int32_t)column_int(r, 6);
    t->created_ms = column_int(r, 8);
    t->scheduled = column_int(r, 9);
    t->queued = column_int(r, 10);
    t->leased = column_int(r, 11);
    if (r->row[7]) {
        t->webhook_url = strcpy(text, r->row[7]);
        text += strlen(text) + 1;
    }
    if (!r->row[12] || !*r->row[12])
        return text; /* in the queue's own database */
    t->pool = strcpy(text, r->row[12]);
    return text + strlen(text) + 1;
}

static void list_text(struct store *s, int64_t id)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT t.id, t.name, t.weight, t.max_pending, t.max_running, t.disabled, t.webhook_version, "
            "t.webhook_url, t.created_ms, COALESCE(SUM(c.scheduled),0), COALESCE(SUM(c.queued),0), "
            "COALESCE(SUM(c.leased),0), t.pool FROM tenants t LEFT JOIN dispatch_counters c ON c.owner=%i AND "
            "c.owner_id = t.id",
            COUNTER_TENANT);
    sql_add(&s->q, " WHERE t.there=1");
    if (id)
        sql_add(&s->q, " AND t.id=%l", id);
    sql_add(&s->q, " GROUP BY t.id ORDER BY t.name");
}

int32_t tenants_hand(struct store *s, int64_t id, struct bp_tenant_row **tenants, uint32_t *n, void **memory)
{
    struct reply r;
    *n = 0;
    list_text(s, id);
    int32_t rc = query_one(s, &s->q, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result), bytes = rows * sizeof **tenants;
    while (!rc && reply_next(&r))
        bytes += text_bytes(&r);
    if (rows && !(*tenants = *memory = s->host->alloc(bytes)))
        rc = store_nomem(s);
    char *text = rows && !rc ? (char *)(*tenants + rows) : NULL;
    if (text)
        mysql_data_seek(r.result, 0);
    while (text && reply_next(&r))
        text = row_put(&(*tenants)[(*n)++], &r, text);
    reply_done(&r);
    return rc;
}

int32_t op_tenant_list(struct store *s, struct bp_op *op)
{
    struct bp_op_tenant_list *l = &op->u.tenant_list;
    int64_t id = 0;
    l->count = 0;
    l->tenants = NULL;
    l->memory = NULL;
    int32_t rc = l->name ? tenant_there(s, l->name, &id) : BP_OK;
    if (rc)
        return rc;
    if (l->name && !id)
        return op_error(op, BP_NOTFOUND, "no tenant '%.100s'", l->name);
    return tenants_hand(s, id, &l->tenants, &l->count, &l->memory);
}
