/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - where the private part of tenants' jobs is: in the queue's own database, in one beside it on the same
 * server, or in one on another server.
 *
 * A tenant is in one pool, chosen with its first job and kept. A near pool is written in the transaction of the queue's
 * own connection. A far one has a connection of its own; what a batch writes there is committed before the queue's
 * commit, and only that commit makes it count. A far pool that fails is set aside: the batch is repeated without its
 * tenants' jobs, and a thread tries to reach it again, at rests that double, so that nobody else waits for it.
 */
#ifndef MARIADB_POOL_H
#define MARIADB_POOL_H

#include <bp/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "settings.h"
#include "sql.h"

struct store;

#define POOL_DOWN    1
#define POOL_OPENING 2 /* its thread is at it */
#define POOL_UP      3

struct pool {
    char name[65]; /* "": the queue's own database */
    struct settings settings;
    char prefix[144];       /* of its tables in a statement */
    bool far, configured;   /* far: behind `link`; not configured: a tenant is in it, the settings do not name it */
    struct store *link;     /* its connection, of which only the connection is used */
    int state;              /* POOL_*; near ones are always up */
    atomic_bool opened;     /* the thread is done, link->failure says how it went */
    bool opened_well, lost; /* lost: only now; worth a short wait */
    pthread_t opener;
    int64_t next_try_ms; /* monotonic */
    int32_t backoff_ms;
    int repeats;                             /* failures in a row that could be repeated */
    struct bp_err why;                       /* why it is down */
    bool said;                               /* that it is down: once */
    bool begun;                              /* far: its transaction */
    struct sql fresh, jobs, states, outputs; /* rows to be written; fresh: ids of `jobs` */
    struct sql ids, tokens;                  /* contents to be read or removed */
    int64_t cursor;                          /* of the reconciler: unconfirmed rows up to it were looked at */
};

/* Where a tenant is. */
struct tenant_pool {
    int64_t tenant; /* 0: an empty slot */
    struct pool *pool;
};

/* A new tenant's pool by configuration. */
struct pool_wish {
    char *tenant, *pool;
};

struct pools {
    struct pool **list; /* [0]: the queue's own database */
    uint32_t n;
    struct tenant_pool *map; /* open addressing */
    size_t n_map, slots;
    struct pool_wish *wishes;
    size_t n_wishes;
    int64_t unsettled; /* a tenant that was met without a pool; settled before the next batch */
};

/* Reads pools and tenantPool from the plugin's settings. */
int32_t pools_read(struct store *s, const char *json, struct bp_err *err);
void pools_free(struct store *s);
/* A pool nobody configured. NULL: no memory. */
struct pool *pool_add(struct pools *all, const char *name);

/* Connects all far pools side by side. One that cannot be reached is set aside; one that must not be used as it is (an
 * old schema, missing privileges) is the store's failure. */
int32_t pools_open(struct store *s);
/* Checks the near pools; the server answers. */
int32_t pools_check_near(struct store *s);
/* Before a batch: takes up pools that can be reached again and tries those whose rest is over. */
int32_t pools_look(struct store *s);

/* The pool of a tenant. */
int32_t pool_find(struct store *s, int64_t tenant, struct pool **out);
/* The same for one that submits: chooses a pool when it has none. Outside of transactions. */
int32_t pool_settle(struct store *s, int64_t tenant, const char *name);
/* More than the queue's own database? */
bool pools_any(const struct store *s);
bool pool_central(const struct pool *p);
bool pool_up(const struct pool *p);
/* Answers an operation that needs a pool which is down: BP_LATER, which pool, where and why. */
int32_t op_pool_down(struct bp_op *op, const struct pool *p);
/* " AND ..." for a statement with a column `tenant`: none whose pool is down. */
void pools_only_up(struct store *s, struct sql *q, const char *tenant);
/* The largest text every server takes. */
size_t pools_text_max(const struct store *s);

/* What the last statement on a far pool's link failed with becomes the store's failure; unless it can be repeated there
 * the pool is set aside. The attempt is to be made again in any case. */
int32_t pool_failed(struct store *s, struct pool *p);
/* It works. */
void pool_works(struct store *s, struct pool *p);
/* Commits what the batch wrote to far pools: before the queue's own commit. */
int32_t pools_commit(struct store *s);
void pools_roll_back(struct store *s);
/* Forgets what is to be written. */
void pools_reset(struct store *s);

/* Works off pool_outbox and removes what was written for submits that never came to be; a bounded while. After a batch;
 * what fails is left for the next time. (reconcile.c) */
void pools_reconcile(struct store *s);

#endif
