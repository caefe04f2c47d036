/* SPDX-License-Identifier: Apache-2.0 */
/* group_parse.c - one group out of the answer to DescribeAutoScalingGroups. */
#include "groups.h"

#include "err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t group_state(const char *lifecycle)
{
    static const struct {
        const char *begin;
        int32_t state;
    } rows[] = {{"InService", BP_INSTANCE_RUNNING},           {"Pending", BP_INSTANCE_PENDING},
                {"ReplacingRootVolume", BP_INSTANCE_PENDING}, {"RootVolumeReplaced", BP_INSTANCE_PENDING},
                {"Terminating", BP_INSTANCE_TERMINATING},     {"Terminated", BP_INSTANCE_TERMINATED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strncmp(lifecycle, rows[i].begin, strlen(rows[i].begin)) == 0)
            return rows[i].state;
    return 0;
}

static void read_member(const struct xml *x, int32_t state, int64_t now_ms, struct member *m)
{
    struct bp_instance *i = &m->pub;
    snprintf(i->id, sizeof i->id, "%s", xml_text(x, "InstanceId"));
    snprintf(i->type, sizeof i->type, "%s", xml_text(x, "InstanceType"));
    snprintf(i->zone, sizeof i->zone, "%s", xml_text(x, "AvailabilityZone"));
    i->state = state;
    i->is_protected = xml_bool(x, "ProtectedFromScaleIn");
    i->launched_ms = now_ms;
    i->running_ms = state == BP_INSTANCE_RUNNING ? now_ms : 0;
}

static void read_types(const struct xml *x, char out[GROUPS_TYPES_SIZE])
{
    size_t n = 0;
    out[0] = '\0';
    const struct xml *o = xml_first(x, "MixedInstancesPolicy/LaunchTemplate/Overrides/member");
    for (; o && n < GROUPS_TYPES_SIZE; o = xml_next(o))
        n += (size_t)snprintf(out + n, GROUPS_TYPES_SIZE - n, "%s%s", n ? " " : "", xml_text(o, "InstanceType"));
}

int group_parse(const struct xml *x, int64_t now_ms, struct group *g)
{
    uint32_t n = 0;
    for (const struct xml *m = xml_first(x, "Instances/member"); m; m = xml_next(m))
        n++;
    g->members = calloc(n + 1, sizeof *g->members);
    if (!g->members)
        return BP_NOMEM;
    g->n = 0;
    for (const struct xml *m = xml_first(x, "Instances/member"); m; m = xml_next(m)) {
        int32_t state = group_state(xml_text(m, "LifecycleState"));
        if (state && xml_text(m, "InstanceId")[0])
            read_member(m, state, now_ms, &g->members[g->n++]);
    }
    g->exists = 1;
    g->desired = (int32_t)xml_int(x, "DesiredCapacity", 0);
    g->min_size = (int32_t)xml_int(x, "MinSize", 0);
    g->max_size = (int32_t)xml_int(x, "MaxSize", 0);
    snprintf(g->name, sizeof g->name, "%s", xml_text(x, "AutoScalingGroupName"));
    snprintf(g->subnets, sizeof g->subnets, "%s", xml_text(x, "VPCZoneIdentifier"));
    read_types(x, g->types);
    return 0;
}

struct member *group_instance(struct group *g, const char *instance)
{
    for (uint32_t k = 0; k < g->n; k++)
        if (strcmp(g->members[k].pub.id, instance) == 0)
            return &g->members[k];
    return NULL;
}

void group_keep(struct group *g, const struct group *was, uint64_t began)
{
    for (uint32_t k = 0; k < g->n; k++) {
        struct bp_instance *now = &g->members[k].pub;
        const struct member *old = group_instance((struct group *)was, now->id);
        if (!old)
            continue;
        now->launched_ms = old->pub.launched_ms;
        if (old->pub.running_ms && now->running_ms)
            now->running_ms = old->pub.running_ms;
        now->spot = old->pub.spot;
        now->interrupting = old->pub.interrupting;
        if (old->change > began)
            now->is_protected = old->pub.is_protected;
        g->members[k].change = old->change;
        g->members[k].machine_known = old->machine_known;
        g->members[k].machine_ms = old->machine_ms;
    }
}
