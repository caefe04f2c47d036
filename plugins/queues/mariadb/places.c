/* SPDX-License-Identifier: Apache-2.0 */
#include "places.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

int place_order(const struct place *x, const struct place *y)
{
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    if (x->sort_key != y->sort_key)
        return x->sort_key < y->sort_key ? -1 : 1;
    if (x->share_tag < y->share_tag || x->share_tag > y->share_tag)
        return x->share_tag < y->share_tag ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

uint32_t places_find(const struct places *p, const struct place *x)
{
    uint32_t low = 0, high = p->n;
    if (p->n && place_order(&p->at[p->n - 1], x) < 0)
        return p->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (place_order(&p->at[mid], x) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Room for one more at the end: what was freed at the begin is used again once it is half of all. */
static bool room_for_one(struct places *p)
{
    uint32_t gap = p->room ? (uint32_t)(p->at - p->room) : 0;
    if (gap + p->n < p->cap)
        return true;
    if (!p->room || gap < p->cap / 2) {
        uint32_t cap = p->cap ? 2 * p->cap : CAP_MIN;
        struct place *room = realloc(p->room, cap * sizeof *room);
        if (!room)
            return false;
        p->room = room;
        p->cap = cap;
        p->at = room + gap;
        return true;
    }
    memmove(p->room, p->at, p->n * sizeof *p->at);
    p->at = p->room;
    return true;
}

bool places_add(struct places *p, const struct place *x)
{
    uint32_t i = places_find(p, x);
    if (!room_for_one(p))
        return false;
    memmove(&p->at[i + 1], &p->at[i], (p->n - i) * sizeof *p->at);
    p->at[i] = *x;
    p->n++;
    return true;
}

void places_remove(struct places *p, uint32_t i)
{
    p->n--;
    if (i > p->n / 2) {
        memmove(&p->at[i], &p->at[i + 1], (p->n - i) * sizeof *p->at);
        return;
    }
    memmove(&p->at[1], p->at, i * sizeof *p->at);
    p->at++;
}

void places_free(struct places *p)
{
    free(p->room);
    *p = (struct places){0};
}
