/* SPDX-License-Identifier: Apache-2.0 */
#include "rollout.h"

#include "client.h"
#include "err.h"
#include "fleet.h"
#include "form.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* AWS' words and ours. */
static const struct state {
    const char *aws, *status;
    int running;
} states[] = {{"Pending", "pending", 1},
              {"InProgress", "running", 1},
              {"Baking", "running", 1},
              {"Cancelling", "cancelling", 1},
              {"RollbackInProgress", "rolling-back", 1},
              {"Successful", "successful", 0},
              {"Failed", "failed", 0},
              {"Cancelled", "cancelled", 0},
              {"RollbackSuccessful", "rolled-back", 0},
              {"RollbackFailed", "failed", 0}};

struct refresh {
    struct aws *aws;
    const char *slug;
    char name[FLEET_NAME_SIZE], what[FLEET_NAME_SIZE + 8];
    struct reply reply;
};

static int call(struct refresh *r, enum aws_op op, const struct form *form, struct bp_err *err)
{
    if (!form)
        return err_set(err, BP_NOMEM, "no memory for the roll-out of %.120s", r->what);
    return client_query(r->aws->client, op, form, r->what, &r->reply, err);
}

static void put_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

static void put_int(struct json_object *o, const char *name, int64_t n)
{
    json_object_object_add(o, name, json_object_new_int64(n));
}

static int give(const struct refresh *r, struct json_object *o, char **out, struct bp_err *err)
{
    *out = aws_text(r->aws, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    json_object_put(o);
    return *out ? 0 : err_set(err, BP_NOMEM, "no memory for the roll-out of %.120s", r->what);
}

/* ---- how it goes ---- */

static struct json_object *state_json(const struct xml *x)
{
    struct json_object *o = json_object_new_object();
    const char *said = xml_text(x, "Status");
    const struct state *s = NULL;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(states[i].aws, said) == 0)
            s = &states[i];
    put_text(o, "id", xml_text(x, "InstanceRefreshId"));
    put_text(o, "status", s ? s->status : x ? said : "none");
    json_object_object_add(o, "running", json_object_new_boolean(s ? s->running : 0));
    put_int(o, "percent", xml_int(x, "PercentageComplete", s && strcmp(s->status, "successful") == 0 ? 100 : 0));
    put_int(o, "left", xml_int(x, "InstancesToUpdate", 0));
    put_int(o, "began_ms", xml_time_ms(x, "StartTime"));
    put_int(o, "ended_ms", xml_time_ms(x, "EndTime"));
    put_text(o, "reason", xml_text(x, "StatusReason"));
    return o;
}

/* The last one, newest first. */
static int status(struct refresh *r, char **out, struct bp_err *err)
{
    struct form *form = form_new();
    if (form) {
        form_put(form, r->name, "AutoScalingGroupName");
        form_put_int(form, 1, "MaxRecords");
    }
    int rc = call(r, AWS_OP_AUTOSCALING_DESCRIBE_INSTANCE_REFRESHES, form, err);
    form_free(form);
    if (rc < 0)
        return rc;
    return give(r, state_json(xml_first(xml_result(r->reply.xml), "InstanceRefreshes/member")), out, err);
}

/* ---- start and abort ---- */

static int started(struct refresh *r, const char *status_word, int running, char **out, struct bp_err *err)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "id", xml_text(xml_result(r->reply.xml), "InstanceRefreshId"));
    put_text(o, "status", status_word);
    json_object_object_add(o, "running", json_object_new_boolean(running));
    put_int(o, "percent", 0);
    return give(r, o, out, err);
}

/* One at a time for a group: who asks for a second is told of the first. */
static int is_under_way(const struct refresh *r)
{
    return strcmp(r->reply.error.code, "InstanceRefreshInProgress") == 0;
}

static int start(struct refresh *r, char **out, struct bp_err *err)
{
    const struct settings *s = &r->aws->settings;
    struct form *form = form_new();
    if (form) {
        form_put(form, r->name, "AutoScalingGroupName");
        form_put(form, "Rolling", "Strategy");
        form_put_int(form, settings_int(s, "rolloutMinHealthyPercent", 90), "Preferences.MinHealthyPercentage");
        form_put_int(form, settings_int(s, "rolloutMaxHealthyPercent", 110), "Preferences.MaxHealthyPercentage");
        form_put(form, "Ignore", "Preferences.ScaleInProtectedInstances");
        form_put(form, "Ignore", "Preferences.StandbyInstances");
        form_put_bool(form, 0, "Preferences.SkipMatching");
    }
    int rc = call(r, AWS_OP_AUTOSCALING_START_INSTANCE_REFRESH, form, err);
    form_free(form);
    if (rc < 0 && is_under_way(r))
        return err_set(err, BP_CONFLICT,
                       "a roll-out of %.100s is under way: bpctl ami rollout %.60s --follow shows it, --abort ends it",
                       r->what, r->slug);
    return rc < 0 ? rc : started(r, "pending", 1, out, err);
}

static int abort_it(struct refresh *r, char **out, struct bp_err *err)
{
    struct form *form = form_new();
    if (form)
        form_put(form, r->name, "AutoScalingGroupName");
    int rc = call(r, AWS_OP_AUTOSCALING_CANCEL_INSTANCE_REFRESH, form, err);
    form_free(form);
    if (rc < 0 && strcmp(r->reply.error.code, "ActiveInstanceRefreshNotFound") == 0)
        return err_set(err, BP_NOTFOUND, "no roll-out of %.120s is under way", r->what);
    return rc < 0 ? rc : started(r, "cancelling", 1, out, err);
}

int32_t fleet_rollout(void *inst, const char *slug, int32_t what, char **out, struct bp_err *err)
{
    struct refresh r = {.aws = inst, .slug = slug};
    *out = NULL;
    fleet_group_name(r.aws->fleets, slug, r.name);
    fleet_what(r.aws->fleets, slug, r.what);
    int rc = what == BP_ROLLOUT_START   ? start(&r, out, err)
             : what == BP_ROLLOUT_ABORT ? abort_it(&r, out, err)
             : what == BP_ROLLOUT_STATUS
                 ? status(&r, out, err)
                 : err_set(err, BP_UNSUPPORTED, "a roll-out can be started, shown and aborted, not %d", what);
    reply_free(&r.reply);
    return rc;
}
