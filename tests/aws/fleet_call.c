/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_call.c - calls of a cloud plugin's fleets. "describe" and "tick" take many slugs and tell what they cost:
 * {"cpu_ms":..., "grown_kib":...}, the peak of memory above what there was before.
 */
#include "facet_call.h"
#include <bp/fleet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct bp_fleet *table(void)
{
    return facet_of(BP_FLEET_FACET);
}

static void give_int(struct json_object *out, const char *name, int64_t v)
{
    json_object_object_add(out, name, json_object_new_int64(v));
}

static int call_ensure(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct json_object *types = NULL;
    char *diff = NULL;
    json_object_object_get_ex(in, "types", &types);
    const struct bp_fleet_spec spec = {.size = sizeof spec,
                                       .max_size = (int32_t)num(in, "max", 4),
                                       .warmup_s = (int32_t)num(in, "warmup", 120),
                                       .slug = str(in, "slug"),
                                       .stage = str(in, "stage"),
                                       .ami_id = str(in, "ami"),
                                       .ami_parameter = str(in, "parameter"),
                                       .instance_types = types ? json_object_to_json_string(types) : "[]"};
    int rc = table()->ensure(inst, &spec, (int32_t)num(in, "dry_run", 0), &diff, err);
    json_object_object_add(out, "diff", diff ? json_tokener_parse(diff) : NULL);
    fake_host_free(diff);
    return rc;
}

static struct json_object *instance_json(const struct bp_instance *i)
{
    struct json_object *o = json_object_new_object();
    give(o, "id", i->id);
    give(o, "type", i->type);
    give(o, "zone", i->zone);
    give_int(o, "state", i->state);
    give_int(o, "protected", i->is_protected);
    give_int(o, "spot", i->spot);
    give_int(o, "interrupting", i->interrupting);
    give_int(o, "launched_ms", i->launched_ms);
    give_int(o, "running_ms", i->running_ms);
    return o;
}

static struct json_object *state_json(const struct bp_fleet_state *s)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    give_int(o, "exists", s->exists);
    give_int(o, "desired", s->desired);
    give_int(o, "min", s->min_size);
    give_int(o, "max", s->max_size);
    for (uint32_t k = 0; k < s->n_instances; k++)
        json_object_array_add(list, instance_json(&s->instances[k]));
    json_object_object_add(o, "instances", list);
    return o;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A line of /proc/self/status, KiB. */
static int64_t status_kib(const char *name)
{
    FILE *in = fopen("/proc/self/status", "re");
    char line[256];
    int64_t v = 0;
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, name, strlen(name)) == 0)
            v = strtoll(line + strlen(name), NULL, 10);
    if (in)
        fclose(in);
    return v;
}

/* From now on the peak is that of what comes. */
static int64_t resident_kib(void)
{
    FILE *out = fopen("/proc/self/clear_refs", "we");
    if (out) {
        fputs("5", out);
        fclose(out);
    }
    return status_kib("VmRSS:");
}

static int64_t peak_kib(void)
{
    return status_kib("VmHWM:");
}

static void states_free(struct bp_fleet_state *s, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        fake_host_free(s[k].memory);
    free(s);
}

/* "slugs": a list; "quiet": the states are not given back; "rest_ms": before the call. */
static int call_describe(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct json_object *list = NULL, *states = json_object_new_object();
    json_object_object_get_ex(in, "slugs", &list);
    uint32_t n = (uint32_t)json_object_array_length(list);
    const char **slugs = calloc(n + 1, sizeof *slugs);
    struct bp_fleet_state *s = calloc(n + 1, sizeof *s);
    for (uint32_t k = 0; k < n; k++) {
        slugs[k] = json_object_get_string(json_object_array_get_idx(list, k));
        s[k].size = sizeof *s;
    }
    usleep((useconds_t)num(in, "rest_ms", 0) * 1000);
    double before = cpu_ms();
    int64_t rss = resident_kib();
    int rc = table()->describe(inst, slugs, n, s, err);
    json_object_object_add(out, "cpu_ms", json_object_new_double(cpu_ms() - before));
    give_int(out, "grown_kib", peak_kib() - rss);
    for (uint32_t k = 0; k < n && rc == 0 && !num(in, "quiet", 0); k++)
        json_object_object_add(states, slugs[k], state_json(&s[k]));
    json_object_object_add(out, "fleets", states);
    states_free(s, n);
    free(slugs);
    return rc;
}

