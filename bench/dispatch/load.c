/* SPDX-License-Identifier: Apache-2.0 */
/* Producers and workers: each is one connection with one request in flight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define RETRY_US     20000 /* after a refusal */
#define FAILURES_MAX 20    /* polls in a row that failed, then a worker gives up */

void run_trouble(struct run *r, const char *what, const struct answer *a)
{
    r->count.errors++;
    if (!r->trouble[0])
        snprintf(r->trouble, sizeof r->trouble, "%s: %s%d %.160s", what, a->status ? "" : "the connection broke ",
                 a->status, a->body);
}

int64_t run_outstanding(const struct run *r)
{
    return (int64_t)r->count.submitted - (int64_t)r->count.completed;
}

void run_measure(struct run *r)
{
    r->at_begin = r->count;
    r->begin_us = now_us();
    histogram_clear(&r->submit);
    histogram_clear(&r->complete);
    histogram_clear(&r->held);
    histogram_clear(&r->cycle);
}

/* The job's entry; a newer job takes the place of one a million ids older. */
static struct track *track_of(struct run *r, int64_t id)
{
    struct track *t = &r->tracks[id & (TRACKED - 1)];
    if (t->id != id)
        *t = (struct track){.id = id};
    return t;
}

/* Both ends are known, whichever came last. */
static void note_held(struct run *r, const struct track *t)
{
    if (t->sent_us && t->held_us && t->sent_us >= r->begin_us)
        histogram_add(&r->held, t->held_us - t->sent_us);
}

/* ---- producers ---- */

static void note_submitted(struct run *r, int64_t id, const struct answer *a)
{
    struct track *t = track_of(r, id);
    t->sent_us = a->sent_us;
    r->count.submitted++;
    note_held(r, t);
}

/* The ids of an answer: of the one job, which comes first, or of each of a batch. */
static void take_ids(struct run *r, const struct answer *a)
{
    if (r->opt.submit_batch == 1) {
        note_submitted(r, json_pick_int(a->body, "id", 0), a);
        return;
    }
    for (const char *p = a->body; (p = strstr(p, "\"id\":")); p++)
        note_submitted(r, json_pick_int(p, "id", 0), a);
    r->count.refused += (uint64_t)json_pick_int(a->body, "refused", 0);
}

static void submitted(struct connection *c, const struct answer *a, void *arg)
{
    struct producer *p = arg;
    struct run *r = p->run;
    (void)c;
    p->next_us = 0;
    if (a->status == 201 || (a->status == 200 && r->opt.submit_batch > 1)) {
        take_ids(r, a);
        histogram_add(&r->submit, a->received_us - a->sent_us);
        if (r->opt.think_ms > 0)
            p->next_us = a->received_us + (uint64_t)(r->opt.think_ms * 1000);
    } else if (a->status == 503 || a->status == 429) {
        r->count.refused++;
        p->next_us = a->received_us + RETRY_US;
    } else {
        run_trouble(r, "submit", a);
        p->next_us = a->received_us + RETRY_US;
    }
    if (!r->opt.rate)
        producers_turn(r, a->received_us);
}

static void submit_one(struct producer *p)
{
    struct run *r = p->run;
    connection_send(p->connection, "POST", "/api/jobs", r->tenant_header, r->submit_body, submitted, p);
}

static char *submit_body(const struct options *o)
{
    size_t one = strlen(o->params) + strlen(o->workflow) + 64, n = (size_t)o->submit_batch;
    char *body = malloc(n * one + 64), *at = body;
    if (!body)
        return NULL;
    if (n > 1)
        at = stpcpy(at, "{\"jobs\":[");
    for (size_t i = 0; i < n; i++)
        at += snprintf(at, one, "%s{\"workflow\":\"%s\",\"params\":%s}", i ? "," : "", o->workflow, o->params);
    if (n > 1)
        stpcpy(at, "]}");
    return body;
}

void producers_start(struct run *r)
{
    r->submit_body = submit_body(&r->opt);
    r->producers = calloc((size_t)r->opt.producers + 1, sizeof *r->producers);
    if (!r->submit_body || !r->producers)
        abort();
    for (int i = 0; i < r->opt.producers; i++) {
        r->producers[i].run = r;
        r->producers[i].connection = connection_new(&r->client);
        if (r->opt.rate > 0) /* each sends in its turn */
            r->producers[i].next_us = now_us() + (uint64_t)(1e6 * i / r->opt.rate);
    }
    r->submitting = true;
}

/* At a fixed rate: by the clock, whether or not the answer came quickly. */
static void paced_send(struct run *r, struct producer *p, uint64_t now)
{
    static uint64_t due;
    if (due == 0)
        due = now;
    if (now < due || connection_busy(p->connection))
        return;
    due += (uint64_t)(1e6 / r->opt.rate);
    if (due + 1000000 < now)
        due = now;
    submit_one(p);
}

