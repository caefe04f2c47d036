/* SPDX-License-Identifier: Apache-2.0 */
#include "webhooks.h"

#include <string.h>

#include "content.h"
#include "lead.h"
#include "ops.h"
#include "timeline.h"

#define TAKE_MAX 100

/* A delivery being handed out. */
struct delivery {
    int64_t job_id, finished_ms;
    int32_t attempts, version;
    const char *url;
};

void webhook_note(struct store *s, const struct job *j, int64_t now_ms)
{
    const struct tenant_rule *r = tenant_rule(s, j->tenant_id);
    struct sql *q = &s->batch.webhooks;
    if (!r || !r->webhook)
        return;
    sql_comma(q);
    sql_add(q, "(%l,%l,%l,%l)", j->row.id, j->tenant_id, j->row.finished_ms, now_ms);
}

/* ---- taking ---- */

static void due_text(struct store *s, const struct bp_op *op)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT job_id, tenant_id, finished_ms, attempts FROM webhook_deliveries FORCE INDEX "
            "(webhook_deliveries_due) WHERE due_ms <= %l",
            op->now_ms);
    pools_only_up(s, &s->q, "tenant_id");
    sql_add(&s->q, " ORDER BY due_ms, job_id LIMIT %l FOR UPDATE SKIP LOCKED", (int64_t)op->u.webhook_take.limit);
}

static int32_t due_take(struct store *s, struct bp_op *op, struct delivery *d, int64_t *tenants, uint32_t *n)
{
    struct reply r;
    due_text(s, op);
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && *n < op->u.webhook_take.limit && reply_next(&r)) {
        d[*n] = (struct delivery){.job_id = column_int(&r, 0), .finished_ms = column_int(&r, 2)};
        d[*n].attempts = (int32_t)column_int(&r, 3);
        tenants[(*n)++] = column_int(&r, 1);
    }
    reply_done(&r);
    return rc;
}

static void list(struct sql *q, const char *before, const int64_t *ids, uint32_t n, const char *after)
{
    sql_add(q, "%r", before);
    for (uint32_t i = 0; i < n; i++)
        sql_add(q, i ? ",%l" : "%l", ids[i]);
    sql_add(q, "%r", after);
}

/* Where each is to go now: an end noted before the URL changed goes to the new one. */
static int32_t urls_read(struct store *s, struct delivery *d, const int64_t *tenants, uint32_t n)
{
    struct reply r;
    sql_clear(&s->q);
    list(&s->q, "SELECT id, webhook_url, webhook_version FROM tenants WHERE id IN (", tenants, n, ")");
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r)) {
        const char *url = r.row[1] ? mem_text(&s->mem, r.row[1], strlen(r.row[1])) : NULL;
        if (r.row[1] && !url)
            rc = store_nomem(s);
        for (uint32_t i = 0; i < n; i++)
            if (tenants[i] == column_int(&r, 0)) {
                d[i].url = url;
                d[i].version = (int32_t)column_int(&r, 2);
            }
    }
    reply_done(&r);
    return rc;
}

/* Holds those handed out; forgets those whose tenant wants to know no more or whose job is gone. */
static int32_t hold(struct store *s, const struct bp_op *op, const int64_t *held, uint32_t n_held, const int64_t *over,
                    uint32_t n_over)
{
    sql_clear(&s->q);
    if (n_held) {
        sql_add(&s->q, "UPDATE webhook_deliveries SET due_ms=%l WHERE job_id IN (",
                op->now_ms + op->u.webhook_take.hold_ms);
        list(&s->q, "", held, n_held, ");");
    }
    if (n_over)
        list(&s->q, "DELETE FROM webhook_deliveries WHERE job_id IN (", over, n_over, ");");
    return s->q.n ? query_run(s, &s->q) : BP_OK;
}

static int32_t pack(struct store *s, struct bp_op_webhook_take *t, const struct delivery *d, const struct job *jobs,
                    uint32_t n)
{
    size_t bytes = n * (sizeof *t->rows + sizeof *t->rows->job);
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(d[i].url) + 1 + job_text_bytes(&jobs[i].row);
    if (n == 0)
        return BP_OK;
    t->rows = t->memory = s->host->alloc(bytes);
    if (!t->rows)
        return store_nomem(s);
    struct bp_job_row *rows = (struct bp_job_row *)(void *)(t->rows + n);
    char *text = (char *)(rows + n);
    for (uint32_t i = 0; i < n; i++) {
        size_t url = strlen(d[i].url) + 1;
        t->rows[i] = (struct bp_webhook_row){.size = sizeof *t->rows, .attempts = d[i].attempts};
        t->rows[i].job_id = d[i].job_id;
        t->rows[i].finished_ms = d[i].finished_ms;
        t->rows[i].webhook_version = d[i].version;
        t->rows[i].job = &rows[i];
        t->rows[i].url = memcpy(text, d[i].url, url);
        text = job_copy(&rows[i], &jobs[i].row, text + url);
    }
    t->count = n;
    return BP_OK;
}

