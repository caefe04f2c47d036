/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schedule.h"

#include "log/err.h"
#include "log/json.h"
#include "policy/cron.h"
#include "policy/policy.h"
#include "policy/zone.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MOST 10000

struct window {
    struct cron cron;
    struct zone *zone;
    int32_t minutes, min, max;
    const struct policy *policy; /* or NULL */
    int64_t open_until;          /* in minutes since 1970 */
};

struct schedule {
    uint32_t n;
    int64_t looked; /* the last minute that was looked at, 0: none */
    struct window windows[SCHEDULE_WINDOWS];
};

/* ---- reading ---- */

static int whole(struct json_object *o, const char *name, int32_t least, int32_t most, int32_t *out, struct bp_err *err)
{
    struct json_object *v = json_member(o, name);
    if (!v)
        return BP_OK;
    if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < least || json_object_get_int64(v) > most)
        return err_set(err, BP_INVALID, "%s must be a whole number from %d to %d", name, least, most);
    *out = json_object_get_int(v);
    return BP_OK;
}

static int is_known(const char *name)
{
    static const char *const known[] = {"cron", "zone", "minutes", "min", "max", "policy"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], name) == 0)
            return 1;
    return 0;
}

static int check_members(struct json_object *o, struct bp_err *err)
{
    static const char *const texts[] = {"cron", "zone", "policy"};
    if (!json_object_is_type(o, json_type_object))
        return err_set(err, BP_INVALID, "it must be an object with cron and minutes");
    json_object_object_foreach(o, name, v)
    {
        (void)v;
        if (!is_known(name))
            return err_set(err, BP_INVALID, "unknown member \"%.40s\"; there are cron, zone, minutes, min, max, policy",
                           name);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct json_object *text = json_member(o, texts[i]);
        if (text && !json_object_is_type(text, json_type_string))
            return err_set(err, BP_INVALID, "%s must be a text", texts[i]);
    }
    return BP_OK;
}

static int read_limits(struct window *w, struct json_object *o, struct bp_err *err)
{
    const char *policy = json_str(o, "policy", NULL);
    w->min = w->max = -1;
    if (whole(o, "minutes", 1, SCHEDULE_MINUTES, &w->minutes, err) < 0 ||
        whole(o, "min", 0, SIZE_MOST, &w->min, err) < 0 || whole(o, "max", 0, SIZE_MOST, &w->max, err) < 0)
        return err->rc;
    w->policy = policy_find(policy);
    if (!w->minutes)
        return err_set(err, BP_INVALID, "minutes is missing: how long it stays open");
    if (policy && !w->policy)
        return err_set(err, BP_INVALID, "no policy \"%.40s\"", policy);
    if (w->min >= 0 && w->max >= 0 && w->min > w->max)
        return err_set(err, BP_INVALID, "min %d is above max %d", w->min, w->max);
    if (w->min < 0 && w->max < 0 && !w->policy)
        return err_set(err, BP_INVALID, "it changes nothing; give min, max or policy");
    return BP_OK;
}

static int read_window(struct window *w, struct json_object *o, struct bp_err *err)
{
    if (check_members(o, err) < 0)
        return err->rc;
    const char *cron = json_str(o, "cron", NULL);
    if (!cron)
        return err_set(err, BP_INVALID, "cron is missing: when it opens");
    if (cron_parse(&w->cron, cron, err) < 0)
        return err_prefix(err, "cron: ");
    if (read_limits(w, o, err) < 0)
        return err->rc;
    w->zone = zone_load(json_str(o, "zone", "UTC"), err);
    return w->zone ? BP_OK : err_prefix(err, "zone: ");
}

struct schedule *schedule_new(struct json_object *list, struct bp_err *err)
{
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : SCHEDULE_WINDOWS + 1;
    struct schedule *s = n <= SCHEDULE_WINDOWS ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        err_set(err, n <= SCHEDULE_WINDOWS ? BP_NOMEM : BP_INVALID, "it must be a list of at most %d windows",
                SCHEDULE_WINDOWS);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        s->n = (uint32_t)i + 1;
        if (read_window(&s->windows[i], json_object_array_get_idx(list, i), err) < 0) {
            err_prefix(err, "window %zu: ", i + 1);
            schedule_free(s);
            return NULL;
        }
    }
    return s;
}

void schedule_free(struct schedule *s)
{
    for (uint32_t i = 0; s && i < s->n; i++)
        zone_free(s->windows[i].zone);
    free(s);
}

int schedule_check(struct json_object *list, struct bp_err *err)
{
    struct schedule *s = schedule_new(list, err);
    if (!s)
        return err->rc == BP_NOTFOUND && !zone_files_exist() ? BP_OK : err->rc;
    schedule_free(s);
    return BP_OK;
}

/* ---- the clock ---- */

static int opens(const struct window *w, int64_t minute)
{
    struct tm local;
    time_t at = (time_t)(minute * 60 + zone_offset_s(w->zone, minute * 60));
    return gmtime_r(&at, &local) && cron_matches(&w->cron, &local);
}

/* Minutes that were not looked at yet; after a jump of the clock all that may still count. */
static void look(struct schedule *s, int64_t minute)
{
    int64_t from = s->looked + 1;
    if (!s->looked || minute < s->looked || minute - s->looked > SCHEDULE_MINUTES) {
        from = minute - SCHEDULE_MINUTES;
        for (uint32_t i = 0; i < s->n; i++)
            s->windows[i].open_until = 0;
    }
    for (int64_t m = from; m <= minute; m++)
        for (uint32_t i = 0; i < s->n; i++) {
            struct window *w = &s->windows[i];
            if (minute - m < w->minutes && opens(w, m))
                w->open_until = m + w->minutes;
        }
    s->looked = minute;
}

struct schedule_now schedule_at(struct schedule *s, int64_t now_ms)
{
    struct schedule_now now = {-1, -1, NULL};
    int64_t minute = now_ms / 60000;
    if (!s)
        return now;
    if (minute != s->looked)
        look(s, minute);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct window *w = &s->windows[i];
        if (w->open_until <= minute)
            continue;
        now.min = w->min >= 0 ? w->min : now.min;
        now.max = w->max >= 0 ? w->max : now.max;
        now.policy = w->policy ? w->policy->name : now.policy;
    }
    return now;
}

int64_t schedule_open_until(const struct schedule *s, uint32_t i)
{
    return s->windows[i].open_until > s->looked ? s->windows[i].open_until * 60000 : 0;
}

uint32_t schedule_count(const struct schedule *s)
{
    return s ? s->n : 0;
}
