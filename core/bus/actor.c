/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of actors: mailbox, replies, drain, end. */
#include "bus/bus_private.h"

#include "log/err.h"
#include "log/log.h"
#include <stdlib.h>
#include <string.h>

#define REPLY_TURN_US 5000 /* of replies in one turn of the loop, then others have theirs */

static void free_memory(struct actor *a)
{
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->has_work);
    a->magic = 0;
    free(a->batch_room);
    free(a->threads);
    free(a->name);
    free(a);
}

struct actor *actor_new(struct bus *b, const struct actor_spec *spec, struct bp_err *err)
{
    assert(b->magic == BUS_MAGIC && spec->threads >= 1 && spec->batch_max >= 1 && spec->capacity >= 1);
    ASSERT_LOOP(b->loop);
    struct actor *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(err, BP_NOMEM, "%s: no memory for an actor", spec->name);
        return NULL;
    }
    *a = (struct actor){.magic = ACTOR_MAGIC,
                        .bus = b,
                        .batch = spec->batch,
                        .batch_arg = spec->arg,
                        .even_us = spec->even_us,
                        .batch_max = spec->batch_max,
                        .capacity = spec->capacity,
                        .n_threads = spec->threads};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->has_work, NULL);
    TAILQ_INIT(&a->mailbox);
    TAILQ_INIT(&a->finished);
    TAILQ_INIT(&a->replying);
    TAILQ_INIT(&a->corked);
    STAILQ_INIT(&a->early);
    STAILQ_INIT(&a->telling);
    a->name = strdup(spec->name);
    a->threads = calloc(spec->threads, sizeof *a->threads);
    a->batch_room = calloc((size_t)spec->threads * spec->batch_max, sizeof(struct request *));
    int rc = a->name && a->threads && a->batch_room ? actor_threads_start(a, err)
                                                    : err_set(err, BP_NOMEM, "%s: no memory for an actor", spec->name);
    if (rc < 0) {
        free_memory(a);
        return NULL;
    }
    a->next = b->actors;
    b->actors = a;
    return a;
}

/* Puts n requests into the mailbox at once: a thread that takes one of them finds them all. */
static void put(struct actor *a, struct request_list *l, uint32_t n)
{
    pthread_mutex_lock(&a->lock);
    TAILQ_CONCAT(&a->mailbox, l, in_list);
    atomic_fetch_add_explicit(&a->waiting, n, memory_order_relaxed);
    /* One signal for each sleeper: those already called need no second one, however much comes meanwhile. */
    int call = a->sleeping > a->woken;
    if (call)
        a->woken++;
    pthread_mutex_unlock(&a->lock);
    if (call)
        pthread_cond_signal(&a->has_work);
}

void actor_send(struct actor *a, struct request *r)
{
    struct request_list one = TAILQ_HEAD_INITIALIZER(one);
    if (a->bus->corks > 0) {
        r->group = a->group;
        a->group = 0;
        TAILQ_INSERT_TAIL(&a->corked, r, in_list);
        a->n_corked++;
        return;
    }
    TAILQ_INSERT_TAIL(&one, r, in_list);
    put(a, &one, 1);
}

void bus_cork(struct bus *b)
{
    ASSERT_LOOP(b->loop);
    b->corks++;
}

void bus_uncork(struct bus *b)
{
    ASSERT_LOOP(b->loop);
    assert(b->corks > 0);
    if (--b->corks > 0)
        return;
    for (struct actor *a = b->actors; a; a = a->next) {
        uint32_t n = a->n_corked;
        a->n_corked = a->group = 0;
        if (n > 0 && n <= a->batch_max)
            TAILQ_FIRST(&a->corked)->group = n;
        if (n > 0)
            put(a, &a->corked, n);
    }
}

