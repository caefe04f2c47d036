/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/lease.h"

#include "dispatch/held.h"
#include "dispatch/mime.h"
#include "dispatch/poll.h"
#include "dispatch/sweep.h"
#include "dispatch/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LEASE_MAX 64

/* A lease request on its way; lives in its queue_call, as long as the request does. After the reply only the bus is
 * touched: the engine may be gone when a lease comes late. */
struct lease_trip {
    struct dispatch *d;
    struct bus *bus;
    lease_reply fn; /* NULL: it was told early */
    void *arg;
};

/* Counts and publishes a granted lease. */
static void announce(struct dispatch *d, const struct bp_job_row *job)
{
    int64_t due = job->not_before_ms > job->created_ms ? job->not_before_ms : job->created_ms;
    int64_t wait = job->leased_ms > due ? job->leased_ms - due : 0;
    d->counters.leased++;
    sweeper_expect(d->sweeper, job->lease_expires_ms);
    bus_publish(d->bus, EVENT_JOB_LEASED, job->id, job->tenant, job->workflow, job->worker, (int64_t)job->attempts,
                wait);
}

static void hold_all(struct dispatch *d, const struct bp_op_lease *l)
{
    for (uint32_t i = 0; !d->dead && i < l->count; i++)
        held_put(d, &l->jobs[i]);
}

/* The worker has it already, and starts, while the store commits the jobs with their lease. It is known, so that what
 * the worker says next is not asked for twice, but no one else is told before the job itself was accepted. */
static void granted_early(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct lease_trip *t = arg;
    lease_reply fn = t->fn;
    t->fn = NULL;
    hold_all(t->d, &op->u.lease);
    fn(&op->u.lease, err, t->arg);
}

/* What a worker was told of was not committed: there are no such jobs, and it will hear that when it speaks of them.
 * Nor need the queues be as empty as the lease had it. */
static void lost(struct dispatch *d, const struct bp_op *op, const struct bp_err *err)
{
    for (uint32_t i = 0; op && i < op->u.lease.count; i++) {
        const struct bp_job_row *job = &op->u.lease.jobs[i];
        log_info(LOG_DISPATCH, "job %lld was lost before it was accepted; worker %s began it: %s", (long long)job->id,
                 job->worker, err->text);
        if (held_match(d, job->id, job->lease_token, job->worker))
            held_drop(d, job->id);
    }
    polls_look_again(d);
}

static void replied(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct lease_trip *t = arg;
    struct dispatch *d = t->d;
    int good = err->rc == BP_OK && op;
    t->d = NULL;
    if (good && t->fn)
        hold_all(d, &op->u.lease);
    for (uint32_t i = 0; good && !d->dead && i < op->u.lease.count; i++)
        announce(d, &op->u.lease.jobs[i]);
    if (t->fn)
        t->fn(good ? &op->u.lease : NULL, err, t->arg);
    else if (!good && !d->dead)
        lost(d, op, err);
    dispatch_unref(d);
}

static struct queue_call *give_back_call(int64_t now_ms, int64_t id, const char *token, const char *worker_id,
                                         const char *reason)
{
    struct queue_call *q = queue_call_new(BP_OP_REQUEUE, now_ms);
    struct bp_op_requeue *r = &queue_call_op(q)->u.requeue;
    r->id = id;
    r->token = queue_call_str(q, token);
    r->worker_id = queue_call_str(q, worker_id);
    r->reason = queue_call_str(q, reason);
    r->max_requeues = -1; /* does not count: the tenant's job must not pay for our lost connection */
    log_info(LOG_DISPATCH, "job %lld goes back to the queue: %s (worker %s)", (long long)id, reason, worker_id);
    return q;
}

static void say_lost(int64_t id, const struct bp_err *err)
{
    log_warn(LOG_DISPATCH, "job %lld could not be given back (%s); its lease expires by itself", (long long)id,
             err->text);
}

/* Waiting polls find these jobs with the next probe. */
static void granted_late(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct lease_trip *t = arg;
    const struct bp_op_lease *l = &op->u.lease;
    for (uint32_t i = 0; err->rc == BP_OK && t->fn && i < l->count; i++) {
        struct bp_err lost = {0};
        struct queue_call *q = give_back_call(op->now_ms, l->jobs[i].id, l->jobs[i].lease_token, l->worker_id,
                                              "granted after the request's deadline");
        if (queue_call_send(t->bus, q, QUEUE_TIMEOUT_MS, NULL, NULL, &lost) != BP_OK)
            say_lost(l->jobs[i].id, &lost);
    }
}

/* The extension outputs of this worker get, when all its workflows agree on one. */
static const char *output_extension(struct dispatch *d, const struct worker_auth *w)
{
    const char *all = NULL;
    for (uint32_t i = 0; i < w->n_workflows; i++) {
        const struct workflow *f = host_workflow(d->host, w->workflows[i]);
        const char *ext = f ? mime_extension(json_str(f->manifest, "produces", NULL)) : "";
        if (all && strcmp(all, ext) != 0)
            return "";
        all = ext;
    }
    return all ? all : "";
}

