/* SPDX-License-Identifier: Apache-2.0 */
#include "recent.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"

/* A job this many ids older than the one that wants its place was leased by somebody else, or never will be. */
#define ABANDONED (4 * RECENT_SLOTS)
#define N_TEXTS   4

struct recent_job {
    int64_t id;
    size_t bytes;
    uint16_t at[N_TEXTS]; /* where each text begins in `texts`, from 1; 0: NULL */
    char texts[];
};

static struct recent_job **slot_of(struct store *s, int64_t id)
{
    return &s->recent.slots[(uint64_t)id % RECENT_SLOTS];
}

static void drop(struct store *s, struct recent_job **slot)
{
    if (*slot)
        s->recent.bytes -= (*slot)->bytes;
    free(*slot);
    *slot = NULL;
}

void recent_put(struct store *s, const struct job *j)
{
    const struct bp_job_row *r = &j->row;
    const char *texts[N_TEXTS] = {r->params, r->inputs, r->idempotency_key, r->unique_key};
    size_t bytes = sizeof(struct recent_job), at = 0;
    struct recent_job **slot = slot_of(s, r->id);
    for (int i = 0; i < N_TEXTS; i++)
        bytes += texts[i] ? strlen(texts[i]) + 1 : 0;
    if (*slot && r->id - (*slot)->id >= ABANDONED)
        drop(s, slot);
    if (*slot || bytes > RECENT_JOB_BYTES || s->recent.bytes + bytes > RECENT_BYTES)
        return;
    struct recent_job *x = malloc(bytes);
    if (!x)
        return;
    *x = (struct recent_job){.id = r->id, .bytes = bytes};
    for (int i = 0; i < N_TEXTS; i++) {
        if (!texts[i])
            continue;
        size_t n = strlen(texts[i]) + 1;
        memcpy(x->texts + at, texts[i], n);
        x->at[i] = (uint16_t)(at + 1);
        at += n;
    }
    *slot = x;
    s->recent.bytes += bytes;
}

static int32_t fill(struct store *s, struct job *j, const struct recent_job *x)
{
    const char **texts[N_TEXTS] = {&j->row.params, &j->row.inputs, &j->row.idempotency_key, &j->row.unique_key};
    for (int i = 0; i < N_TEXTS; i++) {
        const char *from = x->at[i] ? x->texts + x->at[i] - 1 : NULL;
        *texts[i] = from ? mem_text(&s->mem, from, strlen(from)) : NULL;
        if (from && !*texts[i])
            return store_nomem(s);
    }
    j->row.output = j->row.provider_job_id = NULL;
    j->content = true;
    return BP_OK;
}

int32_t recent_take(struct store *s, struct job *j)
{
    struct recent_job **slot = slot_of(s, j->row.id);
    if (!*slot || (*slot)->id != j->row.id)
        return BP_OK;
    int32_t rc = j->content || j->row.first_leased_ms || !pool_central(j->pool) ? BP_OK : fill(s, j, *slot);
    if (!s->batch.blind)
        drop(s, slot);
    return rc;
}

void recent_note(struct store *s)
{
    const struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_slots; i++) {
        const struct job *j = b->slots[i];
        if (!j)
            continue;
        if (j->fresh && j->visible && j->row.status != BP_JOB_LEASED)
            recent_put(s, j);
        struct recent_job **slot = slot_of(s, j->row.id);
        if (j->row.status >= BP_JOB_LEASED && *slot && (*slot)->id == j->row.id)
            drop(s, slot);
    }
}

void recent_clear(struct store *s)
{
    for (size_t i = 0; i < RECENT_SLOTS; i++)
        drop(s, &s->recent.slots[i]);
}
