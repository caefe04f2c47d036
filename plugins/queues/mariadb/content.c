/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t content_state_of(int32_t status)
{
    return status >= BP_JOB_COMPLETED ? status : CONTENT_OPEN;
}

/* ---- writing ---- */

static struct sql *rows_begin(struct sql *rows)
{
    sql_comma(rows);
    return rows;
}

static int32_t follow_up(struct store *s, const struct job *j)
{
    sql_add(rows_begin(&s->batch.outbox), "(%s,%l)", j->pool->name, j->row.id);
    return batch_spill(s);
}

int32_t content_submit(struct store *s, const struct job *j)
{
    const struct bp_job_row *r = &j->row;
    struct pool *p = j->pool;
    if (pool_central(p)) {
        sql_add(rows_begin(&s->batch.jobs), "(%l,%s,%s,%s,%s)", r->id, r->params, r->inputs, r->idempotency_key,
                r->unique_key);
        if (!s->batch.blind)
            recent_put(s, j);
        return batch_spill(s);
    }
    sql_add(rows_begin(&p->fresh), "%l", r->id);
    sql_add(rows_begin(&p->jobs), "(%l,%s,%s,%i,%s,%s,%s,%s,%l,%l)", r->id, r->tenant, r->workflow,
            p->far ? CONTENT_UNCONFIRMED : CONTENT_OPEN, r->params, r->inputs, r->idempotency_key, r->unique_key,
            r->created_ms, r->updated_ms);
    return batch_spill(s);
}

int32_t content_output(struct store *s, const struct job *j)
{
    const struct bp_job_row *r = &j->row;
    struct pool *p = j->pool;
    if (pool_central(p)) {
        sql_add(rows_begin(&s->batch.outputs), "(%l,%s,%s)", r->id, r->output, r->provider_job_id);
        return batch_spill(s);
    }
    if (p->far) {
        sql_add(rows_begin(&p->outputs), "(%l,%s,%s,%s)", r->id, r->lease_token, r->output, r->provider_job_id);
        return follow_up(s, j);
    }
    sql_add(rows_begin(&p->outputs), "(%l,%s,%s,%i,%s,%s,%l,%l)", r->id, r->tenant, r->workflow,
            content_state_of(r->status), r->output, r->provider_job_id, r->finished_ms, r->updated_ms);
    return batch_spill(s);
}

int32_t content_state(struct store *s, const struct job *j)
{
    const struct bp_job_row *r = &j->row;
    struct pool *p = j->pool;
    int32_t state = content_state_of(r->status);
    if (pool_central(p) || state == content_state_of(j->saved_status) || r->status == BP_JOB_COMPLETED)
        return BP_OK;
    if (p->far)
        return follow_up(s, j);
    sql_add(rows_begin(&p->states), "(%l,%s,%s,%i,%l,%l)", r->id, r->tenant, r->workflow, state, r->finished_ms,
            r->updated_ms);
    return batch_spill(s);
}

void content_remove(struct store *s, const struct job *j)
{
    struct pool *p = j->pool;
    if (p->far)
        sql_add(rows_begin(&s->batch.outbox), "(%s,%l)", p->name, j->row.id);
    else
        sql_add(rows_begin(&p->ids), "%l", j->row.id);
}

void content_remove_text(struct store *s, struct sql *q)
{
    for (uint32_t i = 0; i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        if (!p->ids.n)
            continue;
        sql_add(q, "DELETE FROM %rai_jobs WHERE id IN (%r);", p->prefix, p->ids.text);
        sql_add(q, "DELETE FROM %rai_job_outputs WHERE job_id IN (%r);", p->prefix, p->ids.text);
        q->failed = q->failed || p->ids.failed;
        sql_clear(&p->ids);
    }
}

/* One statement of a pool: what stands before and after its rows. */
static void statement(const struct pool *p, struct sql *q, struct sql *rows, const char *before, const char *after)
{
    if (!rows->n && !rows->failed)
        return;
    sql_add(q, before, p->prefix);
    sql_join(q, rows);
    sql_add(q, "%r", after);
    sql_clear(rows);
}

/* An unconfirmed row under the id of a new job is one whose commit never came, from before its server lost the counter:
 * it makes room. A confirmed one is another queue's, and ends the statement. */
