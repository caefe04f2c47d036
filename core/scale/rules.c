/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - what an operator imposes on a workflow's policy: a hold, limits, pauses, each until it expires. */
#include "scale_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[SCALE_RULES] = {"min", "max", "pause-in", "pause-out"};

static int unknown(struct scale *s, const char *slug, struct bp_err *err)
{
    const char *near = host_nearest_workflow(s->host, slug);
    return err_set(err, BP_NOTFOUND, "no workflow %s%s%s%s", slug, near ? "; did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

struct scale_item *scale_item_named(struct scale *s, const char *slug, struct bp_err *err)
{
    struct scale_item *i = host_workflow(s->host, slug) ? scale_item_get(s, slug) : NULL;
    if (!i)
        (void)unknown(s, slug, err);
    return i;
}

static void keep(struct scale_rule *r, int32_t value, int64_t expires_ms, const char *who)
{
    r->on = value >= 0;
    r->value = value;
    r->until_ms = expires_ms;
    snprintf(r->who, sizeof r->who, "%s", who ? who : "an operator");
}

int scale_rule(struct scale *s, const char *slug, const struct scale_wish *wish, struct bp_err *err)
{
    struct scale_item *i = scale_item_named(s, slug, err);
    if (!i)
        return err->rc;
    const struct scale_rule *min = &i->rules[SCALE_MIN], *max = &i->rules[SCALE_MAX];
    int32_t least = wish->rule == SCALE_MIN ? wish->value : min->on ? min->value : -1;
    int32_t most = wish->rule == SCALE_MAX ? wish->value : max->on ? max->value : -1;
    if (wish->value >= 0 && most >= 0 && least > most)
        return err_set(err, BP_CONFLICT,
                       "%s: at least %d and at most %d contradict each other; bpctl scale resume %s ends "
                       "what was set before",
                       slug, least, most, slug);
    keep(&i->rules[wish->rule], wish->value, wish->expires_ms, wish->who);
    memos_changed(s, i);
    if (s->started)
        scale_look(s);
    return 0;
}

/* One that has expired is forgotten. */
void rules_forget(struct scale *s, struct scale_item *i, int64_t now_ms)
{
    if (i->hold_size >= 0 && i->hold_until_ms && now_ms >= i->hold_until_ms) {
        i->hold_size = -1;
        memos_changed(s, i);
    }
    for (int k = 0; k < SCALE_RULES; k++) {
        if (!i->rules[k].on || !i->rules[k].until_ms || now_ms < i->rules[k].until_ms)
            continue;
        i->rules[k].on = 0;
        memos_changed(s, i);
    }
}

struct decide_rules rules_of(const struct scale_item *i, const struct schedule_now *scheduled)
{
    struct decide_rules r = DECIDE_NO_RULES;
    r.hold = i->hold_size;
    r.hold_who = i->hold_who;
    r.min = i->rules[SCALE_MIN].on ? i->rules[SCALE_MIN].value : scheduled->min;
    r.max = i->rules[SCALE_MAX].on ? i->rules[SCALE_MAX].value : scheduled->max;
    r.pause_in = i->rules[SCALE_PAUSE_IN].on;
    r.pause_out = i->rules[SCALE_PAUSE_OUT].on;
    return r;
}

void rules_free(struct scale_item *i)
{
    schedule_free(i->schedule);
    free(i->schedule_text);
    i->schedule = NULL;
    i->schedule_text = NULL;
}

struct schedule_now rules_schedule(struct scale_item *i, const struct workflow *w, int64_t now_ms)
{
    struct bp_err err = {0};
    const char *text = w->schedule ? json_text(w->schedule) : NULL;
    if (i->schedule_text && (!text || strcmp(i->schedule_text, text) != 0))
        rules_free(i);
    if (text && !i->schedule_text && (i->schedule_text = strdup(text))) {
        i->schedule = schedule_new(w->schedule, &err);
        if (!i->schedule)
            log_warn(LOG_SCALE, "%s: its schedule counts for nothing: %s", i->slug, err.text);
    }
    return schedule_at(i->schedule, now_ms);
}

static void describe_windows(const struct scale_item *i, struct json_object *o)
{
    struct json_object *list = json_tokener_parse(i->schedule_text);
    for (uint32_t k = 0; k < schedule_count(i->schedule); k++) {
        int64_t until = schedule_open_until(i->schedule, k);
        struct json_object *one = json_object_array_get_idx(list, k);
        json_put_bool(one, "open", until > 0);
        json_put_int(one, "open_until_ms", until);
    }
    json_object_object_add(o, "schedule", list);
}

void rules_describe(const struct scale_item *i, struct json_object *o)
{
    struct json_object *list = json_object_new_array();
    if (i->hold_size >= 0) {
        json_put_int(o, "hold", i->hold_size);
        json_put_int(o, "hold_until_ms", i->hold_until_ms);
        json_put_str(o, "hold_by", i->hold_who);
    }
    for (int k = 0; k < SCALE_RULES; k++) {
        const struct scale_rule *r = &i->rules[k];
        struct json_object *one = r->on ? json_object_new_object() : NULL;
        if (!one)
            continue;
        json_put_str(one, "rule", names[k]);
        if (k == SCALE_MIN || k == SCALE_MAX)
            json_put_int(one, "value", r->value);
        json_put_int(one, "until_ms", r->until_ms);
        json_put_str(one, "by", r->who);
        json_object_array_add(list, one);
    }
    json_object_object_add(o, "rules", list);
    if (i->schedule)
        describe_windows(i, o);
}
