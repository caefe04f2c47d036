/* SPDX-License-Identifier: Apache-2.0 */
#include "counters.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int32_t workflow_add(struct store *s, int64_t id)
{
    if (s->n_workflows == s->cap_workflows) {
        size_t cap = s->cap_workflows ? s->cap_workflows * 2 : 32;
        struct workflow *w = realloc(s->workflow, cap * sizeof *w);
        if (w)
            s->workflow = w;
        size_t *c = realloc(s->changed, cap * sizeof *c);
        if (c)
            s->changed = c;
        if (!w || !c)
            return store_fail(s, BP_NOMEM, "out of memory for workflow %lld", (long long)id);
        s->cap_workflows = cap;
    }
    s->workflow[s->n_workflows] = (struct workflow){.id = id};
    s->n_workflows++;
    return BP_OK;
}

struct workflow *workflow_of(struct store *s, int64_t id)
{
    /* Ids are given without gaps and rows never removed; should a hand have done so, search. */
    if (id >= 1 && (uint64_t)id <= s->n_workflows && s->workflow[id - 1].id == id)
        return &s->workflow[id - 1];
    for (size_t i = 0; i < s->n_workflows; i++)
        if (s->workflow[i].id == id)
            return &s->workflow[i];
    return NULL;
}

/* Reads the workflows with ids after the last known. */
static int32_t load_after(struct store *s, int64_t after)
{
    sqlite3_stmt *q = statement_query(s, ST_WORKFLOW_LOAD, "l", after);
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0) {
        rc = workflow_add(s, sqlite3_column_int64(q, 0));
        if (rc)
            break;
        struct workflow *w = &s->workflow[s->n_workflows - 1];
        for (int i = 1; i <= BP_JOB_CANCELLED; i++)
            w->count[i] = sqlite3_column_int64(q, i + 1);
        w->arrivals = sqlite3_column_int64(q, 8);
        w->share_tag = sqlite3_column_int64(q, 9);
    }
    statement_done(q);
    return rc;
}

int32_t counters_load(struct store *s)
{
    s->n_workflows = 0;
    s->n_changed = 0;
    return load_after(s, 0);
}

int32_t workflow_get(struct store *s, const char *slug, int64_t *id)
{
    int32_t rc = names_get(s, &s->workflow_names, slug, id);
    if (rc || workflow_of(s, *id))
        return rc;
    return load_after(s, s->n_workflows ? s->workflow[s->n_workflows - 1].id : 0);
}

static struct workflow *touch(struct store *s, int64_t workflow_id)
{
    struct workflow *w = workflow_of(s, workflow_id);
    if (w && !w->listed_changed) {
        w->listed_changed = true;
        s->changed[s->n_changed++] = (size_t)(w - s->workflow);
    }
    return w;
}

void counter_move(struct store *s, int64_t workflow_id, int32_t from, int32_t to)
{
    struct workflow *w = from == to ? NULL : touch(s, workflow_id);
    if (!w)
        return;
    w->counts_changed = true;
    if (from)
        w->count[from]--;
    if (to)
        w->count[to]++;
    w->arrivals += to == BP_JOB_QUEUED || w->arrivals == 0;
}

void counter_tag(struct store *s, int64_t workflow_id, int64_t share_tag)
{
    struct workflow *w = workflow_of(s, workflow_id);
    if (w && share_tag > w->share_tag)
        w->share_tag = share_tag; /* written with the counts, which a lease always changes */
}

static int32_t second_flush(struct store *s, struct workflow *w)
{
    if (!w->submitted && !w->completed && !w->failed && !w->expired)
        return BP_OK;
    int32_t rc =
        statement_run(s, ST_SECOND_ADD, "llllll", w->id, w->second, w->submitted, w->completed, w->failed, w->expired);
    w->submitted = w->completed = w->failed = w->expired = 0;
    return rc;
}

int32_t counter_add(struct store *s, int64_t workflow_id, int64_t now_ms, int what)
{
    struct workflow *w = touch(s, workflow_id);
    if (!w)
        return BP_OK;
    int32_t rc = BP_OK;
    if (w->second != now_ms / 1000) {
        rc = second_flush(s, w);
        w->second = now_ms / 1000;
    }
    w->submitted += what == COUNT_SUBMITTED;
    w->completed += what == COUNT_COMPLETED;
    w->failed += what == COUNT_FAILED;
    w->expired += what == COUNT_EXPIRED;
    return rc;
}

int32_t counter_sample(struct store *s, const struct workflow_sample *sample)
{
    struct workflow *w = workflow_of(s, sample->workflow_id);
    int k = sample->kind;
    if (!w)
        return BP_OK;
    if (w->sample_second[k] != sample->at_ms / 1000) {
        w->sample_second[k] = sample->at_ms / 1000;
        w->samples[k] = 0;
    }
    if (w->samples[k]++ >= SAMPLES_PER_SECOND)
        return BP_OK;
    return statement_run(s, ST_SAMPLE_ADD, "lilll", w->id, k, sample->at_ms, sample->job_id, sample->value_ms);
}

int32_t counters_flush(struct store *s)
{
    for (size_t i = 0; i < s->n_changed; i++) {
        struct workflow *w = &s->workflow[s->changed[i]];
        int32_t rc = second_flush(s, w);
        if (!rc && w->counts_changed)
            rc = statement_run(s, ST_WORKFLOW_SAVE, "lllllllll", w->count[BP_JOB_SCHEDULED], w->count[BP_JOB_QUEUED],
                               w->count[BP_JOB_LEASED], w->count[BP_JOB_COMPLETED], w->count[BP_JOB_FAILED],
                               w->count[BP_JOB_CANCELLED], w->arrivals, w->share_tag, w->id);
        if (rc)
            return rc;
        w->listed_changed = w->counts_changed = false;
    }
    s->n_changed = 0;
    return BP_OK;
}

/* What is old of one workflow, at most as many rows as are left of the limit. */
static int32_t clean_one(struct store *s, int64_t id, int64_t now_ms, uint32_t limit, uint32_t *removed)
{
    int64_t left = limit;
    int32_t rc = statement_run(s, ST_SECONDS_CLEAN, "lll", id, (now_ms - COUNTERS_KEEP_MS) / 1000, left);
    left -= rc ? 0 : sqlite3_changes(s->db);
    for (int k = SAMPLE_RUN; !rc && k <= SAMPLE_WAIT; k++) {
        rc = statement_run(s, ST_SAMPLES_CLEAN, "lill", id, k, now_ms - SAMPLES_KEEP_MS, left);
        left -= rc ? 0 : sqlite3_changes(s->db);
    }
    rc = rc ? rc : statement_run(s, ST_INTERRUPTIONS_CLEAN, "lll", id, now_ms - COUNTERS_KEEP_MS, left);
    left -= rc ? 0 : sqlite3_changes(s->db);
    *removed = limit - (uint32_t)left;
    return rc;
}

int32_t counters_clean(struct store *s, int64_t now_ms, uint32_t limit, uint32_t *removed)
{
    uint32_t left = limit, looked = 0;
    int32_t rc = BP_OK;
    for (; !rc && left > 0 && looked < limit && s->clean_next < s->n_workflows; looked++) {
        uint32_t n = 0;
        rc = clean_one(s, s->workflow[s->clean_next].id, now_ms, left, &n);
        left -= n;
        s->clean_next += left > 0; /* else it may have more */
    }
    bool more = s->clean_next < s->n_workflows;
    if (!more)
        s->clean_next = 0;
    if (more)
        *removed = limit;
    else if (limit - left > *removed)
        *removed = limit - left;
    return rc;
}
