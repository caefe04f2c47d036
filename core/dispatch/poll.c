/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/poll_priv.h"

#include "dispatch/auth.h"
#include "dispatch/canary.h"
#include "dispatch/held.h"
#include "dispatch/job_json.h"
#include "dispatch/watch.h"
#include "policy/risk.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLEETS_LOOKED 8
#define EXPIRE_MIN_MS 100 /* waiting polls that end close together are answered together */

/* ---- waiting ---- */

static void arm(struct polls *all, int64_t deadline_ms)
{
    int64_t now = mono_ms();
    if (all->armed_ms && all->armed_ms <= deadline_ms)
        return;
    int64_t delay = deadline_ms - now > EXPIRE_MIN_MS ? deadline_ms - now : EXPIRE_MIN_MS;
    all->armed_ms = now + delay;
    loop_timer_after(all->timer, delay);
}

static void stop_waiting(struct poll *p)
{
    struct polls *all = p->ask.d->polls;
    if (p->state == POLL_WAITING) {
        for (uint32_t i = 0; i < p->n; i++)
            TAILQ_REMOVE(&p->link[i].lane->waiting, &p->link[i], in_lane);
        all->n--;
    } else if (p->state == POLL_CAPPED) {
        TAILQ_REMOVE(&all->capped, p, in_capped);
        all->n--;
    }
    p->state = POLL_NEW;
}

/* Its instance is in the fleet of one of its workflows; workers of no fleet are nobody's to take away. */
static double expected_life_s(const struct dispatch *d, const struct worker_auth *w)
{
    double life_s = INFINITY;
    for (uint32_t i = 0; d->life_s && i < w->n_workflows && i < FLEETS_LOOKED; i++)
        life_s = fmin(life_s, d->life_s(d->life_arg, w->workflows[i], w->worker_id));
    return life_s;
}

/* A poll that left its lines for a lease and got none was the oldest: it goes back to the front. */
void poll_wait(struct poll *p)
{
    int in_front = p->stood;
    if (!p->stood)
        p->life_s = expected_life_s(p->ask.d, p->worker);
    p->stood = 1;
    p->state = POLL_WAITING;
    for (uint32_t i = 0; i < p->n; i++) {
        if (in_front)
            TAILQ_INSERT_HEAD(&p->link[i].lane->waiting, &p->link[i], in_lane);
        else
            TAILQ_INSERT_TAIL(&p->link[i].lane->waiting, &p->link[i], in_lane);
    }
    p->ask.d->polls->n++;
    arm(p->ask.d->polls, p->deadline_ms);
    watcher_wanted(p->ask.d->watcher);
}

static void wait_for_capacity(struct poll *p)
{
    p->state = POLL_CAPPED;
    TAILQ_INSERT_TAIL(&p->ask.d->polls->capped, p, in_capped);
    p->ask.d->polls->n++;
    arm(p->ask.d->polls, p->deadline_ms);
    watcher_wanted(p->ask.d->watcher);
}

int poll_lines_are_empty(const struct poll *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (!lane_is_empty(p->link[i].lane))
            return 0;
    }
    return 1;
}

/* ---- answers ---- */

void poll_drop(struct ask *a)
{
    struct poll *p = (struct poll *)a;
    if (!a->d->dead) {
        stop_waiting(p);
        TAILQ_REMOVE(&a->d->polls->all, p, in_all);
    }
    worker_auth_free(p->worker);
    json_object_put(p->except);
    json_object_put(p->data);
    free(p->grants);
    if (p->taking)
        poll_taking_over(p->taking);
}

/* A worker that put a workflow into quarantine by itself tries it again, too. */
static void put_released(const struct poll *p, struct json_object *data)
{
    if (p->ask.d->polls->released_ms)
        put_int(data, "released_at_ms", p->ask.d->polls->released_ms);
}

void poll_answer_none(struct poll *p, const char *message)
{
    struct json_object *data = json_object_new_object();
    put_new(data, "job", NULL);
    put_released(p, data);
    if (p->want_list)
        put_new(data, "jobs", json_object_new_array_ext(1));
    ask_ok(&p->ask, message, data);
}

static void give_back_all(struct poll *p, const char *why)
{
    for (uint32_t i = 0; i < p->n_grants; i++)
        lease_give_back(p->ask.d, p->grants[i].id, p->grants[i].token, p->worker->worker_id, why);
}

