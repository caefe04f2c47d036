/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/drain_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCES 2
#define JOBS      3
#define CALLS     4
#ifndef AT_ONCE
#define AT_ONCE 2 /* calls to the store that may be under way when another event would begin one more */
#endif

/* Of an instance: not there, booting, its worker's registration is stored, its worker asks for jobs, its worker died.
 */
enum machine { ABSENT, BOOTING, STORED, UP, DIED };
enum call { NO_CALL, MARK, UNMARK, MARK_UP, LIST }; /* MARK_UP: because a worker registered */
enum terminate { NO_TERMINATE, SENT, CARRIED_OUT };
enum look { NO_LOOK, ASKED, DESCRIBING };

/* Bytes only: states are compared and hashed as they lie in memory. */
struct one {
    uint8_t machine, lease;
    uint8_t row, row_draining;                /* in the store */
    uint8_t step, fresh;                      /* in the engine; step 0: not met yet */
    uint8_t terminate, orphan;                /* orphan: one that was lost and may still come true */
    uint8_t saw_row, saw_draining, saw_lease; /* by the look under way */
};

struct call_state {
    uint8_t kind, instance, carried_out, silent; /* silent: its answer was given up */
};

struct state {
    uint8_t queued, done, desired, look, n_calls;
    struct one i[INSTANCES];
    struct call_state calls[CALLS];
};

/* ---- all states met ---- */

struct world {
    drain_fn next;
    struct state *states;
    uint32_t *parents, *table;
    const char **how;
    size_t n, room, at; /* at: whose successors are being made */
    struct found found;
};

static uint64_t hash(const struct state *s)
{
    uint64_t h = 14695981039346656037ULL, words[(sizeof *s + 7) / 8] = {0};
    memcpy(words, s, sizeof *s);
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        h = (h ^ words[k]) * 1099511628211ULL;
        h ^= h >> 32;
    }
    return h;
}

static void *more(void *old, size_t n, size_t size)
{
    void *p = realloc(old, n * size);
    if (!p)
        abort();
    return p;
}

static void put(struct world *w, size_t index)
{
    size_t mask = w->room * 2 - 1, k = hash(&w->states[index]) & mask;
    while (w->table[k])
        k = (k + 1) & mask;
    w->table[k] = (uint32_t)index + 1;
}

static void grow(struct world *w)
{
    w->room = w->room ? w->room * 2 : 1 << 16;
    w->states = more(w->states, w->room, sizeof *w->states);
    w->parents = more(w->parents, w->room, sizeof *w->parents);
    w->how = more(w->how, w->room, sizeof *w->how);
    free(w->table);
    w->table = calloc(w->room * 2, sizeof *w->table);
    if (!w->table)
        abort();
    for (size_t k = 0; k < w->n; k++)
        put(w, k);
}

/* ---- states that differ in nothing that matters are one ---- */

/* What a look saw of an instance decides only when it stands where looks decide, and was marked before it. */
static void forget_what_does_not_matter(const struct state *s, struct one *i)
{
    int waits = i->step == DRAIN_NONE || i->step == DRAIN_MARKING || i->step == DRAIN_UNMARKING;
    if (waits || s->look == NO_LOOK || (i->step && !i->fresh))
        i->fresh = i->saw_row = i->saw_draining = i->saw_lease = 0;
    if (!i->step)
        i->fresh = i->saw_row = i->saw_lease = 0;
    if (i->machine == ABSENT)
        i->orphan = 0;
}

static void drop_call(struct state *s, int n)
{
    memmove(&s->calls[n], &s->calls[n + 1], (size_t)(CALLS - 1 - n) * sizeof s->calls[0]);
    memset(&s->calls[CALLS - 1], 0, sizeof s->calls[0]);
    s->n_calls--;
}

/* The two instances are alike: the one that comes first in memory is the first. */
static void order_instances(struct state *s)
{
    struct one i = s->i[0];
    if (memcmp(&s->i[0], &s->i[1], sizeof i) <= 0)
        return;
    s->i[0] = s->i[1];
    s->i[1] = i;
    for (int n = 0; n < s->n_calls; n++)
        if (s->calls[n].kind != LIST)
            s->calls[n].instance ^= 1;
}

static void normalize(struct state *s)
{
    for (int k = 0; k < INSTANCES; k++)
        forget_what_does_not_matter(s, &s->i[k]);
    for (int n = s->n_calls - 1; n >= 0; n--)
        if (s->calls[n].silent && s->calls[n].carried_out)
            drop_call(s, n);
    order_instances(s);
}

