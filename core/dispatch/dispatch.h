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
#include "bus/leads.h"
#include "config/config.h"
#include "host/host.h"
#include <bp/queue.h>

struct dispatch;
struct json_object;

/* ---- canaries: a new version of a workflow's plugin, tried on a share of its jobs (dispatch/canary.h) ---- */

struct canary_wish {
    const char *slug, *who;
    const char *file; /* absolute path of the candidate; NULL: NAME.canary.so beside the plugin's file */
    double percent;   /* > 0..100 */
    int64_t jobs;     /* good trials that promote it; 0: canary.jobs */
};
/* done: it runs, or why it cannot (BP_NOTFOUND, BP_CONFLICT, BP_INVALID, what vetting says). May call it at once. */
void dispatch_canary_start(struct dispatch *d, const struct canary_wish *w, host_done done, void *arg);
int dispatch_canary_runs(struct dispatch *d, const char *slug);
/* Another share of the jobs. BP_NOTFOUND, BP_INVALID. */
int dispatch_canary_share(struct dispatch *d, const char *slug, double percent, struct bp_err *err);
/* Puts it in place now. done: it serves, or why not. May call it at once. */
void dispatch_canary_promote(struct dispatch *d, const char *slug, const char *who, host_done done, void *arg);
/* The version in place stays. BP_NOTFOUND. */
int dispatch_canary_abort(struct dispatch *d, const char *slug, const char *who, struct bp_err *err);
/* {"workflow","state","why","version","from_version","percent","good","jobs","bad",...,"trials":[...]} of the last
 * canary of a workflow, NULL: it had none. All of them, without their trials. The caller's. */
struct json_object *dispatch_canary(struct dispatch *d, const char *slug);
struct json_object *dispatch_canaries(struct dispatch *d);

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
/* Why a job is where it is, as far as the queue knows. data: {"job","created_ms","not_before_ms","leased_ms",
 * "lease_expires_ms","finished_ms" (0: never), "after":[{"id","status"}] of one that waits for others, and of a queued
 * one "ahead" (jobs leased before it; absent: not known), "tenant_running","tenant_max_running"}. tenant NULL: any. */
void dispatch_job_facts(struct dispatch *d, const char *tenant, int64_t id, dispatch_reply fn, void *arg);
void dispatch_job_cancel(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                         void *arg);
void dispatch_job_retry(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                        void *arg);
/* data: {"key","upload_url","method","headers","expires_at"}: where a tenant may PUT an input. */
void dispatch_upload(struct dispatch *d, const char *tenant, struct json_object *body, dispatch_reply fn, void *arg);
/* Names of states, both ways (0 / NULL when unknown). */
int job_status_find(const char *name);
const char *job_status_name(int status);

/* ---- tenants as operators keep them in the store ---- */

#define TENANT_UNKNOWN "Unauthenticated."
typedef void (*tenant_auth_reply)(const struct dispatch_answer *a, const char *tenant, void *arg);
/* token -> tenant, as the store says; BP_DENIED TENANT_UNKNOWN, or in words when it is disabled. Cached for a few
 * seconds, failures too; a change made through this controller takes effect at once. tenant is borrowed for the call.
 * May call back before returning. */
void dispatch_tenant_authenticate(struct dispatch *d, const char *token, tenant_auth_reply fn, void *arg);

/* What is to be of a tenant: numbers -1 and a NULL webhook stay, webhook "" removes it; limits 0: unlimited. */
struct dispatch_tenant {
    const char *name;
    int32_t weight, max_pending, max_running, disabled;
    const char *webhook;
};
#define TENANT_ADD 1 /* BP_CONFLICT when it is there */
#define TENANT_SET 2 /* BP_NOTFOUND when it is not */
/* data: the tenant as dispatch_tenant_show gives it. */
void dispatch_tenant_put(struct dispatch *d, const struct dispatch_tenant *to, int how, const char *who,
                         dispatch_reply fn, void *arg);
void dispatch_tenant_list(struct dispatch *d, dispatch_reply fn, void *arg); /* data: {"tenants":[...]} */
/* data: {"tenant","weight","max_pending","max_running","disabled","webhook","scheduled","queued","leased",...} */
void dispatch_tenant_show(struct dispatch *d, const char *name, dispatch_reply fn, void *arg);

struct dispatch_token {
    const char *tenant, *label; /* label may be NULL */
    int64_t days;               /* it lives so long; 0: for ever */
};
/* data: {"tenant","id","token",...}: the only time the token is shown; the store keeps its digest. */
void dispatch_token_add(struct dispatch *d, const struct dispatch_token *token, const char *who, dispatch_reply fn,
                        void *arg);
void dispatch_token_list(struct dispatch *d, const char *tenant, dispatch_reply fn, void *arg); /* data.tokens */
void dispatch_token_remove(struct dispatch *d, const char *tenant, int64_t id, const char *who, dispatch_reply fn,
                           void *arg);

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
/* With "wait_seconds" the answer may come much later: dispatch_poll_abandon(arg) when the client went away first. Also
 * for complete and fail with a "poll" in their body, which are answered all the same. */
