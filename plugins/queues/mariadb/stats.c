/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of every workflow, at a cost that does not depend on how long the queues are: states from counters, windows
 * from per-second sums, percentiles from the newest samples, the oldest by an index that jumps from workflow to
 * workflow.
 */
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "ops.h"

#define ACTIVE_MS    (5 * 60 * 1000)
#define SAMPLE_MS    (10 * 60 * 1000)
#define SAMPLE_LIMIT 2000

/* The rows being filled, with the workflow each is of. */
struct table {
    struct bp_queue_stats_row *rows;
    int64_t *ids;
    uint32_t n;
};

static struct bp_queue_stats_row *row_of(const struct table *t, int64_t workflow)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->ids[i] == workflow)
            return &t->rows[i];
    return NULL;
}

/* What all questions but the percentiles are, in the order their answers are taken. */
static void questions(struct store *s, const struct bp_op *op)
{
    int64_t now = op->now_ms, from = now - op->u.stats.window_ms;
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT w.id, w.name, COALESCE(SUM(c.scheduled),0), COALESCE(SUM(c.queued),0), COALESCE(SUM(c.leased),0), "
            "COALESCE(SUM(c.scheduled+c.queued+c.leased+c.completed+c.failed+c.cancelled),0) AS jobs, "
            "EXISTS (SELECT 1 FROM worker_workflows x WHERE x.workflow_id = w.id) AS served FROM workflows w "
            "LEFT JOIN dispatch_counters c ON c.owner = 1 AND c.owner_id = w.id GROUP BY w.id, w.name HAVING jobs <> 0 "
            "OR served "
            "ORDER BY w.id;");
    sql_add(&s->q,
            "SELECT w.id, SUM(x.submitted), SUM(x.completed), SUM(x.failed), SUM(x.expired) FROM workflows w JOIN "
            "workflow_seconds x ON x.workflow_id = w.id AND x.second > %l AND x.second <= %l GROUP BY w.id;",
            from / 1000, now / 1000);
    sql_add(&s->q,
            "SELECT w.id, COUNT(DISTINCT x.job_id) FROM workflows w JOIN workflow_interruptions x ON "
            "x.workflow_id = w.id AND x.at_ms > %l AND x.at_ms <= %l GROUP BY w.id;",
            from, now);
    sql_add(&s->q,
            "SELECT w.id, (SELECT d.due_ms FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status=2 "
            "AND d.due_of = w.id AND d.due_ms > 0 ORDER BY d.due_ms LIMIT 1) FROM workflows w;");
    sql_add(&s->q, "SELECT w.max_concurrency, w.last_seen_ms, (SELECT COUNT(*) FROM ai_job_dispatches d WHERE "
                   "d.status = 3 AND d.due_of = w.id), x.workflow_id FROM workers w JOIN worker_workflows x ON "
                   "x.worker_id = w.id WHERE w.approved = 1");
}

static int32_t take_states(struct store *s, struct table *t)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result);
    t->ids = mem_alloc(&s->mem, rows * sizeof *t->ids + 1);
    t->rows = rows ? s->host->alloc(rows * sizeof *t->rows) : NULL;
    if (!rc && (!t->ids || (rows && !t->rows)))
        rc = store_nomem(s);
    while (!rc && t->n < rows && reply_next(&r)) {
        struct bp_queue_stats_row *row = &t->rows[t->n];
        t->ids[t->n++] = column_int(&r, 0);
        strncpy(row->workflow, r.row[1], sizeof row->workflow - 1);
        row->scheduled = column_int(&r, 2);
        row->queued = column_int(&r, 3);
        row->leased = column_int(&r, 4);
    }
    reply_done(&r);
    return rc;
}

static void put_window(struct bp_queue_stats_row *row, const struct reply *r)
{
    row->submitted_recent = column_int(r, 1);
    row->completed_recent = column_int(r, 2);
    row->failed_recent = column_int(r, 3);
    row->lease_expired_recent = column_int(r, 4);
}

static void put_interrupted(struct bp_queue_stats_row *row, const struct reply *r)
{
    row->interrupted_recent = column_int(r, 1);
}

