/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of jobs that their tenants are to be told of: given out, and how it went. */
#include <string.h>

#include "lead.h"
#include "ops.h"
#include "timeline.h"

#define TAKE_MAX 100

/* The due ones with their URLs, in scratch memory, their jobs not yet. */
static int32_t find(struct store *s, int64_t now_ms, uint32_t limit, struct bp_webhook_row *rows, uint32_t *n)
{
    sqlite3_stmt *q = statement_query(s, ST_HOOK_DUE, "ll", now_ms, (int64_t)limit);
    int32_t rc;
    *n = 0;
    while ((rc = statement_next(s, q)) > 0 && *n < limit) {
        struct bp_webhook_row *r = &rows[(*n)++];
        const unsigned char *url = sqlite3_column_text(q, 4);
        r->size = sizeof *r;
        r->job_id = sqlite3_column_int64(q, 0);
        r->finished_ms = sqlite3_column_int64(q, 1);
        r->attempts = sqlite3_column_int(q, 2);
        r->webhook_version = sqlite3_column_int(q, 3);
        r->url = mem_text(&s->mem, url ? url : (const unsigned char *)"", (size_t)sqlite3_column_bytes(q, 4));
        if (!r->url) {
            rc = store_fail(s, BP_NOMEM, "out of memory while reading webhooks");
            break;
        }
    }
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

/* Loads the jobs and holds the deliveries. */
static int32_t hold(struct store *s, int64_t until_ms, const struct bp_webhook_row *rows, uint32_t n, struct job *jobs)
{
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = job_load(s, rows[i].job_id, JOB_WHOLE, &jobs[i]);
        if (rc == 0)
            rc = store_fail(s, BP_IO, "job %lld has a webhook but no row; the file is damaged",
                            (long long)rows[i].job_id);
        rc = rc < 0 ? rc : statement_run(s, ST_HOOK_HOLD, "ll", until_ms, rows[i].job_id);
        if (rc)
            return rc;
    }
    return BP_OK;
}

/* Deliveries, their jobs and all texts in one block. */
static int32_t pack(struct store *s, struct bp_op_webhook_take *t, const struct bp_webhook_row *rows,
                    const struct job *jobs, uint32_t n)
{
    size_t bytes = n * (sizeof *rows + sizeof(struct bp_job_row));
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(rows[i].url) + 1 + job_text_bytes(&jobs[i].row);
    if (n == 0)
        return BP_OK;
    t->rows = t->memory = s->host->alloc(bytes);
    if (!t->rows)
        return store_fail(s, BP_NOMEM, "out of memory for %u webhooks", n);
    struct bp_job_row *to = (struct bp_job_row *)(void *)(t->rows + n);
    char *text = (char *)(to + n);
    for (uint32_t i = 0; i < n; i++) {
        t->rows[i] = rows[i];
        t->rows[i].job = &to[i];
        t->rows[i].url = strcpy(text, rows[i].url);
        text = job_copy(&to[i], &jobs[i].row, text + strlen(text) + 1);
    }
    t->count = n;
    return BP_OK;
}

int32_t op_webhook_take(struct store *s, struct bp_op *op)
{
    struct bp_op_webhook_take *t = &op->u.webhook_take;
    uint32_t n = 0;
    t->count = 0;
    t->rows = NULL;
    t->memory = NULL;
    t->next_due_ms = 0;
    if (t->limit < 1 || t->limit > TAKE_MAX)
        return op_error(op, BP_INVALID, "limit must be from 1 to %d", TAKE_MAX);
    int32_t rc = lead_check(s, op, t->epoch);
    if (rc || op->err.rc)
        return rc;
    struct bp_webhook_row *rows = mem_alloc(&s->mem, t->limit * sizeof *rows);
    struct job *jobs = mem_alloc(&s->mem, t->limit * sizeof *jobs);
    if (!rows || !jobs)
        return store_fail(s, BP_NOMEM, "out of memory while reading webhooks");
    rc = find(s, op->now_ms, t->limit, rows, &n);
    rc = rc ? rc : hold(s, op->now_ms + t->hold_ms, rows, n, jobs);
    rc = rc ? rc : statement_int(s, ST_HOOK_NEXT, &t->next_due_ms, 0);
    return rc ? rc : pack(s, t, rows, jobs, n);
}

/* 1: this end of the job is still to be told. 0: not. Negative: the batch's end. */
static int32_t waits(struct store *s, const struct bp_op_webhook_done *d)
{
    sqlite3_stmt *q = statement_query(s, ST_HOOK_FIND, "ll", d->job_id, d->finished_ms);
    int32_t rc = statement_next(s, q);
    statement_done(q);
    return rc;
}

int32_t op_webhook_done(struct store *s, struct bp_op *op)
{
    const struct bp_op_webhook_done *d = &op->u.webhook_done;
    struct job j;
    int32_t rc = waits(s, d);
    rc = rc > 0 ? job_load(s, d->job_id, JOB_DISPATCH, &j) : rc;
    if (rc <= 0)
        return rc ? rc : op_error(op, BP_NOTFOUND, "no webhook of job %lld waits for that end", (long long)d->job_id);
    rc = d->retry_at_ms ? statement_run(s, ST_HOOK_LATER, "ll", d->retry_at_ms, d->job_id)
                        : statement_run(s, ST_HOOK_DELETE, "l", d->job_id);
    const char *word = d->delivered ? "delivered" : d->retry_at_ms ? "not delivered yet" : "given up";
    rc = rc ? rc : job_event(s, &j, op->now_ms, EVENT_WEBHOOK, "queue", d->detail ? d->detail : word);
    return rc ? rc : statement_run(s, ST_LAST_EVENT_SET, "ll", j.last_event, d->job_id);
}
