/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - one dispatch in memory: loaded under a lock, decided on, saved.
 *
 * A state change is: batch_job, checks, job_event, job_save. What is saved is written at the next flush.
 */
#ifndef MARIADB_JOB_H
#define MARIADB_JOB_H

#include "pack.h"
#include "store.h"

/* How the lease of a row's token ended. */
#define ENDED_NOT      0
#define ENDED_COMPLETE 1
#define ENDED_FAIL     2

/* Flags of a dispatch. */
#define FLAG_PARENT 1 /* others wait or waited for it */
#define FLAG_CHILD  2 /* it waits or waited for others */
#define FLAG_UNIQUE 4 /* it has a unique key */
#define FLAG_DOOMED 8 /* one it waits for came to a bad end: the next sweep cancels it */

/* due_ms of a job that time alone does not make due. */
#define DUE_NEVER (INT64_C(1) << 62)

/* Longest texts the columns take, bytes. */
#define TOKEN_MAX     128
#define SUFFIX_MAX    255
#define KEY_MAX       255
#define PATH_TEXT_MAX 1024
#define ERROR_MAX     16000
#define DETAIL_MAX    4000
#define WHO_MAX       500

/* What a flush has to write of a job: the usual changes go out as narrow sets, which is most of what a batch costs. */
#define CHANGE_ALL      0 /* anything: all columns */
#define CHANGE_LEASE    1 /* a queued row was leased, nothing else */
#define CHANGE_COMPLETE 2 /* a leased row was completed, nothing else */

struct job {
    struct bp_job_row row; /* texts live in store.mem or in names */
    int64_t tenant_id, workflow_id, effect_id, worker_no;
    int64_t queued_ms, wait_ms;
    int32_t sort_key; /* -1: in front of its priority, else 0 */
    double share_tag;
    int32_t ended_by;
    int32_t flags;      /* FLAG_* */
    int32_t dependents; /* of its end: how many that wait for it are now due or doomed */
    double duration_s;
    struct pool *pool;  /* where its content is; from job_names on */
    const char *suffix; /* of the output key */
    int32_t saved_status;
    int64_t saved_worker; /* with saved_status: whose live lease it was */
    int change;           /* CHANGE_*, when dirty */
    bool dirty, content;  /* content: params, inputs, output and keys are there */
    bool lost;            /* with content: it is in fact gone, and row.error says so; see lost.h */
    bool listed;          /* in its front */
    bool foreign;         /* put there by another application and not adopted yet, see adopt.h */
    bool fresh, visible;  /* inserted by this segment; its submit has run */
    bool rare;            /* flags, waits_for or share_tag are to be written */
};

#define DISPATCH_COLUMNS                                                                                               \
    "d.id, d.tenant_id, d.workflow_id, d.effect_id, d.status+0, d.priority, d.sort_key, d.attempts, d.max_attempts, "  \
    "d.requeues, d.cancel_requested, d.ended_by, d.worker_id, d.lease_token, d.output_suffix, d.due_ms, "              \
    "d.created_ms, d.queued_ms, d.not_before_ms, d.leased_ms, d.first_leased_ms, d.wait_ms, d.finished_ms, "           \
    "d.updated_ms, d.progress, d.duration_seconds, d.last_error, d.progress_text, d.checkpoint_key, d.share_tag, "     \
    "d.flags, d.waits_for"
#define CONTENT_COLUMNS "j.params, j.inputs, j.output, j.idempotency_key, j.provider_job_id, j.unique_key"
/* The same of the queue's own database, up to the ids. */
#define CONTENT_SELECT                                                                                                 \
    "SELECT j.id, j.params, j.inputs, COALESCE(o.output, j.output), j.idempotency_key, "                               \
    "COALESCE(o.provider_job_id, j.provider_job_id), j.unique_key FROM ai_jobs j LEFT JOIN ai_job_outputs o ON "       \
    "o.job_id = j.id WHERE j.id IN ("

/* Fills a new job in s->mem from a row of DISPATCH_COLUMNS. Names are filled by job_names, which may query. */
int32_t job_read(struct store *s, const struct reply *r, struct job **out);
/* The content from a reply whose first content column is `at`. */
int32_t job_read_content(struct store *s, const struct reply *r, int at, struct job *j);
/* The names behind the numbers, the pool, and the output key. */
int32_t job_names(struct store *s, struct job *j);
/* Notes the change: to be written, counted, and in the queue's front when it is queued. */
int32_t job_save(struct store *s, struct job *j, int64_t now_ms);
/* The same for a change that is all of this kind, CHANGE_*. */
int32_t job_save_as(struct store *s, struct job *j, int64_t now_ms, int change);
/* Sets row.output_key from the suffix. */
int32_t job_output_key(struct store *s, struct job *j);
/* The order of leases: negative when x comes before y. */
int job_order(const struct job *x, const struct job *y);
/* Is this the lease the row runs under? */
bool job_leased_by(const struct job *j, const char *token, const char *worker_id);
/* What stands in due_ms. */
int64_t job_due_ms(const struct job *j);

/* ---- transitions several operations share; the caller saves ---- */

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
