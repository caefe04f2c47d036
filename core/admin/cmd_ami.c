/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ami.c - commands about what new instances are made from, and about rolling it out. */
#include "admin_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

static void answered(const struct bp_err *err, struct json_object *answer, void *arg)
{
    struct admin_call *c = arg;
    if (err->rc < 0)
        call_fail(c, err->rc, err->text, NULL);
    else
        call_ok(c, json_object_get(answer));
}

/* The workflow that is meant; NULL: the call has failed. */
static const char *workflow(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", "");
    char text[300];
    if (host_workflow(c->app->host, slug))
        return slug;
    const char *near = host_nearest_workflow(c->app->host, slug);
    snprintf(text, sizeof text, "no workflow %.100s%s%.100s%s", slug, near ? "; did you mean " : "", near ? near : "",
             near ? "?" : "");
    call_fail(c, BP_NOTFOUND, text, NULL);
    return NULL;
}

void cmd_ami(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", NULL);
    if (!slug || (slug = workflow(c)))
        fleet_images(c->app->fleets, slug, answered, c);
}

void cmd_ami_set(struct admin_call *c)
{
    const char *slug = workflow(c);
    if (!slug)
        return;
    const struct image_wish wish = {
        .slug = slug, .ami = json_str(c->params, "ami", ""), .who = c->who, .force = json_truth(c->params, "force", 0)};
    fleet_image_set(c->app->fleets, &wish, answered, c);
}

void cmd_ami_rollout(struct admin_call *c)
{
    const char *slug = workflow(c);
    int abort_it = json_truth(c->params, "abort", 0), status = json_truth(c->params, "status", 0);
    if (!slug)
        return;
    if (abort_it && status) {
        call_fail(c, BP_INVALID, "ami rollout: --abort or --status, not both", NULL);
        return;
    }
    fleet_rollout(c->app->fleets, slug,
                  abort_it ? BP_ROLLOUT_ABORT
                  : status ? BP_ROLLOUT_STATUS
                           : BP_ROLLOUT_START,
                  answered, c);
}
