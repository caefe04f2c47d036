/* SPDX-License-Identifier: Apache-2.0 */
#include "host/state.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATIONS_TOLD 64 /* of one plugin at a time, the newest; old ones end within minutes */

static struct json_object *services_of(const struct host *h, const struct generation *g)
{
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < FACETS; i++) {
        if (h->route[i] == g)
            json_object_array_add(list, json_object_new_string(facets[i].service));
    }
    return list;
}

/* What it offers, as found when it started; for a workflow, what its manifest says. */
static struct json_object *facets_of(const struct generation *g)
{
    struct json_object *list = json_object_new_array();
    struct json_object *said = json_member(g->manifest->json, "facets");
    for (uint32_t i = 0; i < g->n_offers; i++)
        json_object_array_add(list, json_object_new_string(g->offers[i].facet->id));
    for (size_t i = 0; g->n_offers == 0 && said && i < json_object_array_length(said); i++)
        json_object_array_add(list, json_object_get(json_object_array_get_idx(said, i)));
    return list;
}

static void actor_describe(const struct generation *g, struct json_object *o)
{
    struct actor_stats s = {0};
    if (g->actor)
        actor_stats(g->actor, &s);
    json_put_int(o, "waiting", s.waiting);
    json_put_int(o, "in_flight", s.running);
    json_put_int(o, "served", (int64_t)s.served);
    json_put_int(o, "batches", (int64_t)s.batches);
    json_put_int(o, "refused", (int64_t)s.refused);
    json_put_int(o, "timed_out", (int64_t)s.timed_out);
    json_put_int(o, "busy_ms", s.busy_us / 1000);
}

/* Files that were refused: few, while sources and plugins may be thousands. */
struct refusals {
    const struct source **list;
    uint32_t n;
};

static struct refusals refusals_of(const struct host *h)
{
    struct refusals r = {0};
    for (const struct source *s = h->sources; s; s = s->next)
        r.n += s->reason != NULL;
    r.list = r.n ? calloc(r.n, sizeof(*r.list)) : NULL;
    assert(r.list || !r.n);
    r.n = 0;
    for (const struct source *s = h->sources; s && r.list; s = s->next) {
        if (s->reason)
            r.list[r.n++] = s;
    }
    return r;
}

static const char *refusal_of(const struct refusals *r, const char *path)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->list[i]->path, path) == 0)
            return r->list[i]->reason;
    }
    return NULL;
}

/* Why a newer file of a running plugin was refused, or what its own state says. */
static const char *reason_of(const struct refusals *r, const struct generation *g)
{
    const char *refused = g->state == RUNNING ? refusal_of(r, g->plugin->file) : NULL;
    return refused ? refused : g->reason ? g->reason : "";
}

static struct json_object *generation_describe(const struct generation *g, const char *reason)
{
    const struct host *h = g->host;
    struct json_object *o = json_object_new_object();
    json_put_str(o, "name", g->plugin->name);
    json_put_str(o, "kind", kind_name(g->manifest->kind));
    json_put_str(o, "version", g->manifest->version);
    json_put_str(o, "state", state_name(g->state));
    json_put_int(o, "generation", g->number);
    json_put_str(o, "file", g->file);
    json_put_str(o, "reason", reason);
    json_put_int(o, "since_ms", g->since_ms);
    json_object_object_add(o, "services", services_of(h, g));
    json_object_object_add(o, "facets", facets_of(g));
    if (g->workflow) {
        json_put_str(o, "slug", g->workflow->slug);
        json_put_int(o, "leases", g->plugin->leases);
        json_put_str(o, "plugin", g->workflow->plugin);
    }
    if (g->manifest->is_template)
        json_put_bool(o, "template", 1);
    json_put_str(o, "sha256", g->sha);
    actor_describe(g, o);
    return o;
}

/* A file, or a plugin, of which nothing runs. */
static struct json_object *idle_describe(const struct host_plugin *p)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "name", p->name);
    json_put_str(o, "kind", p->kind);
    json_put_str(o, "version", NULL);
    json_put_str(o, "state", p->state);
    json_put_int(o, "generation", 0);
    json_put_str(o, "file", p->file);
    json_put_str(o, "reason", p->reason);
    json_object_object_add(o, "services", json_object_new_array());
    json_object_object_add(o, "facets", json_object_new_array());
    json_put_int(o, "waiting", 0);
    json_put_int(o, "served", 0);
    return o;
}

