/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_ensure.c - the Auto Scaling group of a fleet, made or corrected. Its desired capacity is not touched: a maximum
 * below it waits until instances have ended, or the group would end some of its own choice.
 */
#include "client.h"
#include "err.h"
#include "fields.h"
#include "fleet_ensure.h"
#include "groups.h"

#include <stdio.h>
#include <string.h>

#define N_TAGS 4

/* ---- as it should be ---- */

#define POLICY  "MixedInstancesPolicy/"
#define DIST    "MixedInstancesPolicy.InstancesDistribution."
#define DIST_AT POLICY "InstancesDistribution/"
#define TMPL    "MixedInstancesPolicy.LaunchTemplate."

static void add_policy(const struct ensuring *e, int32_t on_demand_extra, struct fields *f)
{
    const struct fleet_settings *s = &e->f->set;
    fields_add(f, FIELD_TEXT, "launch template", TMPL "LaunchTemplateSpecification.LaunchTemplateName",
               POLICY "LaunchTemplate/LaunchTemplateSpecification/LaunchTemplateName", e->name);
    fields_add(f, FIELD_TEXT, "template version", TMPL "LaunchTemplateSpecification.Version",
               POLICY "LaunchTemplate/LaunchTemplateSpecification/Version", "$Default");
    fields_add(f, FIELD_LIST, "instance types", TMPL "Overrides.member.#.InstanceType",
               POLICY "LaunchTemplate/Overrides/member|InstanceType", e->types);
    fields_add_int(f, "on-demand base", DIST "OnDemandBaseCapacity", DIST_AT "OnDemandBaseCapacity",
                   s->on_demand_base + on_demand_extra);
    fields_add_int(f, "on-demand per cent above the base", DIST "OnDemandPercentageAboveBaseCapacity",
                   DIST_AT "OnDemandPercentageAboveBaseCapacity", s->on_demand_share);
    fields_add(f, FIELD_TEXT, "Spot allocation", DIST "SpotAllocationStrategy", DIST_AT "SpotAllocationStrategy",
               "price-capacity-optimized");
    fields_add(f, FIELD_TEXT, "on-demand allocation", DIST "OnDemandAllocationStrategy",
               DIST_AT "OnDemandAllocationStrategy", "prioritized");
}

static int wanted(const struct ensuring *e, const struct xml *now, struct fields *f, struct bp_err *err)
{
    const struct fleet_settings *s = &e->f->set;
    char subnets[GROUPS_SUBNETS_SIZE] = "";
    size_t n = 0;
    for (size_t i = 0; fleet_settings_item(s, "subnets", i) && n < sizeof subnets; i++)
        n += (size_t)snprintf(subnets + n, sizeof subnets - n, "%s%s", i ? "," : "",
                              fleet_settings_item(s, "subnets", i));
    if (!subnets[0])
        return err_set(err, BP_INVALID, "plugin.aws.fleet.subnets is empty: name the subnets that instances run in");
    int64_t desired = now ? xml_int(now, "DesiredCapacity", 0) : 0;
    groups_lock(e->f->groups);
    const struct group *g = groups_at(e->f, e->spec->slug);
    int32_t extra = g ? g->on_demand_extra : 0;
    groups_unlock(e->f->groups);
    fields_add_int(f, "minimum size", "MinSize", "MinSize", 0);
    fields_add_int(f, "maximum size", "MaxSize", "MaxSize", e->spec->max_size > desired ? e->spec->max_size : desired);
    fields_add(f, FIELD_CSV, "subnets", "VPCZoneIdentifier", "VPCZoneIdentifier", subnets);
    fields_add(f, FIELD_TEXT, "protection of new instances", "NewInstancesProtectedFromScaleIn",
               "NewInstancesProtectedFromScaleIn", "true");
    fields_add(f, FIELD_TEXT, "capacity rebalancing", "CapacityRebalance", "CapacityRebalance", "true");
    char warmup[16];
    snprintf(warmup, sizeof warmup, "%d", e->spec->warmup_s);
    fields_add(f, FIELD_KEPT, "warm-up", "DefaultInstanceWarmup", "DefaultInstanceWarmup", warmup);
    add_policy(e, extra, f);
    return f->failed ? err_set(err, BP_NOMEM, "no memory for group %.150s", e->name) : 0;
}

struct tag {
    const char *key, *value;
};

static void tags_of(const struct ensuring *e, struct tag tags[N_TAGS])
{
    tags[0] = (struct tag){"WorkflowSlug", e->spec->slug};
    tags[1] = (struct tag){"Stage", e->f->aws->settings.stage};
    tags[2] = (struct tag){"Project", e->f->set.project};
    tags[3] = (struct tag){"Name", e->name};
}