/* This way leads from the state at hand to s. */
static void reach(struct world *w, const struct state *to, const char *how)
{
    struct state one = *to;
    const struct state *s = &one;
    normalize(&one);
    w->found.ways++;
    size_t mask = w->room * 2 - 1, k = hash(s) & mask;
    for (; w->table[k]; k = (k + 1) & mask)
        if (memcmp(&w->states[w->table[k] - 1], s, sizeof *s) == 0)
            return;
    if (w->n == w->room)
        grow(w);
    w->states[w->n] = *s;
    w->parents[w->n] = (uint32_t)w->at;
    w->how[w->n] = how;
    put(w, w->n++);
    w->found.finished += s->done == JOBS;
}

static void wrong(struct world *w, const char *promise, const char *how)
{
    const char *steps[256];
    size_t n = 0, used = 0;
    char *out = w->found.wrong;
    if (out[0])
        return;
    for (size_t k = w->at; k && n < 256; k = w->parents[k])
        steps[n++] = w->how[k];
    used += (size_t)snprintf(out, sizeof w->found.wrong, "%s:", promise);
    while (n > 0 && used < sizeof w->found.wrong - 256)
        used += (size_t)snprintf(out + used, 128, " %s,", steps[--n]);
    snprintf(out + used, sizeof w->found.wrong - used, " %s", how);
}

/* ---- the engine ---- */

static int has_room(const struct state *s, int calls)
{
    return s->n_calls + calls <= AT_ONCE;
}

static void call(struct state *s, enum call kind, int k)
{
    s->calls[s->n_calls++] = (struct call_state){.kind = (uint8_t)kind, .instance = (uint8_t)k};
}

static void happens(const struct world *w, struct state *s, int k, enum drain_event what, const struct drain_view *v)
{
    struct one *i = &s->i[k];
    struct drain_next next = w->next((enum drain_step)i->step, what, v);
    if ((what == DRAIN_TOLD || what == DRAIN_NOT_TOLD) && next.step != i->step)
        i->fresh = 0;
    i->step = (uint8_t)next.step;
    if (next.action == DRAIN_DO_MARK)
        call(s, what == DRAIN_WORKER_UP ? MARK_UP : MARK, k);
    else if (next.action == DRAIN_DO_UNMARK)
        call(s, UNMARK, k);
    else if (next.action == DRAIN_DO_TERMINATE)
        i->terminate = SENT;
}

static void scale_in(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].step != DRAIN_NONE || !has_room(&s, 1))
        return;
    happens(w, &s, k, DRAIN_WANTED, NULL);
    reach(w, &s, "scale-in picks it");
}

/* A new instance has a name of its own: its place is free when nothing is left of the one before. */
static int is_free(const struct state *s, int k)
{
    const struct one *i = &s->i[k];
    for (int n = 0; n < s->n_calls; n++)
        if (s->calls[n].instance == k && s->calls[n].kind != LIST)
            return 0;
    return i->machine == ABSENT && !i->step && !i->terminate && s->look == NO_LOOK;
}

/* As fleet_resize() does it. */
static void burst(struct world *w, int wanted)
{
    struct state s = w->states[w->at];
    int left = wanted;
    for (int k = 0; k < INSTANCES; k++)
        if (s.i[k].step == DRAIN_MARKING || s.i[k].step == DRAIN_UNMARKING)
            return;
    for (int k = 0; k < INSTANCES && left; k++) {
        if (s.i[k].step != DRAIN_MARKED || !s.i[k].machine || !has_room(&s, 1))
            continue;
        happens(w, &s, k, DRAIN_UNWANTED, NULL);
        w->found.took_back += s.i[k].step == DRAIN_UNMARKING;
        left -= s.i[k].step == DRAIN_UNMARKING;
    }
    for (int k = 0; k < INSTANCES && left; k++) {
        if (!is_free(&s, k))
            continue;
        s.desired++;
        s.i[k].machine = BOOTING;
        w->found.relaunched++;
        left--;
        for (int n = 0; n < INSTANCES; n++)
            if (s.i[n].step == DRAIN_MARKED && s.i[n].machine && has_room(&s, 1))
                wrong(w, "it launched while a drain could be cancelled", "a burst");
    }
    reach(w, &s, "a burst");
}

