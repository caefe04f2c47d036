/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of numbers. How many dispatches are in each state is exact: dispatch_counters is written in the transaction
 * that moves them. What happened when, the windows (workflow_seconds, workflow_samples), is collected over batches and
 * written at most every WINDOWS_EVERY_MS, with the next batch, before statistics are told and at the stop: it is in
 * most batches two statements less. A controller that is killed loses those of that time, and no count; another
 * controller's statistics see them that much later, or with the next sweep when nothing follows.
 *
 * A batch's own windows go with it when it is undone. They are kept once it is committed, and what is kept stays until
 * a batch that wrote it is.
 */
#include "counters.h"

#include <stdlib.h>
#include <string.h>

#include "open.h"

int32_t counter_move(struct store *s, int64_t workflow_id, int32_t from, int32_t to)
{
    struct workflow *w = from == to ? NULL : batch_workflow(s, workflow_id);
    if (from == to)
        return BP_OK;
    if (!w)
        return store_nomem(s);
    if (from)
        w->delta[from]--;
    if (to)
        w->delta[to]++;
    w->arrivals += to == BP_JOB_QUEUED;
    return BP_OK;
}

void counter_arrival(struct store *s, int64_t workflow_id)
{
    struct workflow *w = batch_workflow(s, workflow_id);
    if (w)
        w->arrivals++;
}

static bool any_counts(const struct window *x)
{
    return x->submitted || x->completed || x->failed || x->expired;
}

/* Turns a second's numbers into a row. */
static void second_write(const struct store *s, int64_t workflow_id, struct window *x, struct sql *q)
{
    if (!any_counts(x))
        return;
    sql_comma(q);
    sql_add(q, "(%l,%l,%i,%l,%l,%l,%l)", workflow_id, x->second, s->shard, x->submitted, x->completed, x->failed,
            x->expired);
    *x = (struct window){0};
}

int32_t counter_add(struct store *s, int64_t workflow_id, int64_t now_ms, int what)
{
    struct workflow *w = batch_workflow(s, workflow_id);
    if (!w)
        return store_nomem(s);
    struct window *x = &w->now;
    if (x->second != now_ms / 1000) {
        second_write(s, w->id, x, &s->batch.seconds);
        x->second = now_ms / 1000;
    }
    x->submitted += what == COUNT_SUBMITTED;
    x->completed += what == COUNT_COMPLETED;
    x->failed += what == COUNT_FAILED;
    x->expired += what == COUNT_EXPIRED;
    return BP_OK;
}

int32_t counter_sample(struct store *s, const struct workflow_sample *x)
{
    struct workflow *w = batch_workflow(s, x->workflow_id);
    if (!w)
        return store_nomem(s);
    if (w->sample_second[x->kind] != x->at_ms / 1000) {
        w->sample_second[x->kind] = x->at_ms / 1000;
        w->samples[x->kind] = 0;
    }
    if (w->samples[x->kind]++ >= SAMPLES_PER_SECOND)
        return BP_OK;
    struct sql *q = &s->batch.samples;
    sql_comma(q);
    sql_add(q, "(%l,%i,%l,%l,%l)", w->id, x->kind, x->at_ms, x->job_id, x->value_ms);
    return BP_OK;
}

void counter_interruption(struct store *s, int64_t workflow_id, int64_t at_ms, int64_t job_id)
{
    struct sql *q = &s->batch.interruptions;
    sql_comma(q);
    sql_add(q, "(%l,%l,%l)", workflow_id, at_ms, job_id);
}

static bool any_of(const int64_t *delta, int last)
{
    for (int i = BP_JOB_SCHEDULED; i <= last; i++)
        if (delta[i])
            return true;
    return false;
}