static void put_tags(const struct ensuring *e, struct form *form)
{
    struct tag tags[N_TAGS];
    tags_of(e, tags);
    for (int k = 0; k < N_TAGS; k++) {
        form_put(form, e->name, "Tags.member.%d.ResourceId", k + 1);
        form_put(form, "auto-scaling-group", "Tags.member.%d.ResourceType", k + 1);
        form_put(form, tags[k].key, "Tags.member.%d.Key", k + 1);
        form_put(form, tags[k].value, "Tags.member.%d.Value", k + 1);
        form_put_bool(form, 1, "Tags.member.%d.PropagateAtLaunch", k + 1);
    }
}

/* ---- calls ---- */

static int call(const struct ensuring *e, enum aws_op op, struct form *form, struct bp_err *err)
{
    struct reply r = {0};
    char what[FLEET_NAME_SIZE + 8];
    snprintf(what, sizeof what, "group %s", e->name);
    int rc = client_query(e->f->aws->client, op, form, what, &r, err);
    form_free(form);
    if (rc < 0)
        rc = ensure_error_tell(e, what, &r.error, rc, err);
    reply_free(&r);
    return rc;
}

static int no_memory(const struct ensuring *e, struct bp_err *err)
{
    return err_set(err, BP_NOMEM, "no memory to change group %.150s", e->name);
}

static int write_group(const struct ensuring *e, const struct fields *f, int exists, struct bp_err *err)
{
    struct form *form = form_new();
    if (!form)
        return no_memory(e, err);
    form_put(form, e->name, "AutoScalingGroupName");
    fields_put(f, "", form);
    if (!exists) {
        form_put_int(form, 0, "DesiredCapacity");
        put_tags(e, form);
    }
    return call(e, exists ? AWS_OP_AUTOSCALING_UPDATE_AUTO_SCALING_GROUP : AWS_OP_AUTOSCALING_CREATE_AUTO_SCALING_GROUP,
                form, err);
}

static int write_tags(const struct ensuring *e, struct bp_err *err)
{
    struct form *form = form_new();
    if (!form)
        return no_memory(e, err);
    put_tags(e, form);
    return call(e, AWS_OP_AUTOSCALING_CREATE_OR_UPDATE_TAGS, form, err);
}

static int suspend(const struct ensuring *e, struct bp_err *err)
{
    struct form *form = form_new();
    if (!form)
        return no_memory(e, err);
    form_put(form, e->name, "AutoScalingGroupName");
    form_put(form, "AZRebalance", "ScalingProcesses.member.1");
    return call(e, AWS_OP_AUTOSCALING_SUSPEND_PROCESSES, form, err);
}

/* ---- as it is ---- */

static int read_group(const struct ensuring *e, struct reply *r, const struct xml **now, struct bp_err *err)
{
    char what[FLEET_NAME_SIZE + 8];
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to describe group %.150s", e->name);
    form_put(form, e->name, "AutoScalingGroupNames.member.1");
    snprintf(what, sizeof what, "group %s", e->name);
    int rc = client_query(e->f->aws->client, AWS_OP_AUTOSCALING_DESCRIBE_AUTO_SCALING_GROUPS, form, what, r, err);
    form_free(form);
    *now = rc == 0 ? xml_first(xml_result(r->xml), "AutoScalingGroups/member") : NULL;
    return rc;
}

static int is_suspended(const struct xml *now, const char *process)
{
    for (const struct xml *p = xml_first(now, "SuspendedProcesses/member"); p; p = xml_next(p))
        if (strcmp(xml_text(p, "ProcessName"), process) == 0)
            return 1;
    return 0;
}

/* Somebody, or AWS after a day of failed launches, switched off what the fleet lives by: not ours to undo. */
static void warn_suspended(const struct ensuring *e, const struct xml *now)
{
    static const char *const needed[] = {"Launch", "Terminate"};
    for (size_t i = 0; i < 2; i++)
        if (is_suspended(now, needed[i]))
            AWS_LOG(
                e->f->aws, BP_LOG_WARN,
                "group %s: the process %s is suspended, so that the fleet cannot change; resume it: aws autoscaling "
                "resume-processes --auto-scaling-group-name %s --scaling-processes %s",
                e->name, needed[i], e->name, needed[i]);
}

