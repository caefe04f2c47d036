/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_fleet.c - commands about workflows, plugins and fleets. */
#include "admin_priv.h"

#include "log/json.h"
#include <stdio.h>
#include <string.h>

/* ---- workflows ---- */

void unknown_workflow(struct admin_call *c, const char *slug)
{
    char text[300];
    const char *near = host_nearest_workflow(c->app->host, slug);
    snprintf(text, sizeof text, "no workflow %.100s%s%s%s", slug, near ? "; did you mean " : "", near ? near : "",
             near ? "?" : "");
    call_fail(c, BP_NOTFOUND, text, NULL);
}

/* First element of a listing, or NULL. */
static struct json_object *first(struct json_object *list)
{
    return json_object_array_length(list) ? json_object_array_get_idx(list, 0) : NULL;
}

struct walk {
    struct app *app;
    struct json_object *list;
};

static void add_workflow(const struct workflow *w, void *arg)
{
    struct walk *k = arg;
    struct json_object *o = json_object_new_object();
    struct json_object *scale = scale_describe(k->app->scale, w->slug);
    struct json_object *fleet = fleets_describe(k->app->fleets, w->slug);
    json_put_str(o, "workflow", w->slug);
    json_put_str(o, "name", w->display_name);
    json_put_str(o, "plugin", w->plugin);
    json_put_str(o, "version", w->version);
    json_put_int(o, "generation", w->generation);
    json_put_bool(o, "draining", w->draining);
    json_put_str(o, "quarantine", w->quarantine);
    json_put_int(o, "queued", json_int(first(scale), "queued", 0));
    json_put_int(o, "leased", json_int(first(scale), "leased", 0));
    json_put_int(o, "desired", json_int(first(fleet), "desired", 0));
    json_put_int(o, "running", json_int(first(fleet), "running", 0));
    json_put_int(o, "max_size", w->max_size);
    if (w->schedule)
        json_object_object_add(o, "schedule", json_object_get(w->schedule));
    json_put_str(o, "policy", json_str(first(scale), "policy", ""));
    json_put_str(o, "reason", json_str(first(scale), "reason", ""));
    json_object_put(scale);
    json_object_put(fleet);
    json_object_array_add(k->list, o);
}

void cmd_workflows(struct admin_call *c)
{
    struct walk k = {c->app, json_object_new_array()};
    host_each_workflow(c->app->host, add_workflow, &k);
    call_ok(c, k.list);
}

void cmd_workflow(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", "");
    const struct workflow *w = host_workflow(c->app->host, slug);
    if (!w) {
        unknown_workflow(c, slug);
        return;
    }
    struct walk k = {c->app, json_object_new_array()};
    add_workflow(w, &k);
    struct json_object *o = json_object_get(first(k.list));
    json_put_str(o, "file", w->file);
    json_object_object_add(o, "manifest", json_object_get(w->manifest));
    json_object_put(k.list);
    call_ok(c, o);
}

void cmd_effects(struct admin_call *c)
{
    struct json_object *list = json_object_new_array();
    struct json_object *effects = config_map(c->app->config, CONFIG_EFFECTS);
    json_object_object_foreach(effects, slug, e)
    {
        struct json_object *o = json_object_new_object();
        json_put_str(o, "effect", slug);
        json_put_str(o, "workflow", json_str(e, "workflow", ""));
        json_put_str(o, "name", json_str(e, "name", slug));
        json_object_object_add(o, "params", json_object_get(json_member(e, "params")));
        json_object_array_add(list, o);
    }
    call_ok(c, list);
}

/* ---- plugins ---- */

void cmd_plugins(struct admin_call *c)
{
    call_ok(c, host_describe(c->app->host));
}

void cmd_plugin_show(struct admin_call *c)
{
    char text[200];
    const char *name = json_str(c->params, "name", "");
    struct json_object *o = host_describe_one(c->app->host, name);
    snprintf(text, sizeof text, "no plugin %.100s; bpctl plugin list shows them", name);
    if (o)
        call_ok(c, o);
    else
        call_fail(c, BP_NOTFOUND, text, NULL);
}

void cmd_plugin_load(struct admin_call *c)
{
    host_load(c->app->host, json_str(c->params, "file", ""), call_done, c);
}

void cmd_plugin_reload(struct admin_call *c)
{
    host_reload(c->app->host, json_str(c->params, "name", ""), call_done, c);
}

void cmd_plugin_release(struct admin_call *c)
{
    host_release(c->app->host, json_str(c->params, "name", ""), call_done, c);
}

void cmd_plugin_retire(struct admin_call *c)
{
    host_retire(c->app->host, json_str(c->params, "name", ""), call_done, c);
}

/* ---- scaling and fleets ---- */

void cmd_fleet(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", NULL);
    if (slug && !host_workflow(c->app->host, slug))
        unknown_workflow(c, slug);
    else
        call_ok(c, fleets_describe(c->app->fleets, slug));
}

static void corrected(const struct bp_err *err, struct json_object *answer, void *arg)
{
    struct admin_call *c = arg;
    if (err->rc < 0)
        call_fail(c, err->rc, err->text, NULL);
    else
        call_ok(c, json_object_get(answer));
}

void cmd_fleet_ensure(struct admin_call *c)
{
    const char *slug = json_str(c->params, "workflow", NULL);
    if (slug && !host_workflow(c->app->host, slug))
        unknown_workflow(c, slug);
    else
        fleet_correct(c->app->fleets, slug, json_truth(c->params, "dry-run", 0), corrected, c);
}

void cmd_fleet_inject(struct admin_call *c)
{
    fleet_inject(c->app->fleets, json_str(c->params, "workflow", ""), json_str(c->params, "what", ""),
                 json_str(c->params, "value", ""), call_done, c);
}
