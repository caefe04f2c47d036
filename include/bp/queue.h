/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/queue.h - facet "bp.queue/1": the durable store of jobs, leases, workers and their history.
 *
 * One call of apply() is one transaction: all its operations take effect durably, in the order given,
 * each with its own rc, or none does and apply() returns an error. An operation sees what the ones
 * before it in the same batch did; that is how a submit and the lease of the worker that waits for it
 * share one commit. An operation that fails (its rc is not BP_OK) changes nothing and does not disturb
 * the others.
 *
 * A state change of a leased row is one guarded statement: it matches id, lease token and worker, or it
 * does nothing and answers BP_STALE. Each state change appends its line to the job's timeline in the
 * same transaction.
 *
 * Strings are UTF-8 and NUL-terminated; NULL means absent. Times are milliseconds since the Unix epoch
 * and come from the caller (now_ms), never from the store's clock.
 */
#ifndef BP_QUEUE_H
#define BP_QUEUE_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_QUEUE_FACET "bp.queue/1"

/* Job states; 0 is no state. */
#define BP_JOB_SCHEDULED 1 /* waits for not_before_ms */
#define BP_JOB_QUEUED    2
#define BP_JOB_LEASED    3
#define BP_JOB_COMPLETED 4
#define BP_JOB_FAILED    5
#define BP_JOB_CANCELLED 6

/*
 * One job with its dispatch, as the store returns it. All strings (and the struct array itself, when
 * returned as one) live in memory the operation's `memory` member owns; free that with bp_host.free.
 */
struct bp_job_row {
    uint32_t size;
    int32_t status;   /* BP_JOB_* */
    int64_t id;       /* the dispatch's id: unique, ascending with submission */
    int32_t priority; /* -1000..1000, high first */
    int32_t attempts; /* leases that counted so far, the running one included */
    int32_t max_attempts;
    int32_t requeues;         /* interruptions so far */
    int32_t cancel_requested; /* 1: a cancel waits for the worker to stop */
    int32_t reserved;
    int64_t created_ms, not_before_ms, leased_ms, first_leased_ms, lease_expires_ms, finished_ms,
        updated_ms;  /* 0: never */
    double progress; /* 0..1 */
    const char *tenant;
    const char *workflow;    /* slug */
    const char *effect;      /* slug or NULL */
    const char *params;      /* JSON object */
    const char *inputs;      /* JSON array of {"key","mime","name"} */
    const char *output;      /* JSON object {"key","size","mime_type",...} once completed, else NULL */
    const char *output_key;  /* where the running attempt must write */
    const char *worker;      /* worker id of the running or last lease */
    const char *lease_token; /* of the running or finishing lease */
    const char *error;       /* last error in words */
    const char *progress_text;
    const char *checkpoint_key; /* object key of the last checkpoint, or NULL */
    const char *idempotency_key;
    const char *provider_job_id;
};

/* One line of a job's timeline. */
struct bp_job_event {
    uint32_t size;
    int32_t reserved;
    int64_t seq; /* ascending over all jobs */
    int64_t job_id;
    int64_t at_ms;
    const char *what;   /* submitted leased progress checkpoint requeued expired retry completed failed cancelled ... */
    const char *who;    /* "tenant:NAME", "worker:ID", "sweeper", "operator:UID" */
    const char *detail; /* words, or NULL */
};

/* One worker as registered. */
struct bp_worker_row {
    uint32_t size;
    int32_t approved; /* 0 or 1 */
    int32_t draining; /* 0 or 1 */
    int32_t max_concurrency;
    int32_t live_leases; /* counted from the jobs, filled on return only */
    int32_t reserved;
    int64_t registered_ms, last_seen_ms;
    const char *worker_id;
    const char *display_name;
    const char *token_hash;    /* lower-case hex SHA-256 of the bearer token */
    const char *workflows;     /* JSON array of slugs */
    const char *fleet;         /* slug of its fleet, or NULL */
    const char *stage;         /* or NULL */
    const char *capabilities;  /* JSON or NULL */
    const char *capacity_type; /* "spot", "on-demand" or NULL */
    const char *instance_type; /* or NULL */
    const char *source;        /* "fleet" or "admin" */
    const char *last_ip;
};

/* ---- operations: one struct each; `in` members are borrowed for the call ---- */

