/* SPDX-License-Identifier: Apache-2.0 */
/* Which pool a tenant is in. Once chosen it stays, so what is known is never asked again. */
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define TENANTS_MAX 65536

/* ---- what is known ---- */

static size_t slot_of(const struct pools *all, int64_t tenant)
{
    uint64_t h = (uint64_t)tenant * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h >> 32) & (all->slots - 1);
    while (all->map[i].tenant && all->map[i].tenant != tenant)
        i = (i + 1) & (all->slots - 1);
    return i;
}

static struct pool *known(const struct pools *all, int64_t tenant)
{
    return all->slots ? all->map[slot_of(all, tenant)].pool : NULL;
}

static bool map_grow(struct pools *all)
{
    struct pools old = *all;
    all->slots = old.slots ? old.slots * 2 : 64;
    all->map = calloc(all->slots, sizeof *all->map);
    if (!all->map) {
        *all = old;
        return false;
    }
    for (size_t i = 0; i < old.slots; i++)
        if (old.map[i].tenant)
            all->map[slot_of(all, old.map[i].tenant)] = old.map[i];
    free(old.map);
    return true;
}

static int32_t remember(struct store *s, int64_t tenant, struct pool *p)
{
    struct pools *all = &s->pools;
    if (all->n_map >= TENANTS_MAX) {
        memset(all->map, 0, all->slots * sizeof *all->map);
        all->n_map = 0;
    }
    if (2 * (all->n_map + 1) > all->slots && !map_grow(all))
        return store_nomem(s);
    all->map[slot_of(all, tenant)] = (struct tenant_pool){tenant, p};
    all->n_map++;
    return BP_OK;
}

/* ---- the table ---- */

static int32_t named(struct store *s, const char *name, struct pool **out)
{
    *out = NULL;
    for (uint32_t i = 0; !*out && i < s->pools.n; i++)
        if (strcmp(s->pools.list[i]->name, name) == 0)
            *out = s->pools.list[i];
    if (*out)
        return BP_OK;
    *out = pool_add(&s->pools, name);
    if (!*out)
        return store_nomem(s);
    s->host->log(s->self, BP_LOG_ERROR, "pool %s: %s; the jobs of its tenants wait", name, (*out)->why.text);
    return BP_OK;
}

/* *out NULL: it has none yet. Nobody's row (tenant 0) is in the queue's own database. */
static int32_t read_pool(struct store *s, int64_t tenant, struct pool **out)
{
    struct reply r;
    *out = s->pools.list[0];
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT pool FROM tenants WHERE id=%l", tenant);
    int32_t rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r)) {
        *out = NULL;
        if (r.row[0])
            rc = named(s, r.row[0], out);
        if (!rc && *out)
            rc = remember(s, tenant, *out);
    }
    reply_done(&r);
    return rc;
}

int32_t pool_find(struct store *s, int64_t tenant, struct pool **out)
{
    *out = known(&s->pools, tenant);
    if (*out)
        return BP_OK;
    int32_t rc = read_pool(s, tenant, out);
    if (rc || *out)
        return rc;
    s->pools.unsettled = tenant;
    *out = s->pools.list[0];
    return BP_OK;
}

/* ---- choosing ---- */

/* The configured pool with the fewest tenants, those that are up first. */
static int32_t fewest(struct store *s, const char **out)
{
    struct reply r;
    struct pools *all = &s->pools;
    int64_t *n = mem_alloc(&s->mem, all->n * sizeof *n);
    struct pool *best = NULL;
    if (!n)
        return store_nomem(s);
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT pool, COUNT(*) FROM tenants WHERE pool IS NOT NULL GROUP BY pool");
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r))
        for (uint32_t i = 1; i < all->n; i++)
            n[i] += strcmp(all->list[i]->name, r.row[0]) == 0 ? column_int(&r, 1) : 0;
    reply_done(&r);
    int64_t best_n = 0;
    for (uint32_t i = 1; i < all->n; i++) {
        struct pool *p = all->list[i];
        int64_t rank = n[i] + (pool_up(p) ? 0 : INT64_C(1) << 40);
        if (p->configured && (!best || rank < best_n)) {
            best = p;
            best_n = rank;
        }
    }
    *out = best ? best->name : "";
    return rc;
}

/* A tenant that has jobs and no pool had them before there were pools, or from a producer that writes the tables: they
 * are in the queue's own database, and so is the tenant. */
static int32_t choose(struct store *s, int64_t tenant, const char *name, const char **out)
{
    int64_t has_jobs;
    *out = "";
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT EXISTS (SELECT 1 FROM ai_job_dispatches WHERE tenant_id=%l)", tenant);
    int32_t rc = query_int(s, &s->q, &has_jobs);
    if (rc || has_jobs || !name)
        return rc;
    for (size_t i = 0; i < s->pools.n_wishes; i++)
        if (strcmp(s->pools.wishes[i].tenant, name) == 0) {
            *out = s->pools.wishes[i].pool;
            return BP_OK;
        }
    return fewest(s, out);
}

int32_t pool_settle(struct store *s, int64_t tenant, const char *name)
{
    struct pool *p = known(&s->pools, tenant);
    const char *pool;
    int32_t rc = p || !tenant ? BP_OK : read_pool(s, tenant, &p);
    if (rc || p || !tenant)
        return rc;
    rc = choose(s, tenant, name, &pool);
    if (rc)
        return rc;
    sql_clear(&s->q);
    sql_add(&s->q, "UPDATE tenants SET pool=%s WHERE id=%l AND pool IS NULL", pool, tenant);
    rc = query_run(s, &s->q);
    return rc ? rc : read_pool(s, tenant, &p); /* another controller may have been faster */
}
