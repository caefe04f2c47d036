/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants' bearer tokens, by their hashes. */
#include "ops.h"
#include "rows.h"
#include "tenant.h"

/* Uses within this much of the last one that was written down are not. */
#define USED_EVERY_MS (10 * 60 * 1000)

struct token {
    int64_t id, tenant_id, last_used_ms, expires_ms;
};

/* 1: there is one. 0: none. Negative: the batch's end. */
static int32_t find(struct store *s, const char *hash, struct token *t)
{
    *t = (struct token){0};
    if (!hash)
        return 0;
    sqlite3_stmt *q = statement_query(s, ST_TOKEN_FIND, "s", hash);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        *t = (struct token){sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2),
                            sqlite3_column_int64(q, 3)};
    statement_done(q);
    return rc;
}

/* The tenant's number; answers the operation when there is no such tenant. */
static int32_t tenant_named(struct store *s, struct bp_op *op, const char *name, int64_t *id)
{
    *id = 0;
    int32_t rc = name ? names_find(s, &s->tenants, name, id) : BP_OK;
    if (rc || *id)
        return rc;
    return op_error(op, BP_NOTFOUND, "no tenant '%.100s'; make it first", name ? name : "");
}

int32_t op_token_put(struct store *s, struct bp_op *op)
{
    struct bp_op_token_put *p = &op->u.token_put;
    struct token other;
    int64_t tenant;
    p->id = 0;
    if (!p->token_hash || !*p->token_hash)
        return op_error(op, BP_INVALID, "token_hash is missing; it is the SHA-256 of the token in lower-case hex");
    int32_t rc = tenant_named(s, op, p->tenant, &tenant);
    if (rc || !tenant)
        return rc;
    rc = find(s, p->token_hash, &other);
    if (rc)
        return rc < 0 ? rc : op_error(op, BP_CONFLICT, "this token is there already; make another one");
    rc = statement_run(s, ST_TOKEN_INSERT, "lssll", tenant, p->token_hash, p->label, op->now_ms, p->expires_ms);
    p->id = rc ? 0 : sqlite3_last_insert_rowid(s->db);
    return rc;
}

int32_t op_token_del(struct store *s, struct bp_op *op)
{
    const struct bp_op_token_del *d = &op->u.token_del;
    int64_t tenant = 0;
    int32_t rc = d->tenant ? names_find(s, &s->tenants, d->tenant, &tenant) : BP_OK;
    rc = rc ? rc : statement_run(s, ST_TOKEN_DELETE, "ll", d->id, tenant);
    if (rc || sqlite3_changes(s->db) == 1)
        return rc;
    return op_error(op, BP_NOTFOUND, "tenant '%.100s' has no token %lld", d->tenant ? d->tenant : "", (long long)d->id);
}

static int32_t numbers(struct store *s, sqlite3_stmt *q, void *row)
{
    (void)s;
    struct bp_token_row *r = row;
    r->size = sizeof *r;
    r->id = sqlite3_column_int64(q, 0);
    r->created_ms = sqlite3_column_int64(q, 1);
    r->last_used_ms = sqlite3_column_int64(q, 2);
    r->expires_ms = sqlite3_column_int64(q, 3);
    return BP_OK;
}

int32_t op_token_list(struct store *s, struct bp_op *op)
{
    static const size_t texts[] = {offsetof(struct bp_token_row, tenant), offsetof(struct bp_token_row, label)};
    static const struct rows_kind kind = {sizeof(struct bp_token_row), texts, 2, 4, numbers};
    struct bp_op_token_list *l = &op->u.token_list;
    int64_t tenant;
    void *rows = NULL;
    l->count = 0;
    l->tokens = NULL;
    l->memory = NULL;
    int32_t rc = tenant_named(s, op, l->tenant, &tenant);
    if (rc || !tenant)
        return rc;
    rc = rows_read(s, statement_query(s, ST_TOKEN_ROWS, "l", tenant), &kind, &rows, &l->count);
    l->tokens = l->memory = rows;
    return rc;
}

int32_t op_token_auth(struct store *s, struct bp_op *op)
{
    struct bp_op_token_auth *a = &op->u.token_auth;
    struct token t;
    uint32_t n = 0;
    a->tenant = NULL;
    a->memory = NULL;
    int32_t rc = find(s, a->token_hash, &t);
    if (rc < 0)
        return rc;
    if (rc == 0 || (t.expires_ms && t.expires_ms <= op->now_ms))
        return op_error(op, BP_NOTFOUND, rc ? "the token has expired" : "no tenant has this token");
    rc = BP_OK;
    if (op->now_ms >= t.last_used_ms + USED_EVERY_MS)
        rc = statement_run(s, ST_TOKEN_USED, "ll", op->now_ms, t.id);
    rc = rc ? rc : tenant_rows(s, t.tenant_id, &a->tenant, &n);
    a->memory = a->tenant;
    return rc;
}
