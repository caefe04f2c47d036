/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.h - jobs and leases: the engine between the doors (HTTP, admin) and the queue facet.
 *
 * A lease dies exactly once: by finishing, by expiry, or with its job. The engine keeps no truth in memory: what it
 * remembers (waiting pollers, counters) may be lost at any time without losing a job.
 *
 * Every call answers through its callback exactly once, on the loop, never before the call returned. All [loop].
 */
#ifndef DISPATCH_DISPATCH_H
#define DISPATCH_DISPATCH_H

#include "bus/bus.h"
#include "config/config.h"
#include "host/host.h"
#include <bp/queue.h>

struct dispatch;
struct json_object;

struct dispatch *dispatch_new(struct bus *b, struct host *h, const struct config *c);
void dispatch_free(struct dispatch *d);
void dispatch_reconfigure(struct dispatch *d, const struct config *c);
/* Begins sweeping and statistics (call when the queue service is up). */
void dispatch_start(struct dispatch *d);
/* Answers every waiting poll with "no job" and takes no new submits or polls (BP_STOPPED). */
void dispatch_drain(struct dispatch *d);

/*
 * How an answer reads. rc is a bp_rc; message is one sentence; `fields` (object: field name -> array of messages) is
 * set for BP_INVALID. data is the answer's payload or NULL. All borrowed for the callback.
 */
struct dispatch_answer {
    int rc;
    const char *message;
    struct json_object *data;
    struct json_object *fields;
    int retry_after_s; /* for BP_LATER, BP_NOSPACE: > 0 */
    int over_limit;    /* with BP_LATER: a limit of the tenant's, not a want of ours */
};
typedef void (*dispatch_reply)(const struct dispatch_answer *a, void *arg);

/* ---- tenants ---- */

/* body: {"workflow"|"effect", "params"{}, "inputs"[{"key","mime","name"}] or "input":{...}, "priority", "not_before",
 * "idempotency_key", "max_attempts", "unique_key", "after"[ids]}. Unknown or wrong members, and jobs that cannot be
 * waited for, are BP_INVALID naming each field and the allowed values; unknown workflow BP_NOTFOUND with the nearest
 * name; conflicting idempotency key BP_CONFLICT; disabled tenant BP_DENIED; its limit reached BP_LATER with over_limit.
 * Answer: the job as job_get gives it (data.replayed true on a replay, data.duplicate true when a pending job has the
 * unique_key). who: "tenant:NAME" or "operator:UID". Answered after commit. */
void dispatch_submit(struct dispatch *d, const char *tenant, const char *who, struct json_object *body,
                     dispatch_reply fn, void *arg);
/* body: {"jobs":[bodies as above]}, at most dispatch.maxBatch. All are checked first: BP_INVALID with fields such as
 * "jobs.3.params.x", nothing accepted. Then all go into one transaction: BP_LATER when they do not fit, nothing
 * accepted. data: {"jobs":[{"id","status"[,"replayed"][,"duplicate"]} or {"status":"refused","reason","message"}...],
 * "accepted","existing","refused"}, in the order asked. */
void dispatch_submit_batch(struct dispatch *d, const char *tenant, const char *who, struct json_object *body,
                           dispatch_reply fn, void *arg);
/* data:
 * {"id","status","workflow","effect","params","inputs","progress","progress_text","attempts","priority","created_at",...,"output":{"key","size","mime_type","url"},"timeline":[...]};
 * tenant NULL: any. */
void dispatch_job_get(struct dispatch *d, const char *tenant, int64_t id, int with_timeline, dispatch_reply fn,
                      void *arg);
struct dispatch_list {
    const char *tenant, *workflow; /* NULL: any */
    int status;                    /* BP_JOB_*, 0: any */
    uint32_t limit;
    int64_t before_id;
};
void dispatch_job_list(struct dispatch *d, const struct dispatch_list *q, dispatch_reply fn,
                       void *arg); /* data: {"jobs":[...]} */
void dispatch_job_cancel(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                         void *arg);
void dispatch_job_retry(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                        void *arg);
/* data: {"key","upload_url","method","headers","expires_at"}: where a tenant may PUT an input. */
void dispatch_upload(struct dispatch *d, const char *tenant, struct json_object *body, dispatch_reply fn, void *arg);
/* Names of states, both ways (0 / NULL when unknown). */
int job_status_find(const char *name);
const char *job_status_name(int status);

/* ---- workers (the wire contract of docs/protocol.md; `body` is the parsed request or NULL) ---- */

struct worker_auth; /* who is calling: a copy of the worker's row, owned by the caller of authenticate */
typedef void (*worker_auth_reply)(const struct dispatch_answer *a, struct worker_auth *w, void *arg);
/* token -> worker; BP_DENIED "Unauthorized." or "Worker not approved.". Cached for a few seconds; a change made through
 * this controller takes effect at once. On success w belongs to the callee: worker_auth_free. May call back before
 * returning. */
void dispatch_authenticate(struct dispatch *d, const char *token, worker_auth_reply fn, void *arg);
void worker_auth_free(struct worker_auth *w);
const char *worker_auth_id(const struct worker_auth *w);

struct worker_call {
    const struct worker_auth *worker; /* NULL for register; must stay valid until the answer */
    struct json_object *body;         /* borrowed until the call returns */
    const char *ip;
};
void dispatch_worker_register(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
/* With "wait_seconds" the answer may come much later: dispatch_poll_abandon(arg) when the client went away first. */
void dispatch_worker_poll(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_poll_abandon(struct dispatch *d,
                           void *arg); /* forgets the waiting poll with this arg; its callback will not be called */
void dispatch_worker_heartbeat(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_progress(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_complete(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_fail(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_requeue(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_deregister(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
uint32_t dispatch_waiting_polls(const struct dispatch *d);

/* ---- operators ---- */

void dispatch_worker_list(struct dispatch *d, dispatch_reply fn, void *arg); /* data: {"workers":[...]} */
/* what: approve revoke drain undrain remove. */
void dispatch_worker_change(struct dispatch *d, const char *worker_id, const char *what, const char *who,
                            dispatch_reply fn, void *arg);
/* Numbers per workflow from the store, at most 1 s old: what scaling, metrics and the page read through the bus too
 * (service "queue", BP_OP_STATS). data: {"workflows":[{...}]}. */
void dispatch_stats(struct dispatch *d, dispatch_reply fn, void *arg);
/* Counters since start for /metrics: appends "name value" pairs. */
struct dispatch_counters {
    uint64_t submitted, leased, completed, failed, retried, requeued, expired, cancelled, stale, refused_later;
};
void dispatch_counters(const struct dispatch *d, struct dispatch_counters *out);

/* Why the queue takes nothing now (its database is down, its disk is full), in words; NULL: it works, or nobody asked
 * it lately. */
const char *dispatch_queue_error(const struct dispatch *d);

/* ---- checking params ---- */

/* Checks value against the subset of JSON Schema that manifests use (docs/plugins.md), filling defaults in. Wrong
 * fields are added to `fields` under their path ("params.duration" when prefix is "params"). Returns the number of
 * wrong fields. */
int schema_check(struct json_object *schema, struct json_object *value, const char *prefix, struct json_object *fields);

#endif
