/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include "err.h"
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REST_MAX_MS 60000

struct fleet *fleet_new(const char *slug)
{
    struct fleet *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    snprintf(f->slug, sizeof f->slug, "%s", slug);
    snprintf(f->types, sizeof f->types, "[]");
    f->boot_delay_ms = -1;
    f->dirty = 1;
    return f;
}

void fleet_free(struct fleet *f)
{
    while (f && f->instances) {
        struct instance *i = f->instances;
        f->instances = i->next;
        instance_drop(i);
    }
    free(f);
}

struct instance *fleet_instance(struct fleet *f, const char *id)
{
    for (struct instance *i = f->instances; i; i = i->next)
        if (strcmp(i->pub.id, id) == 0)
            return i;
    return NULL;
}

static int is_live(const struct instance *i)
{
    return i->pub.state == BP_INSTANCE_PENDING || i->pub.state == BP_INSTANCE_RUNNING;
}

int32_t fleet_live(const struct fleet *f)
{
    int32_t n = 0;
    for (const struct instance *i = f->instances; i; i = i->next)
        n += is_live(i);
    return n;
}

void fleet_record(struct fleet *f, int64_t now, const struct instance *i, int failed, const char *reason,
                  const char *fmt, ...)
{
    const struct bp_activity *before = &f->activities[(f->next_activity + FLEET_ACTIVITIES - 1) % FLEET_ACTIVITIES];
    struct bp_activity *a = &f->activities[f->next_activity];
    va_list ap;
    memset(a, 0, sizeof *a);
    /* Each has a time of its own: who asks for what came after the last one misses none. */
    a->at_ms = now > before->at_ms ? now : before->at_ms + 1;
    a->failed = failed;
    snprintf(a->reason, sizeof a->reason, "%s", reason);
    if (i) {
        memcpy(a->instance, i->pub.id, sizeof a->instance);
        memcpy(a->type, i->pub.type, sizeof a->type);
    } else {
        fleet_type(f, a->type, sizeof a->type);
    }
    va_start(ap, fmt);
    vsnprintf(a->text, sizeof a->text, fmt, ap);
    va_end(ap);
    f->next_activity = (f->next_activity + 1) % FLEET_ACTIVITIES;
    if (f->n_activities < FLEET_ACTIVITIES)
        f->n_activities++;
    f->dirty = 1;
}

void fleet_rest(struct fleet *f, const struct local *l, int64_t now)
{
    double ms = l->settings.launch_retry_s * 1000;
    for (uint32_t i = 0; i < f->failures && ms < REST_MAX_MS; i++)
        ms *= 2;
    if (ms > REST_MAX_MS && l->settings.launch_retry_s * 1000 < REST_MAX_MS)
        ms = REST_MAX_MS;
    f->failures++;
    f->next_type++;
    f->next_launch_ms = now + (int64_t)ms;
    f->dirty = 1;
}

/* The workflow's types, or the setting's when it names none. */
void fleet_type(const struct fleet *f, char *out, size_t n)
{
    struct json_object *types = json_tokener_parse(f->types);
    size_t count = json_object_is_type(types, json_type_array) ? json_object_array_length(types) : 0;
    struct json_object *one = count ? json_object_array_get_idx(types, f->next_type % count) : NULL;
    snprintf(out, n, "%s", one ? json_object_get_string(one) : "local");
    json_object_put(types);
}

/* ---- launching ---- */

int fleet_may_afford(const struct fleet *f, const struct local *l)
{
    int32_t n = 0;
    for (const struct instance *i = f->instances; i; i = i->next)
        n += !i->pub.spot && (i->pub.state == BP_INSTANCE_PENDING || i->pub.state == BP_INSTANCE_RUNNING);
    return l->settings.spot && n < f->on_demand;
}

static int launch_one(struct fleet *f, const struct local *l, int64_t now, int32_t all)
{
    int none = f->fail_launches > 0 || now < f->no_capacity_ms;
    if (none && !fleet_may_afford(f, l)) { /* it is Spot that has no capacity */
        f->fail_launches -= f->fail_launches > 0;
        fleet_record(f, now, NULL, 1, "capacity", "no capacity for this type in zone %s (injected)", l->settings.zone);
        fleet_rest(f, l, now);
        return 0;
    }
    if (all >= l->settings.max_instances) {
        fleet_record(f, now, NULL, 1, "quota", "%d instances are there already: maxInstances of plugin local is %lld",
                     all, (long long)l->settings.max_instances);
        fleet_rest(f, l, now);
        return 0;
    }
    struct instance *i = instance_launch(f, l, now);
    if (i)
        fleet_record(f, now, i, 0, "launch", "launched to have %d of at most %d", f->desired, f->max_size);
    else
        fleet_rest(f, l, now);
    return i != NULL;
}

static int32_t missing(const struct fleet *f)
{
    int32_t target = f->desired < f->max_size ? f->desired : f->max_size;
    return target - fleet_live(f);
}

static void drop_ended(struct fleet *f, const struct local *l, int64_t now)
{
    for (struct instance **p = &f->instances; *p;) {
        struct instance *i = *p;
        if (i->pub.state != BP_INSTANCE_TERMINATED || instance_due(i, l) > now) {
            p = &i->next;
            continue;
        }
        *p = i->next;
        instance_drop(i);
        f->dirty = 1;
    }
}

int64_t fleet_step(struct fleet *f, const struct local *l, int64_t now, int32_t *all)
{
    int64_t due = INT64_MAX;
    int32_t before = fleet_live(f);
    for (struct instance *i = f->instances; i; i = i->next)
        instance_step(f, i, l, now);
    drop_ended(f, l, now);
    *all += fleet_live(f) - before;
    while (missing(f) > 0 && f->next_launch_ms <= now)
        *all += launch_one(f, l, now, *all);
    if (missing(f) > 0)
        due = f->next_launch_ms;
    for (const struct instance *i = f->instances; i; i = i->next) {
        int64_t at = instance_due(i, l);
        due = at < due ? at : due;
    }
    return due;
}
