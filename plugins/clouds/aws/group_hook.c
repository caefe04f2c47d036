/* SPDX-License-Identifier: Apache-2.0 */
/* group_hook.c - the lifecycle hook by which a group waits until a worker that it ends has handed back its work. */
#include "client.h"
#include "err.h"
#include "fields.h"
#include "fleet_ensure.h"

#include <stdio.h>
#include <string.h>

static void wanted(const struct fleet_settings *s, struct fields *f)
{
    fields_add(f, FIELD_TEXT, "transition", "LifecycleTransition", "LifecycleTransition",
               "autoscaling:EC2_INSTANCE_TERMINATING");
    fields_add_int(f, "heartbeat", "HeartbeatTimeout", "HeartbeatTimeout", s->hook_s);
    fields_add(f, FIELD_TEXT, "default result", "DefaultResult", "DefaultResult", "CONTINUE");
}

static int put(const struct ensuring *e, const struct fields *f, const char *what, struct bp_err *err)
{
    struct reply r = {0};
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to make %.150s", what);
    form_put(form, e->name, "AutoScalingGroupName");
    form_put(form, e->f->set.hook, "LifecycleHookName");
    fields_put(f, "", form);
    int rc = client_query(e->f->aws->client, AWS_OP_AUTOSCALING_PUT_LIFECYCLE_HOOK, form, what, &r, err);
    form_free(form);
    reply_free(&r);
    return rc;
}

static int read_hook(const struct ensuring *e, const char *what, struct reply *r, struct bp_err *err)
{
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to describe %.150s", what);
    form_put(form, e->name, "AutoScalingGroupName");
    form_put(form, e->f->set.hook, "LifecycleHookNames.member.1");
    int rc = client_query(e->f->aws->client, AWS_OP_AUTOSCALING_DESCRIBE_LIFECYCLE_HOOKS, form, what, r, err);
    form_free(form);
    return rc;
}

int group_hook_ensure(const struct ensuring *e, int exists, struct bp_err *err)
{
    struct fields f = {0};
    struct reply r = {0};
    char what[FLEET_NAME_SIZE + 160];
    uint32_t differences = 1;
    snprintf(what, sizeof what, "hook %.128s of group %s", e->f->set.hook, e->name);
    int rc = exists ? read_hook(e, what, &r, err) : 0;
    if (rc == 0) {
        wanted(&e->f->set, &f);
        const struct xml *hook = r.xml ? xml_first(xml_result(r.xml), "LifecycleHooks/member") : NULL;
        if (hook)
            differences = fields_compare(&f, what, hook, e->diff);
        else
            diff_say(e->diff, "create %s", what);
        if (differences && !e->dry_run)
            rc = put(e, &f, what, err);
    }
    reply_free(&r);
    fields_free(&f);
    return rc;
}
