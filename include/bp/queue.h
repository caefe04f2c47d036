/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/queue.h - facet "bp.queue/1": the durable store of jobs, leases, workers and their history.
 *
 * One call of apply() is one transaction: all its operations take effect durably, in the order given, each with its own
 * rc, or none does and apply() returns an error. An operation sees what the ones before it in the same batch did; that
 * is how a submit and the lease of the worker that waits for it share one commit. An operation that fails (its rc is
 * not BP_OK) changes nothing and does not disturb the others.
 *
 * Nobody hears of a batch before it is durable, with one exception. A lease without `after` all of whose jobs this
 * batch submitted may be handed over by bp_host.op_early() when all is written but the commit: should that fail, jobs
 * and lease are lost together, nobody else knew of them, and the worker's next word is answered BP_STALE. Such a batch
 * is not tried again inside the plugin, even if it surely did not happen. What the worker says may be in a batch that
 * runs while this one commits, on another thread or host: it waits for that, as for any lock.
 *
 * A state change of a leased row is one guarded statement: it matches id, lease token and worker, or it does nothing
 * and answers BP_STALE. Each state change appends its line to the job's timeline in the same transaction.
 *
 * Strings are UTF-8 and NUL-terminated; NULL means absent. Times are milliseconds since the Unix epoch
 * and come from the caller (now_ms), never from the store's clock, with one exception: who leads (BP_OP_LEAD), which
 * hosts with differing clocks must agree on.
 *
 * Lease order: priority high first, then interrupted jobs, then the share tag (see submit), then the oldest.
 */
#ifndef BP_QUEUE_H
#define BP_QUEUE_H

#include <bp/queue_memos.h>
#include <bp/queue_rows.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_QUEUE_FACET "bp.queue/1"

/* ---- operations: one struct each; `in` members are borrowed for the call ---- */

/* Why a submit was refused or is no new job: bp_op_submit.outcome. */
#define BP_SUBMIT_NEW      1 /* a new job */
#define BP_SUBMIT_REPLAY   2 /* BP_OK: the job of the same (tenant, idempotency_key) and request_hash */
#define BP_SUBMIT_PENDING  3 /* BP_OK: the pending job of the same (tenant, unique_key) */
#define BP_SUBMIT_KEY      4 /* BP_CONFLICT: the idempotency key was used for another request; id is that job's */
#define BP_SUBMIT_AFTER    5 /* BP_NOTFOUND: after_id is not the tenant's; BP_CONFLICT: it failed or was cancelled */
#define BP_SUBMIT_LIMIT    6 /* BP_LATER: the tenant has max_pending jobs that have not ended */
#define BP_SUBMIT_DISABLED 7 /* BP_DENIED: the tenant is disabled */

/* Most jobs that one may wait for. */
#define BP_AFTER_MAX 32

/* BP_OP_SUBMIT. The checks come in this order: idempotency key, tenant disabled, unique key, after, limit; `outcome`
 * says which one decided. BP_INVALID (outcome 0): arguments out of range.
 *
 * after: the job stays scheduled until all of these completed (those that have already count as done) and not_before_ms
 * has come; then it is due, wait_ms counts from there, and a sweep queues it. When one fails for good or is
 * cancelled, the job is doomed: cancelled by the next sweep, with an error that names the first such job, whatever
 * becomes of the others meanwhile.
 *
 * fair = 1: weighted fair share among the tenants of the workflow, by start-time fair queueing (Goyal, Vin, Cheng
 * 1996): the job's share tag is S = max(v, f) with v the tag of the job leased last from this workflow (the largest so
 * far) and f the finish tag of the tenant's previous job there, which becomes S + 1/weight. fair = 0: the tag is 0. A
 * tag stays with its job through retries and interruptions. */
struct bp_op_submit {
    const char *tenant, *workflow, *effect, *params, *inputs; /* tenant: 1..255 bytes */
    const char *idempotency_key;                              /* at most 255 bytes, or NULL */
    const char *request_hash;                                 /* hex digest of what was asked; compared on replay */
    const char *who;                                          /* for the timeline */
    int32_t priority, max_attempts;
    int64_t not_before_ms;  /* 0 or past: at once */
    const char *unique_key; /* 1..255 bytes, or NULL: at most one pending (scheduled, queued, leased) job has it */
    const int64_t *after;   /* ids of jobs of the same tenant, each once */
    uint32_t n_after;       /* 0..BP_AFTER_MAX */
    int32_t fair;           /* 0 or 1 */
    /* out */
    int64_t id;
    int32_t existed; /* 1: outcome is REPLAY or PENDING */
    int32_t status;
    int32_t outcome; /* BP_SUBMIT_*; 0 when invalid */
    int32_t reserved;
    int64_t after_id; /* with BP_SUBMIT_AFTER */
};