static int by_id(const void *a, const void *b)
{
    const struct workflow *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_tenant(const void *a, const void *b)
{
    const struct tenant_load *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void row_begin(struct sql *q, bool *any)
{
    sql_add(q, *any ? "," : "INSERT INTO dispatch_counters VALUES ");
    *any = true;
}

static bool workflow_moved(const struct workflow *w)
{
    return any_of(w->delta, BP_JOB_CANCELLED) || w->arrivals || w->clock_leased > 0;
}

static void workflow_row(struct store *s, struct workflow *w, struct sql *q, bool *any)
{
    if (!workflow_moved(w))
        return;
    row_begin(q, any);
    sql_add(q, "(%i,%l,%i,%l,%l,%l,%l,%l,%l,%l,%d)", COUNTER_WORKFLOW, w->id, s->shard, w->delta[1], w->delta[2],
            w->delta[3], w->delta[4], w->delta[5], w->delta[6], w->arrivals, w->clock_leased);
    w->counting = true;
}

static void tenant_row(struct store *s, struct tenant_load *t, struct sql *q, bool *any)
{
    if (!any_of(t->delta, BP_JOB_LEASED))
        return;
    row_begin(q, any);
    sql_add(q, "(%i,%l,%i,%l,%l,%l,0,0,0,0,0)", COUNTER_TENANT, t->id, s->shard % COUNTER_TENANT_SHARDS,
            t->delta[BP_JOB_SCHEDULED], t->delta[BP_JOB_QUEUED], t->delta[BP_JOB_LEASED]);
    t->counting = true;
}

/* Rows that may not be there yet, in one statement. */
static void rows_put(struct store *s, struct sql *q)
{
    struct batch *b = &s->batch;
    bool any = false;
    for (size_t i = 0; i < b->n_workflows; i++)
        workflow_row(s, &b->workflows[i], q, &any);
    for (size_t i = 0; i < b->n_tenants; i++)
        tenant_row(s, &b->tenants[i], q, &any);
    if (any)
        sql_add(q, " ON DUPLICATE KEY UPDATE scheduled=scheduled+VALUES(scheduled), queued=queued+VALUES(queued), "
                   "leased=leased+VALUES(leased), completed=completed+VALUES(completed), "
                   "failed=failed+VALUES(failed), cancelled=cancelled+VALUES(cancelled), "
                   "arrivals=arrivals+VALUES(arrivals), share_clock=GREATEST(share_clock, VALUES(share_clock));");
}

/* ---- rows that are known to be there ----
 *
 * A row is inserted once and never removed, so a few of them are changed with half of the server's work by an UPDATE
 * each. Known is what this controller inserted and committed since it connected. */

#define UPDATES_MAX 3 /* more go in one INSERT that finds them */

static int64_t *tenant_slot(struct store *s, int64_t id)
{
    return &s->counted[(uint64_t)id % COUNTED_TENANTS];
}

/* Are the rows to be written few and all known? When one is not, none is written so: in the same order always. */
static bool rows_known(struct store *s)
{
    const struct batch *b = &s->batch;
    uint32_t n = 0;
    for (size_t i = 0; i < b->n_workflows; i++) {
        if (!workflow_moved(&b->workflows[i]))
            continue;
        if (!b->workflows[i].counted || ++n > UPDATES_MAX)
            return false;
    }
    for (size_t i = 0; i < b->n_tenants; i++) {
        const struct tenant_load *t = &b->tenants[i];
        if (!any_of(t->delta, BP_JOB_LEASED))
            continue;
        if (*tenant_slot(s, t->id) != t->id || ++n > UPDATES_MAX)
            return false;
    }
    return true;
}

/* What most batches move is always named, so that the text is the same, see shapes.h. */
static void deltas_write(struct sql *q, const int64_t *delta, int last)
{
    static const char *const COLUMNS[] = {
        [BP_JOB_SCHEDULED] = "scheduled", [BP_JOB_QUEUED] = "queued", [BP_JOB_LEASED] = "leased",
        [BP_JOB_COMPLETED] = "completed", [BP_JOB_FAILED] = "failed", [BP_JOB_CANCELLED] = "cancelled"};
    sql_add(q, "UPDATE dispatch_counters SET queued=queued+%l, leased=leased+%l", delta[BP_JOB_QUEUED],
            delta[BP_JOB_LEASED]);
    for (int i = BP_JOB_SCHEDULED; i <= last; i++)
        if (i == BP_JOB_COMPLETED || (delta[i] && i != BP_JOB_QUEUED && i != BP_JOB_LEASED))
            sql_add(q, ", %r=%r+%l", COLUMNS[i], COLUMNS[i], delta[i]);
}

static void rows_update(struct store *s, struct sql *q)
{
    struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_workflows; i++) {
        const struct workflow *w = &b->workflows[i];
        if (!workflow_moved(w))
            continue;
        deltas_write(q, w->delta, BP_JOB_CANCELLED);
        sql_add(q, ", arrivals=arrivals+%l", w->arrivals);
        if (w->clock_leased > 0)
            sql_add(q, ", share_clock=GREATEST(share_clock,%d)", w->clock_leased);
        sql_add(q, " WHERE owner=%i AND owner_id=%l AND shard=%i;", COUNTER_WORKFLOW, w->id, s->shard);
    }
    for (size_t i = 0; i < b->n_tenants; i++) {
        const struct tenant_load *t = &b->tenants[i];
        if (!any_of(t->delta, BP_JOB_LEASED))
            continue;
        deltas_write(q, t->delta, BP_JOB_LEASED);
        sql_add(q, " WHERE owner=%i AND owner_id=%l AND shard=%i;", COUNTER_TENANT, t->id,
                s->shard % COUNTER_TENANT_SHARDS);
    }
}

void counters_write(struct store *s, struct sql *q)
{
    struct batch *b = &s->batch;
    /* In the same order in every transaction: two that share a shard wait for each other, and never in a circle. */
    if (b->n_workflows)
        qsort(b->workflows, b->n_workflows, sizeof *b->workflows, by_id);
    if (b->n_tenants)
        qsort(b->tenants, b->n_tenants, sizeof *b->tenants, by_tenant);
    if (rows_known(s))
        rows_update(s, q);
    else
        rows_put(s, q);
    for (size_t i = 0; i < b->n_workflows; i++) {
        struct workflow *w = &b->workflows[i];
        memset(w->delta, 0, sizeof w->delta);
        w->arrivals = 0;
        w->clock_leased = 0;
    }
    tenants_flushed(s);
}

void counters_committed(struct store *s)
{
    struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_workflows; i++)
        b->workflows[i].counted = b->workflows[i].counted || b->workflows[i].counting;
    for (size_t i = 0; i < b->n_tenants; i++)
        if (b->tenants[i].counting)
            *tenant_slot(s, b->tenants[i].id) = b->tenants[i].id;
}

