/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the queue as a plain array: what every operation must answer, by brute force.
 *
 * The model knows nothing of how a store works. It is told what was asked and what came back, in order, and fails the
 * case when a promise was broken.
 */
#ifndef QUEUE_MODEL_H
#define QUEUE_MODEL_H

#include "case.h"

#define MODEL_JOBS      4096
#define MODEL_WORKFLOWS 3
#define MODEL_WORKERS   4
#define MODEL_ROOM      3 /* max_concurrency of every worker */
#define MODEL_NOTES     16384
#define MODEL_TENANTS   3
#define MODEL_AFTER     2 /* most jobs that one waits for */

struct model_job {
    int64_t id;
    int32_t workflow, priority, status, attempts, max_attempts, requeues, cancel, worker;
    int32_t ended; /* how the token's lease ended: 0 not, 1 complete, 2 fail */
    bool front;
    int32_t tenant, waits_for;
    int32_t unique, key, hash;  /* numbers of keys, 0: none */
    int64_t after[MODEL_AFTER]; /* ids, 0: none */
    int64_t doomed_by;          /* 0: none */
    double tag;
    char token[64];
    int64_t queued_ms, not_before_ms, leased_ms, expires_ms, finished_ms, wait_ms;
    bool was_leased;
};

/* Something that happened, for windows. */
struct model_note {
    int32_t workflow, kind; /* MODEL_* */
    int64_t at_ms, value;   /* job id, or milliseconds */
};
#define MODEL_SUBMITTED   1
#define MODEL_COMPLETED   2
#define MODEL_FAILED      3
#define MODEL_EXPIRED     4
#define MODEL_INTERRUPTED 5
#define MODEL_RUN         6
#define MODEL_WAIT        7

struct model_tenant {
    bool there, disabled;
    int32_t weight, max_pending, max_running;
    double finish[MODEL_WORKFLOWS]; /* where its next fair job begins, at the earliest */
};

struct model {
    struct model_tenant tenants[MODEL_TENANTS];
    double tag[MODEL_WORKFLOWS]; /* the largest leased so far */
    int64_t arrivals[MODEL_WORKFLOWS];
    struct model_job jobs[MODEL_JOBS];
    uint32_t n_jobs;
    struct model_note notes[MODEL_NOTES];
    uint32_t n_notes;
};

extern const char *const model_workflows[MODEL_WORKFLOWS];
extern const char *const model_workers[MODEL_WORKERS];
extern const char *const model_tenants[MODEL_TENANTS];
/* By number, from 1; [0] is NULL. */
#define MODEL_KEYS 5
extern const char *const model_keys[MODEL_KEYS];

/* Takes one answered operation in, after checking that the answer is the only right one. */
void model_take(struct model *m, const struct bp_op *op);
struct model_job *model_job(struct model *m, int64_t id);
/* The parts of model_take that are in model_submit.c. */
void model_submit(struct model *m, const struct bp_op *op);
void model_tenant_put(struct model *m, const struct bp_op *op);
/* Jobs of a tenant in a state. */
int64_t model_count(const struct model *m, int32_t tenant, int32_t status);
/* The number of a name. */
int32_t model_index(const char *const *names, int32_t n, const char *name);
void model_note(struct model *m, const struct model_job *j, int32_t kind, int64_t at_ms, int64_t value);
/* Compares every row, list and number with the store's. */
void model_compare(struct model *m);

#endif
