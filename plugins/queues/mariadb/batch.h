/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - the rows a transaction holds in memory, and what is still to be written of them.
 *
 * Every job in the map is locked by this transaction and is as the database will say after the next flush. The map is
 * emptied at each flush; the locks stay.
 */
#ifndef MARIADB_BATCH_H
#define MARIADB_BATCH_H

#include <bp/queue.h>
#include <stdbool.h>

#include "bound.h"
#include "sql.h"
#include "tenants.h"

struct store;
struct job;

/* A worker as leases need it. */
struct worker_state {
    int64_t no;                                         /* in worker_names; 0: never heard of */
    int32_t approved, draining, max_concurrency, known; /* known: it is registered */
    int64_t last_seen_ms, live;                         /* live leases */
    int64_t seen_ms;                                    /* to be written; 0: nothing */
};

/* The front of a workflow's queue. */
struct front {
    int64_t workflow_id;
    double want;
    uint32_t limit;                /* of the last query */
    bool more;                     /* the queue may go on behind `fetched` */
    bool stale;                    /* a tenant that was passed over may have jobs again */
    bool bounded, by_id, unread;   /* read from its bound: from the ids there; not at all, since nothing is queued */
    bool rest;                     /* by_id: there are more jobs in the queue */
    bool picky;                    /* jobs of some tenants were passed over */
    bool held;                     /* and some that another controller holds */
    uint32_t start;                /* those before it are gone */
    struct job **fetched, **local; /* local: put into the queue by this batch */
    uint32_t n_fetched, n_local, cap_fetched, cap_local;
};

/* What happened to a workflow in a second. */
struct window {
    int64_t second, submitted, completed, failed, expired;
};

/* Windows that are committed and not written, see counters.c. */
struct windows {
    struct sql seconds, samples; /* rows, commas between */
    bool sent;                   /* the running batch wrote them */
    int64_t written_ms;          /* monotonic */
};

/* A workflow's changes. */
struct workflow {
    int64_t id;
    int64_t delta[BP_JOB_CANCELLED + 1];  /* dispatches by state */
    struct window now, kept;              /* of this batch; of batches before it, not written yet */
    int64_t sample_second[3], samples[3]; /* by SAMPLE_* */
    int64_t arrivals;                     /* jobs that became queued */
    double clock, clock_leased;           /* largest share tag leased: as read, and of this batch */
    bool counted, counting;               /* its row of the counters is there; the running batch inserts it */
};

/* The finish tag of a tenant in a workflow. */
struct share {
    int64_t workflow, tenant;
    double finish, guess; /* guess: if all submits planned so far are taken */
    bool moved;
};

/* A job in a list. */
struct link {
    struct job *job;
    struct link *next;
};

/* A new job that waits for another. */
struct edge {
    struct job *child;
    int64_t parent;
    struct edge *next;
};

/* A new job with a unique key. */
struct unique_new {
    struct job *job;
    const char *hash;
    struct unique_new *next;
};
struct unique_known;

/* An operation whose rows are handed over at the end: those it saw, copied. */
struct pending {
    struct bp_op *op;
    struct job *jobs;
    uint32_t n;
    bool early; /* a lease of nothing but jobs that this batch submitted */
    struct pending *next;
};

/* An idempotency key the segment's submits name: the job it stands for, or will. */
struct key_known {
    int64_t tenant, id;
    int32_t status;  /* as the database said */
    const char *key; /* its SHA-256 in hex */
    const char *hash;
    bool doubtful; /* a submit of this segment that may be refused is to make it */
    struct key_known *next;
};

/* What becomes of a submit. */
struct submit_plan {
    const char *why;         /* refused, in words */
    const struct pool *down; /* the tenant's pool, when it cannot be used now */
    const char *key;         /* SHA-256 of the idempotency key in hex, NULL: none */
    struct key_known *known; /* its key; with job NULL: a repetition */
    struct job *job; /* the row inserted for it; withdrawn when its turn comes and it is refused or a repetition */
};

