/* SPDX-License-Identifier: Apache-2.0 */
/* life.c - what fleets teach about how long Spot instances live, and what that says of one (policy/risk.h). */
#include "fleet_priv.h"

#include <math.h>
#include <string.h>

#define NOTICE_LIFE_S 60.0   /* what is left on a notice, cautiously */
#define GAP_MS        600000 /* what is longer was not watched */

static double age_s(const struct instance *i, int64_t at_ms)
{
    int64_t age_ms = i->now.launched_ms && at_ms > i->now.launched_ms ? at_ms - i->now.launched_ms : 0;
    return (double)age_ms / 1000;
}

void life_follow(struct fleets *f, struct instance *i)
{
    int64_t now = fleets_now(f), since = i->lived_ms;
    i->lived_ms = 0;
    if (!i->now.spot || i->now.state != BP_INSTANCE_RUNNING)
        return;
    if (since && now > since && now - since <= GAP_MS)
        risk_lived(&f->risk, i->now.type, i->now.zone, age_s(i, since), age_s(i, now));
    i->lived_ms = now;
}

void life_taken(struct fleets *f, const struct instance *i)
{
    if (i->now.spot)
        risk_interrupted(&f->risk, i->now.type, i->now.zone, age_s(i, fleets_now(f)));
}

double life_s(const struct fleets *f, const struct instance *i)
{
    if (i->now.interrupting)
        return NOTICE_LIFE_S;
    return i->now.spot ? risk_life_s(&f->risk, i->now.type, i->now.zone, age_s(i, fleets_now(f))) : INFINITY;
}

double fleet_life_s(void *fleets, const char *workflow, const char *worker)
{
    struct fleets *f = fleets;
    struct fleet *fl = fleet_find(f, workflow);
    const struct instance *i = fl ? instance_find(fl, worker) : NULL;
    return i ? life_s(f, i) : INFINITY;
}