/* Gone while a request was on its way: nobody is answered. Returns 1 when that is so, and frees it. */
static int poll_is_gone(struct poll *p)
{
    if (!p->gone && !p->ask.d->dead)
        return 0;
    if (!p->ask.d->dead)
        give_back_all(p, "the worker went away before its lease reached it");
    ask_forget(&p->ask);
    return 1;
}

/* ---- leasing ---- */

static int at_capacity(const struct poll *p, const struct bp_op_lease *l)
{
    int32_t cap = p->max_concurrency > 0 ? p->max_concurrency : p->worker->max_concurrency;
    return l->live_leases >= cap;
}

/* The job this poll was woken for is still there for another. */
static void pass_on(struct poll *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        struct lane *lane = p->link[i].lane;
        if (!lane_is_empty(lane))
            poll_arrived(p->ask.d, lane, 1);
    }
}

static void full(struct poll *p)
{
    pass_on(p);
    if (p->deadline_ms > mono_ms())
        wait_for_capacity(p);
    else
        poll_answer_none(p, "Worker at capacity");
}

/* Unless something came since the lease was sent. */
static void note_empty(struct poll *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->link[i].lane->arrivals == p->link[i].arrivals_seen)
            p->link[i].lane->empty_at = p->link[i].arrivals_seen;
    }
}

static void found_none(struct poll *p, int held)
{
    if (held)
        watcher_again(p->ask.d->watcher);
    else
        note_empty(p);
    if (p->deadline_ms <= mono_ms())
        poll_answer_none(p, "No jobs available");
    else if (held || poll_lines_are_empty(p))
        poll_wait(p);
    else
        poll_lease(p); /* something came while the request was on its way */
}

static void signed_all(const struct bp_err *err, void *arg)
{
    struct poll *p = arg;
    struct json_object *data = p->data;
    if (poll_is_gone(p))
        return;
    if (err->rc != BP_OK) {
        log_warn(LOG_DISPATCH, "worker %s gets no job: signing its URLs failed: %s", p->worker->worker_id, err->text);
        give_back_all(p, "the object store could not sign its URLs");
        ask_fail(&p->ask, err);
        return;
    }
    p->data = NULL;
    ask_ok(&p->ask, "Job leased", data);
}

static struct url_set *build_answer(struct poll *p, const struct bp_op_lease *l)
{
    struct dispatch *d = p->ask.d;
    struct url_set *urls = url_set_new(d);
    struct json_object *list = json_object_new_array_ext((int)l->count);
    p->grants = calloc(l->count, sizeof *p->grants);
    assert(p->grants);
    for (uint32_t i = 0; i < l->count; i++) {
        p->grants[i].id = l->jobs[i].id;
        snprintf(p->grants[i].token, sizeof p->grants[i].token, "%s", l->jobs[i].lease_token);
        p->n_grants++;
        struct json_object *payload = lease_payload(d, &l->jobs[i], p->provider, urls);
        canary_mark(d, &l->jobs[i], payload);
        json_object_array_add(list, payload);
    }
    p->data = json_object_new_object();
    put_released(p, p->data);
    put_new(p->data, "job", json_object_get(json_object_array_get_idx(list, 0)));
    if (p->want_list)
        put_new(p->data, "jobs", list);
    else
        json_object_put(list);
    return urls;
}

static void granted(struct poll *p, const struct bp_op_lease *l)
{
    struct url_set *urls = build_answer(p, l);
    if (l->emptied > 0 && !p->at_risk) /* which asks for some of its workflows only */
        note_empty(p);
    p->state = POLL_SIGNING;
    if (url_set_count(urls) > 0 && !p->gone) {
        url_set_sign(urls, signed_all, p);
        return;
    }
    url_set_free(urls);
    struct bp_err ok = {0};
    signed_all(&ok, p);
}

/* The store refuses a worker whose state changed since it was authenticated: its next call learns how. */
static void refused(struct poll *p, const struct bp_err *err)
{
    if (err->rc != BP_DENIED) {
        ask_fail(&p->ask, err);
        return;
    }
    auth_forget(p->ask.d, p->worker->worker_id);
    pass_on(p);
    poll_answer_none(p, "No jobs available");
}

