/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of every workflow, at a cost that does not depend on how long the queues are: states from counters, windows
 * from per-second sums, percentiles from the newest samples, the oldest by an index.
 */
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "ops.h"

#define ACTIVE_MS    (5 * 60 * 1000)
#define SAMPLE_MS    (10 * 60 * 1000)
#define SAMPLE_LIMIT 2000

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The element at floor(n * q) of the sorted samples, in seconds; 0 when there are none. */
static int32_t percentile(struct store *s, int64_t workflow, int kind, int64_t now_ms, double q, double *out)
{
    int64_t *values = mem_alloc(&s->mem, SAMPLE_LIMIT * sizeof *values);
    if (!values)
        return store_fail(s, BP_NOMEM, "out of memory for statistics");
    size_t n = 0;
    sqlite3_stmt *st = statement_query(s, ST_STATS_SAMPLES, "lilll", workflow, kind, now_ms - SAMPLE_MS, now_ms,
                                       (int64_t)SAMPLE_LIMIT);
    int32_t rc;
    while ((rc = statement_next(s, st)) > 0 && n < SAMPLE_LIMIT)
        values[n++] = sqlite3_column_int64(st, 0);
    statement_done(st);
    if (rc < 0)
        return rc;
    qsort(values, n, sizeof *values, by_value);
    size_t i = (size_t)((double)n * q);
    *out = n ? (double)values[i < n ? i : n - 1] / 1000 : 0;
    return BP_OK;
}

static int32_t windows(struct store *s, const struct bp_op *op, int64_t workflow, struct bp_queue_stats_row *r)
{
    int64_t now = op->now_ms, from = now - op->u.stats.window_ms;
    sqlite3_stmt *q = statement_query(s, ST_STATS_SECONDS, "lll", workflow, from / 1000, now / 1000);
    int32_t rc = statement_next(s, q);
    if (rc > 0) {
        r->submitted_recent = sqlite3_column_int64(q, 0);
        r->completed_recent = sqlite3_column_int64(q, 1);
        r->failed_recent = sqlite3_column_int64(q, 2);
        r->lease_expired_recent = sqlite3_column_int64(q, 3);
    }
    statement_done(q);
    if (rc < 0)
        return rc;
    q = statement_query(s, ST_STATS_INTERRUPTED, "lll", workflow, from, now);
    rc = statement_next(s, q);
    if (rc > 0)
        r->interrupted_recent = sqlite3_column_int64(q, 0);
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

static int32_t oldest(struct store *s, int64_t workflow, int64_t *queued_ms)
{
    sqlite3_stmt *q = statement_query(s, ST_STATS_OLDEST, "l", workflow);
    int32_t rc = statement_next(s, q);
    *queued_ms = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

static int32_t fill(struct store *s, const struct bp_op *op, const struct workflow *w, struct bp_queue_stats_row *r)
{
    const char *name;
    int32_t rc = names_text(s, &s->workflow_names, w->id, &name);
    if (rc)
        return rc;
    strncpy(r->workflow, name ? name : "", sizeof r->workflow - 1);
    r->queued = w->count[BP_JOB_QUEUED];
    r->leased = w->count[BP_JOB_LEASED];
    r->scheduled = w->count[BP_JOB_SCHEDULED];
    rc = windows(s, op, w->id, r);
    if (!rc && r->queued)
        rc = oldest(s, w->id, &r->oldest_queued_ms);
    rc = rc ? rc : percentile(s, w->id, SAMPLE_RUN, op->now_ms, 0.50, &r->run_p50_s);
    return rc ? rc : percentile(s, w->id, SAMPLE_WAIT, op->now_ms, 0.95, &r->wait_p95_s);
}

/* A row per workflow that has jobs or workers. index: workflow id to its row, 0: none. */
static int32_t rows_fill(struct store *s, struct bp_op *op, struct bp_queue_stats_row *rows, uint32_t *count)
{
    *count = 0;
    for (size_t i = 0; i < s->n_workflows; i++) {
        const struct workflow *w = &s->workflow[i];
        int64_t jobs = 0;
        for (int k = 1; k <= BP_JOB_CANCELLED; k++)
            jobs += w->count[k];
        int32_t served = 0, rc;
        if (!jobs) {
            sqlite3_stmt *q = statement_query(s, ST_STATS_SERVED, "l", w->id);
            served = statement_next(s, q);
            statement_done(q);
        }
        if (served < 0)
            return served;
        if (!jobs && !served)
            continue;
        if ((rc = fill(s, op, w, &rows[*count])) != BP_OK)
            return rc;
        ++*count;
    }
    return BP_OK;
}

static struct bp_queue_stats_row *row_of(struct store *s, struct bp_queue_stats_row *rows, uint32_t n, int64_t workflow)
{
    const char *name = NULL;
    if (names_text(s, &s->workflow_names, workflow, &name) || !name)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(rows[i].workflow, name) == 0)
            return &rows[i];
    return NULL;
}

static int32_t workers_fill(struct store *s, int64_t now_ms, struct bp_queue_stats_row *rows, uint32_t n)
{
    sqlite3_stmt *q = statement_query(s, ST_STATS_WORKERS, "");
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0) {
        int64_t room = sqlite3_column_int64(q, 1), seen = sqlite3_column_int64(q, 2);
        int64_t live = sqlite3_column_int64(q, 3), workflow = sqlite3_column_int64(q, 4);
        if (!live && seen < now_ms - ACTIVE_MS)
            continue;
        struct bp_queue_stats_row *r = row_of(s, rows, n, workflow);
        if (!r)
            continue;
        r->active_workers++;
        r->available_capacity += room > live ? room - live : 0;
    }
    statement_done(q);
    return rc;
}

int32_t op_stats(struct store *s, struct bp_op *op)
{
    struct bp_op_stats *t = &op->u.stats;
    t->count = 0;
    t->rows = NULL;
    t->memory = NULL;
    if (s->n_workflows == 0)
        return BP_OK;
    struct bp_queue_stats_row *rows = s->host->alloc(s->n_workflows * sizeof *rows);
    if (!rows)
        return store_fail(s, BP_NOMEM, "out of memory for statistics");
    int32_t rc = counters_flush(s);
    rc = rc ? rc : rows_fill(s, op, rows, &t->count);
    rc = rc ? rc : workers_fill(s, op->now_ms, rows, t->count);
    t->rows = t->memory = rows;
    return rc;
}

int32_t op_watch(struct store *s, struct bp_op *op)
{
    struct bp_op_watch *w = &op->u.watch;
    w->count = 0;
    w->rows = NULL;
    w->memory = NULL;
    if (s->n_workflows == 0)
        return BP_OK;
    struct bp_watch_row *rows = s->host->alloc(s->n_workflows * sizeof *rows);
    if (!rows)
        return store_fail(s, BP_NOMEM, "out of memory while watching");
    w->rows = w->memory = rows;
    for (size_t i = 0; i < s->n_workflows; i++) {
        const struct workflow *f = &s->workflow[i];
        const char *name;
        int32_t rc = f->arrivals ? names_text(s, &s->workflow_names, f->id, &name) : BP_OK;
        if (rc)
            return rc;
        if (!f->arrivals)
            continue;
        struct bp_watch_row *r = &rows[w->count++];
        *r = (struct bp_watch_row){.queued = f->count[BP_JOB_QUEUED], .arrivals = f->arrivals};
        strncpy(r->workflow, name ? name : "", sizeof r->workflow - 1);
    }
    return BP_OK;
}