/* Refused files whose plugin runs from the same file are told in that plugin's reason instead. */
static int told_elsewhere(struct host *h, const struct source *s)
{
    const struct plugin *p = plugin_find(h, s->name);
    return p && p->current && p->current->state == RUNNING && strcmp(p->file, s->path) == 0;
}

static struct host_plugin of_generation(const struct generation *g, const struct refusals *r)
{
    struct actor_stats s = {0};
    if (g->actor)
        actor_stats(g->actor, &s);
    return (struct host_plugin){g->plugin->name,
                                kind_name(g->manifest->kind),
                                state_name(g->state),
                                g->file,
                                reason_of(r, g),
                                g->number,
                                s.waiting,
                                s.served,
                                g};
}

static struct host_plugin idle(const char *name, const char *kind, enum state state, const char *file,
                               const char *reason)
{
    return (struct host_plugin){.name = name, .kind = kind, .state = state_name(state), .file = file, .reason = reason};
}

void host_each_plugin(struct host *h, host_plugin_fn fn, void *arg)
{
    ASSERT_HOST(h);
    struct refusals r = refusals_of(h);
    struct host_plugin one;
    for (struct plugin *p = h->plugins; p; p = p->next) {
        const struct generation *of[GENERATIONS_TOLD];
        int n = 0, none;
        for (const struct generation *g = p->all; g && n < GENERATIONS_TOLD; g = g->older) {
            if (g->state != REFUSED)
                of[n++] = g;
        }
        for (none = n == 0; n > 0; n--) { /* the oldest first */
            one = of_generation(of[n - 1], &r);
            fn(&one, arg);
        }
        if (none && p->last_number && source_find(h, p->file) && !refusal_of(&r, p->file)) {
            one = idle(p->name, kind_name(p->kind), p->state, p->file, "");
            fn(&one, arg);
        }
    }
    for (uint32_t i = 0; i < r.n; i++) {
        const struct source *s = r.list[i];
        one = idle(s->name, s->kind, REFUSED, s->path, s->reason);
        if (!told_elsewhere(h, s))
            fn(&one, arg);
    }
    free(r.list);
}

static void describe(const struct host_plugin *p, void *list)
{
    json_object_array_add(list, p->of ? generation_describe(p->of, p->reason) : idle_describe(p));
}

struct json_object *host_describe(struct host *h)
{
    struct json_object *list = json_object_new_array();
    host_each_plugin(h, describe, list);
    return list;
}

static struct json_object *newest(const struct plugin *p)
{
    const struct generation *g = p->current ? p->current : p->coming;
    for (const struct generation *o = p->all; !g && o; o = o->older) {
        if (o->state != REFUSED)
            g = o;
    }
    struct refusals r = refusals_of(p->host);
    const char *why = refusal_of(&r, p->file);
    struct host_plugin none = idle(p->name, kind_name(p->kind), p->state, p->file, why ? why : "");
    struct json_object *o = g ? generation_describe(g, reason_of(&r, g)) : idle_describe(&none);
    free(r.list);
    if (g)
        json_object_object_add(o, "manifest", json_object_get(g->workflow ? g->workflow->manifest : g->manifest->json));
    return o;
}

static struct json_object *listed_describe(const struct source *s)
{
    char unnamed[400];
    snprintf(unnamed, sizeof(unnamed),
             "not started: no setting names it; give plugin.%s or let services name it, then bpctl config reload",
             s->name);
    struct host_plugin p =
        idle(s->name, s->kind, s->reason ? REFUSED : FOUND, s->path, s->reason ? s->reason : unnamed);
    return idle_describe(&p);
}

struct json_object *host_describe_one(struct host *h, const char *name)
{
    ASSERT_HOST(h);
    struct plugin *p = plugin_find(h, name);
    struct json_object *o = p ? newest(p) : NULL;
    const struct source *s = o ? NULL : source_listed(h, name);
    if (s)
        o = listed_describe(s);
    if (o)
        json_object_object_add(o, "history", p ? json_object_get(p->history) : json_object_new_array());
    return o;
}
