/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_checks.c - whether fleets could be made: groups can be described, and the subnets are there. What is wrong with
 * one fleet stands in that fleet's own row. */
#include "checks.h"
#include "fleet.h"
#include "form.h"

static void check_groups(struct aws *a, struct checks *k)
{
    struct reply r = {0};
    struct bp_err err = {0};
    check_begin(k, "groups", AWS_OP_AUTOSCALING_DESCRIBE_AUTO_SCALING_GROUPS, "the Auto Scaling groups");
    struct form *f = form_new();
    if (!f) {
        check_fail(k, "", "no memory");
        return;
    }
    form_put_int(f, 1, "MaxRecords");
    int rc = client_query(a->client, AWS_OP_AUTOSCALING_DESCRIBE_AUTO_SCALING_GROUPS, f, "the groups", &r, &err);
    if (rc < 0)
        check_failed(k, rc, &r, &err);
    else if (a->fleets->set.manage)
        check_ok(k, "they can be described; bpd makes and corrects its own");
    else
        check_ok(k, "they can be described; those made elsewhere are used as they are (plugin.aws.fleet.manage)");
    reply_free(&r);
    form_free(f);
}

/* What instances cannot be made without. */
static void check_settings(struct aws *a, struct checks *k)
{
    const struct fleet_settings *s = &a->fleets->set;
    size_t n = 0;
    if (!s->manage)
        return;
    while (fleet_settings_item(s, "subnets", n))
        n++;
    check_begin_own(k, "fleet-settings", "plugin.aws.fleet");
    if (!n)
        check_fail(k, "set plugin.aws.fleet.subnets", "no subnet is named for instances to run in");
    else if (!s->profile[0])
        check_fail(k, "set plugin.aws.fleet.instanceProfile",
                   "no instance profile: workers could not read the fleet secret");
    else if (n == 1)
        check_warn(k, "name subnets of more zones in plugin.aws.fleet.subnets",
                   "one subnet: Spot instances come from one zone only");
    else
        check_ok(k, "%zu subnets, instance profile %s", n, s->profile);
}

void fleet_checks(struct aws *a, struct checks *k)
{
    check_groups(a, k);
    check_settings(a, k);
}