/* BP_OP_SUBMIT. rc BP_OK (also on replay: existed = 1) or BP_CONFLICT: same (tenant, idempotency_key), other
 * request_hash. */
struct bp_op_submit {
    const char *tenant, *workflow, *effect, *params, *inputs;
    const char *idempotency_key; /* or NULL */
    const char *request_hash;    /* hex digest of what was asked; compared on replay */
    const char *who;             /* for the timeline */
    int32_t priority, max_attempts;
    int64_t not_before_ms; /* 0 or past: at once */
    /* out */
    int64_t id;
    int32_t existed;
    int32_t status;
};

/* BP_OP_LEASE: up to `max` jobs for a worker, priority high first, then oldest; a requeued job goes to the
 * front of its priority. The store counts the worker's live leases itself and never exceeds max_concurrency.
 * rc BP_OK also when nothing was leased (count = 0); BP_DENIED unknown, unapproved or draining worker. */
struct bp_op_lease {
    const char *worker_id;
    const char *const *workflows; /* slugs this worker may run */
    uint32_t n_workflows;
    uint32_t max;                   /* 1..64 */
    const char *const *tokens;      /* `max` fresh tokens */
    const char *const *output_keys; /* `max` suffixes; output key = "tenants/<tenant>/jobs/<id>/" + suffix */
    int64_t ttl_ms;
    int32_t max_concurrency; /* 0: as registered */
    /* out */
    uint32_t count;
    int32_t live_leases; /* of this worker, after */
    struct bp_job_row *jobs;
    void *memory; /* owns jobs and their strings; free with bp_host.free */
};

/* BP_OP_EXTEND (heartbeat, progress): lease_expires = now + ttl. BP_STALE when the lease is over. */
struct bp_op_extend {
    int64_t id;
    const char *token, *worker_id;
    int64_t ttl_ms;
    double progress;            /* < 0: unchanged */
    const char *progress_text;  /* NULL: unchanged */
    const char *checkpoint_key; /* NULL: unchanged */
    /* out */
    int64_t lease_expires_ms;
    int32_t cancel_requested;
    int32_t worker_draining;
    /* the row's own, so that fresh URLs can be signed: in `memory`, free with bp_host.free */
    const char *output_key, *inputs, *tenant, *workflow;
    void *memory;
};

/* BP_OP_COMPLETE. A repeat with the same token answers BP_OK with replay = 1 and changes nothing. BP_STALE otherwise.
 */
struct bp_op_complete {
    int64_t id;
    const char *token, *worker_id;
    const char *output;          /* JSON object stored as the job's output; its key is the lease's output_key */
    const char *provider_job_id; /* or NULL */
    /* out */
    int32_t replay;
    int32_t status;          /* of the job after the call */
    int64_t wait_ms, run_ms; /* submit (or due time) to first lease, last lease to now */
};

/* BP_OP_FAIL. retryable and attempts left: back to scheduled, due after bp_retry_delay_ms(); else failed. Replay as
 * complete. */
struct bp_op_fail {
    int64_t id;
    const char *token, *worker_id, *error;
    int32_t retryable;
    int64_t retry_base_ms, retry_cap_ms;
    double jitter; /* 0..1, drawn by the caller */
    /* out */
    int32_t replay, status, attempts;
    int64_t retry_at_ms;
};

/* BP_OP_REQUEUE: an interruption. Attempt given back, front of its priority, checkpoint kept. Past max_requeues the job
 * fails. max_requeues < 0: the lease never reached its worker, so it does not count at all: as above, but `requeues`
 * and interrupted_recent stay as they are and the job does not fail by it. */
struct bp_op_requeue {
    int64_t id;
    const char *token, *worker_id, *reason;
    const char *checkpoint_key; /* NULL: keep what is there */
    int32_t max_requeues;
    /* out */
    int32_t status;
};

/* BP_OP_CANCEL: queued or scheduled: cancelled at once; leased: cancel_requested = 1 until the worker stops;
 * finished: BP_CONFLICT. tenant NULL: any (operator), else BP_NOTFOUND for another tenant's job. */
struct bp_op_cancel {
    int64_t id;
    const char *tenant, *who;
    /* out */
    int32_t status;
};

/* BP_OP_RETRY: failed or cancelled back to queued with a full set of attempts; else BP_CONFLICT. */
struct bp_op_retry {
    int64_t id;
    const char *tenant, *who;
    /* out */
    int32_t status;
};