static uint32_t compare_tags(const struct ensuring *e, const char *what, const struct xml *now)
{
    struct tag tags[N_TAGS];
    uint32_t n = 0;
    tags_of(e, tags);
    for (int k = 0; k < N_TAGS; k++) {
        const struct xml *t = xml_first(now, "Tags/member");
        while (t && strcmp(xml_text(t, "Key"), tags[k].key) != 0)
            t = xml_next(t);
        if (t && strcmp(xml_text(t, "Value"), tags[k].value) == 0 && xml_bool(t, "PropagateAtLaunch"))
            continue;
        diff_say(e->diff, "%s: tag %s %s becomes %s", what, tags[k].key, t ? xml_text(t, "Value") : "none",
                 tags[k].value);
        n++;
    }
    return n;
}

/* ---- from here to there ---- */

struct differences {
    uint32_t fields, tags, rebalance;
};

static struct differences compare(const struct ensuring *e, const struct fields *f, const struct xml *now)
{
    struct differences d = {0};
    char what[FLEET_NAME_SIZE + 8];
    snprintf(what, sizeof what, "group %s", e->name);
    if (!now) {
        diff_say(e->diff, "create %s of at most %d instances: %s", what, e->spec->max_size, e->types);
        return (struct differences){1, 0, 1};
    }
    d.fields = fields_compare(f, what, now, e->diff);
    d.tags = compare_tags(e, what, now);
    d.rebalance = !is_suspended(now, "AZRebalance");
    if (d.rebalance)
        diff_say(e->diff, "%s: the process AZRebalance becomes suspended", what);
    if (d.tags)
        d.fields++; /* it was not made by this bpd: what its description does not tell is set too */
    warn_suspended(e, now);
    return d;
}

static int correct(const struct ensuring *e, const struct fields *f, const struct differences *d, int exists,
                   struct bp_err *err)
{
    int rc = d->fields ? write_group(e, f, exists, err) : 0;
    if (rc == 0 && d->tags)
        rc = write_tags(e, err);
    if (rc == 0 && d->rebalance)
        rc = suspend(e, err);
    return rc;
}

int group_ensure(const struct ensuring *e, struct bp_err *err)
{
    struct fields f = {0};
    struct reply r = {0};
    const struct xml *now = NULL;
    int rc = read_group(e, &r, &now, err);
    int exists = now != NULL;
    if (rc == 0 && (rc = wanted(e, now, &f, err)) == 0) {
        struct differences d = compare(e, &f, now);
        if (!e->dry_run)
            rc = correct(e, &f, &d, exists, err);
        if (rc == 0)
            rc = group_hook_ensure(e, exists, err);
    }
    reply_free(&r);
    fields_free(&f);
    return rc;
}

/* Sizes of a group whose types have weights are no numbers of instances: bpd would count wrongly. */
static int has_weights(const struct xml *now)
{
    const struct xml *o = xml_first(now, "MixedInstancesPolicy/LaunchTemplate/Overrides/member");
    while (o && xml_int(o, "WeightedCapacity", 1) == 1)
        o = xml_next(o);
    return o != NULL;
}

int group_adopt(const struct ensuring *e, struct bp_err *err)
{
    struct fields f = {0};
    struct reply r = {0};
    const struct xml *now = NULL;
    char what[FLEET_NAME_SIZE + 8];
    snprintf(what, sizeof what, "group %s", e->name);
    int rc = read_group(e, &r, &now, err);
    if (rc == 0 && !now)
        rc =
            err_set(err, BP_NOTFOUND,
                    "%.100s does not exist in %.30s; make it, name another in plugin.aws.fleet.groups, or let bpd make "
                    "it (plugin.aws.fleet.manage)",
                    what, e->f->aws->settings.region);
    if (rc == 0) {
        fields_add_int(&f, "minimum size", "MinSize", "MinSize", 0);
        fields_add_int(&f, "maximum size", "MaxSize", "MaxSize", e->spec->max_size);
        fields_add(&f, FIELD_TEXT, "protection of new instances", "NewInstancesProtectedFromScaleIn",
                   "NewInstancesProtectedFromScaleIn", "true");
        fields_compare(&f, what, now, e->diff);
        if (!is_suspended(now, "AZRebalance"))
            diff_say(e->diff, "%s: the process AZRebalance becomes suspended", what);
        warn_suspended(e, now);
    }
    if (rc == 0 && has_weights(now))
        rc = err_set(err, BP_UNSUPPORTED,
                     "%.100s: its instance types have weights, so that its sizes are no numbers of instances; remove "
                     "the weights",
                     what);
    reply_free(&r);
    fields_free(&f);
    return rc;
}