struct bp_op;

/* BP_OP_LEASE: up to `max` jobs for a worker, priority high first, then oldest; a requeued job goes to the
 * front of its priority. The store counts the worker's live leases itself and never exceeds max_concurrency.
 * rc BP_OK also when nothing was leased (count = 0); BP_DENIED unknown, unapproved or draining worker. A tenant with
 * max_running live leases gets no more: its jobs are passed over, also with several controllers. */
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
    int32_t emptied;     /* 1: with these jobs the named queues are empty, as far as the store knows. 0: not known.
                          * -1, of none: another controller holds jobs of them for a moment, ask again soon */
    struct bp_job_row *jobs;
    void *memory; /* owns jobs and their strings; free with bp_host.free */
    /* in: an operation before this one in the same batch, or NULL. Unless that succeeded nothing is leased: BP_STALE */
    const struct bp_op *after;
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
    int32_t dependents;      /* jobs that waited for this one and are now due, or doomed by it: sweep soon */
    int32_t reserved;
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
    int32_t dependents; /* as in complete; only when the job failed for good */
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
    int32_t dependents; /* as in complete; only when the job ended */
    int32_t reserved;
};

/* BP_OP_CANCEL: queued or scheduled: cancelled at once; leased: cancel_requested = 1 until the worker stops;
 * finished: BP_CONFLICT. tenant NULL: any (operator), else BP_NOTFOUND for another tenant's job. */
struct bp_op_cancel {
    int64_t id;
    const char *tenant, *who;
    /* out */
    int32_t status;
    int32_t dependents; /* as in complete; only when it was cancelled at once */
};

/* BP_OP_RETRY: failed or cancelled back to queued with a full set of attempts; else BP_CONFLICT. A job with `after` is
 * scheduled again when some of these are still pending, BP_CONFLICT naming one that failed or was cancelled.
 * BP_CONFLICT also when another pending job has taken its unique key. */
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
 * cancelled when a cancel was asked for), due scheduled jobs become queued, jobs that wait for one that failed or was
 * cancelled are cancelled too (those that wait for these in turn by the next sweep), and rows that other programs put
 * into the store are taken in. Returns the rows that changed, as they are now. BP_STALE when `epoch` is not that of the
 * present leader: nothing happened. */
