/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "store.h"

/* An array of `size`-byte elements with room for one more. */
static bool room_for(void *array, size_t n, size_t *cap, size_t size)
{
    void *old;
    memcpy(&old, array, sizeof old);
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 64;
    void *grown = realloc(old, more * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *cap = more;
    /* cppcheck-suppress memleak ; `array` holds it */
    return true;
}

/* ---- jobs ---- */

static size_t slot_of(const struct batch *b, int64_t id)
{
    uint64_t h = (uint64_t)id * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h >> 32) & (b->n_slots - 1);
    while (b->slots[i] && b->slots[i]->row.id != id)
        i = (i + 1) & (b->n_slots - 1);
    return i;
}

struct job *batch_held(struct store *s, int64_t id)
{
    return s->batch.n_slots ? s->batch.slots[slot_of(&s->batch, id)] : NULL;
}

struct job *batch_job(struct store *s, int64_t id)
{
    struct job *j = batch_held(s, id);
    return j && j->fresh && !j->visible ? NULL : j;
}

static bool grow(struct batch *b)
{
    struct job **old = b->slots;
    size_t n = b->n_slots;
    struct job **slots = calloc(n ? n * 2 : 512, sizeof(struct job *));
    if (!slots)
        return false;
    b->slots = slots;
    b->n_slots = n ? n * 2 : 512;
    for (size_t i = 0; i < n; i++)
        if (old[i])
            slots[slot_of(b, old[i]->row.id)] = old[i];
    free(old);
    return true;
}

int32_t batch_add(struct store *s, struct job *j)
{
    struct batch *b = &s->batch;
    if (2 * (b->n_jobs + 1) > b->n_slots && !grow(b))
        return store_nomem(s);
    b->slots[slot_of(b, j->row.id)] = j;
    b->n_jobs++;
    return BP_OK;
}

int32_t batch_dirty(struct store *s, struct job *j)
{
    struct batch *b = &s->batch;
    if (j->dirty)
        return BP_OK;
    if (!room_for(&b->dirty, b->n_dirty, &b->cap_dirty, sizeof(struct job *)))
        return store_nomem(s);
    b->dirty[b->n_dirty++] = j;
    j->dirty = true;
    return BP_OK;
}

int32_t links_add(struct store *s, struct link **list, struct job *j)
{
    struct link *l = mem_alloc(&s->mem, sizeof *l);
    if (!l)
        return store_nomem(s);
    *l = (struct link){.job = j, .next = *list};
    *list = l;
    return BP_OK;
}

int32_t batch_rare(struct store *s, struct job *j)
{
    int32_t rc = j->rare ? BP_OK : links_add(s, &s->batch.rare, j);
    j->rare = true;
    return rc;
}

void batch_withdraw(struct store *s, const struct job *j)
{
    struct sql *q = &s->batch.withdrawn;
    sql_comma(q);
    sql_add(q, "%l", j->row.id);
}

/* ---- fronts ---- */

struct front *batch_front(struct store *s, int64_t workflow_id, bool create)
{
    struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_fronts; i++)
        if (b->fronts[i].workflow_id == workflow_id)
            return &b->fronts[i];
    if (!create || !room_for(&b->fronts, b->n_fronts, &b->cap_fronts, sizeof *b->fronts))
        return NULL;
    b->fronts[b->n_fronts] = (struct front){.workflow_id = workflow_id};
    return &b->fronts[b->n_fronts++];
}

int32_t front_put(struct store *s, struct front *f, struct job *j, bool local)
{
    struct job ***list = local ? &f->local : &f->fetched;
    uint32_t *n = local ? &f->n_local : &f->n_fetched, *cap = local ? &f->cap_local : &f->cap_fetched;
    size_t room = *cap;
    if (!room_for(list, *n, &room, sizeof(struct job *)))
        return store_nomem(s);
    *cap = (uint32_t)room;
    (*list)[(*n)++] = j;
    return BP_OK;
}

void fronts_stale(struct store *s)
{
    for (size_t i = 0; i < s->batch.n_fronts; i++)
        s->batch.fronts[i].stale = true;
}

static void fronts_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n_fronts; i++) {
        free(b->fronts[i].fetched);
        free(b->fronts[i].local);
    }
    b->n_fronts = 0;
}

