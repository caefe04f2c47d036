/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - one dispatch in memory: loaded, decided on, saved back.
 *
 * A state change is: job_load, checks, job_event, job_save. job_save writes only when the row still has the state and
 * the lease token it was loaded with.
 */
#ifndef SQLITE_JOB_H
#define SQLITE_JOB_H

#include "pack.h"
#include "store.h"

/* How the lease of a row's token ended. */
#define ENDED_NOT      0
#define ENDED_COMPLETE 1
#define ENDED_FAIL     2

/* An interrupted job's share key is this far below its tag: in front of its priority. */
#define SHARE_FRONT (INT64_C(1) << 62)
/* When a job is due that waits for others. */
#define DUE_NEVER (INT64_C(1) << 60)

/* Flags of a dispatch. */
#define JOB_HAS_DEPENDENTS 1 /* others wait or waited for it */
#define JOB_HAS_UNIQUE     2 /* it has a unique key */
#define JOB_HAS_AFTER      4 /* it waits or waited for others */

struct job {
    struct bp_job_row row; /* texts live in store.mem or in names */
    int64_t tenant_id, workflow_id, effect_id, worker_no;
    int64_t share_key, queued_ms, wait_ms, last_event;
    int64_t due_ms;    /* of a scheduled job: when the sweep is to look at it */
    int64_t doomed_by; /* the job that came to a bad end; negative: that was cancelled */
    int32_t flags, ended_by;
    int32_t dependents; /* jobs that its end woke or doomed */
    double duration_s;
    const char *suffix; /* of the output key */
    int32_t loaded_status;
    const char *loaded_token;
};

/* Load parts. */
#define JOB_DISPATCH 0 /* the central row only */
#define JOB_WHOLE    1 /* params, inputs, output and keys too */

/* Loads job `id`. 1: found. 0: no such job. Negative: the batch's end. */
int32_t job_load(struct store *s, int64_t id, int parts, struct job *j);
/* Fills `j` from the current row of a query that selects JOB_COLUMNS (or DISPATCH_COLUMNS). */
int32_t job_read(struct store *s, struct sqlite3_stmt *q, int parts, struct job *j);
/* Writes what changed and moves the counters. When it ends by this, all that follows is done too: jobs that wait for
 * it, its unique key, its webhook. */
int32_t job_save(struct store *s, struct job *j, int64_t now_ms);
/* The same for a queued job that was leased, and for a leased one that completed: quicker. */
int32_t job_save_leased(struct store *s, struct job *j, int64_t now_ms);
int32_t job_save_completed(struct store *s, struct job *j, int64_t now_ms);
/* Sets row.output_key from the suffix. */
int32_t job_output_key(struct store *s, struct job *j);
/* Is this the lease the row runs under? */
bool job_leased_by(const struct job *j, const char *token, const char *worker_id);

/* ---- transitions several operations share; the caller saves ---- */

/* The share tag, whether it is in front or not. */
int64_t job_tag(const struct job *j);
/* Into the queue. front: before all others of its priority. */
void job_to_queue(struct job *j, int64_t now_ms, bool front);
/* Into a final state; status is BP_JOB_COMPLETED, BP_JOB_FAILED or BP_JOB_CANCELLED. error: NULL leaves it. */
void job_to_end(struct job *j, int64_t now_ms, int32_t status, const char *error);
/* The lease is over and its token worth nothing any more. */
void job_drop_lease(struct job *j);
/* An interruption: back to the front, or cancelled, or failed past max_requeues (< 0: it does not count). Writes events
 * and saves. */
int32_t job_interrupt(struct store *s, struct job *j, int64_t now_ms, const char *who, const char *reason,
                      int32_t max_requeues);

/* ---- what operations return ---- */

/* Copies n rows and their texts into one block of host memory: *out, owned by *memory. */
int32_t jobs_pack(struct store *s, const struct job *jobs, uint32_t n, struct bp_job_row **out, void **memory);

#endif
