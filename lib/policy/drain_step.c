/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/drain_step.h"

#include <bp/plugin.h>

static struct drain_next to(enum drain_step step, enum drain_action action)
{
    return (struct drain_next){step, action};
}

static struct drain_next looked(enum drain_step at, const struct drain_view *v)
{
    int doubtful = at == DRAIN_DOUBTFUL;
    if (at != DRAIN_MARKED && !doubtful)
        return to(at, DRAIN_DO_NOTHING);
    if (!v->fresh)
        return to(at, DRAIN_DO_LOOK);
    if (v->has_worker && !v->worker_draining)
        return to(doubtful ? DRAIN_DOUBTFUL : DRAIN_MARKING, DRAIN_DO_MARK);
    if (v->leases > 0)
        return to(at, DRAIN_DO_NOTHING);
    return to(doubtful ? DRAIN_ENDING_AGAIN : DRAIN_ENDING, DRAIN_DO_TERMINATE);
}

/* Its first request for work comes after this: told now, the store has the mark before that. */
static struct drain_next worker_up(enum drain_step at)
{
    if (!drain_leaves(at))
        return to(at, DRAIN_DO_NOTHING);
    return to(at == DRAIN_MARKED ? DRAIN_MARKING : at, DRAIN_DO_MARK);
}

static struct drain_next told(enum drain_step at)
{
    if (at == DRAIN_MARKING)
        return to(DRAIN_MARKED, DRAIN_DO_LOOK);
    if (at == DRAIN_UNMARKING)
        return to(DRAIN_NONE, DRAIN_DO_LOOK);
    return to(at, DRAIN_DO_NOTHING);
}

/* Taken for marked: the next look tells, and marks it again if it is not. */
static struct drain_next not_told(enum drain_step at)
{
    int under_way = at == DRAIN_MARKING || at == DRAIN_UNMARKING;
    return to(under_way ? DRAIN_MARKED : at, DRAIN_DO_NOTHING);
}

static struct drain_next refused(enum drain_step at)
{
    return to(at == DRAIN_ENDING ? DRAIN_MARKED : at == DRAIN_ENDING_AGAIN ? DRAIN_DOUBTFUL : at, DRAIN_DO_NOTHING);
}

struct drain_next drain_next(enum drain_step at, enum drain_event what, const struct drain_view *view)
{
    switch (what) {
    case DRAIN_WANTED:
        return at == DRAIN_NONE ? to(DRAIN_MARKING, DRAIN_DO_MARK) : to(at, DRAIN_DO_NOTHING);
    case DRAIN_UNWANTED:
        return at == DRAIN_MARKED ? to(DRAIN_UNMARKING, DRAIN_DO_UNMARK) : to(at, DRAIN_DO_NOTHING);
    case DRAIN_TOLD:
        return told(at);
    case DRAIN_NOT_TOLD:
        return not_told(at);
    case DRAIN_WORKER_UP:
        return worker_up(at);
    case DRAIN_LOOKED:
        return looked(at, view);
    case DRAIN_ENDED:
        return to(at, DRAIN_DO_LOOK);
    case DRAIN_REFUSED:
        return refused(at);
    case DRAIN_LOST:
        return to(drain_ends(at) ? DRAIN_DOUBTFUL : at, DRAIN_DO_NOTHING);
    }
    return to(at, DRAIN_DO_NOTHING);
}

enum drain_step drain_found(int runs, int worker_draining)
{
    return runs && worker_draining ? DRAIN_MARKED : DRAIN_NONE;
}

enum drain_event drain_end_event(int rc)
{
    switch (rc) {
    case BP_OK:
    case BP_NOTFOUND:
        return DRAIN_ENDED;
    case BP_LATER:
    case BP_DENIED:
    case BP_STALE:
    case BP_INVALID:
    case BP_CONFLICT:
    case BP_UNSUPPORTED:
        return DRAIN_REFUSED;
    default:
        return DRAIN_LOST;
    }
}

int drain_leaves(enum drain_step at)
{
    return at != DRAIN_NONE && at != DRAIN_UNMARKING;
}

int drain_ends(enum drain_step at)
{
    return at == DRAIN_ENDING || at == DRAIN_ENDING_AGAIN;
}
