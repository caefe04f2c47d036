/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_priv.h"

#include "log/err.h"
#include "log/log.h"
#include "policy/decide.h"
#include <stdio.h>
#include <string.h>

/* ---- out ---- */

/* On the provider's thread. */
static int run_grow(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_fleet *t = table;
    const struct fleet_call *c = args;
    return t->grow(inst, c->slug, c->number, err);
}

static void grown(void *args, const struct bp_err *err, void *arg)
{
    struct fleets *f = arg;
    const struct fleet_call *c = args;
    struct fleet *fl = fleet_find(f, c->slug);
    if (fl) {
        fl->growing = 0;
        snprintf(fl->error, sizeof fl->error, "%s", err->rc < 0 ? err->text : "");
        if (err->rc == 0 && fl->desired < c->number)
            fl->desired = c->number; /* until it is described again */
    }
    if (err->rc < 0)
        log_warn(LOG_FLEET, "%s: cannot grow to %d: %s", c->slug, c->number, err->text);
    fleets_poke(f);
}

/* Cancels up to n drains that have not gone too far; returns how many. */
static int32_t cancel_drains(struct fleets *f, struct fleet *fl, int32_t n)
{
    int32_t cancelled = 0;
    for (struct instance *i = fl->instances; i && cancelled < n; i = i->next) {
        if (i->drain != DRAIN_MARKED || i->rolling || i->given_up || !instance_is_live(i))
            continue;
        drain_cancel(f, fl, i);
        cancelled++;
    }
    return cancelled;
}

/* Those about to be ended: the provider lowers desired for each, which is not described yet. */
static int32_t ending(const struct fleet *fl)
{
    int32_t n = 0;
    for (const struct instance *i = fl->instances; i; i = i->next)
        n += drain_ends(i->drain) && instance_is_live(i);
    return n;
}

static int grow(struct fleets *f, struct fleet *fl, int32_t more, struct bp_err *err)
{
    more -= cancel_drains(f, fl, more);
    if (more <= 0)
        return 0;
    int32_t there = fl->desired - ending(fl);
    if (fl->max_size > 0 && there >= fl->max_size) /* those that leave are still counted */
        return err_set(err, BP_LATER, "%s has %d instances until those that leave have ended", fl->slug, there);
    struct fleet_call *c = fleet_call_new(f, fl->slug, NULL);
    if (!c)
        return err_set(err, BP_NOMEM, "no memory");
    c->number = there + more;
    if (fl->max_size > 0 && c->number > fl->max_size)
        c->number = fl->max_size;
    fl->growing = 1;
    fleet_call_send(c, "fleet.grow", run_grow, grown);
    return 0;
}

/* ---- in ---- */

static struct scale_in_candidate candidate(const struct fleets *f, const struct instance *i)
{
    return (struct scale_in_candidate){.ready = i->now.state == BP_INSTANCE_RUNNING,
                                       .idle_since_ms = i->idle_since_ms,
                                       .launched_ms = i->now.launched_ms,
                                       .life_s = life_s(f, i)};
}

/* Never one with a lease. */
static struct instance *pick(const struct fleets *f, struct fleet *fl)
{
    struct instance *best = NULL;
    struct scale_in_candidate first = {0};
    for (struct instance *i = fl->instances; i; i = i->next) {
        struct scale_in_candidate c = candidate(f, i);
        if (i->drain != DRAIN_NONE || !instance_is_live(i) || i->leases > 0 || (best && !scale_in_before(&c, &first)))
            continue;
        best = i;
        first = c;
    }
    return best;
}

static int32_t shrink(struct fleets *f, struct fleet *fl, int32_t fewer, const char *reason)
{
    int32_t drained = 0;
    while (drained < fewer) {
        struct instance *i = pick(f, fl);
        if (!i)
            break;
        drain_instance(f, fl, i, reason);
        drained++;
    }
    return drained;
}

int fleet_resize(struct fleets *f, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    struct fleet *fl = fleet_find(f, slug);
    struct lead_term term;
    if (!leads_now(&f->leads, &term))
        return err_set(err, BP_STALE, "another controller leads");
    if (!fl || !fl->described_ms)
        return err_set(err, BP_NOTFOUND, "the fleet of %s has not been described yet", slug);
    if (fl->growing)
        return err_set(err, BP_LATER, "%s is growing", slug);
    int32_t leaving = 0;
    for (const struct instance *i = fl->instances; i; i = i->next) {
        if (i->drain == DRAIN_UNMARKING || i->drain == DRAIN_MARKING)
            return err_set(err, BP_LATER, "%s: the drain of %s is under way", slug, i->now.id);
        leaving += drain_leaves(i->drain) && instance_is_live(i);
    }
    int32_t now = fl->desired - leaving;
    if (to > now)
        return grow(f, fl, to - now, err);
    if (to < now && shrink(f, fl, now - to, reason) == 0)
        return err_set(err, BP_LATER, "%s: no idle instance to end", slug);
    return 0;
}