static void leased(const struct bp_op_lease *l, const struct bp_err *err, void *arg)
{
    struct poll *p = arg;
    p->ask.on_loop = 1;
    p->state = POLL_NEW;
    if (p->ask.d->dead || (p->gone && (err->rc != BP_OK || l->count == 0))) {
        if (!p->ask.d->dead)
            pass_on(p);
        ask_forget(&p->ask);
    } else if (err->rc != BP_OK) {
        refused(p, err);
    } else if (l->count > 0) {
        granted(p, l);
    } else if (at_capacity(p, l)) {
        full(p);
    } else {
        found_none(p, l->emptied < 0);
    }
}

/* All its workflows are in quarantine, say: it stands in their lines until one is released. */
static void nothing_to_ask(struct poll *p)
{
    p->state = POLL_NEW;
    if (p->deadline_ms > mono_ms())
        poll_wait(p);
    else
        poll_answer_none(p, "No jobs available");
}

void poll_lease(struct poll *p)
{
    struct bp_err err = {0};
    stop_waiting(p);
    for (uint32_t i = 0; i < p->n; i++)
        p->link[i].arrivals_seen = p->link[i].lane->arrivals;
    p->state = POLL_LEASING;
    struct lease_ask ask = {
        p->worker, p->max, p->max_concurrency, p->at_risk, p->except, leased, p, p->taking ? p->taking->end : NULL};
    if (!lease_may_find(p->ask.d, &ask)) {
        nothing_to_ask(p);
        return;
    }
    if (lease_send(p->ask.d, &ask, &err) == BP_OK)
        return;
    p->state = POLL_NEW;
    ask_fail(&p->ask, &err);
}

/* ---- from other nouns ---- */

#define COMPARED 16 /* polls that have waited longest */

static double longest_run_s(const struct poll *p)
{
    int64_t run_ms = 0;
    for (uint32_t i = 0; i < p->n; i++)
        run_ms = p->link[i].lane->run_ms > run_ms ? p->link[i].lane->run_ms : run_ms;
    return (double)run_ms / 1000;
}

/* Who of those that wait gets what came: the first, unless another one's machine suits it better. */
static struct poll *taker(const struct lane *lane)
{
    struct poll *polls[COMPARED] = {TAILQ_FIRST(&lane->waiting)->poll};
    struct risk_choice choices[COMPARED];
    uint32_t n = 0;
    for (const struct poll_link *l = TAILQ_FIRST(&lane->waiting); l && n < COMPARED; l = TAILQ_NEXT(l, in_lane)) {
        choices[n] = (struct risk_choice){l->poll->life_s, longest_run_s(l->poll)};
        polls[n++] = l->poll;
    }
    return polls[risk_choose(choices, n, (double)lane->run_ms / 1000)];
}

uint32_t poll_arrived(struct dispatch *d, struct lane *lane, uint32_t jobs)
{
    uint32_t woken = 0;
    lane_arrived(lane);
    while (woken < jobs && !TAILQ_EMPTY(&lane->waiting) && !d->draining) {
        poll_lease(taker(lane));
        woken++;
    }
    return woken;
}

static void probe(struct lane *lane, void *arg)
{
    if (!TAILQ_EMPTY(&lane->waiting))
        poll_arrived(arg, lane, 1);
}

void polls_probe(struct dispatch *d)
{
    lanes_each(d, probe, d);
}

void poll_worker_freed(struct dispatch *d, const char *worker_id)
{
    struct poll *p;
    for (p = TAILQ_FIRST(&d->polls->capped); p; p = TAILQ_NEXT(p, in_capped)) {
        if (strcmp(p->worker->worker_id, worker_id) == 0) {
            poll_lease(p);
            return;
        }
    }
}

static int has_queued(const struct poll *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->link[i].lane->watched && p->link[i].lane->store_queued > 0)
            return 1;
    }
    return 0;
}

/* Those that ask leave the list, and come back to its end at the earliest when they were answered. */
void polls_retry_capped(struct dispatch *d)
{
    struct poll *p = TAILQ_FIRST(&d->polls->capped);
    while (p) {
        struct poll *next = TAILQ_NEXT(p, in_capped);
        if (has_queued(p)) {
            p->ask.on_loop = 0; /* a failure is answered on the next turn: the callback may change this list */
            poll_lease(p);
        }
        p = next;
    }
}

