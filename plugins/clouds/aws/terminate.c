/* SPDX-License-Identifier: Apache-2.0 */
/* terminate.c - the end of one chosen instance, and never of another. */
#include "client.h"
#include "err.h"
#include "form.h"
#include "groups.h"

#include <stdio.h>
#include <string.h>

#define FRESH_MS 5000 /* a description that an end may be decided on */

static int no_instance(const char *what, const char *instance, struct bp_err *err)
{
    return err_set(err, BP_NOTFOUND, "%.120s has no running instance %.63s", what, instance);
}

/* May it be ended? Its lifecycle decides, seen after anything that was tried before. */
static int check(struct fleets *f, const char *slug, const char *instance, const char *what, struct bp_err *err)
{
    int rc = groups_look(f, &slug, 1, FRESH_MS, 0, err);
    if (rc < 0)
        return rc;
    groups_lock(f->groups);
    struct group *g = groups_at(f, slug);
    const struct member *m = g && g->exists ? group_instance(g, instance) : NULL;
    if (!m || (m->pub.state != BP_INSTANCE_PENDING && m->pub.state != BP_INSTANCE_RUNNING))
        rc = no_instance(what, instance, err);
    else if (g->desired <= g->min_size)
        rc = err_set(err, BP_CONFLICT, "%.120s: %.40s is one of the %d instances that its minimum size keeps; lower it",
                     what, instance, g->min_size);
    else
        groups_touch(f->groups, g); /* whatever becomes of it is looked at before it is tried again */
    groups_unlock(f->groups);
    return rc;
}

static void note_end(struct fleets *f, const char *slug, const char *instance)
{
    groups_lock(f->groups);
    struct group *g = groups_at(f, slug);
    struct member *m = g ? group_instance(g, instance) : NULL;
    if (m && m->pub.state != BP_INSTANCE_TERMINATING) {
        m->pub.state = BP_INSTANCE_TERMINATING;
        g->desired -= g->desired > g->min_size;
    }
    if (g)
        g->stale = 0; /* it is known how it became; a look under way that saw it before that marks it again */
    groups_unlock(f->groups);
}

int32_t fleet_terminate(void *inst, const char *slug, const char *instance, struct bp_err *err)
{
    struct fleets *f = ((struct aws *)inst)->fleets;
    char group[FLEET_NAME_SIZE + 8], what[FLEET_NAME_SIZE + 96];
    struct reply r = {0};
    fleet_what(f, slug, group);
    int rc = check(f, slug, instance, group, err);
    struct form *form = rc == 0 ? form_new() : NULL;
    if (!form)
        return rc < 0 ? rc : err_set(err, BP_NOMEM, "no memory to end %.63s", instance);
    form_put(form, instance, "InstanceId");
    form_put_bool(form, 1, "ShouldDecrementDesiredCapacity");
    snprintf(what, sizeof what, "instance %.63s of %s", instance, group);
    rc = client_query(f->aws->client, AWS_OP_AUTOSCALING_TERMINATE_INSTANCE, form, what, &r, err);
    form_free(form);
    if (rc == 0)
        note_end(f, slug, instance);
    else if (strstr(r.error.message, "not found"))
        rc = no_instance(group, instance, err);
    else if (rc == BP_CONFLICT)
        rc = err->rc = BP_LATER; /* the group is busy with itself */
    reply_free(&r);
    return rc;
}