void counters_forget(struct store *s)
{
    for (size_t i = 0; i < s->batch.n_workflows; i++)
        s->batch.workflows[i].counted = false;
    memset(s->counted, 0, sizeof s->counted);
}

/* ---- windows ---- */

/* Rows of both lists as one statement; the second list goes with the batch. */
static void rows_write(struct sql *q, const struct sql *kept, struct sql *own, const char *before, const char *after)
{
    bool old = kept->n && !kept->failed;
    q->failed = q->failed || own->failed;
    if (!old && !own->n)
        return;
    sql_add(q, "%r%r%r%r%r", before, old ? kept->text : "", old && own->n ? "," : "", own->n ? own->text : "", after);
    sql_clear(own);
}

void windows_write(struct store *s, struct sql *q)
{
    static const struct sql none = {0};
    struct batch *b = &s->batch;
    struct windows *k = &s->windows;
    for (size_t i = 0; i < b->n_workflows; i++) {
        second_write(s, b->workflows[i].id, &b->workflows[i].kept, &k->seconds);
        second_write(s, b->workflows[i].id, &b->workflows[i].now, &b->seconds);
    }
    rows_write(q, k->sent ? &none : &k->seconds, &b->seconds, "INSERT INTO workflow_seconds VALUES ",
               " ON DUPLICATE KEY UPDATE submitted=submitted+VALUES(submitted), completed=completed+VALUES(completed), "
               "failed=failed+VALUES(failed), expired=expired+VALUES(expired);");
    rows_write(q, k->sent ? &none : &k->samples, &b->samples, "INSERT IGNORE INTO workflow_samples VALUES ", ";");
    k->sent = true;
}

