/* SPDX-License-Identifier: Apache-2.0 */
/* The pools as the settings name them. */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

static int32_t refuse(struct bp_err *err, const char *fmt, ...) BP_PRINTF(2, 3);

static int32_t refuse(struct bp_err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err->rc = BP_INVALID;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return BP_INVALID;
}

static int32_t no_memory(struct bp_err *err)
{
    err->rc = BP_NOMEM;
    snprintf(err->text, sizeof err->text, "out of memory starting the queue");
    return BP_NOMEM;
}

struct pool *pool_add(struct pools *all, const char *name)
{
    struct pool *p = calloc(1, sizeof *p);
    struct pool **list = realloc(all->list, (all->n + 1) * sizeof(struct pool *));
    if (list)
        all->list = list;
    if (!p || !list) {
        free(p);
        return NULL;
    }
    snprintf(p->name, sizeof p->name, "%s", name);
    p->state = POOL_DOWN;
    p->far = true;
    p->why.rc = BP_LATER;
    snprintf(p->why.text, sizeof p->why.text, "the settings have no pool of this name; add it to plugin.mariadb.pools");
    all->list[all->n++] = p;
    /* cppcheck-suppress memleak ; `list` holds it */
    return p;
}

static int32_t link_make(struct store *s, struct pool *p)
{
    struct store *l = calloc(1, sizeof *l);
    if (!l)
        return BP_NOMEM;
    l->magic = STORE_MAGIC;
    l->self = s->self;
    l->host = s->host;
    l->settings = p->settings;
    if (l->settings.query_timeout_s > s->settings.pool_timeout_s)
        l->settings.query_timeout_s = s->settings.pool_timeout_s;
    if (l->settings.connect_timeout_s > s->settings.pool_timeout_s)
        l->settings.connect_timeout_s = s->settings.pool_timeout_s;
    p->link = l;
    return BP_OK;
}

/* A pool must not be the queue's own database, nor another pool: the tables have the same names. */
static const char *taken_by(const struct store *s, const struct settings *x)
{
    for (uint32_t i = 0; i < s->pools.n; i++) {
        const struct pool *p = s->pools.list[i];
        const struct settings *other = i ? &p->settings : &s->settings;
        if (settings_same_server(other, x) && strcmp(other->database, x->database) == 0)
            return i ? p->name : "the queue itself";
    }
    return NULL;
}

static void prefix_set(struct pool *p)
{
    struct sql q = {0};
    if (!p->far)
        sql_add(&q, "%q.", p->settings.database);
    snprintf(p->prefix, sizeof p->prefix, "%s", q.n ? q.text : "");
    sql_free(&q);
}

static int32_t read_one(struct store *s, const char *name, struct json_object *o, struct bp_err *err)
{
    struct json_object *database;
    struct settings x;
    char where[sizeof x.where];
    if (!*name || strlen(name) > 64)
        return refuse(err, "the name of pool '%.100s' must have 1 to 64 bytes", name);
    if (!json_object_object_get_ex(o, "database", &database))
        json_object_object_add(o, "database", json_object_new_string(name));
    int32_t rc = settings_of(&x, o, &s->settings, err);
    const char *taken = rc ? NULL : taken_by(s, &x);
    if (taken)
        rc = refuse(err, "the database of pool '%.60s' is that of %.60s; give it one of its own", name, taken);
    struct pool *p = rc ? NULL : pool_add(&s->pools, name);
    if (!p) {
        settings_free(&x);
        return rc ? rc : no_memory(err);
    }
    memcpy(where, x.where, sizeof where);
    snprintf(x.where, sizeof x.where, "%.120s (pool %.64s)", where, name);
    p->settings = x;
    p->configured = true;
    p->far = !settings_same_server(&s->settings, &x);
    p->state = p->far ? POOL_DOWN : POOL_UP;
    p->why = (struct bp_err){.rc = BP_LATER, .text = "it was not reached yet"};
    prefix_set(p);
    return p->far && link_make(s, p) ? no_memory(err) : BP_OK;
}

static const struct pool *named(const struct pools *all, const char *name)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i]->name, name) == 0)
            return all->list[i];
    return NULL;
}

static int32_t read_wish(struct pools *all, const char *tenant, const char *pool, struct bp_err *err)
{
    if (!named(all, pool))
        return refuse(err, "tenantPool puts tenant '%.60s' into pool '%.64s', but pools has none of this name", tenant,
                      pool);
    struct pool_wish *wishes = realloc(all->wishes, (all->n_wishes + 1) * sizeof *wishes);
    if (!wishes)
        return no_memory(err);
    all->wishes = wishes;
    struct pool_wish *w = &wishes[all->n_wishes++];
    *w = (struct pool_wish){strdup(tenant), strdup(pool)};
    return w->tenant && w->pool ? BP_OK : no_memory(err);
}

static int32_t read_object(struct store *s, struct json_object *o, struct bp_err *err)
{
    struct json_object *pools, *wishes;
    int32_t rc = BP_OK;
    if (json_object_object_get_ex(o, "pools", &pools)) {
        json_object_object_foreach(pools, name, one)
        {
            rc = rc ? rc : read_one(s, name, one, err);
        }
    }
    if (json_object_object_get_ex(o, "tenantPool", &wishes)) {
        json_object_object_foreach(wishes, tenant, pool)
        {
            rc = rc ? rc : read_wish(&s->pools, tenant, json_object_get_string(pool), err);
        }
    }
    return rc;
}

int32_t pools_read(struct store *s, const char *json, struct bp_err *err)
{
    struct pool *central = pool_add(&s->pools, "");
    if (!central)
        return no_memory(err);
    central->far = false;
    central->configured = true;
    central->state = POOL_UP;
    struct json_object *o = json && *json ? json_tokener_parse(json) : NULL;
    int32_t rc = read_object(s, o, err);
    json_object_put(o);
    return rc;
}

static void pool_free(struct pool *p)
{
    struct sql *all[] = {&p->fresh, &p->jobs, &p->states, &p->outputs, &p->ids, &p->tokens};
    if (p->state == POOL_OPENING)
        pthread_join(p->opener, NULL);
    if (p->link)
        store_close(p->link);
    free(p->link);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sql_free(all[i]);
    settings_free(&p->settings);
    free(p);
}

void pools_free(struct store *s)
{
    struct pools *all = &s->pools;
    for (uint32_t i = 0; i < all->n; i++)
        pool_free(all->list[i]);
    for (size_t i = 0; i < all->n_wishes; i++) {
        free(all->wishes[i].tenant);
        free(all->wishes[i].pool);
    }
    free(all->list);
    free(all->wishes);
    free(all->map);
    *all = (struct pools){0};
}
