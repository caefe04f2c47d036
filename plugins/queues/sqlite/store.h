/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - one open queue file and the batch that runs on it.
 *
 * What is kept in memory (names, counters, the next ids) only repeats what the file says. A batch begins by comparing
 * the file's data version: when another connection wrote, or a batch was rolled back, everything in memory is read
 * anew.
 *
 * Two kinds of error. An operation's own (BP_STALE, BP_NOTFOUND, ...) goes into op->err, its handler returns BP_OK and
 * has written nothing: handlers check first and write last. A handler that returns anything else ends the whole batch.
 */
#ifndef SQLITE_STORE_H
#define SQLITE_STORE_H

#include <bp/queue.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "early.h"
#include "mem.h"
#include "names.h"
#include "statements.h"

#define STORE_MAGIC 0x73716c71u

/* A cap for interruptions nobody counts against dispatch.maxRequeues: a worker that registers again or is removed. */
#define RELEASE_MAX_REQUEUES 20

struct settings {
    char *path;
    char synchronous[8];
    int64_t max_bytes;
    int64_t cache_bytes;
};

/* A workflow's numbers in memory; index in store.workflow = id - 1. */
struct workflow {
    int64_t id;
    int64_t count[BP_JOB_CANCELLED + 1]; /* dispatches by state */
    int64_t second;                      /* the bucket the four below belong to */
    int64_t submitted, completed, failed, expired;
    int64_t sample_second[3], samples[3]; /* by SAMPLE_* */
    int64_t arrivals;                     /* how often something became queued; 0: never had a job */
    int64_t share_tag;                    /* the largest leased so far, see tenant.h */
    bool counts_changed;
    bool listed_changed; /* in store.changed */
};

struct tenant;

struct store {
    uint32_t magic;
    struct bp_self *self;
    const struct bp_host *host;
    struct settings settings;
    sqlite3 *db;
    struct gather *gather; /* through which it is open */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct bp_err failure; /* why the batch ends, set by store_fail and friends */
    struct mem mem;        /* lives until the next operation */
    bool fresh;            /* what is in memory repeats the file */
    bool reopen;           /* the connection is not to be trusted any more */
    bool sick;             /* the last batch failed; logged once */
    int64_t data_version;
    int64_t next_id, next_seq;
    int64_t first_new; /* jobs from this id on were submitted by the running batch */
    struct early early;
    size_t clean_next; /* the workflow whose old seconds and samples are removed next */
    struct names tenants, effects, workers, workflow_names;
    struct workflow *workflow;
    size_t n_workflows, cap_workflows;
    size_t *changed; /* indexes of workflows with something to write at commit */
    size_t n_changed;
    struct tenant **tenant; /* by number, NULL: not loaded */
    size_t cap_tenants, n_tenants;
    size_t trim_tenants;            /* how many are too many */
    bool tenants_counted;           /* all that have pending jobs are there, with their counts */
    struct tenant *changed_tenants; /* with something to write at commit */
    int64_t *lanes;                 /* numbers of tenants with a lane */
    size_t n_lanes, cap_lanes;
};

/* Opens the file and brings its schema up to date. */
int32_t store_open(struct store *s, struct bp_err *err);
void store_close(struct store *s);

/* The facet's apply(). */
int32_t store_apply(struct store *s, struct bp_op *const *ops, uint32_t n, struct bp_err *err);

/* Ends the batch: keeps the reason and returns rc. */
int32_t store_fail(struct store *s, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);
/* The same from the connection's error state; `doing` in words. */
int32_t store_fail_sql(struct store *s, const char *doing);
/* Answers an operation with an error of its own; returns BP_OK. */
int32_t op_error(struct bp_op *op, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);

#endif