/* What the controller asks at one tick: all fleets together, then what happened to each. */
static int call_tick(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct json_object *list = NULL;
    struct bp_activity what[20];
    double before = cpu_ms();
    int rc = call_describe(inst, in, out, err);
    json_object_object_get_ex(in, "slugs", &list);
    for (size_t k = 0; rc == 0 && k < json_object_array_length(list); k++) {
        const char *slug = json_object_get_string(json_object_array_get_idx(list, k));
        uint32_t n = 20;
        char *text = NULL;
        rc = table()->activities(inst, slug, 0, what, &n, err);
        if (rc == 0)
            rc = table()->penalties(inst, slug, &text, err);
        fake_host_free(text);
    }
    json_object_object_add(out, "cpu_ms", json_object_new_double(cpu_ms() - before));
    return rc;
}

static int call_grow(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return table()->grow(inst, str(in, "slug"), (int32_t)num(in, "to", 1), err);
}

static int call_terminate(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    return table()->terminate(inst, str(in, "slug"), str(in, "instance"), err);
}

static int call_protect(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct json_object *list = NULL;
    (void)out;
    if (!json_object_object_get_ex(in, "instances", &list))
        return table()->protect(inst, str(in, "slug"), str(in, "instance"), (int32_t)num(in, "on", 1), err);
    uint32_t n = (uint32_t)json_object_array_length(list);
    const char **ids = calloc(n + 1, sizeof *ids);
    for (uint32_t k = 0; k < n; k++)
        ids[k] = json_object_get_string(json_object_array_get_idx(list, k));
    int rc = table()->protect_many(inst, str(in, "slug"), ids, n, (int32_t)num(in, "on", 1), err);
    free(ids);
    return rc;
}

static int call_activities(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    struct bp_activity list[64];
    struct json_object *array = json_object_new_array();
    uint32_t n = 64;
    int rc = table()->activities(inst, str(in, "slug"), num(in, "since_ms", 0), list, &n, err);
    for (uint32_t k = 0; k < n && rc == 0; k++) {
        struct json_object *o = json_object_new_object();
        give(o, "type", list[k].type);
        give(o, "reason", list[k].reason);
        give(o, "text", list[k].text);
        give_int(o, "failed", list[k].failed);
        json_object_array_add(array, o);
    }
    json_object_object_add(out, "activities", array);
    return rc;
}

static int call_afford(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    (void)out;
    if (!BP_HAS(table(), afford))
        return BP_UNSUPPORTED;
    return table()->afford(inst, str(in, "slug"), (int32_t)num(in, "on_demand", 0), err);
}

/* An answer that is JSON, as the member `name`. */
static void give_json(struct json_object *out, const char *name, char *text)
{
    json_object_object_add(out, name, text ? json_tokener_parse(text) : NULL);
    fake_host_free(text);
}

static int call_image(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *text = NULL;
    const struct bp_fleet_spec spec = {.size = sizeof spec,
                                       .slug = str(in, "slug"),
                                       .stage = str(in, "stage"),
                                       .ami_id = str(in, "ami_id"),
                                       .ami_parameter = str(in, "parameter"),
                                       .instance_types = "[]"};
    int rc = table()->image(inst, &spec, str(in, "ami"), (int32_t)num(in, "force", 0), &text, err);
    give_json(out, "image", text);
    return rc;
}

static int call_rollout(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *text = NULL;
    int rc = table()->rollout(inst, str(in, "slug"), (int32_t)num(in, "what", BP_ROLLOUT_STATUS), &text, err);
    give_json(out, "rollout", text);
    return rc;
}

static int call_penalties(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    char *text = NULL;
    int rc = table()->penalties(inst, str(in, "slug"), &text, err);
    give_json(out, "penalties", text);
    return rc;
}

const struct facet_call facet_calls[] = {
    {"ensure", call_ensure},
    {"describe", call_describe},
    {"tick", call_tick},
    {"grow", call_grow},
    {"terminate", call_terminate},
    {"protect", call_protect},
    {"activities", call_activities},
    {"afford", call_afford},
    {"image", call_image},
    {"rollout", call_rollout},
    {"penalties", call_penalties},
    {NULL, NULL},
};
