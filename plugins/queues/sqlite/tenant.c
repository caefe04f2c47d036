/* SPDX-License-Identifier: Apache-2.0 */
#include "tenant.h"

#include <stdlib.h>

#define TENANTS_MAX 65536 /* in memory, beside those with pending jobs */

static int32_t no_memory(struct store *s)
{
    store_fail(s, BP_NOMEM, "out of memory for tenants");
    return BP_NOMEM;
}

static int32_t damaged(struct store *s, int64_t id)
{
    store_fail(s, BP_IO, "tenant %lld has no row; the file is damaged", (long long)id);
    return BP_IO;
}

int32_t tenants_lane(struct store *s, int64_t id)
{
    if (s->n_lanes == s->cap_lanes) {
        size_t cap = s->cap_lanes ? s->cap_lanes * 2 : 16;
        int64_t *lanes = realloc(s->lanes, cap * sizeof *lanes);
        if (!lanes)
            return no_memory(s);
        s->lanes = lanes;
        s->cap_lanes = cap;
    }
    s->lanes[s->n_lanes++] = id;
    return BP_OK;
}

int32_t tenants_load(struct store *s)
{
    sqlite3_stmt *q = statement_query(s, ST_TENANT_LANES, "");
    int32_t rc;
    s->n_lanes = 0;
    while ((rc = statement_next(s, q)) > 0) {
        rc = tenants_lane(s, sqlite3_column_int64(q, 0));
        if (rc)
            break;
    }
    statement_done(q);
    return rc;
}

/* Makes room for the tenant's place. */
static int32_t reach(struct store *s, int64_t id)
{
    if (id < 1 || (uint64_t)id > SIZE_MAX / (4 * sizeof *s->tenant))
        return damaged(s, id);
    if ((size_t)id < s->cap_tenants)
        return BP_OK;
    size_t cap = s->cap_tenants ? s->cap_tenants : 64;
    while (cap <= (size_t)id)
        cap *= 2;
    struct tenant **place = realloc(s->tenant, cap * sizeof *place);
    if (!place)
        return no_memory(s);
    for (size_t i = s->cap_tenants; i < cap; i++)
        place[i] = NULL;
    s->tenant = place;
    s->cap_tenants = cap;
    return BP_OK;
}

static void settings_read(sqlite3_stmt *q, struct tenant *t)
{
    t->weight = sqlite3_column_int(q, 0);
    t->max_pending = sqlite3_column_int(q, 1);
    t->max_running = sqlite3_column_int(q, 2);
    t->disabled = sqlite3_column_int(q, 3) != 0;
    t->lane = sqlite3_column_int(q, 4) != 0;
    t->webhook_version = sqlite3_column_int(q, 5);
    t->hook = sqlite3_column_int(q, 6) != 0;
}

static int32_t load(struct store *s, struct tenant *t)
{
    sqlite3_stmt *q = statement_query(s, ST_TENANT_LOAD, "l", t->id);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        settings_read(q, t);
    statement_done(q);
    if (rc == 0)
        return damaged(s, t->id);
    return rc < 0 ? rc : BP_OK;
}

int32_t tenant_of(struct store *s, int64_t id, struct tenant **t)
{
    if (id >= 1 && (uint64_t)id < s->cap_tenants && s->tenant[id]) {
        *t = s->tenant[id];
        return BP_OK;
    }
    int32_t rc = reach(s, id);
    if (rc)
        return rc;
    struct tenant *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return no_memory(s);
    fresh->id = id;
    rc = load(s, fresh);
    if (rc) {
        free(fresh);
        return rc;
    }
    s->tenant[id] = fresh;
    s->n_tenants++;
    *t = fresh;
    return BP_OK;
}

int32_t tenant_reload(struct store *s, struct tenant *t)
{
    return load(s, t);
}

int32_t tenant_get(struct store *s, const char *name, int64_t now_ms, int64_t *id)
{
    int32_t rc = names_find(s, &s->tenants, name, id);
    if (rc || *id)
        return rc;
    rc = statement_run(s, ST_TENANT_INSERT, "sl", name, now_ms);
    if (rc)
        return rc;
    *id = sqlite3_last_insert_rowid(s->db);
    return names_add(s, &s->tenants, *id, name);
}

static void list_changed(struct store *s, struct tenant *t)
{
    if (t->changed)
        return;
    t->changed = true;
    t->next_changed = s->changed_tenants;
    s->changed_tenants = t;
}

int32_t tenant_move(struct store *s, int64_t id, int32_t from, int32_t to)
{
    struct tenant *t;
    if (!s->tenants_counted || from == to)
        return BP_OK;
    int32_t rc = tenant_of(s, id, &t);
    if (rc)
        return rc;
    if (from >= BP_JOB_SCHEDULED && from <= BP_JOB_LEASED)
        t->count[from]--;
    if (to >= BP_JOB_SCHEDULED && to <= BP_JOB_LEASED)
        t->count[to]++;
    return BP_OK;
}

