/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/sweep.h"

#include "dispatch/auth.h"
#include "dispatch/finish.h"
#include "dispatch/held.h"
#include "dispatch/leader.h"
#include "dispatch/poll.h"
#include "dispatch/prune.h"
#include "dispatch/tenants.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX       500
#define HOUSE_EVERY_MS 60000
#define GAP_MIN_MS     10

struct sweeper {
    struct dispatch *d;
    struct loop_timer *timer, *house;
    int on_its_way;
    int64_t due_ms;   /* the earliest deadline we know of, 0: none */
    int64_t fires_ms; /* monotonic: when the timer does */
};

/* ---- what a sweep found ---- */

static void tell_cancelled(struct dispatch *d, const struct bp_job_row *job)
{
    d->counters.cancelled++;
    bus_publish(d->bus, EVENT_JOB_CANCELLED, job->id, job->tenant, job->workflow, "sweeper");
}

static void tell_expired(struct dispatch *d, const struct bp_job_row *job)
{
    const char *worker = job->worker ? job->worker : "";
    d->counters.expired++;
    held_drop(d, job->id);
    bus_publish(d->bus, EVENT_JOB_EXPIRED, job->id, job->tenant, job->workflow, worker, job_status_name(job->status));
    if (job->status == BP_JOB_FAILED) {
        d->counters.failed++;
        bus_publish(d->bus, EVENT_JOB_FAILED, job->id, job->tenant, job->workflow, worker, job->error);
    } else if (job->status == BP_JOB_CANCELLED) {
        tell_cancelled(d, job);
    }
    if (job->worker)
        poll_worker_freed(d, job->worker);
}

/* A job back in the queue was leased and ran out, or waited for its time. A retry's time lies after its lease began.
 * One cancelled was leased and its cancel asked for, or waited for a job that ended in vain. */
static int did_expire(struct dispatch *d, const struct bp_job_row *job)
{
    if (job->status == BP_JOB_CANCELLED)
        return held_find(d, job->id) || job->cancel_requested;
    return job->status != BP_JOB_QUEUED || held_find(d, job->id) ||
           (job->leased_ms > 0 && job->not_before_ms < job->leased_ms);
}

/* A job that another application put into the store, taken in by this sweep. */
static void tell_taken_in(struct dispatch *d, const struct bp_job_row *job)
{
    d->counters.submitted++;
    bus_publish(d->bus, EVENT_JOB_SUBMITTED, job->id, job->tenant, job->workflow, (int64_t)job->priority);
    if (job->status == BP_JOB_FAILED) {
        d->counters.failed++;
        log_warn(LOG_DISPATCH, "job %lld of another application was refused: %s", (long long)job->id, job->error);
        bus_publish(d->bus, EVENT_JOB_FAILED, job->id, job->tenant, job->workflow, "", job->error);
    }
}

static void tell_row(struct dispatch *d, const struct bp_job_row *job, int64_t swept_ms)
{
    if (job->created_ms == swept_ms && job->leased_ms == 0)
        tell_taken_in(d, job);
    else if (did_expire(d, job))
        tell_expired(d, job);
    else if (job->status == BP_JOB_CANCELLED)
        tell_cancelled(d, job);
    else
        bus_publish(d->bus, EVENT_JOB_DUE, job->id, job->tenant, job->workflow, (int64_t)job->attempts);
    if (job->status == BP_JOB_QUEUED)
        poll_arrived(d, lane_get(d, job->workflow), 1);
    else if (job->status != BP_JOB_SCHEDULED)
        sweeper_expect(d->sweeper, dispatch_now(d)); /* what waited for it in turn */
}

/* ---- when ---- */

/* How long to sleep: until something is due, at most one period. */
static int64_t delay_ms(const struct sweeper *s)
{
    int64_t delay = s->d->set.sweep_ms;
    if (!s->due_ms)
        return delay;
    int64_t until = s->due_ms - dispatch_now(s->d) + 1;
    if (until >= delay)
        return delay;
    return until > GAP_MIN_MS ? until : GAP_MIN_MS;
}

static void arm(struct sweeper *s)
{
    int64_t delay = delay_ms(s);
    s->fires_ms = mono_ms() + delay;
    loop_timer_after(s->timer, delay);
}

void sweeper_expect(struct sweeper *s, int64_t due_ms)
{
    if (due_ms <= 0 || (s->due_ms && s->due_ms <= due_ms))
        return;
    s->due_ms = due_ms;
    if (s->d->started && !s->on_its_way && mono_ms() + delay_ms(s) < s->fires_ms)
        arm(s);
}

