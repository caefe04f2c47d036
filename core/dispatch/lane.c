/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct lanes {
    SLIST_HEAD(lane_list, lane) all;
};

struct lanes *lanes_new(void)
{
    struct lanes *l = calloc(1, sizeof *l);
    assert(l);
    SLIST_INIT(&l->all);
    return l;
}

void lanes_free(struct lanes *l)
{
    while (!SLIST_EMPTY(&l->all)) {
        struct lane *lane = SLIST_FIRST(&l->all);
        SLIST_REMOVE_HEAD(&l->all, next);
        free(lane);
    }
    free(l);
}

struct lane *lane_get(struct dispatch *d, const char *slug)
{
    struct lane *lane;
    for (lane = SLIST_FIRST(&d->lanes->all); lane; lane = SLIST_NEXT(lane, next)) {
        if (strcmp(lane->slug, slug) == 0)
            return lane;
    }
    size_t n = strlen(slug) + 1;
    lane = calloc(1, sizeof *lane + n);
    assert(lane);
    memcpy(lane->slug, slug, n);
    lane->arrivals = 1; /* what the store holds from before is not known */
    TAILQ_INIT(&lane->waiting);
    SLIST_INSERT_HEAD(&d->lanes->all, lane, next);
    return lane;
}

void lanes_each(struct dispatch *d, void (*fn)(struct lane *lane, void *arg), void *arg)
{
    struct lane *lane;
    for (lane = SLIST_FIRST(&d->lanes->all); lane; lane = SLIST_NEXT(lane, next))
        fn(lane, arg);
}

void lane_arrived(struct lane *lane)
{
    lane->arrivals++;
}

int lane_is_empty(const struct lane *lane)
{
    return lane->arrivals == lane->empty_at;
}

void lane_ran(struct lane *lane, int64_t run_ms)
{
    if (run_ms < 1)
        run_ms = 1;
    lane->run_ms = lane->run_ms ? (7 * lane->run_ms + run_ms) / 8 : run_ms;
}

int lane_is_long(struct dispatch *d, const struct lane *lane)
{
    const struct workflow *w = lane->run_ms ? NULL : host_workflow(d->host, lane->slug);
    int64_t expected_ms = lane->run_ms ? lane->run_ms : w ? (int64_t)w->timeout_s * 1000 : INT64_MAX;
    return expected_ms > d->set.at_risk_ms;
}

static void tell(struct lane *lane, void *arg)
{
    struct dispatch *d = arg;
    if (lane->leases == lane->leases_told)
        return;
    lane->leases_told = lane->leases;
    host_set_leases(d->host, lane->slug, lane->leases);
}

void lanes_tell_host(struct dispatch *d)
{
    lanes_each(d, tell, d);
}
