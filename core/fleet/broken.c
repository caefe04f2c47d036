/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broken.c - instances whose worker found their device broken: they cost, count as idle and take no job. They are
 * drained and ended as in scale-in, and the policy asks for others, one at a time: so a check that finds fault with
 * every machine costs one launch after another, not a fleet.
 */
#include "fleet_priv.h"

#include <stdio.h>

static int is_running(const struct instance *i)
{
    return i->now.state == BP_INSTANCE_RUNNING;
}

/* One that is being replaced, or another that has not come up yet. */
static int must_wait(const struct fleet *fl)
{
    for (const struct instance *i = fl->instances; i; i = i->next) {
        if (i->now.state == BP_INSTANCE_PENDING || (is_running(i) && !i->has_worker))
            return 1;
        if (i->fault[0] && i->drain != DRAIN_NONE && i->now.state != BP_INSTANCE_TERMINATED)
            return 1;
    }
    return 0;
}

static void replace(struct fleets *f, struct fleet *fl, struct instance *i)
{
    char why[256];
    struct bp_activity a = {.at_ms = fleets_now(f), .reason = "broken"};
    snprintf(why, sizeof why, "its device is broken: %s", i->fault);
    snprintf(a.instance, sizeof a.instance, "%s", i->now.id);
    snprintf(a.type, sizeof a.type, "%s", i->now.type);
    snprintf(a.text, sizeof a.text, "replaced: %.140s (scale.replaceUnhealthy)", why);
    activities_note(f, fl, &a);
    i->given_up = 1;
    drain_instance(f, fl, i, why);
}

void broken_follow(struct fleets *f, struct fleet *fl)
{
    if (!config_bool(f->config, CONFIG_SCALE_REPLACE_UNHEALTHY) || config_bool(f->config, CONFIG_SCALE_DRY_RUN))
        return;
    for (struct instance *i = fl->instances; i; i = i->next) {
        if (i->fault[0] && is_running(i) && i->drain == DRAIN_NONE && !must_wait(fl)) {
            replace(f, fl, i);
            return;
        }
    }
}
