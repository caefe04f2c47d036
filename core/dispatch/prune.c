/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/prune.h"

#include "dispatch/leader.h"
#include "dispatch/spent.h"

#include <assert.h>
#include <stdlib.h>

#define STEP_MIN      16
#define STEP_MAX      1000
#define STEP_FIRST    64
#define STEP_AIM_MS   3 /* of the store's time for a step */
#define PAUSE_TIMES   3 /* so long as the step took */
#define PAUSE_MIN_MS  6
#define PAUSE_BUSY_MS 1000 /* the object store is behind, or the queue has no time */

struct pruner {
    struct dispatch *d;
    struct loop_timer *timer;
    uint32_t step; /* jobs of the next one */
    int at_it;
    int64_t sent_ms; /* monotonic */
};

static void step(void *arg);

static void pause_for(struct pruner *p, int64_t ms)
{
    loop_timer_after(p->timer, ms > PAUSE_MIN_MS ? ms : PAUSE_MIN_MS);
}

/* Smaller at once when a step took too long, larger by and by. */
static void adapt(struct pruner *p, int64_t took_ms)
{
    if (took_ms > 2 * STEP_AIM_MS)
        p->step /= 2;
    else if (took_ms < STEP_AIM_MS)
        p->step += p->step / 4;
    if (p->step < STEP_MIN)
        p->step = STEP_MIN;
    if (p->step > STEP_MAX)
        p->step = STEP_MAX;
}

static void pruned(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    struct pruner *p = d->pruner;
    if (d->dead) {
        dispatch_unref(d);
        return;
    }
    int64_t took_ms = mono_ms() - p->sent_ms;
    p->at_it = 0;
    if (err->rc == BP_OK) {
        const struct bp_op_prune *r = &op->u.prune;
        spent_add(d->spent, r->jobs, r->jobs ? r->removed : 0);
        p->at_it = r->removed >= r->limit || r->audit_removed >= r->limit || r->other_removed >= r->limit;
        adapt(p, took_ms);
        if (p->at_it)
            pause_for(p, PAUSE_TIMES * took_ms);
    } else if (err->rc == BP_STALE) {
        leader_refused(d->leader);
    } else {
        log_warn(LOG_DISPATCH, "remove jobs that were kept long enough: %s; trying again in a minute", err->text);
    }
    dispatch_unref(d);
}

static void step(void *arg)
{
    struct pruner *p = arg;
    struct dispatch *d = p->d;
    struct bp_err err = {0};
    int64_t epoch;
    p->at_it = leader_epoch(d->leader, &epoch);
    if (!p->at_it)
        return;
    if (spent_is_full(d->spent)) {
        pause_for(p, PAUSE_BUSY_MS);
        return;
    }
    struct queue_call *q = queue_call_new(BP_OP_PRUNE, dispatch_now(d));
    struct bp_op_prune *r = &queue_call_op(q)->u.prune;
    r->before_ms = dispatch_now(d) - d->set.retention_ms;
    r->audit_before_ms = dispatch_now(d) - d->set.audit_ms;
    r->limit = p->step;
    r->epoch = epoch;
    p->sent_ms = mono_ms();
    dispatch_ref(d);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, pruned, d, &err) == BP_OK)
        return;
    dispatch_unref(d);
    pause_for(p, PAUSE_BUSY_MS);
}

void pruner_kick(struct pruner *p)
{
    spent_again(p->d->spent);
    if (!p->at_it)
        step(p);
}

struct pruner *pruner_new(struct dispatch *d)
{
    struct pruner *p = calloc(1, sizeof *p);
    assert(p);
    p->d = d;
    p->step = STEP_FIRST;
    p->timer = loop_timer_new(d->loop, "dispatch.prune", step, p);
    return p;
}

void pruner_free(struct pruner *p)
{
    loop_timer_free(p->timer);
    free(p);
}
