/* SPDX-License-Identifier: Apache-2.0 */
#include "penalty.h"

#include <stdio.h>
#include <string.h>

static int is_stock(const struct failure *f)
{
    return f->cls == FAILURE_CAPACITY && (f->type[0] || f->zone[0]);
}

/* The group that an entry about this pool belongs to. */
static const char *owner(const char *group, const struct failure *f)
{
    return f->type[0] && f->cls == FAILURE_CAPACITY ? "" : group;
}

static struct penalty *find(struct penalty_box *b, const char *group, const struct failure *f)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct penalty *p = &b->list[i];
        if (p->market == f->market && strcmp(p->type, f->type) == 0 && strcmp(p->zone, f->zone) == 0 &&
            strcmp(p->group, group) == 0)
            return p;
    }
    return NULL;
}

static void drop(struct penalty_box *b, struct penalty *p)
{
    *p = b->list[--b->n];
}

void penalty_expire(struct penalty_box *b, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->n;) {
        struct penalty *p = &b->list[i];
        if (p->until_ms <= now_ms && p->last_ms + PENALTY_FORGET_MS <= now_ms)
            drop(b, p);
        else
            i++;
    }
}

static struct penalty *make(struct penalty_box *b, const char *group, const struct failure *f, int64_t now_ms)
{
    penalty_expire(b, now_ms);
    if (b->n == PENALTY_POOLS) {
        struct penalty *soonest = &b->list[0];
        for (uint32_t i = 1; i < b->n; i++)
            if (b->list[i].until_ms < soonest->until_ms ||
                (b->list[i].until_ms == soonest->until_ms && b->list[i].last_ms < soonest->last_ms))
                soonest = &b->list[i];
        drop(b, soonest);
    }
    struct penalty *p = &b->list[b->n++];
    memset(p, 0, sizeof *p);
    snprintf(p->group, sizeof p->group, "%s", group);
    memcpy(p->type, f->type, sizeof p->type);
    memcpy(p->zone, f->zone, sizeof p->zone);
    p->market = f->market;
    return p;
}

static int64_t term(uint32_t strikes)
{
    int64_t ms = PENALTY_BASE_MS;
    for (uint32_t i = 1; i < strikes && ms < PENALTY_CAP_MS; i++)
        ms *= 2;
    return ms < PENALTY_CAP_MS ? ms : PENALTY_CAP_MS;
}

void penalty_note(struct penalty_box *b, const char *group, const struct failure *f, int64_t now_ms)
{
    const char *whose = owner(group, f);
    struct penalty *p = find(b, whose, f);
    if (p && p->last_ms + PENALTY_FORGET_MS <= now_ms && p->until_ms <= now_ms)
        p->count = p->strikes = 0; /* forgotten, only not yet dropped */
    if (!p)
        p = make(b, whose, f, now_ms);
    p->cls = f->cls;
    p->count++;
    p->last_ms = now_ms;
    if (!is_stock(f))
        return;
    if (p->until_ms <= now_ms) { /* it was tried again and failed again */
        p->strikes++;
        b->changes++;
    }
    p->until_ms = now_ms + term(p->strikes);
}

static int same_or_any(const char *entry, const char *asked)
{
    return !entry[0] || strcmp(entry, asked) == 0;
}

static int same_market(enum market entry, enum market asked)
{
    return entry == MARKET_ANY || asked == MARKET_ANY || entry == asked;
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The same failures may be in both, so nothing is added up. */
void penalty_add(struct penalty_box *b, const struct penalty *known, int64_t now_ms)
{
    struct failure f = {.cls = known->cls, .market = known->market};
    memcpy(f.type, known->type, sizeof f.type);
    memcpy(f.zone, known->zone, sizeof f.zone);
    if (known->until_ms <= now_ms && known->last_ms + PENALTY_FORGET_MS <= now_ms)
        return;
    struct penalty *p = find(b, known->group, &f);
    if (!p)
        p = make(b, known->group, &f, now_ms);
    if (known->last_ms >= p->last_ms)
        p->cls = known->cls;
    b->changes += known->until_ms > now_ms && p->until_ms <= now_ms;
    p->last_ms = later_of(p->last_ms, known->last_ms);
    p->until_ms = later_of(p->until_ms, known->until_ms);
    p->count = (uint32_t)later_of(p->count, known->count);
    p->strikes = (uint32_t)later_of(p->strikes, known->strikes);
}

/* A machine came: its pool has stock, and so have the wider ones that it is part of. */
void penalty_clear(struct penalty_box *b, const char *group, const struct failure *pool, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->n;) {
        struct penalty *p = &b->list[i];
        int about = (!p->group[0] || strcmp(p->group, group) == 0) && same_market(p->market, pool->market) &&
                    same_or_any(p->type, pool->type) && same_or_any(p->zone, pool->zone);
        if (!about) {
            i++;
            continue;
        }
        b->changes += p->until_ms > now_ms;
        drop(b, p);
    }
}

int penalty_is_out(const struct penalty_box *b, const char *group, const struct failure *pool, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct penalty *p = &b->list[i];
        if (p->until_ms > now_ms && (!p->group[0] || strcmp(p->group, group) == 0) &&
            same_market(p->market, pool->market) && same_or_any(p->type, pool->type) &&
            same_or_any(p->zone, pool->zone))
            return 1;
    }
    return 0;
}