int actor_withdraw(struct actor *a, struct request *r)
{
    pthread_mutex_lock(&a->lock);
    int mine = !r->taken;
    if (mine) {
        TAILQ_REMOVE(&a->mailbox, r, in_list);
        atomic_fetch_sub_explicit(&a->waiting, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&a->lock);
    return mine;
}

/* An abandoned actor lives until nothing posted points at it. */
static void orphan_post_ran(struct actor *a)
{
    if (--a->orphan_posts == 0)
        free_memory(a);
}

/* ---- replies ---- */

/* The next to be told early: behind all replies that were there before. */
static struct request *pop_early(struct actor *a)
{
    struct request *r = STAILQ_FIRST(&a->telling);
    if (r && r->early_after > a->n_replied)
        r = NULL;
    if (r)
        STAILQ_REMOVE_HEAD(&a->telling, in_early);
    return r;
}

static void tell_early(struct request *r)
{
    const struct bp_err ok = {0};
    if (r->early && !atomic_load_explicit(&r->answered, memory_order_relaxed))
        r->early(r->args, &ok, r->arg);
}

static void deliver(struct actor *a)
{
    int64_t start = mono_us(), now = start;
    struct request *early = NULL, *r;
    while (now - start < REPLY_TURN_US && ((early = pop_early(a)) || (r = list_pop(&a->replying)))) {
        const char *name = early ? early->name : r->name;
        if (early)
            tell_early(early);
        else
            request_reply_one(r);
        a->n_replied += !early;
        now = loop_lap(a->bus->loop, name, now);
    }
}

void actor_post_replies(struct actor *a)
{
    if (!a->reply_posted && !a->orphan) {
        a->reply_posted = 1;
        loop_post(a->bus->loop, "bus.replies", actor_replies, a);
    }
}

static void repost(struct actor *a)
{
    pthread_mutex_lock(&a->lock);
    actor_post_replies(a);
    pthread_mutex_unlock(&a->lock);
}

void actor_replies(void *arg)
{
    struct actor *a = arg;
    pthread_mutex_lock(&a->lock);
    a->reply_posted = 0;
    TAILQ_CONCAT(&a->replying, &a->finished, in_list);
    STAILQ_CONCAT(&a->telling, &a->early); /* with all replies that come before them, and never behind their own */
    pthread_mutex_unlock(&a->lock);
    if (a->orphan) {
        orphan_post_ran(a);
        return;
    }
    a->in_replies = 1;
    deliver(a);
    a->in_replies = 0;
    if (!TAILQ_EMPTY(&a->replying) || !STAILQ_EMPTY(&a->telling))
        repost(a);
    actor_free_if_asked(a);
}

/* ---- drain and end ---- */

static void tell_drained(void *arg)
{
    struct actor *a = arg;
    if (a->orphan) {
        orphan_post_ran(a);
        return;
    }
    a->drained = 1;
    if (a->on_drained)
        a->on_drained(a, a->drained_arg);
}

static void check_drained(struct actor *a)
{
    if (!a->draining || a->drain_posted || a->outstanding > 0)
        return;
    a->drain_posted = 1;
    loop_post(a->bus->loop, "bus.drained", tell_drained, a);
}

void actor_gone(struct actor *a)
{
    assert(a->outstanding > 0);
    a->outstanding--;
    check_drained(a);
}

void actor_drain(struct actor *a, void (*drained)(struct actor *a, void *arg), void *arg)
{
    assert(a->magic == ACTOR_MAGIC && !a->draining);
    ASSERT_LOOP(a->bus->loop);
    a->draining = 1;
    a->on_drained = drained;
    a->drained_arg = arg;
    check_drained(a);
}

static void unlink_from_bus(struct actor *a)
{
    struct actor **link = &a->bus->actors;
    while (*link != a)
        link = &(*link)->next;
    *link = a->next;
    bus_unroute(a->bus, a);
}

void actor_free(struct actor *a)
{
    if (!a)
        return;
    assert(a->magic == ACTOR_MAGIC && a->drained);
    ASSERT_LOOP(a->bus->loop);
    if (a->in_replies || a->outstanding > 0) { /* asked for by the reply of an actor_call(), perhaps its timeout */
        a->free_asked = 1;
        return;
    }
    unlink_from_bus(a);
    actor_threads_join(a);
    free_memory(a);
}

void actor_free_if_asked(struct actor *a)
{
    if (a->free_asked && a->outstanding == 0 && !a->in_replies)
        actor_free(a);
}

static void drop_all(struct bus *b, struct request_list *l)
{
    struct request *r;
    while ((r = list_pop(l))) {
        deadline_clear(&b->deadlines, &r->deadline);
        request_release(b, r);
    }
}

/* Stops the threads; 1: one of them is inside a call and cannot be joined. What waited comes out in *dropped. */
static int stop_now(struct actor *a, struct request_list *dropped)
{
    pthread_mutex_lock(&a->lock);
    a->orphan = 1;
    a->stop = 1;
    TAILQ_CONCAT(dropped, &a->mailbox, in_list);
    atomic_store(&a->waiting, 0);
    int stuck = a->running > 0;
    pthread_cond_broadcast(&a->has_work);
    pthread_mutex_unlock(&a->lock);
    return stuck;
}

/* Only bus_free() comes here: whoever waits for these requests is gone. */
void actor_abandon(struct actor *a)
{
    struct bus *b = a->bus;
    struct request_list dropped = TAILQ_HEAD_INITIALIZER(dropped);
    unlink_from_bus(a);
    int stuck = stop_now(a, &dropped);
    drop_all(b, &dropped);
    if (stuck) {
        log_warn(LOG_BUS, "%s is still inside a call; it is left behind", a->name);
        return;
    }
    actor_threads_join(a);
    drop_all(b, &a->finished);
    drop_all(b, &a->replying);
    a->orphan_posts = a->reply_posted + (a->drain_posted && !a->drained);
    if (a->orphan_posts == 0)
        free_memory(a);
}

void actor_stats(const struct actor *a, struct actor_stats *out)
{
    struct actor *mine = (struct actor *)(uintptr_t)a; /* the lock is no part of what is read */
    ASSERT_LOOP(a->bus->loop);
    pthread_mutex_lock(&mine->lock);
    *out = (struct actor_stats){.waiting = a->waiting,
                                .running = a->running,
                                .served = a->served,
                                .batches = a->batches,
                                .refused = a->refused,
                                .timed_out = a->timed_out,
                                .busy_us = a->busy_us,
                                .last_error_ms = a->last_error_ms};
    pthread_mutex_unlock(&mine->lock);
}