struct bp_op_sweep {
    uint32_t limit; /* per kind */
    uint32_t reserved;
    int64_t epoch; /* of BP_OP_LEAD; 0: not asked */
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

/* Most jobs that are counted in front of one. */
#define BP_PLACE_MAX 10000

/* BP_OP_PLACE: how many jobs of its workflow are leased before a queued job, as the queue is now. Those that their
 * tenants' limits hold back do not count. BP_NOTFOUND; BP_CONFLICT: the job is not queued. */
struct bp_op_place {
    int64_t id;
    const char *tenant; /* NULL: any */
    /* out */
    int64_t ahead; /* 0..BP_PLACE_MAX; that many: or more */
};

/* BP_OP_PRUNE: jobs that finished before before_ms, with all that belongs to them (timeline, keys, deliveries), and
 * audit lines older than audit_before_ms, at most `limit` of each; 0: none. With them go numbers that no statistics
 * need any more and names of workers that no job knows, at most `limit` of each kind. `jobs` are those removed, so that
 * their objects can be removed too. BP_STALE as in sweep. */
struct bp_op_prune {
    int64_t before_ms, audit_before_ms;
    uint32_t limit;
    uint32_t reserved;
    int64_t epoch; /* of BP_OP_LEAD; 0: not asked */
    /* out */
    uint32_t removed;       /* jobs; more may be left when it is `limit` */
    uint32_t audit_removed; /* audit lines; likewise */
    struct bp_job_row *jobs;
    void *memory;           /* free with bp_host.free */
    uint32_t other_removed; /* of what else is old, of the kind of which most was; likewise */
    uint32_t reserved_out;
};

/* BP_OP_STATS: one row per workflow that has jobs or workers. window_ms: usually 300,000. */
struct bp_op_stats {
    int64_t window_ms;
    /* out */
    uint32_t count;
    struct bp_queue_stats_row *rows;
    void *memory; /* free with bp_host.free */
};

/* ---- several controllers ---- */

/* BP_OP_LEAD: this controller is alive and leads, or would. The leader is whoever asked first after the last one's ttl
 * ran out, by the store's clock; it stays so by asking again in time. Each change of the leader makes a larger epoch.
 * After a resignation nobody leads, and its epoch is stale. BP_INVALID: no id, or a ttl below 1. */
struct bp_op_lead {
    const char *id; /* of this controller's run, unique */
    const char *name, *url, *version;
    int64_t started_ms;
    int64_t ttl_ms;
    int32_t resign; /* 1: gives leadership up and leaves the list */
    int32_t reserved;
    /* out */
    int32_t leader; /* 1: this controller leads for ttl_ms from when it asked */
    uint32_t count;
    int64_t epoch;                         /* of the present leader; >= 1 */
    struct bp_controller_row *controllers; /* seen within three times their ttl, the leader included */
    void *memory;                          /* free with bp_host.free */
};

/* BP_OP_WATCH: one row per workflow that ever had a job; cheap enough for every 100 ms. Rows that other programs put
 * into the store count as queued from the moment they are there, and move `arrivals` until they are taken in. */
struct bp_op_watch {
    uint64_t reserved;
    /* out */
    uint32_t count;
    struct bp_watch_row *rows;
    void *memory; /* free with bp_host.free */
};

/* ---- tenants ---- */

/* BP_OP_TENANT_PUT: makes a tenant, or changes what is given: numbers < 0 and NULL texts stay, webhook_url "" removes
 * it and what is not delivered yet. The first submit of an unknown tenant makes it too, with defaults. BP_INVALID:
 * something out of range. */
struct bp_op_tenant_put {
    const char *name; /* 1..255 bytes */
    int32_t weight, max_pending, max_running, disabled, webhook_version, reserved;
    const char *webhook_url;
    /* out */
    int32_t existed;
    int32_t reserved_out;
};

/* BP_OP_TENANT_LIST: by name, as bytes compare. */
struct bp_op_tenant_list {
    const char *name; /* only this one; NULL: all. BP_NOTFOUND */
    /* out */
    uint32_t count;
    struct bp_tenant_row *tenants;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_TOKEN_PUT. BP_NOTFOUND: no such tenant. BP_CONFLICT: the hash is there already. */
struct bp_op_token_put {
    const char *tenant, *token_hash; /* lower-case hex SHA-256 */
    const char *label;               /* or NULL */
    int64_t expires_ms;              /* 0: never */
    /* out */
    int64_t id;
};

/* BP_OP_TOKEN_DEL: BP_NOTFOUND when the tenant has no such token. */
struct bp_op_token_del {
    const char *tenant;
    int64_t id;
};

/* BP_OP_TOKEN_LIST: of one tenant, oldest first. BP_NOTFOUND: no such tenant. */
struct bp_op_token_list {
    const char *tenant;
    /* out */
    uint32_t count;
    struct bp_token_row *tokens;
    void *memory; /* free with bp_host.free */
};

/* BP_OP_TOKEN_AUTH: whose token. BP_NOTFOUND: nobody's, or expired. Disabled tenants are the caller's to refuse. */
struct bp_op_token_auth {
    const char *token_hash;
    /* out */
    struct bp_tenant_row *tenant;
    void *memory; /* free with bp_host.free */
};

/* ---- webhooks: told at least once ---- */

/* BP_OP_WEBHOOK_TAKE: due deliveries, the longest due first; none of them is given out again for hold_ms. BP_STALE as
 * in sweep. */
struct bp_op_webhook_take {
    uint32_t limit; /* 1..100 */
    uint32_t reserved;
    int64_t hold_ms;
    int64_t epoch;
    /* out */
    uint32_t count;
    struct bp_webhook_row *rows;
    int64_t next_due_ms; /* 0: none waits */
    void *memory;        /* free with bp_host.free */
};

/* BP_OP_WEBHOOK_DONE: how a delivery went; a line in the job's timeline ("webhook"). retry_at_ms 0: it is over,
 * delivered or given up. BP_NOTFOUND: no such delivery, e.g. the job ended anew or is pruned. */
struct bp_op_webhook_done {
    int64_t job_id, finished_ms;
    int64_t retry_at_ms;
    int32_t delivered; /* 0 or 1 */
    int32_t reserved;
    const char *detail; /* "200 in 31 ms", "connection refused; again in 30 s" */
};

#define BP_OP_SUBMIT       1
#define BP_OP_LEASE        2
#define BP_OP_EXTEND       3
#define BP_OP_COMPLETE     4
#define BP_OP_FAIL         5
#define BP_OP_REQUEUE      6
#define BP_OP_CANCEL       7
#define BP_OP_RETRY        8
#define BP_OP_GET          9
#define BP_OP_LIST         10
#define BP_OP_SWEEP        11
#define BP_OP_WORKER_PUT   12
#define BP_OP_WORKER_AUTH  13
#define BP_OP_WORKER_SET   14
#define BP_OP_WORKER_DEL   15
#define BP_OP_WORKER_LIST  16
#define BP_OP_EVENTS       17
#define BP_OP_PRUNE        18
#define BP_OP_STATS        19
#define BP_OP_LEAD         20
#define BP_OP_WATCH        21
#define BP_OP_TENANT_PUT   22
#define BP_OP_TENANT_LIST  23
#define BP_OP_TOKEN_PUT    24
#define BP_OP_TOKEN_DEL    25
#define BP_OP_TOKEN_LIST   26
#define BP_OP_TOKEN_AUTH   27
#define BP_OP_WEBHOOK_TAKE 28
#define BP_OP_WEBHOOK_DONE 29
#define BP_OP_PLACE        30
#define BP_OP_MEMO_PUT     31
#define BP_OP_MEMO_LIST    32

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
        struct bp_op_lead lead;
        struct bp_op_watch watch;
        struct bp_op_tenant_put tenant_put;
        struct bp_op_tenant_list tenant_list;
        struct bp_op_token_put token_put;
        struct bp_op_token_del token_del;
        struct bp_op_token_list token_list;
        struct bp_op_token_auth token_auth;
        struct bp_op_webhook_take webhook_take;
        struct bp_op_webhook_done webhook_done;
        struct bp_op_place place;
        struct bp_op_memo_put memo_put;
        struct bp_op_memo_list memo_list;
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
    case BP_OP_PRUNE:
        return &op->u.prune.memory;
    case BP_OP_STATS:
        return &op->u.stats.memory;
    case BP_OP_LEAD:
        return &op->u.lead.memory;
    case BP_OP_WATCH:
        return &op->u.watch.memory;
    case BP_OP_TENANT_LIST:
        return &op->u.tenant_list.memory;
    case BP_OP_TOKEN_LIST:
        return &op->u.token_list.memory;
    case BP_OP_TOKEN_AUTH:
        return &op->u.token_auth.memory;
    case BP_OP_WEBHOOK_TAKE:
        return &op->u.webhook_take.memory;
    case BP_OP_MEMO_LIST:
        return &op->u.memo_list.memory;
    default:
        return NULL;
    }
}