/* ---- workers and workflows ---- */

struct worker_state *batch_worker(struct store *s, int64_t no)
{
    struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_workers; i++)
        if (b->workers[i].no == no)
            return &b->workers[i];
    return NULL;
}

int32_t batch_worker_add(struct store *s, int64_t no)
{
    struct batch *b = &s->batch;
    if (no == 0 || batch_worker(s, no))
        return BP_OK;
    if (!room_for(&b->workers, b->n_workers, &b->cap_workers, sizeof *b->workers))
        return store_nomem(s);
    b->workers[b->n_workers++] = (struct worker_state){.no = no};
    return BP_OK;
}

struct workflow *batch_workflow(struct store *s, int64_t id)
{
    struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_workflows; i++)
        if (b->workflows[i].id == id)
            return &b->workflows[i];
    if (!room_for(&b->workflows, b->n_workflows, &b->cap_workflows, sizeof *b->workflows))
        return NULL;
    b->workflows[b->n_workflows] = (struct workflow){.id = id};
    return &b->workflows[b->n_workflows++];
}

struct tenant_load *batch_tenant(struct store *s, int64_t id)
{
    struct batch *b = &s->batch;
    for (size_t i = 0; i < b->n_tenants; i++)
        if (b->tenants[i].id == id)
            return &b->tenants[i];
    if (!room_for(&b->tenants, b->n_tenants, &b->cap_tenants, sizeof *b->tenants))
        return NULL;
    b->tenants[b->n_tenants] = (struct tenant_load){.id = id};
    return &b->tenants[b->n_tenants++];
}

int32_t batch_pend(struct store *s, struct bp_op *op, struct job *jobs, uint32_t n)
{
    struct pending *p = mem_alloc(&s->mem, sizeof *p);
    if (!p)
        return store_nomem(s);
    *p = (struct pending){.op = op, .jobs = jobs, .n = n};
    p->early = s->early.may && op->kind == BP_OP_LEASE && !op->u.lease.after;
    for (uint32_t i = 0; p->early && i < n; i++)
        p->early = jobs[i].fresh;
    *s->batch.last = p;
    s->batch.last = &p->next;
    return BP_OK;
}

/* ---- the end ---- */

static void map_clear(struct batch *b)
{
    if (b->n_jobs)
        memset(b->slots, 0, b->n_slots * sizeof(struct job *));
    b->n_jobs = b->n_dirty = 0;
    b->n_workers = 0;
    fronts_clear(b);
    b->edges = NULL;
    b->uniques = NULL;
    b->uniques_new = NULL;
    b->uniques_touched = NULL;
    b->rare = NULL;
    b->n_shares = 0;
}

void batch_forget_rows(struct store *s)
{
    map_clear(&s->batch);
}

static void rows_each(struct batch *b, void (*fn)(struct sql *q))
{
    struct sql *rows[] = {&b->jobs,    &b->outputs,      &b->keys,     &b->events,    &b->samples, &b->interruptions,
                          &b->seconds, &b->dependencies, &b->webhooks, &b->withdrawn, &b->made,    &b->outbox};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fn(rows[i]);
}

void batch_reset(struct store *s)
{
    struct batch *b = &s->batch;
    map_clear(b);
    pools_reset(s);
    rows_each(b, sql_clear);
    b->n_tenants = 0;
    for (size_t i = 0; i < b->n_workflows; i++) {
        struct workflow *w = &b->workflows[i];
        memset(w->delta, 0, sizeof w->delta);
        w->now = (struct window){0};
        w->arrivals = 0;
        w->clock = w->clock_leased = 0;
        w->counting = false;
    }
    b->begun = b->read_only = b->wrote = b->blind = b->given_up = b->ask = false;
    b->n_plans = 0;
    b->plans = NULL;
    b->keys_known = NULL;
    b->first = b->packed = NULL;
    b->last = &b->first;
    mem_reset(&s->mem);
}

void batch_free(struct store *s)
{
    struct batch *b = &s->batch;
    batch_reset(s);
    rows_each(b, sql_free);
    free(b->slots);
    free(b->dirty);
    free(b->fronts);
    free(b->workers);
    free(b->workflows);
    free(b->tenants);
    *b = (struct batch){0};
    mem_free(&s->mem);
}
