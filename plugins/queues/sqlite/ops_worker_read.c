/* SPDX-License-Identifier: Apache-2.0 */
/* Finding workers: by token, by workflow, all. */
#include <stdlib.h>
#include <string.h>

#include "ops.h"

/* The texts of a worker's row in the order WORKER_COLUMNS gives them, from column 5. */
static const size_t TEXTS[] = {
    offsetof(struct bp_worker_row, worker_id),     offsetof(struct bp_worker_row, display_name),
    offsetof(struct bp_worker_row, token_hash),    offsetof(struct bp_worker_row, workflows),
    offsetof(struct bp_worker_row, fleet),         offsetof(struct bp_worker_row, stage),
    offsetof(struct bp_worker_row, capabilities),  offsetof(struct bp_worker_row, capacity_type),
    offsetof(struct bp_worker_row, instance_type), offsetof(struct bp_worker_row, source),
    offsetof(struct bp_worker_row, last_ip),
};
#define N_TEXTS    (sizeof TEXTS / sizeof TEXTS[0])
#define FIRST_TEXT 5
#define LIVE       17

/* A row in scratch memory; the next one behind it. */
struct found {
    struct bp_worker_row row;
    struct found *next;
};

static bool read_row(struct store *s, sqlite3_stmt *q, struct bp_worker_row *w, size_t *bytes)
{
    w->size = sizeof *w;
    w->approved = sqlite3_column_int(q, 0);
    w->draining = sqlite3_column_int(q, 1);
    w->max_concurrency = sqlite3_column_int(q, 2);
    w->registered_ms = sqlite3_column_int64(q, 3);
    w->last_seen_ms = sqlite3_column_int64(q, 4);
    w->live_leases = sqlite3_column_int(q, LIVE);
    *bytes += sizeof *w;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const unsigned char *t = sqlite3_column_text(q, FIRST_TEXT + (int)i);
        if (!t)
            continue;
        size_t n = (size_t)sqlite3_column_bytes(q, FIRST_TEXT + (int)i);
        const char *copy = mem_text(&s->mem, t, n);
        if (!copy)
            return false;
        memcpy((char *)w + TEXTS[i], &copy, sizeof copy);
        *bytes += n + 1;
    }
    return true;
}

static char *copy_row(struct bp_worker_row *to, const struct bp_worker_row *from, char *text)
{
    *to = *from;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *t;
        memcpy(&t, (const char *)from + TEXTS[i], sizeof t);
        if (!t)
            continue;
        size_t n = strlen(t) + 1;
        memcpy(text, t, n);
        memcpy((char *)to + TEXTS[i], &text, sizeof text);
        text += n;
    }
    return text;
}

/* Reads all rows of a query into one block of host memory. */
static int32_t read_all(struct store *s, sqlite3_stmt *q, struct bp_worker_row **out, uint32_t *count)
{
    struct found *first = NULL, **last = &first;
    size_t bytes = 0;
    uint32_t n = 0;
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0) {
        struct found *f = mem_alloc(&s->mem, sizeof *f);
        if (!f || !read_row(s, q, &f->row, &bytes)) {
            rc = store_fail(s, BP_NOMEM, "out of memory while reading workers");
            break;
        }
        *last = f;
        last = &f->next;
        n++;
    }
    statement_done(q);
    if (rc || n == 0)
        return rc;
    struct bp_worker_row *rows = s->host->alloc(bytes);
    if (!rows)
        return store_fail(s, BP_NOMEM, "out of memory for %u workers", n);
    char *text = (char *)(rows + n);
    uint32_t i = 0;
    for (struct found *f = first; f; f = f->next)
        text = copy_row(&rows[i++], &f->row, text);
    *out = rows;
    *count = n;
    return BP_OK;
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
