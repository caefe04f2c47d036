/* SPDX-License-Identifier: Apache-2.0 */
/* afford.c - the on-demand allowance of each workflow: from its view and the fleet's trouble to what the fleet may do.
 */
#include "scale_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <string.h>

static struct allowance_limits limits_of(const struct scale *s, const struct workflow *w)
{
    const struct config *c = s->config;
    double own = json_num(w->manifest, "targetP95WaitSeconds", 0);
    return (struct allowance_limits){
        .max = (int32_t)json_int(w->manifest, "onDemandMax", config_int(c, CONFIG_SPOT_ON_DEMAND_MAX)),
        .hours_per_day = config_num(c, CONFIG_SPOT_ON_DEMAND_HOURS),
        .wait_s = own > 0 ? own : config_num(c, CONFIG_SPOT_WAIT_S),
    };
}

void afford_follow(struct scale *s, const struct workflow *w, struct scale_item *item, const struct bp_view *v)
{
    struct scale_trouble t = {0};
    struct allowance *a = &item->allowance;
    if (!s->fleet.trouble || v->stale || s->fleet.trouble(s->fleet.fleets, w->slug, &t) < 0)
        return;
    int32_t asked = v->desired - v->draining, there = v->pending + v->running - v->draining;
    int32_t wanted = asked > item->desired ? asked : item->desired; /* asked for already, or planned */
    const struct allowance_limits l = limits_of(s, w);
    const struct allowance_view view = {.now_ms = v->now_ms,
                                        .failures = t.failures,
                                        .last_failure_ms = t.last_failure_ms,
                                        .last_spot_ms = t.last_spot_ms,
                                        .on_demand = t.on_demand,
                                        .lacking = wanted - there,
                                        .depth = v->queued + v->leased,
                                        .oldest_wait_ms = v->oldest_wait_ms};
    int32_t from = a->n;
    if (allowance_step(a, &l, &view)) {
        log_info(LOG_SCALE, "%s: %d -> %d on-demand instances allowed: %s", w->slug, from, a->n, a->why);
        bus_publish(s->bus, EVENT_FLEET_ON_DEMAND, w->slug, (int64_t)from, (int64_t)a->n, a->why);
    }
    if (!config_bool(s->config, CONFIG_SCALE_DRY_RUN))
        s->fleet.afford(s->fleet.fleets, w->slug, a->n, a->why);
}

void afford_describe(const struct scale_item *item, struct json_object *o)
{
    const struct allowance *a = &item->allowance;
    if (!a->why[0])
        return;
    json_put_int(o, "on_demand", a->n);
    json_put_num(o, "on_demand_hours_today", a->spent_h);
    json_put_str(o, "on_demand_reason", a->why);
}