static void rows_text(struct pool *p, struct sql *q)
{
    statement(p, q, &p->fresh, "DELETE FROM %rai_jobs WHERE status=0 AND id IN (", ");");
    statement(p, q, &p->jobs,
              "INSERT INTO %rai_jobs (id, tenant, workflow, status, params, inputs, idempotency_key, unique_key, "
              "created_ms, updated_ms) VALUES ",
              ";");
    statement(p, q, &p->states, "INSERT INTO %rai_jobs (id, tenant, workflow, status, finished_ms, updated_ms) VALUES ",
              " ON DUPLICATE KEY UPDATE status=VALUES(status), finished_ms=VALUES(finished_ms), "
              "updated_ms=VALUES(updated_ms);");
    if (p->far)
        statement(p, q, &p->outputs, "INSERT INTO %rai_job_outputs (job_id, token, output, provider_job_id) VALUES ",
                  " ON DUPLICATE KEY UPDATE output=VALUES(output), provider_job_id=VALUES(provider_job_id);");
    else
        statement(p, q, &p->outputs,
                  "INSERT INTO %rai_jobs (id, tenant, workflow, status, output, provider_job_id, finished_ms, "
                  "updated_ms) VALUES ",
                  " ON DUPLICATE KEY UPDATE status=VALUES(status), output=VALUES(output), "
                  "provider_job_id=VALUES(provider_job_id), finished_ms=VALUES(finished_ms), "
                  "updated_ms=VALUES(updated_ms);");
}

static bool has_rows(const struct pool *p)
{
    return p->jobs.n || p->states.n || p->outputs.n;
}

bool contents_far_pending(const struct store *s)
{
    for (uint32_t i = 1; i < s->pools.n; i++) {
        const struct pool *p = s->pools.list[i];
        if (p->far && (p->begun || has_rows(p)))
            return true;
    }
    return false;
}

void contents_near_text(struct store *s, struct sql *q)
{
    for (uint32_t i = 1; i < s->pools.n; i++)
        if (!s->pools.list[i]->far)
            rows_text(s->pools.list[i], q);
}

/* The rows of a far pool, in its transaction, added to the text of its link. */
static void far_rows_text(struct pool *p)
{
    if (!p->begun)
        sql_add(&p->link->q, "START TRANSACTION;");
    p->begun = true;
    rows_text(p, &p->link->q);
}

static int32_t spill_one(struct store *s, struct pool *p)
{
    if (!p->far) {
        sql_clear(&s->q);
        rows_text(p, &s->q);
        return query_run(s, &s->q);
    }
    sql_clear(&p->link->q);
    far_rows_text(p);
    return query_run(p->link, &p->link->q) ? pool_failed(s, p) : BP_OK;
}

int32_t contents_spill(struct store *s, size_t bytes)
{
    int32_t rc = BP_OK;
    for (uint32_t i = 1; !rc && i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        if (p->jobs.n + p->states.n + p->outputs.n >= bytes)
            rc = spill_one(s, p);
    }
    return rc;
}

/* ---- reading ---- */

static int by_id(const void *a, const void *b)
{
    const struct job *const *x = a, *const *y = b;
    return ((*x)->row.id > (*y)->row.id) - ((*x)->row.id < (*y)->row.id);
}

