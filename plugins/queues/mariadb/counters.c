/* SPDX-License-Identifier: Apache-2.0 */
#include "counters.h"

#include <stdlib.h>
#include <string.h>

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

static void second_write(struct store *s, struct workflow *w)
{
    if (!w->submitted && !w->completed && !w->failed && !w->expired)
        return;
    struct sql *q = &s->batch.seconds;
    sql_comma(q);
    sql_add(q, "(%l,%l,%i,%l,%l,%l,%l)", w->id, w->second, s->shard, w->submitted, w->completed, w->failed, w->expired);
    w->submitted = w->completed = w->failed = w->expired = 0;
}

int32_t counter_add(struct store *s, int64_t workflow_id, int64_t now_ms, int what)
{
    struct workflow *w = batch_workflow(s, workflow_id);
    if (!w)
        return store_nomem(s);
    if (w->second != now_ms / 1000) {
        second_write(s, w);
        w->second = now_ms / 1000;
    }
    w->submitted += what == COUNT_SUBMITTED;
    w->completed += what == COUNT_COMPLETED;
    w->failed += what == COUNT_FAILED;
    w->expired += what == COUNT_EXPIRED;
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

static void workflow_row(struct store *s, struct workflow *w, struct sql *q, bool *any)
{
    if (!any_of(w->delta, BP_JOB_CANCELLED) && !w->arrivals && !(w->clock_leased > 0))
        return;
    row_begin(q, any);
    sql_add(q, "(%i,%l,%i,%l,%l,%l,%l,%l,%l,%l,%d)", COUNTER_WORKFLOW, w->id, s->shard, w->delta[1], w->delta[2],
            w->delta[3], w->delta[4], w->delta[5], w->delta[6], w->arrivals, w->clock_leased);
    memset(w->delta, 0, sizeof w->delta);
    w->arrivals = 0;
    w->clock_leased = 0;
}

static void tenant_row(struct store *s, const struct tenant_load *t, struct sql *q, bool *any)
{
    if (!any_of(t->delta, BP_JOB_LEASED))
        return;
    row_begin(q, any);
    sql_add(q, "(%i,%l,%i,%l,%l,%l,0,0,0,0,0)", COUNTER_TENANT, t->id, s->shard % COUNTER_TENANT_SHARDS,
            t->delta[BP_JOB_SCHEDULED], t->delta[BP_JOB_QUEUED], t->delta[BP_JOB_LEASED]);
}

void counters_write(struct store *s, struct sql *q)
{
    struct batch *b = &s->batch;
    bool any = false;
    /* In the same order in every transaction: two that share a shard wait for each other, and never in a circle. */
    if (b->n_workflows)
        qsort(b->workflows, b->n_workflows, sizeof *b->workflows, by_id);
    if (b->n_tenants)
        qsort(b->tenants, b->n_tenants, sizeof *b->tenants, by_tenant);
    for (size_t i = 0; i < b->n_workflows; i++) {
        second_write(s, &b->workflows[i]);
        workflow_row(s, &b->workflows[i], q, &any);
    }
    for (size_t i = 0; i < b->n_tenants; i++)
        tenant_row(s, &b->tenants[i], q, &any);
    if (any)
        sql_add(q, " ON DUPLICATE KEY UPDATE scheduled=scheduled+VALUES(scheduled), queued=queued+VALUES(queued), "
                   "leased=leased+VALUES(leased), completed=completed+VALUES(completed), "
                   "failed=failed+VALUES(failed), cancelled=cancelled+VALUES(cancelled), "
                   "arrivals=arrivals+VALUES(arrivals), share_clock=GREATEST(share_clock, VALUES(share_clock));");
    tenants_flushed(s);
}

int32_t counters_clean(struct store *s, int64_t now_ms)
{
    if (now_ms - s->cleaned_ms < 60000 && now_ms >= s->cleaned_ms)
        return BP_OK;
    s->cleaned_ms = now_ms;
    int64_t old = now_ms - COUNTERS_KEEP_MS;
    sql_clear(&s->q);
    sql_add(&s->q,
            "DELETE x FROM workflows w JOIN workflow_seconds x ON x.workflow_id = w.id AND x.second < %l;"
            "DELETE x FROM workflows w JOIN workflow_samples x ON x.workflow_id = w.id AND x.kind IN (1, 2) "
            "AND x.at_ms < %l;"
            "DELETE x FROM workflows w JOIN workflow_interruptions x ON x.workflow_id = w.id AND x.at_ms < %l;",
            old / 1000, now_ms - SAMPLES_KEEP_MS, old);
    return query_run(s, &s->q);
}
