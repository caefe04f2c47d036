/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leads.h - the right to act for all controllers that share a queue: dispatch has it or not, scaling and fleets ask for
 * it, main wires them.
 *
 * A term is a value: whoever carries it can tell on any thread whether it still holds. It ends by itself before another
 * controller can begin one, counted on a clock that also runs while the machine sleeps.
 */
#ifndef BUS_LEADS_H
#define BUS_LEADS_H

#include <stdint.h>
#include <time.h>

struct lead_term {
    int64_t epoch;    /* fences what goes to the store; 0: the store knows no leaders */
    int64_t until_ms; /* of lead_clock_ms(): begin nothing outside the store after that */
};

/* Milliseconds since the machine started, suspended time included. Any thread. */
static inline int64_t lead_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Any thread. */
static inline int lead_term_holds(const struct lead_term *t)
{
    return lead_clock_ms() < t->until_ms;
}

/* Who knows. With `now` NULL nobody else is there, and this controller always leads. */
struct leads {
    /* 1 and the term when this controller leads, else 0. [loop] */
    int (*now)(void *arg, struct lead_term *term);
    void *arg;
};

static inline int leads_now(const struct leads *l, struct lead_term *term)
{
    *term = (struct lead_term){0, INT64_MAX};
    return l->now ? l->now(l->arg, term) : 1;
}

#endif
