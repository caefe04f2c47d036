/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/watch.h"

#include "dispatch/auth.h"
#include "dispatch/bridge.h"
#include "dispatch/leader.h"
#include "dispatch/poll.h"

#include <assert.h>
#include <stdlib.h>

#define SLOW_MS    500  /* without other controllers, or while Redis tells of their jobs */
#define AGAIN_MS   100  /* jobs were held by another transaction: long after it they are given, or free */
#define PROBE_MS   2000 /* jobs lie there and a poll waits: a limit may have gone where no counter shows it */
#define CAPPED_MS  1000 /* a lease of a worker at capacity may have ended at another controller */
#define WORKERS_MS 3000 /* an operator may have changed a worker at another controller */

struct watcher {
    struct dispatch *d;
    struct loop_timer *timer;
    int asking;
    int is_silent;    /* the store cannot be watched */
    int again;        /* try a lease with the next look */
    int64_t fires_ms; /* monotonic, as all here; 0: not armed */
    int64_t asked_ms, probed_ms, capped_ms, workers_ms;
};

/* How often to look now; 0: not at all. */
static int64_t pace_ms(const struct watcher *w)
{
    const struct dispatch *d = w->d;
    int64_t slow = d->set.watch_ms > SLOW_MS ? d->set.watch_ms : SLOW_MS;
    int64_t again = d->set.watch_ms < AGAIN_MS ? d->set.watch_ms : AGAIN_MS;
    int64_t epoch;
    if (!d->started)
        return 0;
    if (w->is_silent)
        return dispatch_waiting_polls(d) > 0 ? PROBE_MS : 0;
    if (dispatch_waiting_polls(d) > 0 && w->again)
        return again;
    if (dispatch_waiting_polls(d) > 0)
        return leader_others(d->leader) > 0 && !bridge_is_up(d->bridge) ? d->set.watch_ms : slow;
    return leader_others(d->leader) > 0 && leader_epoch(d->leader, &epoch) ? slow : 0;
}

void watcher_wanted(struct watcher *w)
{
    int64_t pace = pace_ms(w), now = mono_ms();
    int64_t at = w->asked_ms + pace > now ? w->asked_ms + pace : now;
    if (pace == 0 || w->asking || (w->fires_ms && w->fires_ms <= at))
        return;
    w->fires_ms = at;
    loop_timer_after(w->timer, at - now);
}

void watcher_again(struct watcher *w)
{
    w->again = 1;
}

/* ---- what the store says ---- */

static int is_due(int64_t *last_ms, int64_t every_ms)
{
    if (mono_ms() - *last_ms < every_ms)
        return 0;
    *last_ms = mono_ms();
    return 1;
}

/* Jobs arrived that nobody here was told of, or were there before anybody looked. */
static void take_row(struct watcher *w, const struct bp_watch_row *r, int probe)
{
    struct dispatch *d = w->d;
    struct lane *lane = lane_get(d, r->workflow);
    int64_t came = lane->watched ? r->arrivals - lane->store_arrivals : r->queued;
    int moved = !lane->watched || came != 0;
    lane->watched = 1;
    lane->store_arrivals = r->arrivals;
    lane->store_queued = r->queued;
    if (r->queued <= 0)
        return;
    if (moved) {
        int64_t n = came > 0 && came < r->queued ? came : r->queued;
        bus_publish(d->bus, EVENT_QUEUE_ARRIVED, lane->slug, r->queued);
        poll_arrived(d, lane, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
    } else if (probe && !TAILQ_EMPTY(&lane->waiting)) {
        poll_arrived(d, lane, 1);
    }
}

static void take_rows(struct watcher *w, const struct bp_op_watch *op)
{
    int probe = is_due(&w->probed_ms, PROBE_MS) || w->again;
    w->again = 0;
    for (uint32_t i = 0; i < op->count; i++)
        take_row(w, &op->rows[i], probe);
    if (leader_others(w->d->leader) > 0 && is_due(&w->capped_ms, CAPPED_MS))
        polls_retry_capped(w->d);
}

/* ---- what operators changed elsewhere ---- */

static void workers_listed(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    if (!d->dead && err->rc == BP_OK) {
        for (uint32_t i = 0; i < op->u.worker_list.count; i++) {
            const struct bp_worker_row *row = &op->u.worker_list.workers[i];
            auth_follow(d, row);
            if (!row->approved || row->draining)
                polls_dismiss(d, row->worker_id, row->approved ? "Worker draining" : "No jobs available");
        }
    }
    dispatch_unref(d);
}

static void look_at_workers(struct watcher *w)
{
    struct dispatch *d = w->d;
    struct bp_err err = {0};
    if (leader_others(d->leader) == 0 || dispatch_waiting_polls(d) == 0 || !is_due(&w->workers_ms, WORKERS_MS))
        return;
    dispatch_ref(d);
    if (queue_call_send(d->bus, queue_call_new(BP_OP_WORKER_LIST, dispatch_now(d)), QUEUE_TIMEOUT_MS, workers_listed, d,
                        &err) != BP_OK)
        dispatch_unref(d);
}

/* ---- asking ---- */

static void watched(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct dispatch *d = arg;
    if (!d->dead) {
        struct watcher *w = d->watcher;
        w->asking = 0;
        w->is_silent = err->rc == BP_UNSUPPORTED;
        if (err->rc == BP_OK)
            take_rows(w, &op->u.watch);
        else if (w->is_silent)
            polls_probe(d);
        else
            log_debug(LOG_DISPATCH, "no look at what arrived: %s", err->text);
        watcher_wanted(w);
    }
    dispatch_unref(d);
}

static void look(void *arg)
{
    struct watcher *w = arg;
    struct dispatch *d = w->d;
    struct bp_err err = {0};
    w->fires_ms = 0;
    if (w->asking || pace_ms(w) == 0)
        return;
    w->asked_ms = mono_ms();
    dispatch_ref(d);
    if (queue_call_send(d->bus, queue_call_new(BP_OP_WATCH, dispatch_now(d)), QUEUE_TIMEOUT_MS, watched, d, &err) ==
        BP_OK) {
        w->asking = 1;
    } else {
        dispatch_unref(d);
        watcher_wanted(w);
    }
    look_at_workers(w);
}

struct watcher *watcher_new(struct dispatch *d)
{
    struct watcher *w = calloc(1, sizeof *w);
    assert(w);
    w->d = d;
    w->asked_ms = w->probed_ms = mono_ms();
    w->timer = loop_timer_new(d->loop, "dispatch.watch", look, w);
    return w;
}

void watcher_free(struct watcher *w)
{
    loop_timer_free(w->timer);
    free(w);
}