/* BP_OP_GET: one job. tenant NULL: any. BP_NOTFOUND. with_events = 1: also its timeline. */
struct bp_op_get {
    int64_t id;
    const char *tenant;
    int32_t with_events;
    /* out */
    struct bp_job_row *job;
    struct bp_job_event *events;
    uint32_t n_events;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_LIST: newest first. */
struct bp_op_list {
    const char *tenant, *workflow; /* NULL: any */
    int32_t status;                /* 0: any */
    uint32_t limit;                /* 1..1000 */
    int64_t before_id;             /* 0: from the newest */
    /* out */
    uint32_t count;
    struct bp_job_row *jobs;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_SWEEP: what time alone changes. Expired leases go back to the queue (or fail when attempts are used up, or are
 * cancelled when a cancel was asked for), due scheduled jobs become queued. Returns the rows that changed, as they are
 * now. */
struct bp_op_sweep {
    uint32_t limit; /* per kind */
    /* out */
    uint32_t count;
    struct bp_job_row *jobs;
    int64_t next_due_ms; /* when the next lease expires or scheduled job is due; 0: nothing waits */
    void *memory;        /* free with bp_host.free */
};

/* BP_OP_WORKER_PUT: registers, or replaces the registration of the same worker_id (its live leases go back to
 * the queue as interruptions: the process that held them is gone). max_fleet_workers 0: unlimited, else BP_DENIED
 * when that many other fleet workers seen in the last hour exist. */
struct bp_op_worker_put {
    const struct bp_worker_row *worker;
    int32_t max_fleet_workers;
    /* out */
    int32_t replaced;
    int32_t released; /* leases given back */
};

/* BP_OP_WORKER_AUTH: the worker of a token hash. BP_NOTFOUND. Approval is the caller's to check. */
struct bp_op_worker_auth {
    const char *token_hash;
    /* out */
    struct bp_worker_row *worker;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_WORKER_SET: members < 0 or NULL stay. touch = 1: last_seen_ms = now. approved = 0: its live leases go back to
 * the queue as interruptions, as with BP_OP_WORKER_DEL: it can no longer end them. */
struct bp_op_worker_set {
    const char *worker_id;
    int32_t approved, draining, max_concurrency, touch;
    const char *display_name, *capabilities, *last_ip, *token_hash;
    const char *who, *why; /* for the audit; NULL: none written */
    /* out */
    int32_t released; /* leases given back */
    int32_t reserved;
};

/* BP_OP_WORKER_DEL: leases given back as interruptions, then the row removed, audit kept. */
struct bp_op_worker_del {
    const char *worker_id, *who, *why;
    /* out */
    int32_t released;
};

/* BP_OP_WORKER_LIST */
struct bp_op_worker_list {
    const char *workflow; /* NULL: all */
    /* out */
    uint32_t count;
    struct bp_worker_row *workers;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_EVENTS: a job's timeline after `after_seq`. job_id 0: all jobs. */
struct bp_op_events {
    int64_t job_id, after_seq;
    uint32_t limit;
    /* out */
    uint32_t count;
    struct bp_job_event *events;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_PRUNE: finished jobs (and their timelines) and audit lines older than before_ms, at most `limit` of each. */
struct bp_op_prune {
    int64_t before_ms;
    uint32_t limit;
    /* out */
    uint32_t removed;
};

/* Numbers of one workflow, all from the store. */
struct bp_queue_stats_row {
    char workflow[128];
    int64_t queued, leased, scheduled;
    int64_t completed_recent, failed_recent; /* finished within window_ms */
    int64_t lease_expired_recent;            /* expiries within window_ms */
    int64_t interrupted_recent;              /* distinct jobs requeued within window_ms */
    int64_t submitted_recent;                /* submits within window_ms */
    int64_t oldest_queued_ms;                /* when the oldest queued job became due; 0: none */
    int64_t active_workers;                  /* approved, serving this workflow, with a live lease or seen in 5 min */
    int64_t available_capacity;              /* sum of max_concurrency - live leases of those, never negative */
    double run_p50_s;                        /* lease to completion of jobs completed within 10 min; 0: none */
    double wait_p95_s;                       /* due to first lease of jobs first leased within 10 min; 0: none */
};

/* BP_OP_STATS: one row per workflow that has jobs or workers. window_ms: usually 300,000. */
struct bp_op_stats {
    int64_t window_ms;
    /* out */
    uint32_t count;
    struct bp_queue_stats_row *rows;
    void *memory; /* free with bp_host.free */
};

#define BP_OP_SUBMIT      1
#define BP_OP_LEASE       2
#define BP_OP_EXTEND      3
#define BP_OP_COMPLETE    4
#define BP_OP_FAIL        5
#define BP_OP_REQUEUE     6
#define BP_OP_CANCEL      7
#define BP_OP_RETRY       8
#define BP_OP_GET         9
#define BP_OP_LIST        10
#define BP_OP_SWEEP       11
#define BP_OP_WORKER_PUT  12
#define BP_OP_WORKER_AUTH 13
#define BP_OP_WORKER_SET  14
#define BP_OP_WORKER_DEL  15
#define BP_OP_WORKER_LIST 16
#define BP_OP_EVENTS      17
#define BP_OP_PRUNE       18
#define BP_OP_STATS       19

/* One operation of a batch. A store answers BP_UNSUPPORTED to a kind it does not know. */
struct bp_op {
    uint32_t size;
    int32_t kind; /* BP_OP_* */
    int64_t now_ms;
    struct bp_err err; /* out: err.rc is the operation's rc; text when it is not BP_OK */
    union {
        struct bp_op_submit submit;
        struct bp_op_lease lease;
        struct bp_op_extend extend;
        struct bp_op_complete complete;
        struct bp_op_fail fail;
        struct bp_op_requeue requeue;
        struct bp_op_cancel cancel;
        struct bp_op_retry retry;
        struct bp_op_get get;
        struct bp_op_list list;
        struct bp_op_sweep sweep;
        struct bp_op_worker_put worker_put;
        struct bp_op_worker_auth worker_auth;
        struct bp_op_worker_set worker_set;
        struct bp_op_worker_del worker_del;
        struct bp_op_worker_list worker_list;
        struct bp_op_events events;
        struct bp_op_prune prune;
        struct bp_op_stats stats;
        uint64_t room[32]; /* the union's size is part of the ABI */
    } u;
};

/* The `memory` member of an operation: what owns its rows. NULL when its kind returns none. */
static inline void **bp_op_memory(struct bp_op *op)
{
    switch (op->kind) {
    case BP_OP_LEASE:
        return &op->u.lease.memory;
    case BP_OP_EXTEND:
        return &op->u.extend.memory;
    case BP_OP_GET:
        return &op->u.get.memory;
    case BP_OP_LIST:
        return &op->u.list.memory;
    case BP_OP_SWEEP:
        return &op->u.sweep.memory;
    case BP_OP_WORKER_AUTH:
        return &op->u.worker_auth.memory;
    case BP_OP_WORKER_LIST:
        return &op->u.worker_list.memory;
    case BP_OP_EVENTS:
        return &op->u.events.memory;
    case BP_OP_STATS:
        return &op->u.stats.memory;
    default:
        return NULL;
    }
}

struct bp_queue {
    uint32_t size;
    uint32_t reserved;
    /* Brings the schema up to date. dry_run = 1: only says in *plan (JSON array of step names; bp_host.free) what would
     * run. */
    int32_t (*migrate)(void *inst, int32_t dry_run, char **plan, struct bp_err *err);
    /* One transaction, see above. Returns BP_OK, or an error for the whole batch: nothing happened. */
    int32_t (*apply)(void *inst, struct bp_op *const *ops, uint32_t n, struct bp_err *err);
};

/* Backoff with full jitter: base * 2^(attempts-1), capped, times 0.5..1. Exponential backoff and jitter as in AWS's
 * architecture notes; half of it is kept so that a retry is never immediate. attempts >= 1; jitter 0..1. */
static inline int64_t bp_retry_delay_ms(int32_t attempts, int64_t base_ms, int64_t cap_ms, double jitter)
{
    int64_t d = base_ms;
    for (int32_t i = 1; i < attempts && d < cap_ms; i++)
        d *= 2;
    if (d > cap_ms)
        d = cap_ms;
    return (int64_t)((double)d * (0.5 + jitter / 2));
}

#ifdef __cplusplus
}
#endif
#endif
