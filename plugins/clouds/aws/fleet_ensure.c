/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_ensure.h"

#include "err.h"
#include "fields.h"
#include "groups.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 128 /* of a launch template */

/* The workflow's instance types as "a,b". */
static int read_types(const struct bp_fleet_spec *spec, char out[1024], struct bp_err *err)
{
    struct json_object *list = spec->instance_types ? json_tokener_parse(spec->instance_types) : NULL;
    size_t used = 0, n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && used < 1024; i++)
        used += (size_t)snprintf(out + used, 1024 - used, "%s%s", i ? "," : "",
                                 json_object_get_string(json_object_array_get_idx(list, i)));
    json_object_put(list);
    if (used && used < 1024)
        return 0;
    return err_set(err, BP_INVALID, "%.80s: workflows.%.80s.instanceTypes %s", spec->slug, spec->slug,
                   used ? "has too many types" : "names no type; [\"g6.xlarge\", \"g5.xlarge\"] say");
}

static int check(const struct ensuring *e, struct bp_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const struct bp_fleet_spec *s = e->spec;
    size_t n = s->slug ? strlen(s->slug) : 0;
    if (n < 1 || n >= FLEET_SLUG_SIZE || strspn(s->slug, letters) != n)
        return err_set(err, BP_INVALID, "a fleet needs a slug of 1 to %d letters, digits, '-', '_' or '.'",
                       FLEET_SLUG_SIZE - 1);
    if (strlen(e->name) > NAME_MAX_BYTES)
        return err_set(err, BP_INVALID, "%.140s is longer than a launch template's name may be (%d bytes)", e->name,
                       NAME_MAX_BYTES);
    if (s->max_size < 0 || s->warmup_s < 0)
        return err_set(err, BP_INVALID, "fleet %.120s: its maximum size and warm-up must not be negative", s->slug);
    return 0;
}

/* What is not ours to correct is told, once for each time that it is looked at. */
static void warn_each(const struct ensuring *e)
{
    for (size_t i = 0; i < json_object_array_length(e->diff); i++)
        AWS_LOG(e->f->aws, BP_LOG_WARN, "not corrected, since plugin.aws.fleet.manage is off: %s",
                json_object_get_string(json_object_array_get_idx(e->diff, i)));
}

static int run(struct ensuring *e, struct bp_err *err)
{
    int rc = check(e, err);
    if (rc < 0)
        return rc;
    if (!e->f->set.manage)
        return group_adopt(e, err);
    if ((rc = read_types(e->spec, e->types, err)) < 0 || (rc = launch_template_ensure(e, err)) < 0)
        return rc;
    return group_ensure(e, err);
}

static void note(const struct ensuring *e, int changed)
{
    groups_lock(e->f->groups);
    struct group *g = groups_at(e->f, e->spec->slug);
    if (g)
        g->spec_max = e->spec->max_size;
    if (g && changed)
        groups_touch(e->f->groups, g);
    groups_unlock(e->f->groups);
}

int32_t fleet_ensure(void *inst, const struct bp_fleet_spec *spec, int32_t dry_run, char **diff, struct bp_err *err)
{
    struct aws *a = inst;
    struct ensuring e = {.f = a->fleets, .spec = spec, .dry_run = dry_run != 0};
    if (diff)
        *diff = NULL;
    fleet_group_name(e.f, spec->slug ? spec->slug : "", e.name);
    e.diff = json_object_new_array();
    int rc = run(&e, err);
    int adopted = !e.f->set.manage && !dry_run;
    if (rc == 0 && adopted)
        warn_each(&e);
    if (rc == 0 && !dry_run)
        note(&e, json_object_array_length(e.diff) > 0);
    const char *text = adopted ? "[]" : json_object_to_json_string_ext(e.diff, JSON_C_TO_STRING_NOSLASHESCAPE);
    if (rc == 0 && diff && !(*diff = aws_text(a, text)))
        rc = err_set(err, BP_NOMEM, "no memory for fleet %.120s", spec->slug);
    json_object_put(e.diff);
    return rc;
}
