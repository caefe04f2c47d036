/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_priv.h"

#include "log/json.h"
#include <string.h>

static const char *instance_state(const struct instance *i)
{
    if (drain_leaves(i->drain) && i->now.state == BP_INSTANCE_RUNNING)
        return "draining";
    return i->now.state == BP_INSTANCE_PENDING       ? "pending"
           : i->now.state == BP_INSTANCE_RUNNING     ? "running"
           : i->now.state == BP_INSTANCE_TERMINATING ? "terminating"
                                                     : "terminated";
}

static struct json_object *instance_json(const struct fleets *f, const struct instance *i)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "id", i->now.id);
    json_put_str(o, "state", instance_state(i));
    json_put_str(o, "type", i->now.type);
    json_put_str(o, "zone", i->now.zone);
    json_put_bool(o, "spot", i->now.spot);
    json_put_bool(o, "protected", i->now.is_protected);
    json_put_bool(o, "interrupting", i->now.interrupting);
    json_put_bool(o, "registered", i->has_worker);
    json_put_str(o, "fault", i->fault[0] ? i->fault : NULL);
    json_put_int(o, "leases", i->leases);
    if (i->now.spot)
        json_put_int(o, "expected_life_s", (int64_t)life_s(f, i));
    json_put_int(o, "launched_ms", i->now.launched_ms);
    json_put_int(o, "running_ms", i->now.running_ms);
    return o;
}

static struct json_object *activity_json(const struct bp_activity *a)
{
    struct json_object *o = json_object_new_object();
    json_put_int(o, "at_ms", a->at_ms);
    json_put_bool(o, "failed", a->failed);
    json_put_str(o, "instance", a->instance);
    json_put_str(o, "type", a->type);
    json_put_str(o, "reason", a->reason);
    json_put_str(o, "text", a->text);
    return o;
}

static struct json_object *fleet_json(const struct fleets *f, const struct fleet *fl)
{
    struct json_object *o = json_object_new_object();
    struct json_object *instances = json_object_new_array();
    struct json_object *activities = json_object_new_array();
    struct fleet_counts c;
    fleet_count(fl, fleets_now(f), &c);
    json_put_str(o, "workflow", fl->slug);
    json_put_bool(o, "exists", fl->exists);
    json_put_int(o, "desired", c.desired);
    json_put_int(o, "max_size", c.max_size);
    json_put_int(o, "pending", c.pending);
    json_put_int(o, "running", c.running);
    json_put_int(o, "draining", c.draining);
    json_put_int(o, "busy", c.busy);
    json_put_int(o, "launch_failures", c.launch_failures);
    json_put_num(o, "boot_s", c.boot_s);
    json_put_int(o, "described_ms", c.described_ms);
    json_put_str(o, "error", fl->error[0] ? fl->error : NULL);
    json_put_str(o, "unmade", fl->unmade[0] ? fl->unmade : NULL);
    for (const struct instance *i = fl->instances; i; i = i->next)
        json_object_array_add(instances, instance_json(f, i));
    for (uint32_t k = 0; k < fl->n_activities; k++)
        json_object_array_add(activities, activity_json(&fl->activities[k]));
    if (fl->afforded > 0)
        json_put_int(o, "on_demand_allowed", fl->afforded);
    if (fl->penalties)
        json_object_object_add(o, "penalties", json_object_get(fl->penalties));
    if (fl->prices)
        json_object_object_add(o, "prices", json_object_get(fl->prices));
    json_object_object_add(o, "instances", instances);
    json_object_object_add(o, "activities", activities);
    return o;
}

struct json_object *fleets_describe(struct fleets *f, const char *slug)
{
    struct json_object *list = json_object_new_array();
    for (const struct fleet *fl = f->list; fl; fl = fl->next)
        if (!slug || strcmp(slug, fl->slug) == 0)
            json_object_array_add(list, fleet_json(f, fl));
    return list;
}
