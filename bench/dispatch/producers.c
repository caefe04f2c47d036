/* SPDX-License-Identifier: Apache-2.0 */
/* Producers: each is one connection with one submit in flight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define RETRY_US 20000 /* after a refusal */

void run_trouble(struct run *r, const char *what, const struct answer *a)
{
    char status[16] = "";
    r->count.errors++;
    if (r->trouble[0])
        return;
    if (a->status)
        snprintf(status, sizeof status, "%d ", a->status);
    snprintf(r->trouble, sizeof r->trouble, "%s: %s%s%.160s", what,
             a->verdict == VERDICT_BROKEN ? "the connection broke " : "", status, a->text);
}

int64_t run_outstanding(const struct run *r)
{
    return (int64_t)r->count.submitted - (int64_t)r->count.completed;
}

struct track *track_of(struct run *r, int64_t id)
{
    struct track *t = &r->tracks[id & (TRACKED - 1)];
    if (t->id != id)
        *t = (struct track){.id = id};
    return t;
}

void note_held(struct run *r, const struct track *t)
{
    if (t->sent_us && t->held_us && t->sent_us >= r->begin_us)
        histogram_add(&r->held, t->held_us - t->sent_us);
}

static void note_submitted(struct run *r, const struct answer *a)
{
    for (int i = 0; i < a->n_items; i++) {
        struct track *t = track_of(r, a->items[i].id);
        t->sent_us = a->sent_us;
        r->count.submitted++;
        note_held(r, t);
    }
    r->count.refused += a->refused;
    histogram_add(&r->submit, a->received_us - a->sent_us);
}

static void submitted(struct connection *c, const struct answer *a, void *arg)
{
    struct producer *p = arg;
    struct run *r = p->run;
    (void)c;
    p->next_us = 0;
    if (a->verdict == VERDICT_GOOD) {
        note_submitted(r, a);
        if (r->opt.think_ms > 0)
            p->next_us = a->received_us + (uint64_t)(r->opt.think_ms * 1000);
    } else {
        if (a->verdict == VERDICT_LATER)
            r->count.refused++;
        else
            run_trouble(r, "submit", a);
        p->next_us = a->received_us + RETRY_US;
    }
    if (r->opt.rate == 0)
        producers_turn(r, a->received_us);
}

static void submit_one(struct producer *p)
{
    struct run *r = p->run;
    struct request q = {.kind = REQUEST_SUBMIT, .n = r->opt.submit_batch, .first = r->numbers + 1};
    r->numbers += q.n;
    r->peer->submit(r, q.first, connection_out(p->connection));
    connection_send(p->connection, q, submitted, p);
}

void producers_start(struct run *r)
{
    r->producers = calloc((size_t)r->opt.producers + 1, sizeof *r->producers);
    if (!r->producers)
        abort();
    for (int i = 0; i < r->opt.producers; i++) {
        r->producers[i].run = r;
        r->producers[i].connection = connection_new(&r->client, r->peer->read);
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