static void look(struct world *w)
{
    struct state s = w->states[w->at];
    if (s.look != NO_LOOK || !has_room(&s, 1))
        return;
    call(&s, LIST, 0);
    s.look = ASKED;
    for (int k = 0; k < INSTANCES; k++)
        s.i[k].fresh = 1;
    reach(w, &s, "a look begins");
}

static void look_at(const struct world *w, struct state *s, int k)
{
    struct one *i = &s->i[k];
    struct drain_view v = {i->fresh, i->saw_row, i->saw_draining, i->saw_lease};
    if (i->machine == ABSENT) {
        i->step = 0;
    } else if (!i->step) {
        i->step = (uint8_t)drain_found(1, i->saw_draining);
        v.fresh = 0;
    }
    if (i->step)
        happens(w, s, k, DRAIN_LOOKED, &v);
    i->fresh = i->saw_row = i->saw_draining = i->saw_lease = 0;
}

static void decide(struct world *w)
{
    struct state s = w->states[w->at];
    if (s.look != DESCRIBING || s.n_calls + INSTANCES > CALLS)
        return;
    for (int k = 0; k < INSTANCES; k++)
        look_at(w, &s, k);
    s.look = NO_LOOK;
    reach(w, &s, "a look ends");
}

/* ---- the store ---- */

static void carry_out(struct state *s, struct call_state *c)
{
    c->carried_out = 1;
    if (c->kind != LIST) {
        s->i[c->instance].row_draining = s->i[c->instance].row && c->kind != UNMARK;
        return;
    }
    for (int k = 0; k < INSTANCES; k++) {
        s->i[k].saw_row = s->i[k].row;
        s->i[k].saw_draining = s->i[k].row_draining;
        s->i[k].saw_lease = s->i[k].lease;
    }
}

static void store_acts(struct world *w)
{
    struct state s = w->states[w->at];
    for (int k = 0; k < s.n_calls; k++)
        if (!s.calls[k].carried_out) {
            carry_out(&s, &s.calls[k]);
            reach(w, &s, "the store carries out a call");
            return;
        }
}

static void store_answers(struct world *w)
{
    struct state s = w->states[w->at];
    struct call_state c = s.calls[0];
    if (!s.n_calls || !c.carried_out)
        return;
    drop_call(&s, 0);
    if (c.kind == LIST)
        s.look = DESCRIBING;
    else if (!c.silent && s.i[c.instance].step)
        happens(w, &s, c.instance, DRAIN_TOLD, NULL);
    reach(w, &s, "the store answers");
}

static void answer_is_lost(struct world *w, int n)
{
    struct state s = w->states[w->at];
    if (n >= s.n_calls || s.calls[n].kind == LIST || s.calls[n].silent)
        return;
    s.calls[n].silent = 1;
    if (s.i[s.calls[n].instance].step)
        happens(w, &s, s.calls[n].instance, DRAIN_NOT_TOLD, NULL);
    reach(w, &s, "the store's answer is lost");
}

/* ---- jobs and workers ---- */

/* What a worker asks comes after the mark that its registration brought. */
static int is_held_up(const struct state *s, int k)
{
    for (int n = 0; n < s->n_calls; n++)
        if (s->calls[n].kind == MARK_UP && s->calls[n].instance == k && !s->calls[n].carried_out)
            return 1;
    return 0;
}

static void worker_polls(struct world *w, int k)
{
    struct state s = w->states[w->at];
    struct one *i = &s.i[k];
    if (i->machine != UP || i->lease || i->row_draining || !s.queued || is_held_up(&s, k))
        return;
    i->lease = 1;
    s.queued--;
    reach(w, &s, "a worker leases");
}

static void job_finishes(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].machine != UP || !s.i[k].lease)
        return;
    s.i[k].lease = 0;
    s.done++;
    reach(w, &s, "a job finishes");
}

static void lease_is_over(struct state *s, int k)
{
    s->queued = (uint8_t)(s->queued + s->i[k].lease);
    s->i[k].lease = 0;
}

static void worker_registers(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].machine != BOOTING && s.i[k].machine != DIED)
        return;
    lease_is_over(&s, k);
    s.i[k].machine = STORED;
    s.i[k].row = 1;
    s.i[k].row_draining = 0;
    reach(w, &s, "a worker is registered");
}

static void worker_is_up(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].machine != STORED || !has_room(&s, 1))
        return;
    s.i[k].machine = UP;
    if (s.i[k].step)
        happens(w, &s, k, DRAIN_WORKER_UP, NULL);
    reach(w, &s, "a worker is up");
}

