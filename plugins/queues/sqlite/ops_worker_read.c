/* SPDX-License-Identifier: Apache-2.0 */
/* Finding workers: by token, by workflow, all. */
#include "ops.h"
#include "rows.h"

/* The texts of a worker's row in the order WORKER_COLUMNS gives them, from column 5. */
static const size_t TEXTS[] = {
    offsetof(struct bp_worker_row, worker_id),     offsetof(struct bp_worker_row, display_name),
    offsetof(struct bp_worker_row, token_hash),    offsetof(struct bp_worker_row, workflows),
    offsetof(struct bp_worker_row, fleet),         offsetof(struct bp_worker_row, stage),
    offsetof(struct bp_worker_row, capabilities),  offsetof(struct bp_worker_row, capacity_type),
    offsetof(struct bp_worker_row, instance_type), offsetof(struct bp_worker_row, source),
    offsetof(struct bp_worker_row, last_ip),
};
#define FIRST_TEXT 5
#define LIVE       17

static int32_t numbers(struct store *s, sqlite3_stmt *q, void *row)
{
    (void)s;
    struct bp_worker_row *w = row;
    w->size = sizeof *w;
    w->approved = sqlite3_column_int(q, 0);
    w->draining = sqlite3_column_int(q, 1);
    w->max_concurrency = sqlite3_column_int(q, 2);
    w->registered_ms = sqlite3_column_int64(q, 3);
    w->last_seen_ms = sqlite3_column_int64(q, 4);
    w->live_leases = sqlite3_column_int(q, LIVE);
    return BP_OK;
}

static int32_t read_all(struct store *s, sqlite3_stmt *q, struct bp_worker_row **out, uint32_t *count)
{
    static const struct rows_kind kind = {sizeof(struct bp_worker_row), TEXTS, sizeof TEXTS / sizeof TEXTS[0],
                                          FIRST_TEXT, numbers};
    void *rows;
    int32_t rc = rows_read(s, q, &kind, &rows, count);
    *out = rows;
    return rc;
}

int32_t op_worker_auth(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_auth *a = &op->u.worker_auth;
    int64_t no = 0;
    uint32_t n = 0;
    a->worker = NULL;
    a->memory = NULL;
    sqlite3_stmt *q = statement_query(s, ST_WORKER_BY_TOKEN, "s", a->token_hash);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        no = sqlite3_column_int64(q, 0);
    statement_done(q);
    if (rc < 0)
        return rc;
    rc = no ? read_all(s, statement_query(s, ST_WORKER_GET, "l", no), &a->worker, &n) : BP_OK;
    a->memory = a->worker;
    return rc || n ? rc : op_error(op, BP_NOTFOUND, "no worker has this token");
}

int32_t op_worker_list(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_list *l = &op->u.worker_list;
    int64_t workflow = 0;
    l->count = 0;
    l->workers = NULL;
    l->memory = NULL;
    int32_t rc = l->workflow ? names_find(s, &s->workflow_names, l->workflow, &workflow) : BP_OK;
    if (rc || (l->workflow && !workflow))
        return rc;
    sqlite3_stmt *q =
        workflow ? statement_query(s, ST_WORKER_LIST_WORKFLOW, "l", workflow) : statement_query(s, ST_WORKER_LIST, "");
    rc = read_all(s, q, &l->workers, &l->count);
    l->memory = l->workers;
    return rc;
}
