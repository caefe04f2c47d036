/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <stdlib.h>

static int before(const struct event *a, const struct event *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    if (a->kind != b->kind)
        return a->kind < b->kind;
    return a->number < b->number;
}

void heap_put(struct event_heap *h, struct event e)
{
    if (h->n == h->room) {
        uint32_t room = h->room ? h->room * 2 : 256;
        struct event *more = realloc(h->list, room * sizeof *more);
        if (!more) {
            h->lost = 1;
            return;
        }
        h->list = more;
        h->room = room;
    }
    e.number = h->made++;
    uint32_t at = h->n++;
    for (; at > 0 && before(&e, &h->list[(at - 1) / 2]); at = (at - 1) / 2)
        h->list[at] = h->list[(at - 1) / 2];
    h->list[at] = e;
}

const struct event *heap_top(const struct event_heap *h)
{
    return h->n ? &h->list[0] : NULL;
}

struct event heap_take(struct event_heap *h)
{
    struct event top = h->list[0], last = h->list[--h->n];
    uint32_t at = 0, child;
    while ((child = at * 2 + 1) < h->n) {
        child += child + 1 < h->n && before(&h->list[child + 1], &h->list[child]);
        if (!before(&h->list[child], &last))
            break;
        h->list[at] = h->list[child];
        at = child;
    }
    h->list[at] = last;
    return top;
}