/* The first of the jobs with this id or, when there is none, a higher one. */
static uint32_t first_of(const struct wants *w, int64_t id)
{
    uint32_t from = 0, to = w->n;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (w->jobs[mid]->row.id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void copy(struct job *to, const struct job *from)
{
    to->row.params = from->row.params;
    to->row.inputs = from->row.inputs;
    to->row.output = from->row.output;
    to->row.idempotency_key = from->row.idempotency_key;
    to->row.provider_job_id = from->row.provider_job_id;
    to->row.unique_key = from->row.unique_key;
    to->content = true;
}

static void empty(struct job *j)
{
    j->row.params = "{}";
    j->row.inputs = "[]";
    j->row.output = j->row.idempotency_key = j->row.provider_job_id = j->row.unique_key = NULL;
    j->content = true;
}

static int32_t take_row(struct store *s, const struct reply *r, const struct wants *w)
{
    int64_t id = column_int(r, 0);
    uint32_t i = first_of(w, id);
    struct job *first = i < w->n && w->jobs[i]->row.id == id ? w->jobs[i] : NULL;
    /* A near pool's row that was deleted comes back with the next change of state, and without what was in it. */
    if (first && !r->row[1] && !r->row[2] && first->row.created_ms)
        return BP_OK;
    int32_t rc = first ? job_read_content(s, r, 1, first) : BP_OK;
    for (i++; !rc && first && i < w->n && w->jobs[i]->row.id == id; i++)
        copy(w->jobs[i], first);
    return rc;
}

/* An answer of either connection. */
static int32_t take(struct store *s, struct store *from, const struct wants *w)
{
    struct reply r;
    int32_t rc = query_rows(from, &r);
    while (!rc && reply_next(&r))
        rc = take_row(s, &r, w);
    reply_done(&r);
    return rc;
}

static void ids_note(const struct wants *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const struct job *j = w->jobs[i];
        if (j->content || !pool_up(j->pool))
            continue;
        sql_add(rows_begin(&j->pool->ids), "%l", j->row.id);
        if (!pool_central(j->pool) && j->row.status == BP_JOB_COMPLETED && j->row.lease_token)
            sql_add(rows_begin(&j->pool->tokens), "%s", j->row.lease_token);
    }
}

/* In a pool the accepted output is in the job's row or still beside it, under the token of the lease that counted. */
static void want_text(struct pool *p, struct sql *q)
{
    if (pool_central(p))
        sql_add(q, CONTENT_SELECT);
    else if (!p->tokens.n)
        sql_add(q, "SELECT j.id, " CONTENT_COLUMNS " FROM %rai_jobs j WHERE j.id IN (", p->prefix);
    else
        sql_add(q,
                "SELECT j.id, j.params, j.inputs, COALESCE(j.output, o.output), j.idempotency_key, "
                "COALESCE(j.provider_job_id, o.provider_job_id), j.unique_key FROM %rai_jobs j LEFT JOIN "
                "%rai_job_outputs o ON "
                "o.job_id = j.id AND o.token IN (%r) WHERE j.id IN (",
                p->prefix, p->prefix, p->tokens.text);
    sql_join(q, &p->ids);
    sql_add(q, ");");
    q->failed = q->failed || p->tokens.failed;
    sql_clear(&p->ids);
    sql_clear(&p->tokens);
}

void contents_want_text(struct store *s, struct wants *w, struct sql *q)
{
    if (w->n)
        qsort(w->jobs, w->n, sizeof *w->jobs, by_id);
    w->answers = 0;
    ids_note(w);
    for (uint32_t i = 0; i < s->pools.n; i++)
        if (!s->pools.list[i]->far && s->pools.list[i]->ids.n) {
            want_text(s->pools.list[i], q);
            w->answers++;
        }
}

int32_t contents_take(struct store *s, struct wants *w)
{
    int32_t rc = BP_OK;
    for (; !rc && w->answers; w->answers--)
        rc = take(s, s, w);
    return rc;
}

static int32_t exchange(struct store *s, struct pool *p, const struct wants *w)
{
    struct store *l = p->link;
    bool asks = p->ids.n != 0;
    sql_clear(&l->q);
    if (has_rows(p))
        far_rows_text(p);
    if (asks)
        want_text(p, &l->q);
    int32_t rc = query_send(l, &l->q);
    if (!rc && asks)
        rc = take(s, l, w);
    if (rc == BP_NOMEM)
        return rc;
    if (rc || query_end(l))
        return pool_failed(s, p);
    if (!p->begun)
        pool_works(s, p);
    return BP_OK;
}

const char *content_lost_text(struct store *s, const struct job *j)
{
    char text[320];
    if (pool_central(j->pool))
        snprintf(text, sizeof text, "its params and inputs are missing in ai_jobs of the queue's database");
    else
        snprintf(text, sizeof text, "its params and inputs are missing in ai_jobs of pool %.64s", j->pool->name);
    size_t n = strlen(text);
    snprintf(text + n, sizeof text - n, ": deleted there, or a backup older than the queue's; submit the job anew");
    return mem_text(&s->mem, text, strlen(text));
}

/* Rows that are not there, of a pool that works, were deleted; but another application's job has none until it is taken
 * in, which is when it gets the time of its creation (adopt.h). */
static int32_t settle(struct store *s, struct job *j)
{
    empty(j);
    j->lost = pool_up(j->pool) && j->row.created_ms;
    if (j->row.error || (pool_up(j->pool) && !j->lost))
        return BP_OK;
    char text[320];
    snprintf(text, sizeof text, "its content cannot be read now: pool %.64s: %.200s", j->pool->name, j->pool->why.text);
    j->row.error = j->lost ? content_lost_text(s, j) : mem_text(&s->mem, text, strlen(text));
    return j->row.error ? BP_OK : store_nomem(s);
}

int32_t contents_far(struct store *s, struct wants *w)
{
    int32_t rc = BP_OK;
    for (uint32_t i = 1; !rc && i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        if (p->far && (has_rows(p) || p->ids.n))
            rc = exchange(s, p, w);
    }
    for (uint32_t i = 0; !rc && i < w->n; i++)
        rc = w->jobs[i]->content ? BP_OK : settle(s, w->jobs[i]);
    return rc;
}

int32_t contents_fill(struct store *s, struct job **jobs, uint32_t n)
{
    struct wants w = {.jobs = jobs, .n = n};
    sql_clear(&s->q);
    contents_want_text(s, &w, &s->q);
    int32_t rc = w.answers ? query_send(s, &s->q) : BP_OK;
    bool sent = w.answers != 0;
    rc = rc ? rc : contents_take(s, &w);
    if (!rc && sent)
        rc = query_end(s);
    return rc ? rc : contents_far(s, &w);
}

int32_t contents_of(struct store *s, struct job *jobs, uint32_t n)
{
    uint32_t wanted = 0;
    struct job **list = mem_alloc(&s->mem, n * sizeof *list + 1);
    for (uint32_t i = 0; list && i < n; i++)
        if (!jobs[i].content)
            list[wanted++] = &jobs[i];
    return list ? contents_fill(s, list, wanted) : store_nomem(s);
}
