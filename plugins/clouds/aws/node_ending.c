/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_ending.c - the group waits for the worker: its lifecycle hook is kept waiting while work is handed back, and let
 * go when all is. A group without the hook does not wait, and nothing needs to be said.
 */
#include "client.h"
#include "err.h"
#include "form.h"
#include "node_priv.h"

#include <stdio.h>
#include <string.h>

#define HOOK_FALLBACK "bpd-hand-back" /* as the fleet makes it */

/* 0: this worker is of no group. */
static int group_name(const struct aws *a, char out[256])
{
    const char *given = settings_str(&a->settings, "group", ""), *fleet = a->settings.fleet;
    if (given[0])
        snprintf(out, 256, "%s", given);
    else
        snprintf(out, 256, "asg-%s-%s", a->settings.stage, fleet);
    return given[0] || fleet[0];
}

/* The hook is not there, or was let go already. */
static int is_over(const struct reply *r)
{
    return strcmp(r->error.code, "ValidationError") == 0;
}

static int tell(const struct aws *a, enum aws_op op, const struct form *f, const char *what, struct bp_err *err)
{
    struct reply r = {0};
    int rc = client_query(a->client, op, f, what, &r, err);
    if (rc < 0 && is_over(&r)) {
        AWS_LOG(a, BP_LOG_DEBUG, "the group does not wait for this instance: %s", r.error.message);
        rc = 0;
    }
    reply_free(&r);
    return rc;
}

int32_t node_ending(void *inst, int32_t done, struct bp_err *err)
{
    struct aws *a = inst;
    struct bp_node_identity id;
    char group[256], what[352];
    int rc = node_facet.identity(inst, &id, err);
    if (rc < 0 || !group_name(a, group))
        return rc < 0 ? rc : 0;
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to tell group %.150s", group);
    form_put(f, group, "AutoScalingGroupName");
    form_put(f, settings_str(&a->settings, "lifecycleHook", HOOK_FALLBACK), "LifecycleHookName");
    form_put(f, id.instance_id, "InstanceId");
    if (done)
        form_put(f, "CONTINUE", "LifecycleActionResult");
    snprintf(what, sizeof what, "instance %s of group %s", id.instance_id, group);
    rc = tell(
        a, done ? AWS_OP_AUTOSCALING_COMPLETE_LIFECYCLE_ACTION : AWS_OP_AUTOSCALING_RECORD_LIFECYCLE_ACTION_HEARTBEAT,
        f, what, err);
    form_free(f);
    return rc;
}
