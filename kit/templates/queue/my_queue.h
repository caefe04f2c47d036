/*
 * The whole queue: jobs, workers and what happened, in plain arrays. All of it belongs to the one thread that bpd calls
 * apply() on ("threads": 1 in the manifest), so nothing is locked.
 *
 * A batch is a transaction. Before a row is changed, touch() keeps how it was; what the batch adds stands behind the
 * marks in `before`. When memory runs out, `no_memory` is set, and apply() puts everything back and fails the batch.
 */
#ifndef MY_QUEUE_H
#define MY_QUEUE_H

#include <bp/queue.h>
#include <bp/sdk.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REQUEUES 20 /* interruptions of a job by workers that vanish */

struct job {
    struct bp_job_row row; /* its texts are malloc'ed */
    char *request_hash;
    int64_t queued_ms; /* since when it is due */
    int64_t wait_ms;   /* due to first lease */
    int32_t front;     /* 1: interrupted, goes before others of its priority */
    int32_t ended_by;  /* BP_OP_COMPLETE or BP_OP_FAIL of the present token; 0: neither */
    int32_t gone;      /* 1: pruned, removed when the batch is over */
};

struct worker {
    struct bp_worker_row row;
    int32_t gone;
};

/* Something that counts within a window of time. */
#define NOTE_SUBMITTED   1
#define NOTE_COMPLETED   2
#define NOTE_FAILED      3
#define NOTE_EXPIRED     4
#define NOTE_INTERRUPTED 5 /* value: the job's id */
#define NOTE_RUN         6 /* value: milliseconds */
#define NOTE_WAIT        7
#define NOTE_AUDIT       8 /* a worker was registered or changed; of no workflow */
struct note {
    char workflow[128];
    int32_t kind;
    int64_t at_ms, value;
};

/* A growing array of rows. */
struct list {
    void **at;
    size_t n, room;
};

struct my_queue_plugin {
    struct bp_self *self;
    const struct bp_host *host;
    int64_t max_jobs;
    struct list jobs, workers, events, notes; /* of struct job, worker, bp_job_event, note; all oldest first */
    int64_t next_id, next_seq;
    /* the batch that is being applied */
    size_t before[4];       /* how long the four lists were */
    struct list undo;       /* rows as they were */
    struct list old, fresh; /* texts to be freed when it succeeds, when it fails */
    int32_t no_memory, any_gone;
};

/* ---- my_queue_store.c: memory and transactions ---- */

/* Appends a new zeroed row; NULL: no memory, which the queue remembers. */
void *list_add(struct my_queue_plugin *q, struct list *list, size_t bytes);
/* Keeps the row as it is now, for the case that the batch fails. */
void touch(struct my_queue_plugin *q, void *row, size_t bytes);
/* Replaces a text of a touched or new row by a copy of another, or by NULL. */
void text_set(struct my_queue_plugin *q, const char **text, const char *value);
void batch_begin(struct my_queue_plugin *q);
/* Makes the batch last, or puts everything back. */
void batch_end(struct my_queue_plugin *q, int32_t ok);
void queue_free(struct my_queue_plugin *q);

/* ---- my_queue_rows.c: rows for the host ---- */

extern const struct shape job_shape, event_shape, worker_shape;
struct part {
    const struct list *rows;
    const struct shape *shape;
    void *out; /* the copies */
};
/* Copies rows of several kinds with their texts into one block of the host's, which *memory becomes; NULL for none. */
void pack(struct my_queue_plugin *q, struct part *parts, size_t n, void **memory);
/* Frees a row's texts. */
void texts_free(void *row, const struct shape *shape);

/* ---- my_queue_jobs.c: what the others share ---- */

/* Writes the operation's error and returns its code. */
int32_t refuse(struct bp_op *op, int32_t rc, const char *fmt, ...) BP_PRINTF(3, 4);
struct job *job_find(const struct my_queue_plugin *q, int64_t id, const char *tenant);
/* The job whose present token and worker these are, or NULL. */
struct job *job_held(const struct my_queue_plugin *q, int64_t id, const char *token, const char *worker);
void job_touch(struct my_queue_plugin *q, struct job *j, int64_t now_ms);
void job_event(struct my_queue_plugin *q, const struct job *j, int64_t now_ms, const char *what, const char *who,
               const char *detail);
void note(struct my_queue_plugin *q, const char *workflow, int64_t now_ms, int32_t kind, int64_t value);
void job_to_queue(struct job *j, int64_t due_ms, int32_t front);
void job_to_end(struct my_queue_plugin *q, struct job *j, int64_t now_ms, int32_t status, const char *error);
/* Its lease is over through no fault of its own. */
void job_interrupt(struct my_queue_plugin *q, struct job *j, int64_t now_ms, const char *who, const char *why,
                   int32_t most);
struct worker *worker_find(const struct my_queue_plugin *q, const char *id);
/* The next slug of a JSON array of slugs and its length, *slugs then stands behind it; NULL at the end. */
const char *next_slug(const char **slugs, size_t *n);
/* Does the JSON array of slugs name this one? */
int32_t names_slug(const char *slugs, const char *slug);
/* Leases that the worker holds. */
int32_t worker_live(const struct my_queue_plugin *q, const char *id);

/* ---- one function for each kind of operation; each returns op->err.rc ---- */

int32_t op_submit(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_lease(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_extend(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_complete(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_fail(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_requeue(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_cancel(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_retry(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_sweep(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_get(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_list(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_events(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_prune(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_stats(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_worker_put(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_worker_auth(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_worker_set(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_worker_del(struct my_queue_plugin *q, struct bp_op *op);
int32_t op_worker_list(struct my_queue_plugin *q, struct bp_op *op);

#endif
