/* SPDX-License-Identifier: Apache-2.0 */
/* Writing what a batch changed: one statement per table, sent in one text. */
#include <string.h>

#include "blind.h"
#include "content.h"
#include "counters.h"
#include "job.h"
#include "lost.h"
#include "special.h"

/* A row buffer longer than this goes out by itself. */
#define SPILL_BYTES (256 << 10)

/* How rows of a buffer become a statement. */
struct table {
    struct sql *rows;
    const char *before, *after;
};
#define N_TABLES 8

/* In the order they are written. A row of ai_jobs is only ever inserted and removed: chaos has seen the server lose
 * such rows when a change that made them longer was refused on a full disk, and they are all there is of what a tenant
 * sent. */
static void tables(struct batch *b, struct table t[N_TABLES])
{
    const struct table all[N_TABLES] = {
        {&b->jobs, "INSERT INTO ai_jobs (id, params, inputs, idempotency_key, unique_key) VALUES ", ";"},
        {&b->outputs, "INSERT INTO ai_job_outputs (job_id, output, provider_job_id) VALUES ",
         " ON DUPLICATE KEY UPDATE output=VALUES(output), provider_job_id=VALUES(provider_job_id);"},
        {&b->keys, "INSERT INTO idempotency_keys (tenant_id, key_hash, dispatch_id, request_hash) VALUES ", ";"},
        {&b->outbox, "INSERT INTO pool_outbox (pool, dispatch_id) VALUES ", ";"},
        {&b->events, "INSERT INTO job_events (job_id, at_ms, what, who, detail) VALUES ", ";"},
        {&b->interruptions, "INSERT IGNORE INTO workflow_interruptions VALUES ", ";"},
        {&b->dependencies, "INSERT INTO job_dependencies (job_id, after_id) VALUES ", ";"},
        {&b->webhooks, "INSERT INTO webhook_deliveries (job_id, tenant_id, finished_ms, due_ms) VALUES ",
         " ON DUPLICATE KEY UPDATE finished_ms=VALUES(finished_ms), due_ms=VALUES(due_ms), attempts=0;"},
    };
    memcpy(t, all, sizeof all);
}

static bool any_rows(const struct sql *rows)
{
    return rows->n || rows->failed;
}

static void table_write(struct store *s, const struct table *t)
{
    if (!any_rows(t->rows))
        return;
    sql_add(&s->q, "%r", t->before);
    sql_join(&s->q, t->rows);
    sql_add(&s->q, "%r", t->after);
    sql_clear(t->rows);
}

int32_t batch_spill(struct store *s)
{
    struct table t[N_TABLES];
    bool full = false;
    int32_t rc = BP_OK;
    tables(&s->batch, t);
    for (int i = 0; i < N_TABLES; i++)
        full = full || t[i].rows->n >= SPILL_BYTES;
    s->batch.wrote = s->batch.wrote || full;
    for (int i = 0; full && !s->batch.blind && !rc && i < N_TABLES; i++) {
        sql_clear(&s->q);
        table_write(s, &t[i]);
        rc = s->q.n || s->q.failed ? query_run(s, &s->q) : BP_OK;
    }
    return rc || s->batch.blind ? rc : contents_spill(s, SPILL_BYTES);
}

/* ---- dispatches ---- */

static void row_all(struct sql *q, const struct job *j)
{
    const struct bp_job_row *r = &j->row;
    sql_add(q, "(%l,%i,%i,%i,%i,%i,%i,%l,%s,%s,%l,%l,%l,%l,%l,%l,%l,%l,%d,%d,%s,%s,%s)", r->id, r->status, j->sort_key,
            r->attempts, r->requeues, r->cancel_requested, j->ended_by, j->worker_no, r->lease_token, j->suffix,
            job_due_ms(j), j->queued_ms, r->not_before_ms, r->leased_ms, r->first_leased_ms, j->wait_ms, r->finished_ms,
            r->updated_ms, r->progress, j->duration_s, r->error, r->progress_text, r->checkpoint_key);
}

static const char ALL_BEFORE[] =
    "INSERT INTO ai_job_dispatches (id, status, sort_key, attempts, requeues, cancel_requested, ended_by, worker_id, "
    "lease_token, output_suffix, due_ms, queued_ms, not_before_ms, leased_ms, first_leased_ms, wait_ms, finished_ms, "
    "updated_ms, progress, duration_seconds, last_error, progress_text, checkpoint_key) VALUES ";
