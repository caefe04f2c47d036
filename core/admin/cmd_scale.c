/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_scale.c - commands about how large fleets are, and why. */
#include "admin_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

#define FOR_MAX_S     315360000 /* ten years */
#define INSTANCES_MAX 100000    /* instances */

void cmd_scale(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", NULL);
    if (slug && !host_workflow(c->app->host, slug))
        unknown_workflow(c, slug);
    else
        call_ok(c, scale_describe(c->app->scale, slug));
}

static void note(struct admin_call *c, const char *text)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "note", text);
    call_ok(c, o);
}

/* It is in the queue, or it is not. */
static void kept(const struct bp_err *err, void *arg)
{
    struct admin_call *c = arg;
    struct leadership l;
    char text[800];
    struct bp_err ok = {0};
    dispatch_leadership(c->app->dispatch, &l);
    if (err->rc == BP_UNSUPPORTED) {
        note(c, "it counts here until this bpd ends: the queue plugin keeps nothing beside jobs");
    } else if (err->rc < 0) {
        snprintf(text, sizeof text,
                 "it counts here, but the queue did not take it, so it would not survive this bpd: %.200s; bpd tries "
                 "again by itself",
                 err->text);
        note(c, text);
    } else if (!l.leads) {
        snprintf(text, sizeof text, "kept in the queue; the controller that leads, %.500s, follows at its next tick",
                 l.who);
        note(c, text);
    } else {
        call_done(&ok, c);
    }
}

static void keep(struct admin_call *c)
{
    scale_keep(c->app->scale, json_str(c->params, "workflow", ""), kept, c);
}

void cmd_scale_hold(struct admin_call *c)
{
    struct bp_err err = {0};
    int64_t size = json_int(c->params, "size", 0);
    int64_t for_s = json_int(c->params, "for", 0);
    if (size < 0 || size > 100000 || for_s < 0 || for_s > FOR_MAX_S) {
        call_fail(c, BP_INVALID, "scale hold: size must be 0 to 100000 and --for 0 to 315360000 seconds", NULL);
        return;
    }
    int64_t until = for_s > 0 ? loop_now_ms(c->app->loop) + for_s * 1000 : 0;
    if (scale_hold(c->app->scale, json_str(c->params, "workflow", ""), (int32_t)size, until, c->who, &err) < 0)
        call_done(&err, c);
    else
        keep(c);
}

void cmd_scale_release(struct admin_call *c)
{
    struct bp_err err = {0};
    if (scale_hold(c->app->scale, json_str(c->params, "workflow", ""), -1, 0, c->who, &err) < 0)
        call_done(&err, c);
    else
        keep(c);
}

/* ---- beside a policy ---- */

/* When --for ends, 0: never; < 0: out of range, and answered. */
static int64_t expiry(struct admin_call *c, const char *command)
{
    char text[120];
    int64_t for_s = json_int(c->params, "for", 0);
    if (for_s >= 0 && for_s <= FOR_MAX_S)
        return for_s > 0 ? loop_now_ms(c->app->loop) + for_s * 1000 : 0;
    snprintf(text, sizeof text, "%s: --for must be 0 to %d seconds", command, FOR_MAX_S);
    call_fail(c, BP_INVALID, text, NULL);
    return -1;
}

/* Sets n rules; the first that is refused ends it. */
static void set_rules(struct admin_call *c, const struct scale_wish *wishes, int n)
{
    struct bp_err err = {0};
    for (int k = 0; k < n && err.rc == 0; k++)
        (void)scale_rule(c->app->scale, json_str(c->params, "workflow", ""), &wishes[k], &err);
    if (err.rc < 0)
        call_done(&err, c);
    else
        keep(c);
}

void cmd_scale_limit(struct admin_call *c)
{
    int64_t min = json_int(c->params, "min", -1), max = json_int(c->params, "max", -1);
    int64_t until = expiry(c, "scale limit");
    struct scale_wish wishes[2];
    int n = 0;
    if (until < 0)
        return;
    if ((min < 0 && max < 0) || min > INSTANCES_MAX || max > INSTANCES_MAX || (min >= 0 && max >= 0 && min > max)) {
        call_fail(c, BP_INVALID, "scale limit: give --min, --max or both, 0 to 100000, the first not above the other",
                  NULL);
        return;
    }
    if (min >= 0)
        wishes[n++] = (struct scale_wish){SCALE_MIN, (int32_t)min, until, c->who};
    if (max >= 0)
        wishes[n++] = (struct scale_wish){SCALE_MAX, (int32_t)max, until, c->who};
    set_rules(c, wishes, n);
}

void cmd_scale_pause(struct admin_call *c)
{
    const char *way = json_str(c->params, "way", "");
    int64_t until = expiry(c, "scale pause");
    struct scale_wish wish = {SCALE_PAUSE_IN, 1, until, c->who};
    if (until < 0)
        return;
    if (strcmp(way, "in") != 0 && strcmp(way, "out") != 0) {
        call_fail(c, BP_INVALID, "scale pause: say what shall not happen: in (no instance goes) or out (none comes)",
                  NULL);
        return;
    }
    if (strcmp(way, "out") == 0)
        wish.rule = SCALE_PAUSE_OUT;
    set_rules(c, &wish, 1);
}

void cmd_scale_resume(struct admin_call *c)
{
    struct scale_wish wishes[SCALE_RULES];
    for (int k = 0; k < SCALE_RULES; k++)
        wishes[k] = (struct scale_wish){(enum scale_rule_kind)k, -1, 0, c->who};
    set_rules(c, wishes, SCALE_RULES);
}

/* ---- another policy ---- */

void cmd_scale_shadow(struct admin_call *c)
{
    struct bp_err err = {0};
    (void)scale_shadow(c->app->scale, json_str(c->params, "workflow", ""), json_str(c->params, "policy", ""), &err);
    if (err.rc < 0)
        call_done(&err, c);
    else
        keep(c);
}

static void adopted(const struct bp_err *err, void *arg)
{
    struct admin_call *c = arg;
    const char *slug = json_str(c->params, "workflow", ""), *policy = json_str(c->params, "adopted", "");
    char text[500];
    struct json_object *o = json_object_new_object();
    snprintf(
        text, sizeof text,
        "%s decides from now on%s, until the settings name another policy or bpctl scale disown %.100s ends it; to "
        "keep it for good, set workflows.%.100s.policy to \"%s\"",
        policy, err->rc < 0 ? " while this bpd runs (the queue did not take it)" : ", also after a restart", slug, slug,
        policy);
    json_put_str(o, "workflow", slug);
    json_put_str(o, "policy", policy);
    json_put_str(o, "note", text);
    call_ok(c, o);
}

void cmd_scale_adopt(struct admin_call *c)
{
    struct bp_err err = {0};
    const char *slug = json_str(c->params, "workflow", ""), *policy = "";
    if (scale_adopt(c->app->scale, slug, &policy, &err) < 0) {
        call_done(&err, c);
        return;
    }
    json_put_str(c->params, "adopted", policy);
    scale_keep(c->app->scale, slug, adopted, c);
}

void cmd_scale_disown(struct admin_call *c)
{
    struct bp_err err = {0};
    if (scale_disown(c->app->scale, json_str(c->params, "workflow", ""), &err) < 0)
        call_done(&err, c);
    else
        keep(c);
}
