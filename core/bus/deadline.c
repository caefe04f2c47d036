/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/deadline.h"

#include <stddef.h>

static void put(struct deadline **head, struct deadline *d)
{
    d->next = *head;
    d->link = head;
    if (d->next)
        d->next->link = &d->next;
    *head = d;
}

static void take_out(struct deadline *d)
{
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    d->link = NULL;
}

static struct deadline **slot(struct deadlines *w, int64_t tick)
{
    return &w->slots[tick & (DEADLINE_SLOTS - 1)];
}

static void arm(struct deadlines *w, int64_t tick)
{
    w->armed_tick = tick;
    loop_timer_after(w->timer, tick * DEADLINE_TICK_MS - mono_ms());
}

/* The next slot with anything in it; what is there may be due rounds later, then the timer looked in vain once. */
static void arm_next(struct deadlines *w)
{
    w->armed_tick = 0;
    for (int64_t t = w->served_tick + 1; w->count > 0 && t <= w->served_tick + DEADLINE_SLOTS; t++) {
        if (*slot(w, t)) {
            arm(w, t);
            return;
        }
    }
}

/* Moves what is due out of one slot into `due`. */
static void collect(struct deadlines *w, int64_t tick, int64_t now_tick, struct deadline **due)
{
    struct deadline *next;
    for (struct deadline *d = *slot(w, tick); d; d = next) {
        next = d->next;
        if (d->tick <= now_tick) {
            take_out(d);
            put(due, d);
        }
    }
}

static void on_timer(void *arg)
{
    struct deadlines *w = arg;
    struct deadline *due = NULL;
    int64_t now_tick = mono_ms() / DEADLINE_TICK_MS;
    int64_t from = now_tick - w->served_tick > DEADLINE_SLOTS ? now_tick - DEADLINE_SLOTS : w->served_tick;
    for (int64_t t = from + 1; t <= now_tick; t++)
        collect(w, t, now_tick, &due);
    w->served_tick = now_tick;
    while (due) { /* due() may clear others of the list: they unlink themselves */
        struct deadline *d = due;
        take_out(d);
        w->count--;
        w->due(d);
    }
    arm_next(w);
}

int deadlines_open(struct deadlines *w, struct loop *l, void (*due)(struct deadline *d))
{
    w->due = due;
    w->timer = loop_timer_new(l, "bus.deadlines", on_timer, w);
    return w->timer ? 0 : BP_NOMEM;
}

void deadlines_close(struct deadlines *w)
{
    loop_timer_free(w->timer);
    w->timer = NULL;
}

void deadline_set(struct deadlines *w, struct deadline *d, int64_t after_ms)
{
    int64_t now_ms = mono_ms();
    if (w->count++ == 0)
        w->served_tick = now_ms / DEADLINE_TICK_MS;
    d->tick = (now_ms + after_ms) / DEADLINE_TICK_MS + 1;
    if (d->tick <= w->served_tick)
        d->tick = w->served_tick + 1;
    put(slot(w, d->tick), d);
    if (!w->armed_tick || d->tick < w->armed_tick)
        arm(w, d->tick);
}

void deadline_clear(struct deadlines *w, struct deadline *d)
{
    if (!d->link)
        return;
    take_out(d);
    w->count--;
}
