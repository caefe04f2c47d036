/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo_view.c - what was measured of a workflow's instances, as text that outlives the process: boots by stage,
 * launches and their failures, interruptions, on-demand hours, what policies have learned (memo_policy.c), and how far
 * off what was promised of jobs has been. What jobs have shown is in the queue anyway (recall.c).
 */
#include "scale_priv.h"

#include "log/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define VERSION 1

/* To a thousandth: people read it too. */
static struct json_object *seconds_list(const float *list, uint32_t n)
{
    struct json_object *o = json_object_new_array();
    for (uint32_t k = 0; k < n; k++) {
        char text[32];
        snprintf(text, sizeof text, "%.3f", (double)list[k]);
        json_object_array_add(o, json_object_new_double_s((double)list[k], text));
    }
    return o;
}

/* At most room numbers of seconds; how many. */
static uint32_t take_seconds(struct json_object *o, float *list, uint32_t room)
{
    uint32_t n = 0;
    for (size_t k = 0; json_object_is_type(o, json_type_array) && k < json_object_array_length(o) && n < room; k++) {
        double v = json_object_get_double(json_object_array_get_idx(o, k));
        if (isfinite(v) && v >= 0)
            list[n++] = (float)v;
    }
    return n;
}

static void put_boots(struct json_object *o, const struct history *h)
{
    uint32_t n = h->boots < HISTORY_BOOTS ? (uint32_t)h->boots : HISTORY_BOOTS;
    json_put_int(o, "boots", (int64_t)h->boots);
    json_object_object_add(o, "boot_s", seconds_list(h->boot_s, n));
    struct json_object *by_stage = json_object_new_object();
    for (int k = 0; k < HISTORY_STAGES; k++)
        if (h->stage_s[k] > 0)
            json_put_num(by_stage, history_stage_names[k], round((double)h->stage_s[k] * 1000) / 1000);
    json_object_object_add(o, "stage_s", by_stage);
}

static void put_on_demand(struct json_object *o, const struct allowance *a)
{
    struct json_object *one = json_object_new_object();
    json_put_int(one, "n", a->n);
    json_put_int(one, "most", a->most);
    json_put_int(one, "day", a->day);
    json_put_num(one, "spent_h", a->spent_h);
    json_put_str(one, "why", a->why);
    json_object_object_add(o, "on_demand", one);
}

struct json_object *memo_view(const struct scale_item *i)
{
    const struct history *h = i->history;
    const struct allowance *a = &i->allowance;
    int spends = a->n || a->spent_h > 0;
    struct json_object *learned = learned_by_all(i), *promises = promise_json(&i->promises);
    if (!h->launches && !h->boots && !h->launch_failures && !h->interruptions && !(h->instance_s > 0) && !spends &&
        !learned && !promises)
        return NULL;
    struct json_object *o = json_object_new_object();
    json_put_int(o, "v", VERSION);
    put_boots(o, h);
    json_put_int(o, "launches", (int64_t)h->launches);
    json_put_int(o, "launch_failures", (int64_t)h->launch_failures);
    json_put_int(o, "launch_failed_ms", h->launch_failed_ms);
    json_put_int(o, "interruptions", (int64_t)h->interruptions);
    json_put_int(o, "interrupted_ms", h->interrupted_ms);
    json_put_num(o, "instance_hours", round(h->instance_s / 3.6) / 1000);
    json_put_int(o, "last_scale_ms", i->last_scale_ms);
    if (spends)
        put_on_demand(o, a);
    if (learned)
        json_object_object_add(o, "learned", learned);
    if (promises)
        json_object_object_add(o, "promises", promises);
    return o;
}

struct json_object *memo_view_whole(const struct scale_item *i)
{
    struct json_object *o = memo_view(i);
    if (!i->shadow)
        return o;
    if (!o) {
        o = json_object_new_object();
        json_put_int(o, "v", VERSION);
    }
    json_object_object_add(o, "shadow", memo_shadow(i->shadow));
    return o;
}

uint64_t memo_count(struct json_object *o, const char *key)
{
    int64_t n = json_int(o, key, 0);
    return n > 0 ? (uint64_t)n : 0;
}

static double positive_in(struct json_object *o, const char *key)
{
    double v = json_num(o, key, 0);
    return isfinite(v) && v > 0 ? v : 0;
}

/* The ring goes on where it was. */
static void take_boots(struct history *h, struct json_object *o)
{
    uint32_t n = take_seconds(json_member(o, "boot_s"), h->boot_s, HISTORY_BOOTS);
    uint64_t boots = memo_count(o, "boots");
    h->boots = n < HISTORY_BOOTS || boots < n ? n : boots;
    for (int k = 0; k < HISTORY_STAGES; k++)
        h->stage_s[k] = (float)positive_in(json_member(o, "stage_s"), history_stage_names[k]);
}

static void take_on_demand(struct allowance *a, struct json_object *o)
{
    int64_t n = json_int(o, "n", 0), most = json_int(o, "most", 0);
    a->n = n > 0 && n < INT32_MAX ? (int32_t)n : 0;
    a->most = most > a->n && most < INT32_MAX ? (int32_t)most : a->n;
    a->day = json_int(o, "day", 0);
    a->spent_h = positive_in(o, "spent_h");
    snprintf(a->why, sizeof a->why, "%s", json_str(o, "why", ""));
}

void memo_view_take(struct scale_item *i, struct json_object *o, int64_t now_ms)
{
    struct history *h = i->history;
    struct json_object *on_demand = json_member(o, "on_demand");
    if (!o || json_int(o, "v", 0) != VERSION)
        return;
    take_boots(h, o);
    h->launches = memo_count(o, "launches");
    h->launch_failures = memo_count(o, "launch_failures");
    h->launch_failed_ms = json_int(o, "launch_failed_ms", 0);
    h->interruptions = memo_count(o, "interruptions");
    h->interrupted_ms = json_int(o, "interrupted_ms", 0);
    h->instance_s = positive_in(o, "instance_hours") * 3600;
    if (json_int(o, "last_scale_ms", 0) > i->last_scale_ms)
        i->last_scale_ms = json_int(o, "last_scale_ms", 0);
    if (on_demand)
        take_on_demand(&i->allowance, on_demand);
    json_object_put(i->learned);
    i->learned = json_object_get(json_member(o, "learned"));
    learned_give(i);
    promise_take(&i->promises, json_member(o, "promises"));
    if (i->shadow)
        memo_shadow_take(i->shadow, json_member(o, "shadow"), now_ms);
}
