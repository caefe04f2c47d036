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

static bool read_row(struct store *s, const struct reply *q, struct bp_worker_row *w, size_t *bytes)
{
    w->size = sizeof *w;
    w->approved = (int32_t)column_int(q, 0);
    w->draining = (int32_t)column_int(q, 1);
    w->max_concurrency = (int32_t)column_int(q, 2);
    w->registered_ms = column_int(q, 3);
    w->last_seen_ms = column_int(q, 4);
    w->live_leases = (int32_t)column_int(q, LIVE);
    *bytes += sizeof *w;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *t = q->row[FIRST_TEXT + (int)i];
        if (!t)
            continue;
        size_t n = strlen(t);
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

#define WORKER_COLUMNS                                                                                                 \
    "SELECT w.approved, w.draining, w.max_concurrency, w.registered_ms, w.last_seen_ms, n.name, w.display_name, "      \
    "w.token_hash, w.workflows, w.fleet, w.stage, w.capabilities, w.capacity_type, w.instance_type, w.source, "        \
    "w.last_ip, w.id, (SELECT COUNT(*) FROM ai_job_dispatches d WHERE d.status = 3 AND d.due_of = w.id) "              \
    "FROM workers w JOIN worker_names n ON n.id = w.id "

/* Reads all rows of the query in s->q into one block of host memory. */
static int32_t read_all(struct store *s, struct bp_worker_row **out, uint32_t *count)
{
    struct found *first = NULL, **last = &first;
    size_t bytes = 0;
    uint32_t n = 0;
    struct reply r;
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        struct found *f = mem_alloc(&s->mem, sizeof *f);
        if (!f || !read_row(s, &r, &f->row, &bytes)) {
            rc = store_nomem(s);
            break;
        }
        *last = f;
        last = &f->next;
        n++;
    }
    reply_done(&r);
    if (rc || n == 0)
        return rc;
    struct bp_worker_row *rows = s->host->alloc(bytes);
    if (!rows)
        return store_nomem(s);
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
    uint32_t n = 0;
    a->worker = NULL;
    a->memory = NULL;
    if (a->token_hash && text_fits(a->token_hash, NAME_MAX_BYTES)) {
        sql_clear(&s->q);
        sql_add(&s->q, WORKER_COLUMNS "WHERE w.token_hash=%s", a->token_hash);
        int32_t rc = read_all(s, &a->worker, &n);
        a->memory = a->worker;
        if (rc)
            return rc;
    }
    return n ? BP_OK : op_error(op, BP_NOTFOUND, "no worker has this token");
}

int32_t op_worker_list(struct store *s, struct bp_op *op)
{
    struct bp_op_worker_list *l = &op->u.worker_list;
    int64_t workflow = 0;
    l->count = 0;
    l->workers = NULL;
    l->memory = NULL;
    int32_t rc = l->workflow ? names_find(s, &s->workflows, l->workflow, &workflow) : BP_OK;
    if (rc || (l->workflow && !workflow))
        return rc;
    sql_clear(&s->q);
    sql_add(&s->q, WORKER_COLUMNS);
    if (workflow)
        sql_add(&s->q, "JOIN worker_workflows x ON x.worker_id = w.id WHERE x.workflow_id=%l ", workflow);
    sql_add(&s->q, "ORDER BY n.name");
    rc = read_all(s, &l->workers, &l->count);
    l->memory = l->workers;
    return rc;
}
