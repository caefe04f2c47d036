/* SPDX-License-Identifier: Apache-2.0 */
/*
 * afford.c - the on-demand allowance: a group's on-demand base is raised by it, and lowered again. The group's policy
 * is sent as it was described, but for the base: an update replaces a policy as a whole.
 */
#include "client.h"
#include "err.h"
#include "form.h"
#include "groups.h"

#include <stdio.h>
#include <string.h>

#define POLICY "MixedInstancesPolicy."

static const char *const distribution[] = {"OnDemandAllocationStrategy", "OnDemandPercentageAboveBaseCapacity",
                                           "SpotAllocationStrategy", "SpotInstancePools", "SpotMaxPrice"};

static void put(struct form *form, const struct xml *at, const char *path, const char *name)
{
    const char *value = xml_text(at, path);
    form_put(form, value[0] ? value : NULL, "%s%s", POLICY, name);
}

/* AWS tells both id and name of a template, and takes one of them. */
static void put_template(struct form *form, const struct xml *policy)
{
    const struct xml *t = xml_at(policy, "LaunchTemplate/LaunchTemplateSpecification");
    const char *name = xml_text(t, "LaunchTemplateName")[0] ? "LaunchTemplateName" : "LaunchTemplateId";
    form_put(form, xml_text(t, name), POLICY "LaunchTemplate.LaunchTemplateSpecification.%s", name);
    put(form, t, "Version", "LaunchTemplate.LaunchTemplateSpecification.Version");
}

/* BP_UNSUPPORTED: overrides that cannot be sent back as they are. */
static int put_overrides(struct form *form, const struct xml *policy)
{
    uint32_t n = 0;
    for (const struct xml *o = xml_first(policy, "LaunchTemplate/Overrides/member"); o; o = xml_next(o)) {
        char name[128];
        if (!xml_text(o, "InstanceType")[0] || xml_at(o, "LaunchTemplateSpecification"))
            return BP_UNSUPPORTED;
        snprintf(name, sizeof name, "LaunchTemplate.Overrides.member.%u.InstanceType", ++n);
        put(form, o, "InstanceType", name);
        snprintf(name, sizeof name, "LaunchTemplate.Overrides.member.%u.WeightedCapacity", n);
        put(form, o, "WeightedCapacity", name);
    }
    return 0;
}

static int put_policy(struct form *form, const struct xml *policy, int32_t base)
{
    char name[128], path[128];
    put_template(form, policy);
    for (size_t i = 0; i < sizeof distribution / sizeof distribution[0]; i++) {
        snprintf(name, sizeof name, "InstancesDistribution.%s", distribution[i]);
        snprintf(path, sizeof path, "InstancesDistribution/%s", distribution[i]);
        put(form, policy, path, name);
    }
    form_put_int(form, base, POLICY "InstancesDistribution.OnDemandBaseCapacity");
    return put_overrides(form, policy);
}

static int change_base(struct fleets *f, const char *group, const char *what, const struct xml *now, int32_t base,
                       struct bp_err *err)
{
    struct reply r = {0};
    const struct xml *policy = xml_at(now, "MixedInstancesPolicy");
    if (!policy)
        return err_set(err, BP_UNSUPPORTED, "%.120s has no mixed instances policy, so no share of on-demand instances",
                       what);
    if (xml_int(policy, "InstancesDistribution/OnDemandBaseCapacity", 0) == base)
        return 0;
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to change %.120s", what);
    form_put(form, group, "AutoScalingGroupName");
    int rc = put_policy(form, policy, base);
    if (rc < 0)
        err_set(err, rc, "%.120s chooses instances by more than their types: its on-demand base is not changed", what);
    else
        rc = client_query(f->aws->client, AWS_OP_AUTOSCALING_UPDATE_AUTO_SCALING_GROUP, form, what, &r, err);
    form_free(form);
    reply_free(&r);
    return rc;
}

/* What was refused as Spot may be had on demand now. */
static void note(struct fleets *f, const char *slug, int32_t on_demand)
{
    groups_lock(f->groups);
    struct group *g = groups_at(f, slug);
    if (g) {
        g->on_demand_extra = on_demand;
        g->rest_ms = g->rests_until_ms = 0;
    }
    groups_unlock(f->groups);
}

int32_t fleet_afford(void *inst, const char *slug, int32_t on_demand, struct bp_err *err)
{
    struct fleets *f = ((struct aws *)inst)->fleets;
    char group[FLEET_NAME_SIZE], what[FLEET_NAME_SIZE + 8];
    struct reply r = {0};
    struct form *form = form_new();
    fleet_group_name(f, slug, group);
    fleet_what(f, slug, what);
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to describe %.120s", what);
    form_put(form, group, "AutoScalingGroupNames.member.1");
    int rc = client_query(f->aws->client, AWS_OP_AUTOSCALING_DESCRIBE_AUTO_SCALING_GROUPS, form, what, &r, err);
    form_free(form);
    const struct xml *now = rc == 0 ? xml_first(xml_result(r.xml), "AutoScalingGroups/member") : NULL;
    if (rc == 0 && !now)
        rc = err_set(err, BP_NOTFOUND, "there is no %.120s; ensure it first", what);
    if (rc == 0)
        rc = change_base(f, group, what, now, f->set.on_demand_base + on_demand, err);
    if (rc == 0)
        note(f, slug, on_demand);
    reply_free(&r);
    return rc;
}