static const char ALL_AFTER[] =
    " ON DUPLICATE KEY UPDATE status=VALUES(status), sort_key=VALUES(sort_key), attempts=VALUES(attempts), "
    "requeues=VALUES(requeues), cancel_requested=VALUES(cancel_requested), ended_by=VALUES(ended_by), "
    "worker_id=VALUES(worker_id), lease_token=VALUES(lease_token), output_suffix=VALUES(output_suffix), "
    "due_ms=VALUES(due_ms), queued_ms=VALUES(queued_ms), not_before_ms=VALUES(not_before_ms), "
    "leased_ms=VALUES(leased_ms), first_leased_ms=VALUES(first_leased_ms), wait_ms=VALUES(wait_ms), "
    "finished_ms=VALUES(finished_ms), updated_ms=VALUES(updated_ms), progress=VALUES(progress), "
    "duration_seconds=VALUES(duration_seconds), last_error=VALUES(last_error), "
    "progress_text=VALUES(progress_text), checkpoint_key=VALUES(checkpoint_key), room='';";

/* Sends a text that became long. */
static int32_t text_spill(struct store *s)
{
    if (s->q.n <= SPILL_BYTES || s->batch.blind)
        return BP_OK;
    int32_t rc = query_run(s, &s->q);
    sql_clear(&s->q);
    return rc;
}

/* The rows are all there and locked, so every insert finds its row and updates it. */
static int32_t all_write(struct store *s)
{
    struct batch *b = &s->batch;
    bool open = false;
    for (size_t i = 0; i < b->n_dirty && !b->blind; i++) {
        if (b->dirty[i]->change != CHANGE_ALL)
            continue;
        sql_add(&s->q, "%r", open ? "," : ALL_BEFORE);
        row_all(&s->q, b->dirty[i]);
        open = true;
        if (s->q.n <= SPILL_BYTES)
            continue;
        sql_add(&s->q, "%r", ALL_AFTER);
        int32_t rc = text_spill(s);
        open = false;
        if (rc)
            return rc;
    }
    if (open)
        sql_add(&s->q, "%r", ALL_AFTER);
    return BP_OK;
}

/* ---- the usual changes ----
 *
 * Rows that are there are changed with half of the server's work by one UPDATE of an INSERT that finds them. What
 * differs between the rows is chosen by id; assignments happen from left to right. The index is named because for few
 * rows the server would rather look at all of them, also at those another controller holds. */

/* Most rows of a statement that looks for its row's value along a list of all of them. */
#define CHOICE_MAX 32
/* Most rows of one whose text depends on nothing but their number, see shapes.h. */
#define EACH_MAX 12

struct rows {
    struct job **jobs;
    size_t n;
};

static int32_t rows_of(struct store *s, int change, struct rows *r)
{
    const struct batch *b = &s->batch;
    *r = (struct rows){.jobs = mem_alloc(&s->mem, b->n_dirty * sizeof(struct job *) + 1)};
    for (size_t i = 0; r->jobs && i < b->n_dirty; i++)
        if (b->dirty[i]->change == change && !(b->blind && b->dirty[i]->fresh)) /* whose insert says all of it */
            r->jobs[r->n++] = b->dirty[i];
    return r->jobs ? BP_OK : store_nomem(s);
}

static int64_t finished(const struct job *j)
{
    return j->row.finished_ms;
}

static int64_t leased(const struct job *j)
{
    return j->row.leased_ms;
}

static int64_t expires(const struct job *j)
{
    return j->row.lease_expires_ms;
}

static int64_t worker(const struct job *j)
{
    return j->worker_no;
}

static const char *token(const struct job *j)
{
    return j->row.lease_token;
}

static const char *suffix(const struct job *j)
{
    return j->suffix;
}

static void number_when(struct sql *q, const struct rows *r, size_t first, int64_t (*of)(const struct job *j))
{
    int64_t value = of(r->jobs[first]);
    for (size_t i = 0; i < first; i++)
        if (of(r->jobs[i]) == value)
            return;
    sql_add(q, " WHEN id IN (%l", r->jobs[first]->row.id);
    for (size_t i = first + 1; i < r->n; i++)
        if (of(r->jobs[i]) == value)
            sql_add(q, ",%l", r->jobs[i]->row.id);
    sql_add(q, ") THEN %l", value);
}

/* Of few rows each is named with its value, whether values are the same or not, so that the text is always the same. */
static void number_each(struct sql *q, const char *column, const struct rows *r, int64_t (*of)(const struct job *j))
{
    sql_add(q, "%r=CASE id", column);
    for (size_t i = 0; i < r->n; i++)
        sql_add(q, " WHEN %l THEN %l", r->jobs[i]->row.id, of(r->jobs[i]));
    sql_add(q, " END,");
}

