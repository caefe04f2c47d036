/* SPDX-License-Identifier: Apache-2.0 */
/* The front of a queue: its first jobs, locked, and more of them when those turn out to be taken or passed over. */
#include <stdlib.h>

#include "blind.h"
#include "job.h"
#include "pool.h"

/* Without the rows nobody may have now; some: tenants are passed over. */
static void front_pick(struct store *s, struct front *f, bool *some)
{
    size_t plain = s->q.n;
    *some = tenants_passed_over(s, &s->q);
    pools_only_up(s, &s->q, "d.tenant_id");
    f->picky = f->picky || s->q.n != plain;
}

/* The first `limit` rows of a queue. */
static void front_text(struct store *s, struct front *f, const char *columns, bool *some)
{
    const struct bound *x = bound_of(s, f);
    sql_add(&s->q,
            "SELECT %r FROM ai_job_dispatches d FORCE INDEX (dispatches_queue) WHERE d.workflow_id=%l AND d.status=2",
            columns, f->workflow_id);
    if (x)
        bound_text(&s->q, bound_begin(x));
    front_pick(s, f, some);
    sql_add(&s->q, " ORDER BY d.queue_order, d.sort_key, d.share_tag, d.id LIMIT %l", (int64_t)f->limit);
}

/* The same of a queue whose jobs are known. */
static void front_known(struct store *s, struct front *f)
{
    const struct bound *x = bound_of(s, f);
    bool some;
    sql_add(&s->q, "SELECT " DISPATCH_COLUMNS " FROM ai_job_dispatches d FORCE INDEX (PRIMARY) WHERE d.id IN (");
    for (uint32_t i = 0; i < x->known.n && i < f->limit; i++)
        sql_add(&s->q, i ? ",%l" : "%l", x->known.at[i].id);
    sql_add(&s->q, ") AND d.status=2");
    front_pick(s, f, &some);
    f->rest = x->known.n > f->limit;
}

void front_add(struct store *s, struct front *f)
{
    bool some;
    if (f->by_id)
        front_known(s, f);
    else
        front_text(s, f, DISPATCH_COLUMNS, &some);
    sql_add(&s->q, " FOR UPDATE SKIP LOCKED;");
}

/* The limits of the tenants met on the way. */
static int32_t front_limits(struct store *s, const struct front *f)
{
    uint32_t n = f->n_fetched - f->start;
    int64_t *ids = s->rules.limits ? mem_alloc(&s->mem, n * sizeof *ids + 1) : NULL;
    if (!s->rules.limits)
        return BP_OK;
    if (!ids)
        return store_nomem(s);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = f->fetched[f->start + i]->tenant_id;
    return tenants_lock(s, ids, n);
}

static int in_order(const void *a, const void *b)
{
    return job_order(*(struct job *const *)a, *(struct job *const *)b);
}

void front_sort(struct front *f)
{
    if (f->n_fetched > f->start)
        qsort(f->fetched + f->start, f->n_fetched - f->start, sizeof *f->fetched, in_order);
}

/* Behind a tenant that is full there may be a hundred thousand jobs of its: they are passed over in the index, without
 * locks, and only what is found behind them is locked. *some: there is such a tenant; else nothing was done. */
static int32_t front_behind(struct store *s, struct front *f, bool *some)
{
    struct sql ids = {0};
    struct reply r;
    uint32_t n = 0;
    sql_clear(&s->q);
    front_text(s, f, "d.id", some);
    if (!*some)
        return BP_OK;
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r))
        sql_add(&ids, n++ ? ",%l" : "%l", column_int(&r, 0));
    reply_done(&r);
    if (!rc && (n || ids.failed)) {
        sql_clear(&s->q);
        sql_add(&s->q, "SELECT " DISPATCH_COLUMNS " FROM ai_job_dispatches d FORCE INDEX (PRIMARY) WHERE d.id IN (");
        sql_join(&s->q, &ids);
        sql_add(&s->q, ") AND d.status=2 FOR UPDATE SKIP LOCKED");
        rc = query_send(s, &s->q);
        rc = rc ? rc : batch_take_jobs(s, f);
        rc = rc ? rc : query_end(s);
    }
    f->more = n >= f->limit;
    sql_free(&ids);
    return rc;
}

static int32_t front_read(struct store *s, struct front *f)
{
    bool done;
    int32_t rc = front_behind(s, f, &done);
    if (rc || done)
        return rc;
    sql_clear(&s->q);
    front_add(s, f);
    rc = query_send(s, &s->q);
    rc = rc ? rc : batch_take_jobs(s, f);
    return rc ? rc : query_end(s);
}

/* Jobs of theirs that this batch has in memory are what that says, whatever the rows say. */
static void held_text(struct store *s, struct front *const *fronts, uint32_t n)
{
    const struct batch *b = &s->batch;
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT EXISTS (SELECT * FROM ai_job_dispatches d FORCE INDEX (dispatches_queue) WHERE d.status=2 AND "
            "d.workflow_id IN (0");
    for (uint32_t i = 0; i < n; i++)
        sql_add(&s->q, ",%l", fronts[i]->workflow_id);
    sql_add(&s->q, ") AND d.id NOT IN (0");
    for (size_t i = 0; i < b->n_slots && b->n_jobs; i++)
        if (b->slots[i])
            sql_add(&s->q, ",%l", b->slots[i]->row.id);
    sql_add(&s->q, ")");
    tenants_passed_over(s, &s->q);
    pools_only_up(s, &s->q, "d.tenant_id");
    sql_add(&s->q, ")");
}

int32_t fronts_held(struct store *s, struct front *const *fronts, uint32_t n, bool *held)
{
    int64_t any = 0;
    *held = false;
    if (s->batch.blind || bounds_alone(s))
        return BP_OK;
    held_text(s, fronts, n);
    int32_t rc = query_int(s, &s->q, &any);
    *held = any != 0;
    for (uint32_t i = 0; *held && i < n; i++)
        fronts[i]->held = true;
    return rc;
}

int32_t front_more(struct store *s, struct front *f)
{
    if (s->batch.blind)
        return blind_give_up(s);
    f->limit = f->limit * 2 + 8;
    f->stale = f->bounded = f->by_id = f->unread = false;
    int32_t rc = front_read(s, f);
    for (uint32_t i = f->start; !rc && i < f->n_fetched; i++)
        rc = f->fetched[i]->row.tenant ? BP_OK : job_names(s, f->fetched[i]);
    if (!rc)
        front_sort(f); /* what was passed over before may stand in front of what was read already */
    return rc ? rc : front_limits(s, f);
}
