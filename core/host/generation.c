/* SPDX-License-Identifier: Apache-2.0 */
#include "host/queue_batch.h"
#include "host/self.h"
#include "host/serving.h"
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void plugin_file_set(struct plugin *p, const char *file)
{
    char *copy = strdup(file);
    assert(copy);
    free(p->file);
    p->file = copy;
}

static struct generation *generation_new(struct host *h, struct source *s, struct vetted *v)
{
    struct generation *g = calloc(1, sizeof(*g));
    struct plugin *p = plugin_take(h, v->manifest->listed);
    assert(g);
    g->magic = GENERATION_MAGIC;
    g->host = h;
    g->plugin = p;
    g->number = ++p->last_number;
    g->state = FOUND;
    g->manifest = v->manifest;
    g->settings = v->settings;
    g->given = v->given;
    v->manifest = NULL;
    v->settings = NULL;
    v->given = NULL;
    g->signature = v->signature;
    v->signature = NULL;
    g->file = strdup(s->path);
    g->copy = strdup(v->copy.path);
    g->sha = strdup(v->copy.sha);
    g->code = strdup(v->code[0] ? v->code : v->copy.sha);
    assert(g->file && g->copy && g->sha && g->code);
    g->next = h->generations;
    h->generations = g;
    g->older = p->all;
    p->all = g;
    p->coming = g;
    p->kind = g->manifest->kind;
    plugin_file_set(p, s->path);
    return g;
}

static void self_make(struct generation *g)
{
    char dir[PATH_MAX];
    struct host *h = g->host;
    if (h->about)
        json_put_raw(g->settings, "_bpd", h->about);
    snprintf(dir, sizeof(dir), "%s/plugin/%s", h->state_dir, g->plugin->name);
    g->self = self_new(h->bus, g->plugin->name, json_text(g->settings), dir);
}

void generation_begin(struct host *h, struct source *s, struct vetted *v, struct outcome *o)
{
    struct bp_err err = {0};
    struct generation *g = generation_new(h, s, v);
    g->outcome = *o;
    g->deadline_ms = mono_ms() + config_int(h->config, CONFIG_PLUGINS_START_TIMEOUT_S) * 1000;
    generation_move(g, VETTED, NULL);
    if (!g->manifest->definition) /* no code of a plugin is ever handed one's */
        self_make(g);
    int in_process = g->manifest->kind != KIND_WORKFLOW ||
                     (h->role == HOST_CONTROLLER && manifest_has_facet(g->manifest, "bp.scaling/1"));
    if (g->manifest->slug) {
        g->workflow = workflow_build(g, h->config, &err);
        if (!g->workflow) {
            generation_refuse(g, err.text);
            return;
        }
    }
    if (in_process)
        generation_start(g);
    else if (!h->runner)
        generation_ready(g); /* nothing to prove it with: the runner finds out */
    else
        probe_start(g);
}

/* The plugin's own words about the generation it keeps, for log and bpctl. */
static void keeps_running(struct plugin *p, const struct generation *refused)
{
    if (p->current)
        log_warn(LOG_HOST, "%s: generation %u was refused, generation %u keeps running", p->name, refused->number,
                 p->current->number);
}

void generation_refuse(struct generation *g, const char *reason)
{
    struct host *h = g->host;
    struct plugin *p = g->plugin;
    struct bp_err err;
    struct outcome o = g->outcome;
    struct source *s = source_find(h, g->file);
    memset(&g->outcome, 0, sizeof(g->outcome));
    if (p->coming == g)
        p->coming = NULL;
    if (s)
        source_refused(s, p->name, kind_name(g->manifest->kind), reason);
    if (s && g->later && !g->stuck)
        source_again(s);
    err_set(&err, BP_INVALID, "%s refused: %s", p->name, reason);
    generation_move(g, REFUSED, reason);
    keeps_running(p, g);
    g->last = REFUSED;
    if (!g->stuck)
        generation_close(g);
    if (!p->current)
        definitions_follow(h, p->name); /* those that waited for it */
    outcome_end(h, &o, &err);
}