static int32_t jobs_read(struct store *s, const struct delivery *d, uint32_t n)
{
    int64_t *ids = mem_alloc(&s->mem, n * sizeof *ids + 1);
    if (!ids)
        return store_nomem(s);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = d[i].job_id;
    return batch_load_jobs(s, ids, n);
}

static int32_t hand(struct store *s, struct bp_op *op, struct delivery *d, uint32_t n)
{
    int64_t held[TAKE_MAX], over[TAKE_MAX];
    uint32_t n_held = 0, n_over = 0;
    struct job *jobs = mem_alloc(&s->mem, n * sizeof *jobs + 1);
    if (!jobs)
        return store_nomem(s);
    for (uint32_t i = 0; i < n; i++) {
        const struct job *j = batch_job(s, d[i].job_id);
        if (!j || !d[i].url) {
            over[n_over++] = d[i].job_id;
            continue;
        }
        jobs[n_held] = *j;
        d[n_held] = d[i];
        held[n_held++] = d[i].job_id;
    }
    int32_t rc = contents_of(s, jobs, n_held);
    rc = rc ? rc : hold(s, op, held, n_held, over, n_over);
    return rc ? rc : pack(s, &op->u.webhook_take, d, jobs, n_held);
}

static int32_t take_checked(struct store *s, struct bp_op *op)
{
    struct bp_op_webhook_take *t = &op->u.webhook_take;
    struct delivery d[TAKE_MAX];
    int64_t tenants[TAKE_MAX];
    uint32_t n = 0;
    int32_t rc = due_take(s, op, d, tenants, &n);
    if (!rc && n) {
        rc = urls_read(s, d, tenants, n);
        rc = rc ? rc : jobs_read(s, d, n);
        rc = rc ? rc : hand(s, op, d, n);
    }
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT due_ms FROM webhook_deliveries WHERE due_ms >= 0");
    pools_only_up(s, &s->q, "tenant_id"); /* what they are told is in the pool */
    sql_add(&s->q, " ORDER BY due_ms LIMIT 1");
    return rc ? rc : query_int(s, &s->q, &t->next_due_ms);
}

int32_t op_webhook_take(struct store *s, struct bp_op *op)
{
    struct bp_op_webhook_take *t = &op->u.webhook_take;
    bool ok;
    t->count = 0;
    t->rows = NULL;
    t->memory = NULL;
    t->next_due_ms = 0;
    if (t->limit < 1 || t->limit > TAKE_MAX || t->hold_ms < 0)
        return op_error(op, BP_INVALID, "1 to %d deliveries can be taken, and held for 0 ms or more", TAKE_MAX);
    int32_t rc = lead_check(s, op, t->epoch, &ok);
    return rc || !ok ? rc : take_checked(s, op);
}

/* ---- how it went ---- */

int32_t op_webhook_done(struct store *s, struct bp_op *op)
{
    const struct bp_op_webhook_done *d = &op->u.webhook_done;
    int64_t found;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT COUNT(*) FROM webhook_deliveries WHERE job_id=%l AND finished_ms=%l FOR UPDATE", d->job_id,
            d->finished_ms);
    int32_t rc = query_int(s, &s->q, &found);
    if (rc)
        return rc;
    if (!found)
        return op_error(op, BP_NOTFOUND, "no delivery of job %lld waits for that end of it", (long long)d->job_id);
    sql_clear(&s->q);
    if (d->retry_at_ms)
        sql_add(&s->q, "UPDATE webhook_deliveries SET attempts=attempts+1, due_ms=%l WHERE job_id=%l", d->retry_at_ms,
                d->job_id);
    else
        sql_add(&s->q, "DELETE FROM webhook_deliveries WHERE job_id=%l", d->job_id);
    rc = query_run(s, &s->q);
    const struct job j = {.row = {.id = d->job_id}};
    return rc ? rc : job_event(s, &j, op->now_ms, EVENT_WEBHOOK, "webhook", d->detail);
}