/* Ends every waiting poll for which `ends` is true. Answers may bring new polls, so the list is read from the start. */
static void end_waiting(struct polls *all, int (*ends)(const struct poll *p, const char *what), const char *what,
                        const char *message)
{
    struct poll *p = TAILQ_FIRST(&all->all);
    while (p) {
        struct poll *next = TAILQ_NEXT(p, in_all);
        if ((p->state == POLL_WAITING || p->state == POLL_CAPPED) && ends(p, what)) {
            stop_waiting(p);
            p->ask.on_loop = 0; /* answer on the next turn: the callback may change this list */
            poll_answer_none(p, message);
        }
        p = next;
    }
}

static int is_of_worker(const struct poll *p, const char *worker_id)
{
    return !worker_id || strcmp(p->worker->worker_id, worker_id) == 0;
}

static int is_due(const struct poll *p, const char *unused)
{
    (void)unused;
    return p->deadline_ms <= mono_ms();
}

static int has_exceptions(const struct poll *p, const char *unused)
{
    (void)unused;
    return p->except && json_object_array_length(p->except) > 0;
}

void polls_dismiss(struct dispatch *d, const char *worker_id, const char *message)
{
    end_waiting(d->polls, is_of_worker, worker_id, message);
}

static void deadlines(void *arg)
{
    struct polls *all = arg;
    struct poll *p;
    all->armed_ms = 0;
    end_waiting(all, is_due, NULL, "No jobs available");
    int64_t next = 0;
    for (p = TAILQ_FIRST(&all->all); p; p = TAILQ_NEXT(p, in_all)) {
        if ((p->state == POLL_WAITING || p->state == POLL_CAPPED) && (next == 0 || p->deadline_ms < next))
            next = p->deadline_ms;
    }
    if (next)
        arm(all, next);
}

static void look_again(struct lane *lane, void *arg)
{
    lane_arrived(lane);
    probe(lane, arg);
}

void polls_look_again(struct dispatch *d)
{
    lanes_each(d, look_again, d);
}

/* What came up, or was released, may have jobs that no lease asked for until now. */
static void on_plugin(const struct event_msg *e, void *arg)
{
    struct polls *all = arg;
    struct json_object *f = event_fields(e);
    if (strcmp(json_str(f, "to", ""), "running") != 0 || strcmp(json_str(f, "kind", ""), "workflow") != 0)
        return;
    if (strcmp(json_str(f, "from", ""), "quarantined") == 0) {
        all->released_ms = dispatch_now(all->d);
        end_waiting(all, has_exceptions, NULL, "No jobs available"); /* it is told of the release by that */
    }
    polls_look_again(all->d);
}

struct polls *polls_new(struct dispatch *d)
{
    struct polls *p = calloc(1, sizeof *p);
    assert(p);
    p->d = d;
    TAILQ_INIT(&p->all);
    TAILQ_INIT(&p->capped);
    p->timer = loop_timer_new(d->loop, "dispatch.polls", deadlines, p);
    p->plugins = bus_subscribe(d->bus, event_info(EVENT_PLUGIN_STATE)->name, on_plugin, p);
    return p;
}

/* Waiting polls are forgotten; those with a request on its way free themselves when it ends. */
void polls_free(struct polls *all)
{
    struct poll *p = TAILQ_FIRST(&all->all);
    while (p) {
        struct poll *next = TAILQ_NEXT(p, in_all);
        if (p->state == POLL_WAITING || p->state == POLL_CAPPED)
            ask_forget(&p->ask);
        p = next;
    }
    loop_timer_free(all->timer);
    bus_unsubscribe(all->plugins);
    free(all);
}

void polls_touch(struct dispatch *d)
{
    struct poll *p;
    int64_t now = dispatch_now(d);
    for (p = TAILQ_FIRST(&d->polls->all); p; p = TAILQ_NEXT(p, in_all)) {
        if (now - p->seen_ms < d->set.stale_ms / 4)
            continue;
        p->seen_ms = now;
        auth_touch(d, p->worker);
    }
}

uint32_t dispatch_waiting_polls(const struct dispatch *d)
{
    return d->polls->n;
}

void dispatch_poll_abandon(struct dispatch *d, void *arg)
{
    struct poll *p;
    for (p = TAILQ_FIRST(&d->polls->all); p; p = TAILQ_NEXT(p, in_all)) {
        if ((p->taking ? p->taking->client : p->ask.arg) != arg || p->gone)
            continue;
        p->ask.fn = NULL;
        if (p->state == POLL_WAITING || p->state == POLL_CAPPED)
            ask_forget(&p->ask);
        else
            p->gone = 1;
        return;
    }
}