int generation_is_signed(const struct generation *g, struct bp_err *err)
{
    char who[64];
    const struct signers *s = g->host->signers;
    if (!s || g->manifest->definition) /* a file of workflows.d is settings; its template's code is what is signed */
        return 1;
    if (!g->signature)
        return err_set(err, BP_DENIED, "it has no signature, and plugins.signers asks for one"), 0;
    if (signature_check(s, g->signature, strlen(g->signature), g->sha, who, err) == BP_OK)
        return 1;
    return err_prefix(err, "its signature "), 0;
}

void generation_refuse_for_now(struct generation *g, const char *why)
{
    char text[320];
    g->later = 1;
    snprintf(text, sizeof text, "%s; it is tried again by itself", why);
    generation_refuse(g, text);
}

/* Why a generation that just came up is not wanted any more, or NULL. */
static const char *unwanted(const struct generation *g)
{
    struct bp_err ignored;
    const struct plugin *p = g->plugin;
    if (g->host->stopping)
        return "bpd is stopping";
    if (g->abandon)
        return "its file was removed while it started";
    if (!generation_is_signed(g, &ignored))
        return "its signer was removed while it started";
    return p->current && p->current->number > g->number ? "a newer generation runs already" : NULL;
}

static void turn_away(struct generation *g, struct outcome *o, const char *why)
{
    struct host *h = g->host;
    struct bp_err err;
    err_set(&err, BP_STOPPED, "%s: %s", g->plugin->name, why);
    generation_drain(g, RETIRED, why);
    outcome_end(h, o, &err);
}

void generation_ready(struct generation *g)
{
    char why[64];
    struct host *h = g->host;
    struct plugin *p = g->plugin;
    struct generation *old = p->current;
    struct outcome o = g->outcome;
    struct bp_err ok = {0};
    struct source *s = source_find(h, g->file);
    memset(&g->outcome, 0, sizeof(g->outcome));
    if (p->coming == g)
        p->coming = NULL;
    if (s)
        source_up(s);
    generation_move(g, READY, NULL);
    if (unwanted(g)) {
        turn_away(g, &o, unwanted(g));
        return;
    }
    p->current = g;
    if (g->workflow)
        p->leases = json_int(h->leases, g->workflow->slug, 0);
    quarantine_lift(p);
    routes_update(h);
    workflows_update(h);
    serving_publish(g);
    generation_move(g, RUNNING, NULL);
    if (old) {
        snprintf(why, sizeof(why), "replaced by generation %u", g->number);
        generation_drain(old, RETIRED, why);
    }
    if (g->manifest->is_template)
        definitions_follow(h, p->name);
    outcome_end(h, &o, &ok);
}

/* What plugin code might still hold after it ended stays until host_free. */
static void self_bury(struct host *h, struct bp_self *self)
{
    if (!self)
        return;
    h->selves = realloc(h->selves, (h->n_selves + 1) * sizeof(struct bp_self *));
    assert(h->selves);
    h->selves[h->n_selves++] = self;
}

/* [nothing of it runs any more] */
void generation_free(struct generation *g)
{
    struct generation **at = &g->host->generations;
    assert(g->magic == GENERATION_MAGIC && !g->actor && !g->probe);
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    for (at = &g->plugin->all; *at != g; at = &(*at)->older)
        ;
    *at = g->older;
    /* No code of it ran here, or it left nothing behind: there may be any number of such tries and replacements. */
    if (!g->api || (g->later && g->last == REFUSED))
        self_free(g->self);
    else
        self_bury(g->host, g->self);
    if (!g->api) /* what is mapped is found again under its name when the same content comes back */
        tidy_later(g->host, g->copy);
    tidy(g->host);
    workflow_free(g->workflow);
    manifest_free(g->manifest);
    json_object_put(g->settings);
    free(g->faults);
    free(g->given);
    free(g->signature);
    free(g->file);
    free(g->copy);
    free(g->sha);
    free(g->code);
    free(g->reason);
    memset(g, 0xdb, sizeof(*g));
    free(g);
}
