/* SPDX-License-Identifier: Apache-2.0 */
#include "host/state.h"
#include "log/log.h"
#include <string.h>

const struct offer *generation_offer(const struct generation *g, const char *facet)
{
    for (uint32_t i = 0; i < g->n_offers; i++) {
        if (strcmp(g->offers[i].facet->id, facet) == 0)
            return &g->offers[i];
    }
    return NULL;
}

void host_each_offer(struct host *h, const char *facet, void (*fn)(const struct offered *o, void *arg), void *arg)
{
    ASSERT_HOST(h);
    for (const struct plugin *p = h->plugins; p; p = p->next) {
        const struct generation *g = p->current && p->current->state == RUNNING ? p->current : NULL;
        const struct offer *o = g ? generation_offer(g, facet) : NULL;
        const struct offered one = {p->name, facet, g ? g->actor : NULL, o ? o->table : NULL, g ? g->inst : NULL};
        if (o && g->actor)
            fn(&one, arg);
    }
}

const char *host_provider(const struct host *h, const char *service)
{
    for (int i = 0; i < FACETS; i++)
        if (facets[i].service && strcmp(facets[i].service, service) == 0)
            return h->route[i] ? h->route[i]->plugin->name : NULL;
    return NULL;
}

static struct generation *serving(const struct plugin *p, const struct facet *f)
{
    return p->current && p->current->state != DRAINING && generation_offer(p->current, f->id) ? p->current : NULL;
}

/* The one who keeps a service nobody chose a provider for: after the first scan who has it, before that the first by
 * name, so that two starts give the same answer whichever plugin is faster. */
static struct generation *keeper(struct host *h, const struct facet *f, const struct generation *holder)
{
    struct generation *first = NULL;
    for (struct plugin *p = h->plugins; p; p = p->next) {
        struct generation *g = serving(p, f);
        if (g && h->scanned && h->open == 0 && holder && holder->plugin == p)
            return g;
        if (g && !first)
            first = g;
    }
    return first;
}

static void doubt_tell(struct host *h, int i, const struct generation *kept)
{
    const struct facet *f = &facets[i];
    for (struct plugin *p = h->plugins; p && kept && !h->route_told[i]; p = p->next) {
        if (p == kept->plugin || !serving(p, f))
            continue;
        log_warn(LOG_HOST, "service %s is offered by %s and %s; %s keeps it, set services.%s to choose", f->service,
                 kept->plugin->name, p->name, kept->plugin->name, f->service);
        h->route_told[i] = 1;
    }
}

static struct generation *provider(struct host *h, int i)
{
    const struct facet *f = &facets[i];
    if (h->stopping)
        return NULL;
    const char *chosen = json_str(config_map(h->config, CONFIG_SERVICES), f->service, NULL);
    if (chosen) {
        struct plugin *p = plugin_find(h, chosen);
        return p ? serving(p, f) : NULL;
    }
    struct generation *g = keeper(h, f, h->route[i]);
    if (h->scanned && h->open == 0)
        doubt_tell(h, i, g);
    return g;
}

void routes_update(struct host *h)
{
    for (int i = 0; i < FACETS; i++) {
        const struct facet *f = &facets[i];
        if (!f->service || (h->role == HOST_WORKER && !f->on_worker))
            continue;
        struct generation *g = provider(h, i);
        if (g == h->route[i])
            continue;
        const struct offer *o = g ? generation_offer(g, f->id) : NULL;
        h->route[i] = g;
        bus_route(h->bus, f->service, g ? g->actor : NULL, o ? o->table : NULL, g ? g->inst : NULL);
        if (g)
            log_debug(LOG_HOST, "service %s goes to %s, generation %u", f->service, g->plugin->name, g->number);
        else if (!h->stopping)
            log_warn(LOG_HOST, "service %s has no provider now", f->service);
    }
}

/* After routes_update() nothing may point at what ends. */
void routes_drop(struct generation *g)
{
    for (int i = 0; i < FACETS; i++)
        assert(g->host->route[i] != g);
}

static void plugin_known(struct host *h, const char *key, const char *name)
{
    const char *names[128];
    size_t n = 0;
    for (struct plugin *p = h->plugins; p && n < 128; p = p->next)
        names[n++] = p->name;
    if (plugin_find(h, name) || source_listed(h, name))
        return; /* it is there; a refusal was told aloud */
    const char *near = nearest_name(name, names, n);
    log_warn(LOG_HOST, "config: %s names plugin \"%s\", but there is none%s%s%s", key, name,
             near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void service_known(const char *service)
{
    const char *names[FACETS];
    size_t n = 0;
    for (int i = 0; i < FACETS; i++) {
        if (facets[i].service && strcmp(facets[i].service, service) == 0)
            return;
        if (facets[i].service)
            names[n++] = facets[i].service;
    }
    const char *near = nearest_name(service, names, n);
    log_warn(LOG_HOST, "config: services: there is no service \"%s\"%s%s%s", service, near ? "; did you mean \"" : "",
             near ? near : "", near ? "\"?" : "");
}

void routes_warn_unknown(struct host *h)
{
    struct json_object *services = config_map(h->config, CONFIG_SERVICES);
    struct json_object *settings = config_map(h->config, CONFIG_PLUGIN_CONFIG);
    if (h->role == HOST_WORKER)
        return; /* a worker loads fewer plugins than the config it may share names */
    if (services) {
        json_object_object_foreach(services, service, name)
        {
            service_known(service);
            plugin_known(h, "services", json_object_get_string(name));
        }
    }
    if (settings) {
        json_object_object_foreach(settings, name, value)
        {
            (void)value;
            plugin_known(h, "plugin", name);
        }
    }
}
