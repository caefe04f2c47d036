/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline.h - a wheel of deadlines: set and clear cost the same however many there are, and one loop timer serves all.
 * A deadline is called at most DEADLINE_TICK_MS late (plus the loop's lag), never early. [loop]
 */
#ifndef BUS_DEADLINE_H
#define BUS_DEADLINE_H

#include "loop/loop.h"

#define DEADLINE_TICK_MS 10
#define DEADLINE_SLOTS   1024 /* a power of two */

struct deadline {
    struct deadline *next, **link; /* link NULL: not set */
    int64_t tick;
};

struct deadlines {
    struct deadline *slots[DEADLINE_SLOTS];
    struct loop_timer *timer;
    void (*due)(struct deadline *d);
    uint32_t count;
    int64_t served_tick; /* slots up to here have been looked at */
    int64_t armed_tick;  /* when the timer fires; 0: not armed */
};

/* 0 or BP_NOMEM. due() is called for each deadline that passed; it is cleared before. */
int deadlines_open(struct deadlines *w, struct loop *l, void (*due)(struct deadline *d));
void deadlines_close(struct deadlines *w);
void deadline_set(struct deadlines *w, struct deadline *d, int64_t after_ms);
void deadline_clear(struct deadlines *w, struct deadline *d);

#endif
