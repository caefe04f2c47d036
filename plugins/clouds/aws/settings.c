/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "err.h"
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

struct json_object *settings_member(const struct settings *s, const char *name)
{
    struct json_object *v = NULL;
    if (json_object_is_type(s->json, json_type_object))
        json_object_object_get_ex(s->json, name, &v);
    return v;
}

const char *settings_str(const struct settings *s, const char *name, const char *otherwise)
{
    struct json_object *v = settings_member(s, name);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : otherwise;
}

int64_t settings_int(const struct settings *s, const char *name, int64_t otherwise)
{
    struct json_object *v = settings_member(s, name);
    return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : otherwise;
}

double settings_num(const struct settings *s, const char *name, double otherwise)
{
    struct json_object *v = settings_member(s, name);
    int is = json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
    return is ? json_object_get_double(v) : otherwise;
}

int settings_bool(const struct settings *s, const char *name, int otherwise)
{
    struct json_object *v = settings_member(s, name);
    return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : otherwise;
}

static const char *of_environment(const char *name)
{
    const char *v = getenv(name);
    return v ? v : "";
}

/* The first that says something, and which that is. */
static void find_region(struct settings *s)
{
    s->region = settings_str(s, "region", "");
    s->region_from = "plugin.aws.region";
    if (!s->region[0]) {
        s->region = of_environment("AWS_REGION");
        s->region_from = "AWS_REGION";
    }
    if (!s->region[0]) {
        s->region = of_environment("AWS_DEFAULT_REGION");
        s->region_from = "AWS_DEFAULT_REGION";
    }
}

static const char *about(struct json_object *o, const char *name, const char *otherwise)
{
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &v);
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : otherwise;
}

int settings_open(struct settings *s, const char *text, struct bp_err *err)
{
    memset(s, 0, sizeof *s);
    s->json = text && text[0] ? json_tokener_parse(text) : json_object_new_object();
    if (!json_object_is_type(s->json, json_type_object)) {
        settings_close(s);
        return err_set(err, BP_INVALID, "the settings of plugin aws are not a JSON object");
    }
    struct json_object *daemon = settings_member(s, "_bpd");
    s->profile = settings_str(s, "profile", "");
    s->profile_chosen = s->profile[0] != 0;
    if (!s->profile[0])
        s->profile = of_environment("AWS_PROFILE");
    find_region(s);
    s->stage = about(daemon, "stage", "local");
    s->url = about(daemon, "url", "");
    s->instance_id = about(daemon, "instance_id", "");
    s->fleet = about(daemon, "fleet", "");
    s->in_worker = strcmp(about(daemon, "role", ""), "worker") == 0;
    return 0;
}

void settings_close(struct settings *s)
{
    json_object_put(s->json);
    memset(s, 0, sizeof *s);
}