struct batch {
    bool read_only; /* no operation writes: no transaction, no locks */
    bool begun;
    size_t body;        /* where the statements begin that come again, in the text that begins the transaction */
    bool wrote;         /* more than its row in writers: worth a commit, which waits for the disk */
    bool blind;         /* decided from memory, see blind.h: its text is all there is */
    bool given_up;      /* it does not fit after all */
    bool ask;           /* its text looks for rows of other applications */
    int64_t next_id;    /* what the next new job's is, of a blind batch */
    struct job **slots; /* by id, open addressing */
    size_t n_slots, n_jobs;
    struct job **dirty;
    size_t n_dirty, cap_dirty;
    struct front *fronts;
    size_t n_fronts, cap_fronts;
    struct worker_state *workers;
    size_t n_workers, cap_workers;
    struct workflow *workflows; /* kept between batches */
    size_t n_workflows, cap_workflows;
    struct tenant_load *tenants; /* those whose jobs moved or that are locked */
    size_t n_tenants, cap_tenants;
    struct share *shares; /* of the segment */
    size_t n_shares;
    struct edge *edges; /* these six until the flush */
    struct unique_known *uniques;
    struct unique_new *uniques_new;
    struct link *uniques_touched;
    struct link *rare;                      /* jobs with something in the rare columns to write */
    struct sql withdrawn, made;             /* made: tenants */
    struct pending *first, **last, *packed; /* packed: handed over, but for the commit */
    struct submit_plan *plans;              /* by operation of the segment */
    uint32_t n_plans;
    struct key_known *keys_known;
    /* Rows to insert, commas between. jobs and outputs: of tenants in no pool. */
    struct sql jobs, outputs, keys, events, samples, interruptions, seconds, dependencies, webhooks, outbox;
};

/* Forgets the rows in memory: all is written. */
void batch_forget_rows(struct store *s);
/* Forgets everything: between attempts. */
void batch_reset(struct store *s);
void batch_free(struct store *s);

/* A locked row, NULL: not there, or of a submit whose turn has not come. */
struct job *batch_job(struct store *s, int64_t id);
/* The same, whosever turn it is. */
struct job *batch_held(struct store *s, int64_t id);
int32_t batch_add(struct store *s, struct job *j);
int32_t batch_dirty(struct store *s, struct job *j);
struct front *batch_front(struct store *s, int64_t workflow_id, bool create);
int32_t front_put(struct store *s, struct front *f, struct job *j, bool local);
struct worker_state *batch_worker(struct store *s, int64_t no);
int32_t batch_worker_add(struct store *s, int64_t no);
struct workflow *batch_workflow(struct store *s, int64_t id);
/* NULL: no memory. Valid until the next call. */
struct tenant_load *batch_tenant(struct store *s, int64_t id);
/* A change of flags, waits_for or share_tag is to be written. */
int32_t batch_rare(struct store *s, struct job *j);
int32_t links_add(struct store *s, struct link **list, struct job *j);
/* A new row is not to be: removed by the flush, invisible until then. */
void batch_withdraw(struct store *s, const struct job *j);
/* The fronts of all queues are to be read again before the next lease. */
void fronts_stale(struct store *s);
/* Remembers to hand copies of the jobs to the operation; jobs in s->mem. */
int32_t batch_pend(struct store *s, struct bp_op *op, struct job *jobs, uint32_t n);

/* Begins the transaction when that has not been done. */
int32_t batch_begin(struct store *s);
/* The same, added to s->q, for a segment with what bounds_use asks; batch_begun takes the answers. What it adds up to
 * batch.body is not the same every time. */
void batch_begin_text(struct store *s, bool segment);
/* What ends it: nothing is worth waiting for the disk when nothing was written, as after a lease that found no job. */
const char *batch_end_text(const struct store *s);
int32_t batch_begun(struct store *s, int64_t *version);
/* Reads the numbers of all names the operations use and writes new ones; before the transaction. (load_names.c) */
int32_t batch_names(struct store *s, struct bp_op *const *ops, uint32_t n);
/* Reads and locks what the operations of a segment will need. */
int32_t batch_load(struct store *s, struct bp_op *const *ops, uint32_t n);
/* Reads and locks these jobs, those that are there. */
int32_t batch_load_jobs(struct store *s, const int64_t *ids, size_t n);
/* Adds the rows of an answer to the map, and to a front unless that is NULL; those in the map stay as they are. */
int32_t batch_take_jobs(struct store *s, struct front *f);
/* Adds the question for the front of a queue to s->q; batch_take_jobs takes the answer. (front.c) */
void front_add(struct store *s, struct front *f);
/* Brings what was read into the order of leases. */
void front_sort(struct front *f);
/* Are jobs in one of these queues that another controller holds for a moment? It reads ahead, too, and so may hold many
 * more than it takes; SKIP LOCKED passes over all of them. Not asked while nobody else is there. */
int32_t fronts_held(struct store *s, struct front *const *fronts, uint32_t n, bool *held);
/* Continues the front of a queue behind what was read. */
int32_t front_more(struct store *s, struct front *f);
/* Writes all that changed and empties the map; last: commits with it when nothing is left to hand over. (flush.c) */
int32_t batch_flush(struct store *s, bool last);
/* Writes the rows collected so far when they became many. */
int32_t batch_spill(struct store *s);
/* Gives the pending operations what they return; they are `packed` then. (hand.c) */
int32_t batch_pack(struct store *s);
/* Is there one that need not wait for the commit? */
bool batch_is_early(const struct store *s);
/* Hands those over; with the commit alone to come. */
void batch_hand_early(struct store *s);

#endif
