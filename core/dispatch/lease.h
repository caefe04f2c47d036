/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - taking leases for a worker, telling it about them, and giving back those that reach nobody.
 *
 * A lease dies exactly once: by finishing, by expiry, or with its job. A lease of jobs that the same transaction
 * submits reaches its worker before the commit; everybody else hears of it, and of the jobs before it, when that is
 * done. A lease granted to a caller who is gone is given back as an interruption at once: its attempt does not count.
 * All [loop].
 */
#ifndef DISPATCH_LEASE_H
#define DISPATCH_LEASE_H

#include "dispatch/auth.h"
#include "dispatch/urls.h"

/* lease is NULL unless err->rc is BP_OK; borrowed for the call. Also called when the engine is dead by then: the callee
 * then only frees. Called exactly once, perhaps before the commit, never before lease_send() returned, unless
 * lease_send() failed. */
typedef void (*lease_reply)(const struct bp_op_lease *lease, const struct bp_err *err, void *arg);

/* Asks the store for up to max (1..64) jobs of the worker's workflows. */
struct lease_ask {
    const struct worker_auth *worker; /* borrowed for the call */
    uint32_t max;
    int32_t max_concurrency;    /* 0: as registered */
    int at_risk;                /* 1: of those workflows only whose jobs are not long (lane.h) */
    struct json_object *except; /* slugs that the worker does not take now, or NULL; borrowed for the call */
    lease_reply fn;
    void *arg;
    struct queue_call *end; /* the lease goes with it, and is refused when it is; NULL: by itself */
};
/* Is there a workflow of which a job may be leased? Of one in quarantine none is. */
int lease_may_find(struct dispatch *d, const struct lease_ask *ask);
/* 0, or an error with fn not called. With `end`, which is not sent yet: 0. */
int lease_send(struct dispatch *d, const struct lease_ask *ask, struct bp_err *err);
/* Gives one lease back. */
void lease_give_back(struct dispatch *d, int64_t id, const char *token, const char *worker_id, const char *reason);
/* The job as the worker gets it; the URLs it needs are added to urls and arrive with its signing. The caller's. */
struct json_object *lease_payload(struct dispatch *d, const struct bp_job_row *job, const char *provider,
                                  struct url_set *urls);
/* Fresh URLs of a running lease into `into`: input_url, inputs [{key,url}], output_url, checkpoint_upload_url. */
void lease_fresh_urls(struct dispatch *d, const struct bp_op_extend *e, struct json_object *into, struct url_set *urls);
/* How often a worker should send heartbeats, seconds. */
double lease_heartbeat_s(const struct dispatch *d);

#endif