/* A number by id: few different ones occur in a batch. */
static void number_set(struct sql *q, const char *column, const struct rows *r, int64_t (*of)(const struct job *j))
{
    size_t same = 1;
    if (r->n > 1 && r->n <= EACH_MAX) {
        number_each(q, column, r, of);
        return;
    }
    while (same < r->n && of(r->jobs[same]) == of(r->jobs[0]))
        same++;
    if (same == r->n) {
        sql_add(q, "%r=%l,", column, of(r->jobs[0]));
        return;
    }
    sql_add(q, "%r=CASE", column);
    for (size_t i = same; i < r->n; i++)
        number_when(q, r, i, of);
    sql_add(q, " ELSE %l END,", of(r->jobs[0]));
}

/* A text of each row's own. */
static void text_set(struct sql *q, const char *column, const struct rows *r, const char *(*of)(const struct job *j))
{
    sql_add(q, "%r=CASE id", column);
    for (size_t i = 0; i < r->n; i++)
        sql_add(q, " WHEN %l THEN %s", r->jobs[i]->row.id, of(r->jobs[i]));
    sql_add(q, " END,");
}

static void where_ids(struct sql *q, const struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        sql_add(q, i ? ",%l" : " WHERE id IN (%l", r->jobs[i]->row.id);
    sql_add(q, ")");
}

/* Rows that were not read are changed only if they are what they are taken for. */
static void where_queued(struct store *s, const struct rows *r)
{
    sql_add(&s->q, s->batch.blind ? " AND status=2;" : ";");
    blind_count_text(s, r->n);
}

static void where_leased(struct store *s, const struct rows *r)
{
    for (size_t i = 0; s->batch.blind && i < r->n; i++)
        sql_add(&s->q, i ? ",%s" : " AND status=3 AND lease_token IN (%s", r->jobs[i]->row.lease_token);
    sql_add(&s->q, s->batch.blind ? ");" : ";");
    blind_count_text(s, r->n);
}

/* As complete_now() in ops_finish.c has it. */
static void completed_write(struct store *s, const struct rows *r)
{
    struct sql *q = &s->q;
    sql_add(q, "UPDATE ai_job_dispatches FORCE INDEX (PRIMARY) SET ");
    number_set(q, "due_ms", r, finished);
    sql_add(q, "status=4, ended_by=1, finished_ms=due_ms, updated_ms=due_ms, progress=1, "
               "duration_seconds=IF(leased_ms=0,0,(due_ms-leased_ms)/1000), last_error=NULL, cancel_requested=0");
    where_ids(q, r);
    where_leased(s, r);
}

/* As give() in ops_lease.c has it; wait_ms looks at first_leased_ms before that is set. */
static void leased_write(struct store *s, const struct rows *r)
{
    struct sql *q = &s->q;
    sql_add(
        q, "UPDATE ai_job_dispatches FORCE INDEX (PRIMARY) SET status=3, attempts=attempts+1, progress=0, ended_by=0,");
    number_set(q, "worker_id", r, worker);
    text_set(q, "lease_token", r, token);
    text_set(q, "output_suffix", r, suffix);
    number_set(q, "due_ms", r, expires);
    number_set(q, "leased_ms", r, leased);
    sql_add(q, "wait_ms=IF(first_leased_ms=0,GREATEST(leased_ms-queued_ms,0),wait_ms), "
               "first_leased_ms=IF(first_leased_ms=0,leased_ms,first_leased_ms), updated_ms=leased_ms, room=''");
    where_ids(q, r);
    where_queued(s, r);
}

static int32_t dispatches_write(struct store *s)
{
    struct rows complete, lease;
    int32_t rc = all_write(s);
    rc = rc ? rc : rows_of(s, CHANGE_COMPLETE, &complete);
    rc = rc ? rc : rows_of(s, CHANGE_LEASE, &lease);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < lease.n; i += CHOICE_MAX) {
        size_t left = lease.n - i;
        leased_write(s, &(struct rows){lease.jobs + i, left < CHOICE_MAX ? left : CHOICE_MAX});
        rc = text_spill(s);
    }
    if (complete.n)
        completed_write(s, &complete);
    return rc;
}

