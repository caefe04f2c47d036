/* SPDX-License-Identifier: Apache-2.0 */
#include "counters.h"

#include <stdlib.h>

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
    return BP_OK;
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

static bool moved(const struct workflow *w)
{
    for (int i = 1; i <= BP_JOB_CANCELLED; i++)
        if (w->delta[i])
            return true;
    return false;
}

static int by_id(const void *a, const void *b)
{
    const struct workflow *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

void counters_write(struct store *s, struct sql *q)
{
    struct batch *b = &s->batch;
    bool any = false;
    /* In the same order in every transaction: two that share a shard wait for each other, and never in a circle. */
    if (b->n_workflows)
        qsort(b->workflows, b->n_workflows, sizeof *b->workflows, by_id);
    for (size_t i = 0; i < b->n_workflows; i++) {
        struct workflow *w = &b->workflows[i];
        second_write(s, w);
        if (!moved(w))
            continue;
        sql_add(q, any ? "," : "INSERT INTO workflow_counters VALUES ");
        sql_add(q, "(%l,%i,%l,%l,%l,%l,%l,%l)", w->id, s->shard, w->delta[1], w->delta[2], w->delta[3], w->delta[4],
                w->delta[5], w->delta[6]);
        for (int k = 0; k <= BP_JOB_CANCELLED; k++)
            w->delta[k] = 0;
        any = true;
    }
    if (any)
        sql_add(q, " ON DUPLICATE KEY UPDATE scheduled=scheduled+VALUES(scheduled), queued=queued+VALUES(queued), "
                   "leased=leased+VALUES(leased), completed=completed+VALUES(completed), "
                   "failed=failed+VALUES(failed), cancelled=cancelled+VALUES(cancelled);");
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
