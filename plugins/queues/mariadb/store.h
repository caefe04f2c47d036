/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - one connection to the database and the batch that runs on it.
 *
 * A batch is worked in memory and written as sets. What its operations touch is read and locked first (SELECT ... FOR
 * UPDATE in one text), the operations then run in their order on those rows (batch.h), and what changed goes out in one
 * statement per table before the commit. A row is changed only under a lock that this transaction took and a state it
 * read under that lock, so nothing another controller does can come between.
 *
 * Two kinds of error. An operation's own (BP_STALE, BP_NOTFOUND, ...) goes into op->err, its handler returns BP_OK and
 * has changed nothing: handlers check first and write last. A handler that returns anything else ends the attempt;
 * deadlocks, lock waits and lost connections are tried again when the transaction surely did not commit.
 */
#ifndef MARIADB_STORE_H
#define MARIADB_STORE_H

#include <bp/queue.h>
#include <stdbool.h>

#include "batch.h"
#include "binary.h"
#include "conn.h"
#include "early.h"
#include "mem.h"
#include "names.h"
#include "pool.h"
#include "recall.h"
#include "recent.h"
#include "settings.h"
#include "shapes.h"
#include "tenants.h"
#include "text.h"

#define STORE_MAGIC 0x6d616471u

/* A cap for interruptions nobody counts against dispatch.maxRequeues: a worker that registers again or is removed. */
#define RELEASE_MAX_REQUEUES 20

/* Jobs to be failed because their content is gone, see lost.h; those beyond are met again. */
#define LOST_MAX 64
struct lost {
    int64_t ids[LOST_MAX], now_ms;
    uint32_t n;
};

/* So many tenants' rows of the counters are known to be there. */
#define COUNTED_TENANTS 1024

struct store {
    uint32_t magic;
    struct bp_self *self;
    const struct bp_host *host;
    struct settings settings;
    MYSQL *db; /* NULL: not connected */
    unsigned long thread_id;
    bool first_answer;        /* of the text being read */
    uint64_t affected;        /* rows of the last statement query_end saw */
    struct bp_err failure;    /* why the batch ends, set by store_fail and friends */
    int fault;                /* FAULT_*, of the failure */
    struct sql q;             /* the text being built; any query may overwrite it */
    struct sql workflow_list; /* of the running sweep */
    struct mem mem;           /* lives as long as the attempt */
    struct names tenants, effects, workers, workflows;
    struct pools pools;
    struct batch batch;
    struct tenant_rules rules;
    struct recent recent;
    struct recall recall;
    int64_t blind_rest_ms; /* monotonic; no blind batch before */
    bool ids_in_row;       /* the server numbers new rows 1, 2, 3: it shares them out to no other server */
    bool hasty;            /* no statement of the session waits for a lock */
    struct windows windows;
    struct bounds bounds;
    struct lost lost;
    struct shapes shapes;
    struct binary binary;
    bool tenant_made;                 /* by this attempt: what names know of it must not outlive a rollback */
    int64_t writer_id, batch_no;      /* our row in writers */
    int32_t shard;                    /* our rows of the counters */
    int64_t counted[COUNTED_TENANTS]; /* tenants whose row is there, by the last bits of their id */
    size_t text_max;                  /* largest text the server takes */
    int64_t next_try_ms;              /* monotonic; no new connection before */
    int32_t backoff_ms;
    struct bp_err unreachable; /* why the last try to connect failed */
    struct early early;        /* of the running batch */
    bool committing;           /* the attempt ended in its commit, with an unknown outcome */
    bool sick;                 /* the last batch failed; logged once */
    bool patient;              /* the connection is for migrating: no timeout ends a statement */
    bool warned;               /* of settings of the server that lose what was accepted; once */
};

/* Connects, checks server, schema and privileges; brings the schema up to date when autoMigrate says so. BP_LATER with
 * the reason: not now, whatever the reason, since an operator may mend each without a restart. */
int32_t store_connect(struct store *s);
void store_close(struct store *s);

/* The facet's apply(). */
int32_t store_apply(struct store *s, struct bp_op *const *ops, uint32_t n, struct bp_err *err);

/* Undoes what the connection has begun, also in far pools; closes what cannot be used any more. */
void store_roll_back(struct store *s);
/* Ends the batch: keeps the reason and returns rc. */
int32_t store_fail(struct store *s, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);
int32_t store_nomem(struct store *s);
#ifdef __clang_analyzer__ /* which does not look into another file: the return value, in words it can follow */
#define store_nomem(s) ((void)(store_nomem)(s), BP_NOMEM)
#endif
/* Answers an operation with an error of its own; returns BP_OK. */
int32_t op_error(struct bp_op *op, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);

#endif