uint64_t producers_turn(struct run *r, uint64_t now)
{
    uint64_t wait = 100000;
    for (int i = 0; r->submitting && i < r->opt.producers; i++) {
        struct producer *p = &r->producers[i];
        if (r->opt.rate > 0) {
            paced_send(r, p, now);
            wait = 200;
            continue;
        }
        if (connection_busy(p->connection))
            continue;
        if (run_outstanding(r) >= r->opt.backlog) {
            wait = wait < 1000 ? wait : 1000;
        } else if (p->next_us > now) {
            wait = p->next_us - now < wait ? p->next_us - now : wait;
        } else {
            submit_one(p);
        }
    }
    return wait;
}

/* ---- workers ---- */

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

/* The job comes once more: it moves among those that are held. */
static void keep(struct worker *w, int i)
{
    int to = w->n_jobs++;
    w->jobs[to] = w->jobs[i];
    memmove(w->leases[to], w->leases[i], sizeof w->leases[0]);
}

/* Each result of a batch, in the order sent. */
static void take_results(struct worker *w, const struct answer *a)
{
    struct run *r = w->run;
    const char *p = a->body;
    char outcome[32];
    for (int i = w->n_jobs, n = w->n_jobs + w->n_sent; i < n; i++) {
        p = p ? strstr(p, "\"outcome\":") : NULL;
        if (!p || !json_pick_text(p, "outcome", outcome, sizeof outcome))
            run_trouble(r, "complete", a);
        else if (strcmp(outcome, "completed") == 0)
            note_completed(r, w->jobs[i], a);
        else if (strcmp(outcome, "later") == 0)
            keep(w, i);
        else
            run_trouble(r, "complete", a);
        p = p ? p + 1 : NULL;
    }
}

static void completed(struct connection *c, const struct answer *a, void *arg)
{
    struct worker *w = arg;
    struct run *r = w->run;
    (void)c;
    if (a->status == 200) {
        histogram_add(&r->complete, a->received_us - a->sent_us);
        if (r->opt.complete_batch > 1)
            take_results(w, a);
        else
            note_completed(r, w->jobs[w->n_jobs], a);
    } else if (a->status == 503) {
        r->count.refused++;
        w->n_jobs += w->n_sent; /* once more */
    } else {
        run_trouble(r, "complete", a);
    }
    complete_next(w);
}

static int write_result(const struct worker *w, int i, char *out, size_t room)
{
    return snprintf(out, room,
                    "{\"dispatch_id\":%lld,\"lease_token\":\"%s\",\"worker_id\":\"%s\",\"provider_job_id\":\"bench\","
                    "\"output\":{\"size\":0,\"mime_type\":\"application/octet-stream\"}}",
                    (long long)w->jobs[i], w->leases[i], w->id);
}

static void complete_next(struct worker *w)
{
    char body[64 * 400 + 32], *at = body;
    int most = w->run->opt.complete_batch;
    if (w->n_jobs == 0) {
        poll_next(w);
        return;
    }
    w->n_sent = w->n_jobs < most ? w->n_jobs : most;
    w->n_jobs -= w->n_sent;
    if (most > 1)
        at = stpcpy(at, "{\"results\":[");
    for (int i = 0; i < w->n_sent; i++) {
        if (i)
            *at++ = ',';
        at += write_result(w, w->n_jobs + i, at, 400);
    }
    if (most > 1)
        stpcpy(at, "]}");
    connection_send(w->connection, "POST", "/api/worker/complete", w->header, body, completed, w);
}

/* One job of a poll's answer: text from its dispatch_id on. */
static void take_job(struct worker *w, const char *text, uint64_t at_us)
{
    struct run *r = w->run;
    int64_t id = json_pick_int(text, "dispatch_id", 0);
    if (!id || !json_pick_text(text, "lease_token", w->leases[w->n_jobs], sizeof w->leases[0]))
        return;
    struct track *t = track_of(r, id);
    w->jobs[w->n_jobs++] = id;
    r->count.leased++;
    r->count.doubled += t->leases++ > 0;
    t->held_us = at_us;
    note_held(r, t);
}

static void polled(struct connection *c, const struct answer *a, void *arg)
{
    struct worker *w = arg;
    struct run *r = w->run;
    (void)c;
    if (a->status != 200) {
        if (a->status == 503)
            r->count.refused++;
        else if (!r->stopping)
            run_trouble(r, "poll", a);
        if (++w->failures < FAILURES_MAX)
            poll_next(w);
        return;
    }
    w->failures = 0;
    /* With max_jobs the answer holds the first job twice, as "job" and in "jobs". */
    const char *jobs = w->run->opt.batch > 1 ? strstr(a->body, "\"jobs\"") : NULL;
    for (const char *p = jobs ? jobs : a->body; w->n_jobs < 64 && (p = strstr(p, "\"dispatch_id\"")); p++) {
        take_job(w, p, a->received_us);
        if (!jobs)
            break;
    }
    complete_next(w);
}

static void poll_next(struct worker *w)
{
    if (!w->run->stopping)
        connection_send(w->connection, "POST", "/api/worker/poll", w->header, w->poll_body, polled, w);
}

void workers_start(struct run *r)
{
    for (int i = 0; i < r->n_workers; i++)
        poll_next(&r->workers[i]);
}