static void put_oldest(struct bp_queue_stats_row *row, const struct reply *r)
{
    row->oldest_queued_ms = column_int(r, 1);
}

static int32_t take_each(struct store *s, const struct table *t,
                         void (*put)(struct bp_queue_stats_row *row, const struct reply *r))
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct bp_queue_stats_row *row = row_of(t, column_int(&r, 0));
        if (row)
            put(row, &r);
    }
    reply_done(&r);
    return rc;
}

static int32_t take_workers(struct store *s, const struct table *t, int64_t now_ms)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        int64_t room = column_int(&r, 0), seen = column_int(&r, 1), live = column_int(&r, 2);
        struct bp_queue_stats_row *row = row_of(t, column_int(&r, 3));
        if (!row || (!live && seen < now_ms - ACTIVE_MS))
            continue;
        row->active_workers++;
        row->available_capacity += room > live ? room - live : 0;
    }
    reply_done(&r);
    return rc;
}

/* ---- percentiles ---- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The element at floor(n * q) of the answer's samples, in seconds; 0 when there are none. */
static int32_t take_percentile(struct store *s, double q, double *out)
{
    static const size_t limit = SAMPLE_LIMIT;
    int64_t values[SAMPLE_LIMIT] = {0};
    size_t n = 0;
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && n < limit && reply_next(&r))
        values[n++] = column_int(&r, 0);
    reply_done(&r);
    qsort(values, n, sizeof *values, by_value);
    size_t i = (size_t)((double)n * q);
    *out = n ? (double)values[i < n ? i : n - 1] / 1000 : 0;
    return rc;
}

static int32_t percentiles(struct store *s, const struct table *t, int64_t now_ms)
{
    sql_clear(&s->q);
    for (uint32_t i = 0; i < 2 * t->n; i++)
        sql_add(
            &s->q,
            "SELECT value_ms FROM workflow_samples WHERE workflow_id=%l AND kind=%i AND at_ms >= %l AND at_ms <= %l "
            "ORDER BY at_ms DESC LIMIT %i;",
            t->ids[i / 2], i % 2 ? SAMPLE_WAIT : SAMPLE_RUN, now_ms - SAMPLE_MS, now_ms, SAMPLE_LIMIT);
    int32_t rc = t->n ? query_send(s, &s->q) : BP_OK;
    for (uint32_t i = 0; !rc && i < t->n; i++) {
        rc = take_percentile(s, 0.50, &t->rows[i].run_p50_s);
        rc = rc ? rc : take_percentile(s, 0.95, &t->rows[i].wait_p95_s);
    }
    return rc || !t->n ? rc : query_end(s);
}

/* What is told includes what was not written yet, also of the batch this is in. */
static int32_t windows_told(struct store *s)
{
    int32_t rc = windows_wait(s) ? batch_begin(s) : BP_OK;
    if (rc || !s->batch.begun)
        return rc;
    sql_clear(&s->q);
    windows_write(s, &s->q);
    s->batch.wrote = s->batch.wrote || s->q.n;
    return s->q.n || s->q.failed ? query_run(s, &s->q) : BP_OK;
}

int32_t op_stats(struct store *s, struct bp_op *op)
{
    struct bp_op_stats *o = &op->u.stats;
    struct table t = {0};
    o->count = 0;
    o->rows = NULL;
    o->memory = NULL;
    int32_t rc = windows_told(s);
    questions(s, op);
    rc = rc ? rc : query_send(s, &s->q);
    rc = rc ? rc : take_states(s, &t);
    o->rows = o->memory = t.rows;
    rc = rc ? rc : take_each(s, &t, put_window);
    rc = rc ? rc : take_each(s, &t, put_interrupted);
    rc = rc ? rc : take_each(s, &t, put_oldest);
    rc = rc ? rc : take_workers(s, &t, op->now_ms);
    rc = rc ? rc : query_end(s);
    rc = rc ? rc : percentiles(s, &t, op->now_ms);
    o->count = rc ? 0 : t.n;
    return rc;
}
