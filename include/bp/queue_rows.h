/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/queue_rows.h - what the queue facet returns: jobs, their timelines, workers, tenants and the rest. See bp/queue.h.
 */
#ifndef BP_QUEUE_ROWS_H
#define BP_QUEUE_ROWS_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Job states; 0 is no state. */
#define BP_JOB_SCHEDULED 1 /* waits for not_before_ms, or for other jobs */
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
    int32_t waits_for;        /* jobs of `after` that have not completed yet */
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
    const char *unique_key; /* as submitted, or NULL */
    const char *after; /* JSON array, ascending, of the ids it waits or waited for, or NULL; only BP_OP_GET fills it */
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

/* One controller that shares the store. */
struct bp_controller_row {
    uint32_t size;
    int32_t leader;              /* 0 or 1 */
    int64_t started_ms, seen_ms; /* seen: by the store's clock */
    const char *id, *name, *url, *version;
};

/* Where a workflow's queue stands. */
struct bp_watch_row {
    char workflow[128];
    int64_t queued;
    int64_t arrivals; /* grows whenever a job becomes queued, whoever did it; may be compared only with itself */
};

struct bp_tenant_row {
    uint32_t size;
    int32_t weight;          /* of its fair share, 1..1000; 1 unless set */
    int32_t max_pending;     /* jobs that have not ended; 0: unlimited */
    int32_t max_running;     /* live leases; 0: unlimited */
    int32_t disabled;        /* 1: its tokens and submits are refused; what it has runs on */
    int32_t webhook_version; /* of the signing key, from 1; the key itself is not in the store */
    int64_t created_ms;
    int64_t scheduled, queued, leased; /* now; filled on return only */
    const char *name;
    const char *webhook_url; /* told of each job that ends, or NULL */
    const char *pool;        /* where its private rows are; NULL: in the store itself. Filled on return only */
};

/* A tenant's bearer token; the token itself is never stored. */
struct bp_token_row {
    uint32_t size;
    int32_t reserved;
    int64_t id, created_ms, last_used_ms, expires_ms; /* 0: never; last_used to within ten minutes */
    const char *tenant, *label;
};

/* A job's end that its tenant is to be told of. Written in the transaction of the end when the tenant has a URL. */
struct bp_webhook_row {
    uint32_t size;
    int32_t attempts; /* so far, this one not counted */
    int64_t job_id;
    int64_t finished_ms;     /* which end of the job: a retried job ends again */
    int32_t webhook_version; /* this and the URL: the tenant's at present */
    int32_t reserved;
    const char *url;
    struct bp_job_row *job; /* as it is now */
};

#ifdef __cplusplus
}
#endif
#endif
