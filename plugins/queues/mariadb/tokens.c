/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants' bearer tokens, known by their hash. */
#include <string.h>

#include "ops.h"

#define HASH_MAX      64
#define USED_EVERY_MS 600000

int32_t op_token_put(struct store *s, struct bp_op *op)
{
    struct bp_op_token_put *t = &op->u.token_put;
    int64_t tenant = 0, owner = 0;
    t->id = 0;
    if (!t->token_hash || !*t->token_hash || !text_fits(t->token_hash, HASH_MAX) ||
        !text_fits(t->label, NAME_MAX_BYTES) || t->expires_ms < 0)
        return op_error(op, BP_INVALID, "a token needs a hash of 1 to 64 bytes and a label of at most 255");
    int32_t rc = tenant_there(s, t->tenant, &tenant);
    if (rc)
        return rc;
    if (!tenant)
        return op_error(op, BP_NOTFOUND, "no tenant '%.100s'", t->tenant ? t->tenant : "");
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id FROM tokens WHERE token_hash=%s", t->token_hash);
    rc = query_int(s, &s->q, &owner);
    if (rc || owner)
        return rc ? rc : op_error(op, BP_CONFLICT, "this token is there already, with number %lld", (long long)owner);
    sql_clear(&s->q);
    sql_add(&s->q,
            "INSERT INTO tokens (tenant_id, token_hash, label, created_ms, expires_ms) VALUES (%l,%s,%s,%l,%l) "
            "RETURNING id",
            tenant, t->token_hash, t->label, op->now_ms, t->expires_ms);
    return query_int(s, &s->q, &t->id);
}

int32_t op_token_del(struct store *s, struct bp_op *op)
{
    const struct bp_op_token_del *t = &op->u.token_del;
    int64_t tenant = 0;
    int32_t rc = tenant_there(s, t->tenant, &tenant);
    sql_clear(&s->q);
    sql_add(&s->q, "DELETE FROM tokens WHERE id=%l AND tenant_id=%l", t->id, tenant);
    rc = rc ? rc : query_run(s, &s->q);
    if (rc || s->affected)
        return rc;
    return op_error(op, BP_NOTFOUND, "tenant '%.100s' has no token %lld", t->tenant ? t->tenant : "", (long long)t->id);
}

static int32_t tokens_take(struct store *s, struct bp_op_token_list *l)
{
    struct reply r;
    int32_t rc = query_one(s, &s->q, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result), tenant = l->tenant ? strlen(l->tenant) + 1 : 0,
           bytes = rows * (sizeof *l->tokens + tenant);
    while (!rc && reply_next(&r))
        bytes += r.row[4] ? strlen(r.row[4]) + 1 : 0;
    if (rows && !(l->tokens = l->memory = s->host->alloc(bytes)))
        rc = store_nomem(s);
    char *text = rows && !rc ? (char *)(l->tokens + rows) : NULL;
    if (text)
        mysql_data_seek(r.result, 0);
    while (text && reply_next(&r)) {
        struct bp_token_row *t = &l->tokens[l->count++];
        *t = (struct bp_token_row){.size = sizeof *t, .id = column_int(&r, 0), .created_ms = column_int(&r, 1)};
        t->last_used_ms = column_int(&r, 2);
        t->expires_ms = column_int(&r, 3);
        t->tenant = memcpy(text, l->tenant, tenant);
        text += tenant;
        if (!r.row[4])
            continue;
        t->label = strcpy(text, r.row[4]);
        text += strlen(text) + 1;
    }
    reply_done(&r);
    return rc;
}

int32_t op_token_list(struct store *s, struct bp_op *op)
{
    struct bp_op_token_list *l = &op->u.token_list;
    int64_t tenant = 0;
    l->count = 0;
    l->tokens = NULL;
    l->memory = NULL;
    int32_t rc = tenant_there(s, l->tenant, &tenant);
    if (rc)
        return rc;
    if (!tenant)
        return op_error(op, BP_NOTFOUND, "no tenant '%.100s'", l->tenant ? l->tenant : "");
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, created_ms, last_used_ms, expires_ms, label FROM tokens WHERE tenant_id=%l ORDER BY id",
            tenant);
    return tokens_take(s, l);
}

/* Whose token, and when it was last used. */
static int32_t owner_read(struct store *s, const struct bp_op *op, int64_t *token, int64_t *tenant, int64_t *used_ms)
{
    struct reply r;
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT id, tenant_id, last_used_ms FROM tokens WHERE token_hash=%s AND (expires_ms=0 OR expires_ms > %l)",
            op->u.token_auth.token_hash, op->now_ms);
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        *token = column_int(&r, 0);
        *tenant = column_int(&r, 1);
        *used_ms = column_int(&r, 2);
    }
    reply_done(&r);
    return rc;
}

int32_t op_token_auth(struct store *s, struct bp_op *op)
{
    struct bp_op_token_auth *t = &op->u.token_auth;
    int64_t token = 0, tenant = 0, used_ms = 0;
    uint32_t n = 0;
    t->tenant = NULL;
    t->memory = NULL;
    int32_t rc = t->token_hash ? owner_read(s, op, &token, &tenant, &used_ms) : BP_OK;
    if (rc || !token)
        return rc ? rc : op_error(op, BP_NOTFOUND, "nobody's token, or it is expired");
    if (op->now_ms - used_ms >= USED_EVERY_MS) {
        sql_clear(&s->q);
        sql_add(&s->q, "UPDATE tokens SET last_used_ms=GREATEST(last_used_ms,%l) WHERE id=%l", op->now_ms, token);
        rc = query_run(s, &s->q);
    }
    return rc ? rc : tenants_hand(s, tenant, &t->tenant, &n, &t->memory);
}