static void workers_seen_write(struct store *s)
{
    for (size_t i = 0; i < s->batch.n_workers; i++) {
        const struct worker_state *w = &s->batch.workers[i];
        if (w->seen_ms)
            sql_add(&s->q, "UPDATE workers SET last_seen_ms=GREATEST(last_seen_ms,%l) WHERE id=%l;", w->seen_ms, w->no);
    }
}

/* ---- what leased jobs contain ---- */

/* Of the pending operations, those whose rows came without. */
static int32_t contents_wanted(struct store *s, struct wants *w)
{
    uint32_t n = 0;
    *w = (struct wants){0};
    for (struct pending *p = s->batch.first; p; p = p->next)
        n += p->n;
    if (n == 0)
        return BP_OK;
    w->jobs = mem_alloc(&s->mem, n * sizeof(struct job *));
    if (!w->jobs)
        return store_nomem(s);
    for (struct pending *p = s->batch.first; p; p = p->next)
        for (uint32_t i = 0; i < p->n; i++)
            if (!p->jobs[i].content)
                w->jobs[w->n++] = &p->jobs[i];
    return BP_OK;
}

/* Is all that is returned in memory? What a job waits for is asked for when it is told. */
static bool told_from_memory(const struct store *s)
{
    for (const struct pending *p = s->batch.first; p; p = p->next)
        if (p->op->kind == BP_OP_GET && p->jobs->flags & FLAG_CHILD)
            return false;
    return true;
}

/* Writes what the segment changed in the jobs, behind what begins a blind batch. */
static int32_t changes_write(struct store *s, bool windows)
{
    sql_clear(&s->q);
    if (s->batch.blind)
        blind_begin_text(s, windows);
    size_t begin = s->q.n;
    int32_t rc = dispatches_write(s);
    s->batch.wrote = s->batch.wrote || s->batch.n_dirty || s->q.n > begin;
    return rc;
}

static void tables_write(struct store *s, bool windows)
{
    struct table t[N_TABLES];
    size_t begin = s->q.n;
    tables(&s->batch, t);
    counters_write(s, &s->q);
    if (windows)
        windows_write(s, &s->q);
    workers_seen_write(s);
    special_write(s, &s->q);
    for (int i = 0; i < N_TABLES; i++)
        table_write(s, &t[i]);
    contents_near_text(s, &s->q);
    s->batch.wrote = s->batch.wrote || s->q.n > begin;
}

/* Sends the text that was built, with the end of the transaction when that may be. */
static int32_t flush_send(struct store *s, struct wants *w, bool commit)
{
    size_t from = s->batch.blind ? s->batch.body : 0, to = s->q.n;
    if (commit)
        sql_add(&s->q, "%r", batch_end_text(s));
    s->committing = commit && s->batch.wrote;
    bool sent = s->q.n || s->q.failed, whole = s->batch.blind && w->answers == 0;
    int32_t rc = !sent ? BP_OK : whole ? shapes_send_whole(s, from) : shapes_send(s, from, to);
    rc = rc ? rc : contents_take(s, w);
    if (!rc && sent)
        rc = query_end(s);
    if (commit && !rc)
        s->batch.begun = false;
    s->committing = rc != BP_OK && s->committing && s->fault == FAULT_LOST;
    return rc;
}

/* What is remembered of rows, and then nothing but that. */
static void flush_note(struct store *s)
{
    bounds_note(s);
    recall_note(s);
    if (s->batch.blind)
        blind_written(s);
    batch_forget_rows(s);
}

int32_t batch_flush(struct store *s, bool last)
{
    struct wants w;
    bool windows = !s->batch.read_only && windows_due(s);
    int32_t rc = windows && !s->batch.blind ? batch_begin(s) : BP_OK;
    rc = rc ? rc : contents_wanted(s, &w);
    if (!rc && s->batch.blind && w.n)
        rc = blind_waits(s);
    rc = rc ? rc : changes_write(s, windows);
    if (rc)
        return rc;
    tables_write(s, windows);
    contents_want_text(s, &w, &s->q);
    /* What other servers are to hold must be there before the commit, and so must be handed over what is returned: a
     * job submitted to a worker that waits needs nothing more for that, and saves a round trip; unless the worker can
     * have it before the commit. */
    bool may = last && s->batch.begun && !contents_far_pending(s) && !batch_is_early(s);
    rc = may && w.n == 0 && told_from_memory(s) ? batch_pack(s) : BP_OK;
    rc = rc ? rc : flush_send(s, &w, may && !s->batch.first);
    rc = rc ? rc : contents_far(s, &w);
    rc = rc ? rc : lost_look(s);
    if (rc)
        return rc;
    flush_note(s);
    return BP_OK;
}
