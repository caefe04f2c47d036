/* SPDX-License-Identifier: Apache-2.0 */
/*
 * case.h - what a conformance case is written with.
 *
 * A case is a function that runs in a process of its own on a fresh, empty queue. It drives the plugin with the helpers
 * below, one operation a transaction unless it builds a batch itself, at the time world.now, which only it advances.
 * Everything returned by the plugin stays valid until the case ends; then every block must have been returned.
 */
#ifndef QUEUE_CASE_H
#define QUEUE_CASE_H

#include <bp/queue.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fake_host.h"

struct world {
    const char *plugin, *settings;
    char dir[256];
    struct fake_host *host;
    int64_t now;   /* ms; begins at WORLD_BEGIN */
    int32_t lacks; /* the last kind of operation that was answered with BP_UNSUPPORTED; 0: none */
    bool partial;  /* a case that fails when something is unsupported is left out */
    uint64_t random;
};
extern struct world world;

#define WORLD_BEGIN  INT64_C(1700000000000)
#define TTL          INT64_C(60000)
#define MAX_REQUEUES 3

/* ---- registering and checking ---- */

void case_add(const char *group, const char *name, void (*fn)(void));
#define CASE(group, name)                                                                                              \
    static void name(void);                                                                                            \
    __attribute__((constructor)) static void add_##name(void)                                                          \
    {                                                                                                                  \
        case_add(#group, #name, name);                                                                                 \
    }                                                                                                                  \
    static void name(void)

_Noreturn void case_failed(const char *file, int line, const char *fmt, ...) BP_PRINTF(3, 4);
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            case_failed(__FILE__, __LINE__, "%s", #cond);                                                              \
    } while (0)
#define CHECK_INT(got, want)                                                                                           \
    do {                                                                                                               \
        int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                                                        \
        if (got_ != want_)                                                                                             \
            case_failed(__FILE__, __LINE__, "%s is %" PRId64 ", expected %" PRId64, #got, got_, want_);                \
    } while (0)
#define CHECK_STR(got, want)                                                                                           \
    do {                                                                                                               \
        const char *got_ = (got), *want_ = (want);                                                                     \
        if (!got_ || strcmp(got_, want_) != 0)                                                                         \
            case_failed(__FILE__, __LINE__, "%s is '%s', expected '%s'", #got, got_ ? got_ : "(null)", want_);         \
    } while (0)

/* ---- operations ---- */

/* An operation of a kind, zeroed, at world.now; lives until the case ends. */
struct bp_op *op_new(int32_t kind);
/* One transaction of these; the batch must succeed. Keeps what they return until the case ends. */
void apply_all(struct bp_op *const *ops, uint32_t n);
/* One transaction of one; its rc. */
int32_t apply_one(struct bp_op *op);
/* As apply_all, but may fail; the batch's rc. */
int32_t apply_try(struct bp_op *const *ops, uint32_t n);
/* Frees all that was returned so far. */
void world_free_memory(void);
/* Stops the plugin and starts it again on the same state. */
void world_restart(void);
void advance(int64_t ms);
/* The same, and that much time really passes: for what goes by the store's own clock. */
void pass(int64_t ms);
uint64_t random_below(uint64_t n);

struct lease {
    int64_t id;
    char token[64], worker[64];
    const struct bp_job_row *row;
};

/* A submit of tenant acme, workflow given, nothing special. */
struct bp_op *submit_op(const char *workflow);
int64_t submit(const char *workflow);
int64_t submit_priority(const char *workflow, int32_t priority);
/* A submit of workflow "a" that waits for these jobs. */
struct bp_op *after_op(const int64_t *ids, uint32_t n);
/* One that waits for one job; its id. */
int64_t submit_after(int64_t id);
/* A change of a tenant that changes nothing yet. */
struct bp_op *tenant_op(const char *name);
/* An approved worker of source "fleet" with token hash "hash-<id>"; workflows is a JSON array. */
void worker_put(const char *id, const char *workflows, int32_t max_concurrency);
/* One that serves "a" and "b" with room for 1000. */
void worker_any(const char *id);
/* A lease of up to max jobs of one workflow for a worker. */
struct bp_op *lease_op(const char *worker, const char *workflow, uint32_t max);
/* What lease_op leased, after apply. */
uint32_t leased(const struct bp_op *op, struct lease *out, uint32_t room);
/* One job of workflow "a" that must be there. */
struct lease lease_one(const char *worker);
/* The id of the next job of workflow "a", 0: none. */
int64_t lease_id(const char *worker);
struct bp_op *complete_op(const struct lease *l);
int32_t complete(const struct lease *l);
struct bp_op *fail_op(const struct lease *l, const char *error, int32_t retryable);
struct bp_op *requeue_op(const struct lease *l, const char *reason);
int32_t requeue(const struct lease *l);
struct bp_op *extend_op(const struct lease *l);
int32_t cancel(int64_t id);
int32_t retry(int64_t id);
const struct bp_op_sweep *sweep(void);
/* The row; the job must exist. */
const struct bp_job_row *job(int64_t id);
int32_t status_of(int64_t id);
/* The job's timeline as words with spaces between. */
const char *timeline(int64_t id);
const struct bp_op_list *list_of(const char *tenant, const char *workflow, int32_t status);
/* The workflow's row of the statistics, NULL: none. */
const struct bp_queue_stats_row *stats_of(const char *workflow);
/* The tenant's row, NULL: none. */
const struct bp_tenant_row *tenant_row(const char *name);
/* The worker's row, NULL: none. */
const struct bp_worker_row *worker_row(const char *id);

#endif