static void worker_dies(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].machine != UP)
        return;
    s.i[k].machine = DIED;
    reach(w, &s, "a worker dies");
}

static void lease_expires(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].machine != DIED || !s.i[k].lease)
        return;
    lease_is_over(&s, k);
    reach(w, &s, "a lease expires");
}

/* ---- the provider ---- */

static int busy(const struct state *s)
{
    return s->i[0].lease + s->i[1].lease;
}

/* A terminate, or one that was taken for lost, is carried out. */
static void ends(struct world *w, struct state *s, int k, const char *how)
{
    struct one *i = &s->i[k];
    if (i->machine == ABSENT)
        return;
    w->found.ended++;
    if (i->lease)
        wrong(w, "a busy instance was ended", how);
    i->machine = ABSENT;
    i->row = i->row_draining = i->lease = 0;
    s->desired--;
    if (s->desired < busy(s))
        wrong(w, "desired fell below the busy ones", how);
}

static void terminate_goes(struct world *w, int k)
{
    struct state s = w->states[w->at];
    if (s.i[k].orphan) {
        s.i[k].orphan = 0;
        reach(w, &s, "a lost terminate comes to nothing");
        ends(w, &s, k, "a lost terminate comes true");
        reach(w, &s, "a lost terminate comes true");
    }
    s = w->states[w->at];
    if (s.i[k].terminate != SENT)
        return;
    s.i[k].terminate = CARRIED_OUT;
    ends(w, &s, k, "a terminate is carried out");
    reach(w, &s, "a terminate is carried out");
}

static void terminate_answers(struct world *w, int k)
{
    const struct state *from = &w->states[w->at];
    struct state s = *from;
    int was = s.i[k].terminate;
    if (was == NO_TERMINATE)
        return;
    s.i[k].terminate = NO_TERMINATE;
    happens(w, &s, k, was == SENT ? DRAIN_REFUSED : DRAIN_ENDED, NULL);
    reach(w, &s, was == SENT ? "a terminate is refused" : "a terminate is answered");
    s = w->states[w->at];
    s.i[k].terminate = NO_TERMINATE;
    s.i[k].orphan |= was == SENT;
    happens(w, &s, k, DRAIN_LOST, NULL);
    reach(w, &s, "a terminate's answer is lost");
}

static void controller_restarts(struct world *w)
{
    struct state s = w->states[w->at];
    s.look = NO_LOOK;
    s.n_calls = 0;
    memset(s.calls, 0, sizeof s.calls);
    for (int k = 0; k < INSTANCES; k++) {
        struct one *i = &s.i[k];
        i->step = i->fresh = i->terminate = i->orphan = i->saw_row = i->saw_draining = i->saw_lease = 0;
        i->machine = i->machine == STORED ? DIED : i->machine; /* it got no answer, and registers again */
    }
    reach(w, &s, "the controller restarts");
}

/* ---- all of it ---- */

static void check(struct world *w)
{
    const struct state *s = &w->states[w->at];
    if (s->queued + s->done + busy(s) != JOBS)
        wrong(w, "a job was lost", "so it is");
    for (int k = 0; k < INSTANCES; k++)
        if (s->i[k].lease && s->i[k].machine != UP && s->i[k].machine != DIED)
            wrong(w, "a job is leased to a worker that is not there", "so it is");
}

static void step(struct world *w)
{
    check(w);
    look(w);
    decide(w);
    store_acts(w);
    store_answers(w);
    controller_restarts(w);
    for (int n = 1; n <= INSTANCES; n++)
        burst(w, n);
    for (int n = 0; n < CALLS; n++)
        answer_is_lost(w, n);
    for (int k = 0; k < INSTANCES; k++) {
        scale_in(w, k);
        worker_polls(w, k);
        job_finishes(w, k);
        worker_registers(w, k);
        worker_is_up(w, k);
        worker_dies(w, k);
        lease_expires(w, k);
        terminate_goes(w, k);
        terminate_answers(w, k);
    }
}

struct found explore(drain_fn next)
{
    struct world w = {.next = next};
    struct state first = {.queued = JOBS, .desired = INSTANCES};
    grow(&w);
    for (int k = 0; k < INSTANCES; k++)
        first.i[k].machine = BOOTING;
    reach(&w, &first, "");
    for (w.at = 0; w.at < w.n && !w.found.wrong[0]; w.at++)
        step(&w);
    w.found.states = w.n;
    free(w.states);
    free(w.parents);
    free(w.how);
    free(w.table);
    return w.found;
}
