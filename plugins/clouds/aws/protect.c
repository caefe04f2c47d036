/* SPDX-License-Identifier: Apache-2.0 */
/* protect.c - scale-in protection: what a group must not choose when it shrinks by itself. 50 instances a call. */
#include "client.h"
#include "err.h"
#include "form.h"
#include "groups.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE 50

static void note(struct fleets *f, const char *slug, const char *const *instances, uint32_t n, int32_t on)
{
    groups_lock(f->groups);
    struct group *g = groups_at(f, slug);
    for (uint32_t k = 0; g && k < n; k++) {
        struct member *m = group_instance(g, instances[k]);
        if (!m)
            continue;
        m->pub.is_protected = on != 0;
        m->change = groups_change(f->groups);
    }
    groups_unlock(f->groups);
}

static int protect(struct fleets *f, const char *slug, const char *const *instances, uint32_t n, int32_t on,
                   struct bp_err *err)
{
    char group[FLEET_NAME_SIZE], what[FLEET_NAME_SIZE + 96];
    struct reply r = {0};
    struct form *form = form_new();
    if (!form)
        return err_set(err, BP_NOMEM, "no memory to change the protection of %.63s", instances[0]);
    fleet_group_name(f, slug, group);
    form_put(form, group, "AutoScalingGroupName");
    for (uint32_t k = 0; k < n; k++)
        form_put(form, instances[k], "InstanceIds.member.%u", k + 1);
    form_put_bool(form, on != 0, "ProtectedFromScaleIn");
    snprintf(what, sizeof what, "instance %.63s%s of group %s", instances[0], n > 1 ? " and others" : "", group);
    int rc = client_query(f->aws->client, AWS_OP_AUTOSCALING_SET_INSTANCE_PROTECTION, form, what, &r, err);
    form_free(form);
    if (rc == BP_INVALID && (strstr(r.error.message, "not found") || strstr(r.error.message, "not in InService")))
        rc = err_set(err, BP_NOTFOUND, "group %.120s has no running instance %.63s", group, instances[0]);
    reply_free(&r);
    if (rc == 0)
        note(f, slug, instances, n, on);
    return rc;
}

int32_t fleet_protect(void *inst, const char *slug, const char *instance, int32_t on, struct bp_err *err)
{
    return protect(((struct aws *)inst)->fleets, slug, &instance, 1, on, err);
}

/* One that is gone spoils the call for all: then each is asked for alone. */
int32_t fleet_protect_many(void *inst, const char *slug, const char *const *instances, uint32_t n, int32_t on,
                           struct bp_err *err)
{
    struct fleets *f = ((struct aws *)inst)->fleets;
    int rc = 0;
    for (uint32_t at = 0; at < n && rc == 0; at += AT_ONCE) {
        uint32_t part = n - at < AT_ONCE ? n - at : AT_ONCE;
        rc = protect(f, slug, instances + at, part, on, err);
        if (rc != BP_NOTFOUND || part == 1)
            continue;
        rc = 0;
        for (uint32_t k = at; k < at + part && (rc == 0 || rc == BP_NOTFOUND); k++)
            rc = protect(f, slug, instances + k, 1, on, err);
        rc = rc == BP_NOTFOUND ? 0 : rc;
    }
    return rc == BP_NOTFOUND && n > 1 ? 0 : rc;
}