static int32_t count_state(struct store *s, int statement, int32_t status)
{
    sqlite3_stmt *q = statement_query(s, statement, "");
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0) {
        struct tenant *t;
        rc = tenant_of(s, sqlite3_column_int64(q, 0), &t);
        if (rc)
            break;
        t->count[status]++;
    }
    statement_done(q);
    return rc;
}

int32_t tenants_count(struct store *s)
{
    if (s->tenants_counted)
        return BP_OK;
    int32_t rc = count_state(s, ST_TENANTS_SCHEDULED, BP_JOB_SCHEDULED);
    rc = rc ? rc : count_state(s, ST_TENANTS_QUEUED, BP_JOB_QUEUED);
    rc = rc ? rc : count_state(s, ST_TENANTS_LEASED, BP_JOB_LEASED);
    s->tenants_counted = rc == BP_OK;
    return rc;
}

int64_t tenant_pending(const struct tenant *t)
{
    return t->count[BP_JOB_SCHEDULED] + t->count[BP_JOB_QUEUED] + t->count[BP_JOB_LEASED];
}

int64_t tenant_room(const struct tenant *t)
{
    return t->max_running ? t->max_running - t->count[BP_JOB_LEASED] - t->chosen : INT64_MAX;
}

/* ---- fair share ---- */

static int32_t share_load(struct store *s, struct tenant *t, int64_t workflow_id, struct tenant_share **share)
{
    struct tenant_share *more = realloc(t->shares, (t->n_shares + 1) * sizeof *more);
    if (!more)
        return no_memory(s);
    t->shares = more;
    sqlite3_stmt *q = statement_query(s, ST_SHARE_LOAD, "ll", workflow_id, t->id);
    int32_t rc = statement_next(s, q);
    more[t->n_shares] = (struct tenant_share){workflow_id, rc > 0 ? sqlite3_column_int64(q, 0) : 0, false};
    statement_done(q);
    if (rc < 0)
        return rc;
    *share = &more[t->n_shares++];
    return BP_OK;
}

int32_t tenant_tag(struct store *s, struct tenant *t, const struct workflow *w, int64_t *tag)
{
    struct tenant_share *share = NULL;
    for (size_t i = 0; i < t->n_shares && !share; i++)
        if (t->shares[i].workflow_id == w->id)
            share = &t->shares[i];
    int32_t rc = share ? BP_OK : share_load(s, t, w->id, &share);
    if (rc)
        return rc;
    *tag = share->finish > w->share_tag ? share->finish : w->share_tag;
    share->finish = *tag + SHARE_UNIT / t->weight;
    share->changed = true;
    list_changed(s, t);
    return BP_OK;
}

/* ---- writing and forgetting ---- */

static int32_t flush(struct store *s, struct tenant *t)
{
    int32_t rc = BP_OK;
    for (size_t i = 0; !rc && i < t->n_shares; i++) {
        struct tenant_share *share = &t->shares[i];
        if (share->changed)
            rc = statement_run(s, ST_SHARE_SAVE, "lll", share->workflow_id, t->id, share->finish);
        share->changed = false;
    }
    return rc;
}

int32_t tenants_flush(struct store *s)
{
    for (; s->changed_tenants; s->changed_tenants = s->changed_tenants->next_changed) {
        int32_t rc = flush(s, s->changed_tenants);
        if (rc)
            return rc;
        s->changed_tenants->changed = false;
    }
    return BP_OK;
}

static void drop(struct store *s, size_t i)
{
    free(s->tenant[i]->shares);
    free(s->tenant[i]);
    s->tenant[i] = NULL;
    s->n_tenants--;
}

void tenants_forget(struct store *s)
{
    for (size_t i = 0; s->n_tenants > 0 && i < s->cap_tenants; i++)
        if (s->tenant[i])
            drop(s, i);
    free(s->tenant);
    free(s->lanes);
    s->tenant = NULL;
    s->lanes = NULL;
    s->changed_tenants = NULL;
    s->cap_tenants = s->n_lanes = s->cap_lanes = s->trim_tenants = 0;
    s->tenants_counted = false;
}

void tenants_trim(struct store *s)
{
    if (s->n_tenants <= TENANTS_MAX || s->n_tenants <= s->trim_tenants)
        return;
    for (size_t i = 0; i < s->cap_tenants; i++)
        if (s->tenant[i] && (!s->tenants_counted || tenant_pending(s->tenant[i]) == 0))
            drop(s, i);
    s->trim_tenants = 2 * s->n_tenants;
}
