/* SPDX-License-Identifier: Apache-2.0 */
/* memo_rules.c - what an operator imposed on a workflow, as text that outlives the process. */
#include "scale_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

#define VERSION 1

static const char *const names[SCALE_RULES] = {"min", "max", "pause-in", "pause-out"};

static void put_rule(struct json_object *list, const char *name, const struct scale_rule *r)
{
    struct json_object *one = json_object_new_object();
    json_put_str(one, "rule", name);
    json_put_int(one, "value", r->value);
    json_put_int(one, "until_ms", r->until_ms);
    json_put_str(one, "by", r->who);
    json_object_array_add(list, one);
}

struct json_object *memo_rules(const struct scale_item *i)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    struct scale_rule hold = {.value = i->hold_size, .until_ms = i->hold_until_ms};
    snprintf(hold.who, sizeof hold.who, "%s", i->hold_who);
    if (i->hold_size >= 0)
        put_rule(list, "hold", &hold);
    for (int k = 0; k < SCALE_RULES; k++)
        if (i->rules[k].on)
            put_rule(list, names[k], &i->rules[k]);
    if (!json_object_array_length(list) && !i->shadow && !i->adopted) {
        json_object_put(list);
        json_object_put(o);
        return NULL;
    }
    json_put_int(o, "v", VERSION);
    json_object_object_add(o, "rules", list);
    if (i->shadow)
        json_put_str(o, "shadow", i->shadow->policy->name);
    if (i->adopted) {
        json_put_str(o, "adopted", i->adopted->name);
        json_put_str(o, "adopted_over", i->adopted_over);
    }
    return o;
}

static void take_rule(struct scale_item *i, struct json_object *one)
{
    const char *name = json_str(one, "rule", "");
    struct scale_rule r = {
        .on = 1, .value = (int32_t)json_int(one, "value", -1), .until_ms = json_int(one, "until_ms", 0)};
    snprintf(r.who, sizeof r.who, "%s", json_str(one, "by", "an operator"));
    if (r.value < 0)
        return;
    for (int k = 0; k < SCALE_RULES; k++)
        if (strcmp(name, names[k]) == 0)
            i->rules[k] = r;
    if (strcmp(name, "hold") != 0)
        return;
    i->hold_size = r.value;
    i->hold_until_ms = r.until_ms;
    memcpy(i->hold_who, r.who, sizeof i->hold_who);
}

/* A shadow that runs already goes on as it is. */
static void take_shadow(struct scale_item *i, const char *name)
{
    const struct policy *p = name ? policy_find(name) : NULL;
    if (i->shadow && i->shadow->policy == p)
        return;
    shadow_free(i);
    if (p)
        (void)shadow_begin(i, p);
}

void memo_rules_take(struct scale_item *i, struct json_object *o)
{
    struct json_object *list = json_member(o, "rules");
    const char *adopted = json_str(o, "adopted", NULL);
    if (o && json_int(o, "v", 0) != VERSION)
        return;
    i->hold_size = -1;
    for (int k = 0; k < SCALE_RULES; k++)
        i->rules[k].on = 0;
    for (size_t n = 0; json_object_is_type(list, json_type_array) && n < json_object_array_length(list); n++)
        take_rule(i, json_object_array_get_idx(list, n));
    take_shadow(i, json_str(o, "shadow", NULL));
    i->adopted = adopted ? policy_find(adopted) : NULL;
    snprintf(i->adopted_over, sizeof i->adopted_over, "%s", json_str(o, "adopted_over", ""));
}
