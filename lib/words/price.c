/* SPDX-License-Identifier: Apache-2.0 */
#include "words/price.h"

#include "log/err.h"
#include "log/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEAREST 100000.0 /* $ an hour that anybody may mean */

static int is_number(struct json_object *v)
{
    return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

static double number(struct json_object *v)
{
    double usd = v && is_number(v) ? json_object_get_double(v) : 0;
    return isfinite(usd) && usd > 0 && usd <= DEAREST ? usd : 0;
}

/* ---- the table ---- */

static int price_bad(const char *type, const char *member, struct bp_err *err)
{
    return err_set(err, BP_INVALID,
                   "config: prices.%.40s%s%s must be the $ of an instance-hour, a number above 0 and up to %.0f, or "
                   "{\"onDemand\": 1.01, \"spot\": 0.45}",
                   type, member[0] ? "." : "", member, DEAREST);
}

static int entry_check(const char *type, struct json_object *entry, struct bp_err *err)
{
    if (!json_object_is_type(entry, json_type_object))
        return number(entry) > 0 ? BP_OK : price_bad(type, "", err);
    json_object_object_foreach(entry, member, value)
    {
        if (strcmp(member, "onDemand") != 0 && strcmp(member, "spot") != 0)
            return err_set(err, BP_INVALID, "config: prices.%.40s has no \"%.40s\"; it has onDemand and spot", type,
                           member);
        if (number(value) <= 0)
            return price_bad(type, member, err);
    }
    return json_object_object_length(entry) ? BP_OK : price_bad(type, "", err);
}

int price_check(struct json_object *table, struct bp_err *err)
{
    if (!table)
        return BP_OK;
    json_object_object_foreach(table, type, entry)
    {
        int rc = entry_check(type, entry, err);
        if (rc < 0)
            return rc;
    }
    return BP_OK;
}

static double entry_usd(struct json_object *entry, int spot)
{
    if (!json_object_is_type(entry, json_type_object))
        return number(entry);
    double first = number(json_member(entry, spot ? "spot" : "onDemand"));
    return first > 0 ? first : number(json_member(entry, spot ? "onDemand" : "spot"));
}

static double table_usd(struct json_object *table, const char *type, int spot)
{
    struct json_object *entry = table ? json_member(table, type) : NULL;
    entry = entry || !table ? entry : json_member(table, "*");
    return entry ? entry_usd(entry, spot) : 0;
}

/* ---- the cloud's own ---- */

/* Of the type, in the zone when that is known, else where it is cheapest. */
static double quoted_usd(struct json_object *quotes, const char *type, const char *zone)
{
    double least = 0;
    for (size_t i = 0; quotes && i < json_object_array_length(quotes); i++) {
        struct json_object *q = json_object_array_get_idx(quotes, i);
        double usd = number(json_member(q, "usd"));
        if (strcmp(json_str(q, "type", ""), type) != 0 || usd <= 0)
            continue;
        if (zone[0] && strcmp(json_str(q, "zone", ""), zone) == 0)
            return usd;
        least = least > 0 && least < usd ? least : usd;
    }
    return least;
}

/* ---- both ---- */

struct sum {
    double usd;
    int n, quoted;
    char type[40];
};

static int add(struct sum *s, struct json_object *table, struct json_object *quotes, struct json_object *instance)
{
    const char *type = json_str(instance, "type", "");
    int spot = json_truth(instance, "spot", 1);
    double usd = spot ? quoted_usd(quotes, type, json_str(instance, "zone", "")) : 0;
    s->quoted += usd > 0;
    usd = usd > 0 ? usd : table_usd(table, type, spot);
    if (usd <= 0)
        return 0;
    s->usd += usd;
    s->n++;
    if (s->n == 1)
        snprintf(s->type, sizeof s->type, "%s", type);
    else if (strcmp(s->type, type) != 0)
        snprintf(s->type, sizeof s->type, "its instances, the mean");
    return 1;
}

static int is_live(struct json_object *instance)
{
    const char *state = json_str(instance, "state", "");
    return strcmp(state, "pending") == 0 || strcmp(state, "running") == 0;
}

static void add_first_type(struct sum *s, struct json_object *table, struct json_object *quotes,
                           struct json_object *types)
{
    int added = 0;
    for (size_t i = 0; types && !added && i < json_object_array_length(types); i++) {
        struct json_object *one = json_object_new_object();
        json_put_str(one, "type", json_object_get_string(json_object_array_get_idx(types, i)));
        added = add(s, table, quotes, one);
        json_object_put(one);
    }
}

struct price price_now(struct json_object *table, struct json_object *fleet, struct json_object *types)
{
    struct json_object *list = fleet ? json_member(fleet, "instances") : NULL;
    struct json_object *quotes = fleet ? json_member(fleet, "prices") : NULL;
    struct sum s = {0};
    struct price p = {0};
    for (size_t i = 0; list && i < json_object_array_length(list); i++)
        if (is_live(json_object_array_get_idx(list, i)))
            (void)add(&s, table, quotes, json_object_array_get_idx(list, i));
    if (s.n == 0)
        add_first_type(&s, table, quotes, types);
    if (s.n == 0)
        return p;
    p.usd = s.usd / s.n;
    snprintf(p.from, sizeof p.from, "%s: %s", s.type,
             s.quoted == s.n ? "the cloud's Spot price now"
             : s.quoted      ? "the cloud's Spot prices and the setting prices"
                             : "the setting prices");
    return p;
}
