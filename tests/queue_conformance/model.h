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

struct model_job {
    int64_t id;
    int32_t workflow, priority, status, attempts, max_attempts, requeues, cancel, worker;
    int32_t ended; /* how the token's lease ended: 0 not, 1 complete, 2 fail */
    bool front;
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

struct model {
    struct model_job jobs[MODEL_JOBS];
    uint32_t n_jobs;
    struct model_note notes[MODEL_NOTES];
    uint32_t n_notes;
};

extern const char *const model_workflows[MODEL_WORKFLOWS];
extern const char *const model_workers[MODEL_WORKERS];

/* Takes one answered operation in, after checking that the answer is the only right one. */
void model_take(struct model *m, const struct bp_op *op);
struct model_job *model_job(struct model *m, int64_t id);
/* Compares every row, list and number with the store's. */
void model_compare(struct model *m);

#endif