static void fill_tokens(struct queue_call *q, struct bp_op_lease *l, const char *ext)
{
    const char **tokens = queue_call_mem(q, l->max * sizeof *tokens);
    const char **keys = queue_call_mem(q, l->max * sizeof *keys);
    char uuids[2 * LEASE_MAX][UUID_SIZE];
    uuids_make(uuids, (size_t)2 * l->max);
    for (uint32_t i = 0; i < l->max; i++) {
        char key[UUID_SIZE + 32];
        tokens[i] = queue_call_str(q, uuids[2 * i]);
        /* not the token: the key is shown to tenants */
        snprintf(key, sizeof key, "%s/output%s", uuids[2 * i + 1], ext);
        keys[i] = queue_call_str(q, key);
    }
    l->tokens = tokens;
    l->output_keys = keys;
}

static int is_excepted(struct json_object *except, const char *slug)
{
    for (size_t i = 0; except && i < json_object_array_length(except); i++) {
        struct json_object *v = json_object_array_get_idx(except, i);
        if (json_object_is_type(v, json_type_string) && strcmp(json_object_get_string(v), slug) == 0)
            return 1;
    }
    return 0;
}

static int may_lease(struct dispatch *d, const struct lease_ask *ask, const char *slug)
{
    const struct workflow *f = host_workflow(d->host, slug);
    if ((f && f->quarantine) || is_excepted(ask->except, slug))
        return 0;
    return !ask->at_risk || !lane_is_long(d, lane_get(d, slug));
}

int lease_may_find(struct dispatch *d, const struct lease_ask *ask)
{
    for (uint32_t i = 0; i < ask->worker->n_workflows; i++) {
        if (may_lease(d, ask, ask->worker->workflows[i]))
            return 1;
    }
    return 0;
}

static void fill_worker(struct dispatch *d, struct queue_call *q, struct bp_op_lease *l, const struct lease_ask *ask)
{
    const struct worker_auth *w = ask->worker;
    const char **slugs = queue_call_mem(q, (w->n_workflows + 1) * sizeof *slugs);
    for (uint32_t i = 0; i < w->n_workflows; i++)
        if (may_lease(d, ask, w->workflows[i]))
            slugs[l->n_workflows++] = queue_call_str(q, w->workflows[i]);
    l->workflows = slugs;
    l->worker_id = queue_call_str(q, w->worker_id);
}

int lease_send(struct dispatch *d, const struct lease_ask *ask, struct bp_err *err)
{
    assert(ask->max >= 1 && ask->max <= LEASE_MAX);
    struct queue_call *q = queue_call_new(BP_OP_LEASE, dispatch_now(d));
    struct bp_op_lease *l = &queue_call_op(q)->u.lease;
    l->max = ask->max;
    l->max_concurrency = ask->max_concurrency;
    l->ttl_ms = d->set.ttl_ms;
    fill_worker(d, q, l, ask);
    fill_tokens(q, l, output_extension(d, ask->worker));
    queue_call_on_late(q, granted_late);
    queue_call_on_early(q, granted_early);
    struct lease_trip *t = queue_call_mem(q, sizeof *t);
    *t = (struct lease_trip){d, d->bus, ask->fn, ask->arg};
    dispatch_ref(d);
    if (ask->end) {
        l->after = queue_call_op(ask->end);
        queue_call_then(ask->end, q, replied, t);
        return BP_OK;
    }
    int rc = queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, replied, t, err);
    if (rc != BP_OK) {
        send_error(err, "queue");
        dispatch_unref(d);
    }
    return rc;
}

/* Who was told of the lease is told of its end. */
static void tell_given_back(struct dispatch *d, const struct held *h, const struct bp_op_requeue *r)
{
    struct lane *lane = h->lane;
    if (r->status == BP_JOB_CANCELLED) {
        d->counters.cancelled++;
        bus_publish(d->bus, EVENT_JOB_CANCELLED, r->id, h->tenant, lane->slug, r->worker_id);
    } else {
        bus_publish(d->bus, EVENT_JOB_REQUEUED, r->id, h->tenant, lane->slug, r->worker_id, r->reason);
    }
    held_drop(d, r->id);
    poll_arrived(d, lane, 1);
    poll_worker_freed(d, r->worker_id);
}

static void given_back(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    int ok = !d->dead && err->rc == BP_OK && op;
    struct held *h = ok ? held_find(d, op->u.requeue.id) : NULL;
    if (h)
        tell_given_back(d, h, &op->u.requeue);
    if (ok && op->u.requeue.dependents > 0)
        sweeper_expect(d->sweeper, dispatch_now(d));
    dispatch_unref(d);
}

void lease_give_back(struct dispatch *d, int64_t id, const char *token, const char *worker_id, const char *reason)
{
    struct queue_call *q = give_back_call(dispatch_now(d), id, token, worker_id, reason);
    struct bp_err err = {0};
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, given_back, d, &err) == BP_OK)
        return;
    say_lost(id, &err);
    dispatch_unref(d);
}

double lease_heartbeat_s(const struct dispatch *d)
{
    double third = (double)d->set.ttl_ms / 3000.0;
    return third < 30.0 ? third : 30.0;
}
