/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: each is one connection that leases, completes what it got, and leases again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define FAILURES_MAX 20 /* polls in a row that failed, then a worker gives up */

static void poll_next(struct worker *w);
static void complete_next(struct worker *w);

static void note_completed(struct run *r, int64_t id, const struct answer *a)
{
    struct track *t = track_of(r, id);
    r->count.completed += !t->completed;
    t->completed = true;
    if (t->sent_us && t->sent_us >= r->begin_us)
        histogram_add(&r->cycle, a->received_us - t->sent_us);
}

/* What became of the jobs sent, in their order; those told "later" are held on. */
static void take_results(struct worker *w, const struct answer *a)
{
    for (int i = 0, from = w->n_held; i < w->n_sent; i++) {
        struct item *sent = &w->held[from + i];
        enum verdict verdict = i < a->n_items ? a->items[i].verdict : VERDICT_BAD;
        if (verdict == VERDICT_GOOD)
            note_completed(w->run, sent->id, a);
        else if (verdict == VERDICT_LATER)
            w->held[w->n_held++] = *sent;
        else
            run_trouble(w->run, "complete", a);
    }
}

static void hold(struct worker *w, const struct item *job, const struct answer *a)
{
    struct run *r = w->run;
    struct track *t = track_of(r, job->id);
    w->held[w->n_held++] = *job;
    r->count.leased++;
    r->count.doubled += t->leases++ > 0;
    t->held_us = a->received_us;
    note_held(r, t);
}

static void completed(struct connection *c, const struct answer *a, void *arg)
{
    struct worker *w = arg;
    struct run *r = w->run;
    (void)c;
    if (a->verdict == VERDICT_GOOD) {
        histogram_add(&r->complete, a->received_us - a->sent_us);
        take_results(w, a);
        if (a->has_next)
            hold(w, &a->next, a);
    } else if (a->verdict == VERDICT_LATER) {
        r->count.refused++;
        w->n_held += w->n_sent; /* once more */
    } else {
        run_trouble(r, "complete", a);
    }
    complete_next(w);
}

static void complete_next(struct worker *w)
{
    const struct run *r = w->run;
    if (w->n_held == 0) {
        poll_next(w);
        return;
    }
    w->n_sent = w->n_held < r->opt.complete_batch ? w->n_held : r->opt.complete_batch;
    w->n_held -= w->n_sent;
    r->peer->complete(w, w->held + w->n_held, w->n_sent, connection_out(w->connection));
    connection_send(w->connection, (struct request){.kind = REQUEST_COMPLETE, .n = w->n_sent}, completed, w);
}

static void take_jobs(struct worker *w, const struct answer *a)
{
    for (int i = 0; i < a->n_items && w->n_held < HELD_MAX; i++)
        hold(w, &a->items[i], a);
    complete_next(w);
}

/* A poll failed, or was refused for now. */
static void poll_failed(struct worker *w, const struct answer *a)
{
    struct run *r = w->run;
    if (a->verdict == VERDICT_LATER)
        r->count.refused++;
    else if (!r->stopping)
        run_trouble(r, "poll", a);
    if (++w->failures < FAILURES_MAX)
        poll_next(w);
}

static void awoken(struct connection *c, const struct answer *a, void *arg)
{
    (void)c;
    if (a->verdict == VERDICT_GOOD)
        poll_next(arg);
    else
        poll_failed(arg, a);
}

/* Nothing there: the next poll is due after a while, when the server says so, or at once if it lets polls wait. */
static void found_nothing(struct worker *w, const struct answer *a)
{
    const struct run *r = w->run;
    if (r->opt.poll_ms > 0) {
        w->next_us = a->received_us + (uint64_t)(r->opt.poll_ms * 1000);
    } else if (r->peer->sleep && !r->stopping) {
        r->peer->sleep(w, connection_out(w->connection));
        connection_send(w->connection, (struct request){.kind = REQUEST_SLEEP}, awoken, w);
    } else {
        poll_next(w);
    }
}

static void polled(struct connection *c, const struct answer *a, void *arg)
{
    struct worker *w = arg;
    (void)c;
    if (a->verdict != VERDICT_GOOD && a->verdict != VERDICT_EMPTY) {
        poll_failed(w, a);
        return;
    }
    w->failures = 0;
    if (a->verdict == VERDICT_GOOD)
        take_jobs(w, a);
    else
        found_nothing(w, a);
}

static void poll_next(struct worker *w)
{
    const struct run *r = w->run;
    w->next_us = 0;
    if (r->stopping)
        return;
    r->peer->lease(w, connection_out(w->connection));
    connection_send(w->connection, (struct request){.kind = REQUEST_LEASE, .n = r->opt.batch}, polled, w);
}

void workers_new(struct run *r)
{
    r->n_workers = r->opt.workers + r->opt.idle_pollers;
    r->workers = calloc((size_t)r->n_workers + 1, sizeof *r->workers);
    if (!r->workers)
        abort();
    for (int i = 0; i < r->n_workers; i++) {
        struct worker *w = &r->workers[i];
        w->run = r;
        w->idle_poller = i >= r->opt.workers;
        snprintf(w->id, sizeof w->id, "%s-%d", r->opt.prefix, i);
        w->connection = connection_new(&r->client, r->peer->read);
    }
}

/* Those that poll by the clock are spread over it, as they would be had they started at any time. */
void workers_start(struct run *r)
{
    uint64_t now = now_us();
    for (int i = 0; i < r->n_workers; i++) {
        struct worker *w = &r->workers[i];
        if (r->peer->hello)
            r->peer->hello(w, connection_hello(w->connection));
        if (r->opt.poll_ms > 0)
            w->next_us = now + (uint64_t)(r->opt.poll_ms * 1000 * i / r->n_workers) + 1;
        else
            poll_next(w);
    }
}

uint64_t workers_turn(struct run *r, uint64_t now)
{
    uint64_t wait = 100000;
    for (int i = 0; r->opt.poll_ms > 0 && i < r->n_workers; i++) {
        struct worker *w = &r->workers[i];
        if (w->next_us == 0)
            continue;
        if (w->next_us <= now)
            poll_next(w);
        else
            wait = w->next_us - now < wait ? w->next_us - now : wait;
    }
    return wait;
}
