/* SPDX-License-Identifier: Apache-2.0 */
/* The life of pools: reached, set aside, reached again; committed and rolled back with a batch. */
#include "pool.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "open.h"
#include "schema.h"
#include "server.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000
#define REPEATS_MAX    3
#define LOST_WAIT_MS   250 /* for one that was lost just now: most often only its connection is gone */

bool pools_any(const struct store *s)
{
    return s->pools.n > 1;
}

bool pool_central(const struct pool *p)
{
    return p->name[0] == 0;
}

bool pool_up(const struct pool *p)
{
    return p->state == POOL_UP;
}

int32_t op_pool_down(struct bp_op *op, const struct pool *p)
{
    return op_error(op, BP_LATER, "the tenant's pool %.64s cannot be used now: %.150s", p->name, p->why.text);
}

static const char *name_quoted(struct sql *q, const struct pool *p)
{
    sql_clear(q);
    sql_add(q, "%s", p->name);
    return q->failed ? "''" : q->text;
}

void pools_only_up(struct store *s, struct sql *q, const char *tenant)
{
    struct sql one = {0};
    bool any = false;
    for (uint32_t i = 0; i < s->pools.n; i++) {
        if (pool_up(s->pools.list[i]))
            continue;
        sql_add(q, any ? "," : " AND ");
        if (!any)
            sql_add(q, "%r NOT IN (SELECT id FROM tenants WHERE pool IN (", tenant);
        sql_add(q, "%r", name_quoted(&one, s->pools.list[i]));
        q->failed = q->failed || one.failed;
        any = true;
    }
    sql_add(q, any ? "))" : "");
    sql_free(&one);
}

size_t pools_text_max(const struct store *s)
{
    size_t most = s->text_max;
    for (uint32_t i = 0; i < s->pools.n; i++) {
        const struct store *l = s->pools.list[i]->link;
        if (l && pool_up(s->pools.list[i]) && l->text_max < most)
            most = l->text_max;
    }
    return most;
}

/* ---- reaching them ---- */

static int32_t link_open(struct store *l)
{
    l->fault = FAULT_NONE;
    int32_t rc = conn_open(l);
    rc = rc ? rc : server_check(l);
    rc = rc ? rc : store_schema_ready(l, &schema_pools);
    rc = rc ? rc : pool_privileges_check(l);
    if (rc)
        conn_close(l);
    return rc;
}

static void *opener(void *arg)
{
    struct pool *p = arg;
    p->opened_well = link_open(p->link) == BP_OK;
    mysql_thread_end();
    atomic_store(&p->opened, true);
    return NULL;
}

static void rest(struct pool *p)
{
    int32_t next = p->backoff_ms ? p->backoff_ms * 2 : BACKOFF_MIN_MS;
    p->next_try_ms = store_clock_ms() + p->backoff_ms;
    p->backoff_ms = next < BACKOFF_MAX_MS ? next : BACKOFF_MAX_MS;
}

static void set_aside(struct store *s, struct pool *p)
{
    if (p->link->db)
        conn_close(p->link);
    p->state = POOL_DOWN;
    p->begun = false;
    p->why = p->link->failure;
    rest(p);
    if (!p->said)
        s->host->log(s->self, BP_LOG_ERROR, "pool %s: %s; the jobs of its tenants wait", p->name, p->why.text);
    p->said = true;
}

void pool_works(struct store *s, struct pool *p)
{
    p->backoff_ms = p->repeats = 0;
    if (p->said)
        s->host->log(s->self, BP_LOG_INFO, "pool %s works again", p->name);
    p->said = false;
}

static void open_begin(struct pool *p)
{
    atomic_store(&p->opened, false);
    if (pthread_create(&p->opener, NULL, opener, p) == 0)
        p->state = POOL_OPENING;
    else
        rest(p);
}

