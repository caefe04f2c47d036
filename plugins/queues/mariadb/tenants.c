/* SPDX-License-Identifier: Apache-2.0 */
#include "tenants.h"

#include <stdlib.h>

#include "counters.h"
#include "store.h"

/* ---- rules ---- */

static int32_t rule_take(struct store *s, const struct reply *r)
{
    struct tenant_rules *t = &s->rules;
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct tenant_rule *grown = realloc(t->rules, cap * sizeof *grown);
        if (!grown)
            return store_nomem(s);
        t->rules = grown;
        t->cap = cap;
    }
    struct tenant_rule *x = &t->rules[t->n++];
    *x = (struct tenant_rule){.id = column_int(r, 0),
                              .weight = (int32_t)column_int(r, 1),
                              .max_pending = (int32_t)column_int(r, 2),
                              .max_running = (int32_t)column_int(r, 3),
                              .disabled = (int32_t)column_int(r, 4),
                              .webhook = column_int(r, 5) != 0};
    t->limits = t->limits || x->max_pending || x->max_running;
    return BP_OK;
}

int32_t tenants_read(struct store *s)
{
    struct tenant_rules *t = &s->rules;
    struct reply r;
    t->n = 0;
    t->version = -1;
    t->limits = false;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT version FROM tenants_version WHERE id=1");
    int64_t version;
    int32_t rc = query_int(s, &s->q, &version);
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id, weight, max_pending, max_running, disabled, webhook_url IS NOT NULL FROM tenants WHERE "
                   "special=1 ORDER BY id");
    rc = rc ? rc : query_one(s, &s->q, &r);
    if (rc)
        return rc;
    while (!rc && reply_next(&r))
        rc = rule_take(s, &r);
    reply_done(&r);
    if (!rc)
        t->version = version;
    return rc;
}

int32_t tenants_current(struct store *s, int64_t version)
{
    if (version == s->rules.version)
        return BP_OK;
    s->workers.stale = true; /* perhaps some were pruned, see prune.c */
    return tenants_read(s);
}

static int by_id(const void *a, const void *b)
{
    const struct tenant_rule *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

const struct tenant_rule *tenant_rule(const struct store *s, int64_t id)
{
    const struct tenant_rule key = {.id = id};
    return s->rules.n ? bsearch(&key, s->rules.rules, s->rules.n, sizeof key, by_id) : NULL;
}

void tenants_free(struct store *s)
{
    free(s->rules.rules);
    s->rules = (struct tenant_rules){.version = -1};
}

/* ---- numbers ---- */

int32_t tenant_move(struct store *s, int64_t id, int32_t from, int32_t to)
{
    struct tenant_load *t = from == to ? NULL : batch_tenant(s, id);
    if (from == to)
        return BP_OK;
    if (!t)
        return store_nomem(s);
    bool was_full = from == BP_JOB_LEASED && tenant_full(s, id);
    t->delta[from]--;
    t->delta[to]++;
    if (was_full && !tenant_full(s, id))
        fronts_stale(s);
    return BP_OK;
}

int64_t tenant_pending(struct store *s, int64_t id)
{
    const struct tenant_load *t = batch_tenant(s, id);
    return t ? t->pending + t->delta[BP_JOB_SCHEDULED] + t->delta[BP_JOB_QUEUED] + t->delta[BP_JOB_LEASED] : 0;
}

int64_t tenant_running(struct store *s, int64_t id)
{
    const struct tenant_load *t = batch_tenant(s, id);
    return t ? t->running + t->delta[BP_JOB_LEASED] : 0;
}

bool tenant_full(struct store *s, int64_t id)
{
    const struct tenant_rule *r = s->rules.limits ? tenant_rule(s, id) : NULL;
    return r && r->max_running > 0 && tenant_running(s, id) >= r->max_running;
}

bool tenants_passed_over(const struct store *s, struct sql *q)
{
    bool any = false;
    for (size_t i = 0; s->rules.limits && i < s->batch.n_tenants; i++) {
        const struct tenant_load *t = &s->batch.tenants[i];
        const struct tenant_rule *r = t->locked ? tenant_rule(s, t->id) : NULL;
        if (!r || !r->max_running || t->running + t->delta[BP_JOB_LEASED] < r->max_running)
            continue;
        sql_add(q, any ? ",%l" : " AND d.tenant_id NOT IN (%l", t->id);
        any = true;
    }
    if (any)
        sql_add(q, ")");
    return any;
}

void tenants_flushed(struct store *s)
{
    for (size_t i = 0; i < s->batch.n_tenants; i++) {
        struct tenant_load *t = &s->batch.tenants[i];
        t->pending += t->delta[BP_JOB_SCHEDULED] + t->delta[BP_JOB_QUEUED] + t->delta[BP_JOB_LEASED];
        t->running += t->delta[BP_JOB_LEASED];
        for (int k = 0; k <= BP_JOB_CANCELLED; k++)
            t->delta[k] = 0;
    }
}

/* ---- limits ---- */

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Those that have limits and are not locked yet, each once, in ascending order: controllers wait for each other and
 * never in a circle. */
static int32_t limited(struct store *s, const int64_t *ids, size_t n, struct sql *list)
{
    int64_t *wanted = mem_alloc(&s->mem, n * sizeof *wanted + 1);
    size_t m = 0;
    if (!wanted)
        return store_nomem(s);
    for (size_t i = 0; i < n; i++) {
        const struct tenant_rule *r = tenant_rule(s, ids[i]);
        if (!r || (!r->max_pending && !r->max_running))
            continue;
        struct tenant_load *t = batch_tenant(s, ids[i]);
        if (!t)
            return store_nomem(s);
        if (!t->locked)
            wanted[m++] = ids[i];
    }
    qsort(wanted, m, sizeof *wanted, ascending);
    for (size_t i = 0; i < m; i++)
        if (i == 0 || wanted[i] != wanted[i - 1])
            sql_add(list, list->n ? ",%l" : "%l", wanted[i]);
    return BP_OK;
}

static int32_t locks_take(struct store *s)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct tenant_load *t = batch_tenant(s, column_int(&r, 0));
        if (t) {
            t->locked = true;
            t->pending = t->running = 0;
        }
    }
    reply_done(&r);
    rc = rc ? rc : query_rows(s, &r);
    while (!rc && reply_next(&r)) {
        struct tenant_load *t = batch_tenant(s, column_int(&r, 0));
        if (t) {
            t->pending = column_int(&r, 1);
            t->running = column_int(&r, 2);
        }
    }
    reply_done(&r);
    return rc ? rc : query_end(s);
}

int32_t tenants_lock(struct store *s, const int64_t *ids, size_t n)
{
    struct sql list = {0};
    int32_t rc = s->rules.limits && n ? limited(s, ids, n, &list) : BP_OK;
    if (!rc && (list.n || list.failed)) {
        sql_clear(&s->q);
        sql_add(&s->q, "SELECT id FROM tenants WHERE id IN (");
        sql_join(&s->q, &list);
        /* The second statement sees what was committed while the first waited. */
        sql_add(&s->q,
                ") ORDER BY id FOR UPDATE;SELECT owner_id, SUM(scheduled+queued+leased), SUM(leased) FROM "
                "dispatch_counters WHERE owner=%i AND owner_id IN (",
                COUNTER_TENANT);
        sql_join(&s->q, &list);
        sql_add(&s->q, ") GROUP BY owner_id");
        rc = query_send(s, &s->q);
        rc = rc ? rc : locks_take(s);
    }
    sql_free(&list);
    return rc;
}