/* What migrate() is asked to do. */
#define BP_MIGRATE_CHECK   1 /* the daemon starts: connect, and be ready for apply() or say why not */
#define BP_MIGRATE_STATUS  2 /* report what is applied and what is not */
#define BP_MIGRATE_DRY_RUN 3 /* the same, with the text of the steps that APPLY would run */
#define BP_MIGRATE_APPLY   4 /* apply what is missing, and report */

struct bp_migrate {
    uint32_t size;
    int32_t mode;       /* BP_MIGRATE_* */
    const char *target; /* "central": the queue's own schema; "pools": that of the tenants' pools; CHECK: NULL, all */
};

struct bp_queue {
    uint32_t size;
    uint32_t reserved;
    /*
     * Looks at the schema or brings it up to date. Steps are applied forward only, each once, and any number of hosts
     * may ask at the same time. The daemon calls it with CHECK after start() and before the first apply(): a store that
     * migrates by itself does so then, another one refuses an old schema and names the command to run. BP_LATER from
     * CHECK (or from start()): what it needs is not there yet; the host keeps saying why and tries again by itself.
     * BP_UNSUPPORTED: there is no such target here.
     * *report, when report is not NULL and BP_OK is returned: NULL (CHECK) or JSON text, freed with bp_host.free:
     * {"databases":[{"where":"...","steps":[{"version":1,"name":"...","checksum":"...","state":"applied" or "pending",
     * "applied_ms":0,"now":true when this call applied it,"sql":"..." with DRY_RUN}]}],"message":"..." or nothing}
     */
    int32_t (*migrate)(void *inst, const struct bp_migrate *what, char **report, struct bp_err *err);
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