static void swept(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    struct sweeper *s = d->sweeper;
    if (!d->dead) {
        queue_heard(d, op, err);
        if (err->rc == BP_OK) {
            const struct bp_op_sweep *w = &op->u.sweep;
            for (uint32_t i = 0; i < w->count; i++)
                tell_row(d, &w->jobs[i], op->now_ms);
            sweeper_expect(s, w->count >= ROWS_MAX ? dispatch_now(d) : w->next_due_ms);
            lanes_tell_host(d);
        } else if (err->rc == BP_STALE) {
            leader_refused(d->leader);
        } else {
            log_warn(LOG_DISPATCH, "look for expired leases and due jobs: %s; trying again", err->text);
        }
        s->on_its_way = 0;
        arm(s);
    }
    dispatch_unref(d);
}

static void sweep(void *arg)
{
    struct sweeper *s = arg;
    struct bp_err err = {0};
    int64_t epoch;
    s->due_ms = 0; /* what is told from here on may come after the sweep; the rest it finds itself */
    if (!leader_epoch(s->d->leader, &epoch)) {
        lanes_tell_host(s->d);
        arm(s);
        return;
    }
    struct queue_call *q = queue_call_new(BP_OP_SWEEP, dispatch_now(s->d));
    queue_call_op(q)->u.sweep.limit = ROWS_MAX;
    queue_call_op(q)->u.sweep.epoch = epoch;
    s->on_its_way = 1;
    dispatch_ref(s->d);
    if (queue_call_send(s->d->bus, q, QUEUE_TIMEOUT_MS, swept, s->d, &err) == BP_OK)
        return;
    log_debug(LOG_DISPATCH, "no sweep: %s", err.text);
    s->on_its_way = 0;
    arm(s);
    dispatch_unref(s->d);
}

/* ---- every minute ---- */

static void removed(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    if (!d->dead && err->rc == BP_OK) {
        const struct bp_op_worker_del *del = &op->u.worker_del;
        log_info(LOG_DISPATCH, "worker %s was removed: %s", del->worker_id, del->why);
        auth_forget(d, del->worker_id);
        held_release_worker(d, del->worker_id, del->why);
        bus_publish(d->bus, EVENT_WORKER_GONE, del->worker_id, del->why, (int64_t)del->released);
    }
    dispatch_unref(d);
}

static void remove_stale(struct dispatch *d, const char *worker_id)
{
    struct bp_err err = {0};
    struct queue_call *q = queue_call_new(BP_OP_WORKER_DEL, dispatch_now(d));
    struct bp_op_worker_del *del = &queue_call_op(q)->u.worker_del;
    del->worker_id = queue_call_str(q, worker_id);
    del->who = "sweeper";
    del->why = "not seen for too long";
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, removed, d, &err) != BP_OK)
        dispatch_unref(d);
}

static void workers_listed(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    uint32_t n = op && err->rc == BP_OK && !d->dead ? op->u.worker_list.count : 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct bp_worker_row *w = &op->u.worker_list.workers[i];
        if (w->live_leases == 0 && w->source && strcmp(w->source, "fleet") == 0 &&
            w->last_seen_ms < dispatch_now(d) - d->set.stale_ms)
            remove_stale(d, w->worker_id);
    }
    dispatch_unref(d);
}

static void look_for_stale(struct dispatch *d)
{
    struct bp_err err = {0};
    dispatch_ref(d);
    if (queue_call_send(d->bus, queue_call_new(BP_OP_WORKER_LIST, dispatch_now(d)), QUEUE_TIMEOUT_MS, workers_listed, d,
                        &err) != BP_OK)
        dispatch_unref(d);
}

static void keep_house(void *arg)
{
    struct sweeper *s = arg;
    int64_t epoch;
    tenant_settings_again(s->d);
    tenant_limits_look(s->d);
    polls_touch(s->d);
    if (leader_epoch(s->d->leader, &epoch)) {
        pruner_kick(s->d->pruner);
        look_for_stale(s->d);
    }
    held_expire(s->d, dispatch_now(s->d));
}

struct sweeper *sweeper_new(struct dispatch *d)
{
    struct sweeper *s = calloc(1, sizeof *s);
    assert(s);
    s->d = d;
    s->timer = loop_timer_new(d->loop, "dispatch.sweep", sweep, s);
    s->house = loop_timer_new(d->loop, "dispatch.house", keep_house, s);
    return s;
}

void sweeper_start(struct sweeper *s)
{
    int64_t quarter = s->d->set.stale_ms / 4;
    loop_timer_every(s->house, quarter < HOUSE_EVERY_MS ? quarter : HOUSE_EVERY_MS);
    arm(s);
}

void sweeper_lead(struct sweeper *s)
{
    if (s->d->started && !s->on_its_way)
        sweep(s);
}

void sweeper_free(struct sweeper *s)
{
    loop_timer_free(s->timer);
    loop_timer_free(s->house);
    free(s);
}