static void open_end(struct store *s, struct pool *p)
{
    pthread_join(p->opener, NULL);
    p->state = POOL_UP;
    if (!p->opened_well)
        set_aside(s, p);
}

int32_t pools_open(struct store *s)
{
    struct pools *all = &s->pools;
    int32_t rc = BP_OK;
    for (uint32_t i = 0; i < all->n; i++)
        if (all->list[i]->state == POOL_DOWN && all->list[i]->configured)
            open_begin(all->list[i]);
    for (uint32_t i = 0; i < all->n; i++) {
        struct pool *p = all->list[i];
        if (p->state != POOL_OPENING)
            continue;
        open_end(s, p);
        if (!pool_up(p) && p->link->fault != FAULT_LOST && p->why.rc != BP_LATER && !rc) {
            s->failure = p->why;
            rc = p->why.rc;
        }
    }
    return rc;
}

static int32_t with_near(struct store *s, struct pool *p, int32_t (*run)(struct store *l))
{
    struct store l = {.magic = STORE_MAGIC, .self = s->self, .host = s->host, .settings = p->settings};
    int32_t rc = run(&l);
    if (rc) {
        s->failure = l.failure;
        s->fault = l.fault;
    }
    store_close(&l);
    return rc;
}

int32_t pools_check_near(struct store *s)
{
    int32_t rc = BP_OK;
    for (uint32_t i = 1; !rc && i < s->pools.n; i++)
        rc = s->pools.list[i]->far ? BP_OK : with_near(s, s->pools.list[i], link_open);
    return rc;
}

static void look(struct store *s, struct pool *p, int64_t now_ms)
{
    if (p->state == POOL_OPENING && atomic_load(&p->opened))
        open_end(s, p);
    if (p->state == POOL_DOWN && p->configured && now_ms >= p->next_try_ms)
        open_begin(p);
    for (int64_t until = now_ms + LOST_WAIT_MS; p->lost && p->state == POOL_OPENING && store_clock_ms() < until;) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        if (atomic_load(&p->opened))
            open_end(s, p);
    }
    p->lost = false;
}

int32_t pools_look(struct store *s)
{
    int64_t now = store_clock_ms(), tenant = s->pools.unsettled;
    for (uint32_t i = 1; i < s->pools.n; i++)
        if (s->pools.list[i]->far && !pool_up(s->pools.list[i]))
            look(s, s->pools.list[i], now);
    s->pools.unsettled = 0;
    return tenant ? pool_settle(s, tenant, NULL) : BP_OK;
}

/* ---- with a batch ---- */

int32_t pool_failed(struct store *s, struct pool *p)
{
    struct store *l = p->link;
    if (l->fault != FAULT_RETRY || ++p->repeats > REPEATS_MAX) {
        p->lost = l->fault == FAULT_LOST && !p->said;
        set_aside(s, p);
    }
    s->failure = l->failure;
    s->failure.rc = BP_LATER;
    s->fault = FAULT_RETRY;
    return BP_LATER;
}

int32_t pools_commit(struct store *s)
{
    for (uint32_t i = 1; i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        if (!p->begun)
            continue;
        if (query_text(p->link, "COMMIT") != BP_OK)
            return pool_failed(s, p);
        p->begun = false;
        pool_works(s, p);
    }
    return BP_OK;
}

void pools_roll_back(struct store *s)
{
    for (uint32_t i = 1; i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        if (!p->far || !pool_up(p))
            continue;
        if (query_end(p->link) != BP_OK || (p->begun && query_text(p->link, "ROLLBACK") != BP_OK))
            set_aside(s, p);
        p->begun = false;
    }
}

void pools_reset(struct store *s)
{
    for (uint32_t i = 1; i < s->pools.n; i++) {
        struct pool *p = s->pools.list[i];
        struct sql *all[] = {&p->fresh, &p->jobs, &p->states, &p->outputs, &p->ids, &p->tokens};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            sql_clear(all[k]);
    }
}