bool windows_wait(const struct store *s)
{
    const struct batch *b = &s->batch;
    bool any = b->seconds.n || b->samples.n;
    if (!s->windows.sent)
        any = any || s->windows.seconds.n || s->windows.samples.n;
    for (size_t i = 0; !any && i < b->n_workflows; i++)
        any = any_counts(&b->workflows[i].now) || any_counts(&b->workflows[i].kept);
    return any;
}

bool windows_due(const struct store *s)
{
    const struct batch *b = &s->batch;
    size_t bytes = s->windows.seconds.n + s->windows.samples.n + b->seconds.n + b->samples.n;
    bool late = store_clock_ms() - s->windows.written_ms >= WINDOWS_EVERY_MS;
    return (late || bytes >= WINDOWS_BYTES) && windows_wait(s);
}

static void window_keep(struct store *s, struct workflow *w)
{
    struct window *to = &w->kept, *from = &w->now;
    if (!any_counts(from))
        return;
    if (to->second != from->second)
        second_write(s, w->id, to, &s->windows.seconds);
    to->second = from->second;
    to->submitted += from->submitted;
    to->completed += from->completed;
    to->failed += from->failed;
    to->expired += from->expired;
    *from = (struct window){0};
}

static void rows_keep(struct sql *kept, struct sql *own)
{
    if (!own->n || own->failed)
        return;
    sql_comma(kept);
    sql_join(kept, own);
    sql_clear(own);
}

void windows_committed(struct store *s)
{
    struct batch *b = &s->batch;
    struct windows *k = &s->windows;
    /* Without memory the windows of a moment are lost rather than all batches from now on. */
    if (k->sent || k->seconds.failed || k->samples.failed) {
        sql_clear(&k->seconds);
        sql_clear(&k->samples);
        k->written_ms = store_clock_ms();
    }
    k->sent = false;
    rows_keep(&k->seconds, &b->seconds);
    rows_keep(&k->samples, &b->samples);
    for (size_t i = 0; i < b->n_workflows; i++)
        window_keep(s, &b->workflows[i]);
}

void windows_undone(struct store *s)
{
    for (size_t i = 0; i < s->batch.n_workflows; i++)
        s->batch.workflows[i].now = (struct window){0};
    s->windows.sent = false;
}

/* The rows are found workflow by workflow, where the index leads to the old ones. */
int32_t counters_clean(struct store *s, int64_t now_ms, uint32_t limit, uint32_t *removed)
{
    static const struct {
        const char *table, *columns, *old, *same;
        int64_t keep, unit;
    } ALL[] = {
        {"workflow_seconds", "y.second, y.shard", "y.second", "x.second=k.second AND x.shard=k.shard", COUNTERS_KEEP_MS,
         1000},
        {"workflow_samples", "y.kind, y.at_ms, y.job_id", "y.kind IN (1,2) AND y.at_ms",
         "x.kind=k.kind AND x.at_ms=k.at_ms AND x.job_id=k.job_id", SAMPLES_KEEP_MS, 1},
        {"workflow_interruptions", "y.at_ms, y.job_id", "y.at_ms", "x.at_ms=k.at_ms AND x.job_id=k.job_id",
         COUNTERS_KEEP_MS, 1},
    };
    int32_t rc = BP_OK;
    for (size_t i = 0; !rc && i < sizeof ALL / sizeof ALL[0]; i++) {
        sql_clear(&s->q);
        sql_add(&s->q,
                "DELETE x FROM (SELECT y.workflow_id, %r FROM workflows w JOIN %r y ON y.workflow_id=w.id AND %r < %l "
                "LIMIT %l) k JOIN %r x ON x.workflow_id=k.workflow_id AND %r",
                ALL[i].columns, ALL[i].table, ALL[i].old, (now_ms - ALL[i].keep) / ALL[i].unit, (int64_t)limit,
                ALL[i].table, ALL[i].same);
        rc = query_run(s, &s->q);
        if (!rc && s->affected > *removed)
            *removed = (uint32_t)s->affected;
    }
    return rc;
}
