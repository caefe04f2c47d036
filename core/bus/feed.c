/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus_private.h"

#include <assert.h>
#include <stdlib.h>

struct feed {
    struct subscription *sub;
    void (*wake)(void *arg);
    void *arg;
    uint32_t capacity, first, count;
    uint64_t lost;
    struct event_msg *events[];
};

struct event_msg *bus_feed_next(struct feed *f)
{
    if (f->count == 0)
        return NULL;
    struct event_msg *e = f->events[f->first];
    f->first = (f->first + 1) % f->capacity;
    f->count--;
    return e;
}

static void on_event(const struct event_msg *e, void *arg)
{
    struct feed *f = arg;
    assert(f->capacity > 0 && f->count <= f->capacity);
    int was_empty = f->count == 0;
    if (f->count == f->capacity) {
        event_unref(bus_feed_next(f));
        f->lost++;
    }
    /* The reference is the feed's; what is const here is the content, not the count. */
    f->events[(f->first + f->count++) % f->capacity] = event_ref((struct event_msg *)(uintptr_t)e);
    if (was_empty && f->wake)
        f->wake(f->arg);
}

struct feed *bus_feed_new(struct bus *b, const char *pattern, uint32_t capacity, void (*wake)(void *arg), void *arg)
{
    if (capacity == 0)
        capacity = 1;
    struct feed *f = calloc(1, sizeof *f + capacity * sizeof f->events[0]);
    if (!f)
        return NULL;
    f->capacity = capacity;
    f->wake = wake;
    f->arg = arg;
    f->sub = bus_subscribe(b, pattern, on_event, f);
    if (!f->sub) {
        free(f);
        return NULL;
    }
    return f;
}

uint64_t bus_feed_lost(struct feed *f)
{
    uint64_t lost = f->lost;
    f->lost = 0;
    return lost;
}

void bus_feed_free(struct feed *f)
{
    if (!f)
        return;
    bus_unsubscribe(f->sub);
    while (f->count > 0)
        event_unref(bus_feed_next(f));
    free(f);
}