void dispatch_worker_poll(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_poll_abandon(struct dispatch *d,
                           void *arg); /* forgets the waiting poll with this arg; its callback will not be called */
void dispatch_worker_heartbeat(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_progress(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_complete(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_fail(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_requeue(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void dispatch_worker_deregister(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
/* body: {"worker_id","workflow"}: signed URLs of what the workflow's manifest lists under "assets".
 * data: {"workflow","assets":[{"name","object","sha256","bytes","url"}]}; BP_CONFLICT: it is none of this worker's. */
void dispatch_worker_assets(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
uint32_t dispatch_waiting_polls(const struct dispatch *d);

/* ---- operators ---- */

void dispatch_worker_list(struct dispatch *d, dispatch_reply fn, void *arg); /* data: {"workers":[...]} */
/* what: approve revoke drain undrain remove, or rotate-token: then data.token is the new one, shown only here. */
void dispatch_worker_change(struct dispatch *d, const char *worker_id, const char *what, const char *who,
                            dispatch_reply fn, void *arg);
/* body: {"sha256","bytes"} of a file. data: {"object","upload_url"}: where it is to be PUT, without a Content-Type. */
void dispatch_asset_upload(struct dispatch *d, struct json_object *body, dispatch_reply fn, void *arg);
/* data: {"workflow","assets":[{"name","object","sha256","bytes","state"}],"workers_lacking","worker","why"}: whether
 * the objects that a workflow's manifest lists are there, and who of the workers cannot have them. */
void dispatch_assets_check(struct dispatch *d, const char *slug, dispatch_reply fn, void *arg);
/* How many workers said lately, to this controller, that they cannot have the assets of a workflow; one of them and
 * why, borrowed until the next return to the loop. */
int dispatch_lacking(struct dispatch *d, const char *workflow, const char **worker_id, const char **why);
struct dispatch_worker {
    const char *worker_id, *display_name; /* display_name may be NULL */
    struct json_object *workflows;        /* list of slugs */
    int32_t max_concurrency;
};
/* A worker made by an operator instead of registering: data {"worker_id","token",...}, the token shown only here.
 * BP_CONFLICT when it is there already. */
void dispatch_worker_add(struct dispatch *d, const struct dispatch_worker *w, const char *who, dispatch_reply fn,
                         void *arg);
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

/* ---- webhooks ---- */

/* The secret that tenants' keys are derived from; "": no webhooks are sent. Copied; may be called again. */
void dispatch_webhook_secret(struct dispatch *d, const char *secret);
/* data: {"tenant","webhook","version","key","key_before"}; rotate: the next version first. BP_CONFLICT without a
 * secret. */
struct dispatch_webhook_ask {
    const char *tenant, *who;
    int rotate;
};
void dispatch_tenant_webhook(struct dispatch *d, const struct dispatch_webhook_ask *what, dispatch_reply fn, void *arg);
/* The key a tenant's receiver checks with, "whsec_...", version as in its row. BP_NOTFOUND: there is no secret. */
int dispatch_webhook_key(const struct dispatch *d, const char *tenant, int32_t version, char out[64]);

/* How long the machine of a worker is expected to live on, seconds; INFINITY: nobody takes it away. With it jobs go to
 * the machine of those that wait that suits them (policy/risk.h). [loop] */
typedef double (*dispatch_lives)(void *arg, const char *workflow, const char *worker);
void dispatch_set_lives(struct dispatch *d, dispatch_lives life_s, void *arg);

/* ---- several controllers on one queue ---- */

/* By which URL the others may name this controller. */
void dispatch_set_url(struct dispatch *d, const char *url);
/* The name of this run among them. */
const char *dispatch_run(const struct dispatch *d);
/* A former run that has surely ended: whatever it led is free (before dispatch_start). */
void dispatch_former_run(struct dispatch *d, const char *run);
/* leads.now of struct leads: whether this controller acts for all. */
int dispatch_leads(void *dispatch, struct lead_term *term);
/* 1 when other controllers are alive. */
int dispatch_others(const struct dispatch *d);
struct leadership {
    int leads;
    int64_t epoch;         /* of the present leader */
    uint64_t gained, lost; /* terms of this controller since its start */
    uint32_t controllers;  /* alive, this one included */
    char who[600];         /* leads, in words */
};
void dispatch_leadership(const struct dispatch *d, struct leadership *out);
/* Array of {"name","url","version","leader","this","started_ms","seen_ms","id"}. json_object_put() it. */
struct json_object *dispatch_controllers(const struct dispatch *d);
/* Gives leadership up for good, so that another controller takes over at once, and leaves the list. */
void dispatch_resign(struct dispatch *d);
/* Where signed URLs lead, "https://bucket.example"; "" until one was signed. Borrowed until the next call. */
const char *dispatch_objects_origin(const struct dispatch *d);
/* Has one signed for nobody, to learn that. */
void dispatch_probe_objects(struct dispatch *d);
/* Carries the word of new jobs over this Redis (bus.redis, its secret resolved); "": not. */
void dispatch_bridge(struct dispatch *d, const char *url);
/* How the Redis bridge is, in words; "" when there is none. */
const char *dispatch_bridge_state(const struct dispatch *d);

#endif
