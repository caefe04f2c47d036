/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_settings.c - plugin.aws.fleet: how groups and their instances are to be made. */
#include "err.h"
#include "fleet.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static struct json_object *member(const struct fleet_settings *s, const char *name)
{
    struct json_object *v = NULL;
    if (json_object_is_type(s->json, json_type_object))
        json_object_object_get_ex(s->json, name, &v);
    return v;
}

static const char *text(const struct fleet_settings *s, const char *name, const char *otherwise)
{
    struct json_object *v = member(s, name);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : otherwise;
}

static double number(const struct fleet_settings *s, const char *name, double otherwise)
{
    struct json_object *v = member(s, name);
    int is = json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
    return is ? json_object_get_double(v) : otherwise;
}

static int flag(const struct fleet_settings *s, const char *name, int otherwise)
{
    struct json_object *v = member(s, name);
    return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : otherwise;
}

const char *fleet_settings_item(const struct fleet_settings *s, const char *name, size_t i)
{
    struct json_object *list = member(s, name);
    if (!json_object_is_type(list, json_type_array) || i >= json_object_array_length(list))
        return NULL;
    struct json_object *v = json_object_array_get_idx(list, i);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static int check_texts(const struct fleet_settings *s, const char *name, struct bp_err *err)
{
    struct json_object *list = member(s, name);
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++)
        if (!fleet_settings_item(s, name, i))
            return err_set(err, BP_INVALID, "plugin.aws.fleet.%s: item %zu is no text", name, i);
    return 0;
}

int fleet_settings_read(struct fleet_settings *s, const struct aws *a, struct bp_err *err)
{
    *s = (struct fleet_settings){.json = settings_member(&a->settings, "fleet")};
    s->manage = flag(s, "manage", 1);
    s->launch_instances = flag(s, "launchInstances", 1);
    s->describe_ms = (int64_t)(number(s, "describeSeconds", 5) * 1000);
    s->project = text(s, "project", "bp");
    s->controller_url = text(s, "controllerUrl", "");
    s->profile = text(s, "instanceProfile", "");
    s->key_name = text(s, "keyName", "");
    s->root_device = text(s, "rootDevice", "");
    s->kms_key = text(s, "kmsKey", "");
    s->user_data_file = text(s, "userDataFile", "");
    s->secret = text(s, "fleetSecret", "");
    s->hook = settings_str(&a->settings, "lifecycleHook", "bpd-hand-back");
    s->root_gib = (int32_t)number(s, "rootVolumeGiB", 0);
    s->hop_limit = (int32_t)number(s, "metadataHopLimit", 1);
    s->hook_s = (int32_t)number(s, "handBackSeconds", 300);
    s->on_demand_base = (int32_t)number(s, "onDemandBase", 0);
    s->on_demand_share = (int32_t)number(s, "onDemandPercent", 0);
    int rc = check_texts(s, "subnets", err);
    return rc < 0 ? rc : check_texts(s, "securityGroups", err);
}

void fleet_group_name(const struct fleets *f, const char *slug, char out[FLEET_NAME_SIZE])
{
    struct json_object *groups = member(&f->set, "groups"), *given = NULL;
    if (json_object_is_type(groups, json_type_object))
        json_object_object_get_ex(groups, slug, &given);
    if (json_object_is_type(given, json_type_string) && json_object_get_string_len(given) > 0)
        snprintf(out, FLEET_NAME_SIZE, "%s", json_object_get_string(given));
    else
        snprintf(out, FLEET_NAME_SIZE, "asg-%.100s-%.127s", f->aws->settings.stage, slug);
}

void fleet_what(const struct fleets *f, const char *slug, char out[FLEET_NAME_SIZE + 8])
{
    char name[FLEET_NAME_SIZE];
    fleet_group_name(f, slug, name);
    snprintf(out, FLEET_NAME_SIZE + 8, "group %s", name);
}
