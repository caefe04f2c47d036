/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator (or a reload, or a fault) does to plugins. */
#include "host/serving.h"
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(struct host *h, struct outcome *o, const struct bp_err *err)
{
    if (o->done)
        outcome_end_soon(h, o, err);
}

/* Vets s again whether its content changed or not. from: take its private copy instead of the file, or NULL. */
static void bring_up(struct host *h, struct source *s, const struct generation *from, struct outcome *o)
{
    struct bp_err err;
    const struct plugin *p = s->name ? plugin_find(h, s->name) : NULL;
    if (s->busy || s->held || s->outcome.done || s->outcome.initial || (p && p->coming)) {
        err_set(&err, BP_LATER, "%s is being brought up already; try again when that ended", s->path);
        fail(h, o, &err);
        return;
    }
    loop_timer_cancel(s->retry);
    free(s->from);
    free(s->from_signature);
    s->from = from ? strdup(from->copy) : NULL;
    s->from_signature = from && from->signature ? strdup(from->signature) : NULL;
    s->force = 1;
    s->gone = 0;
    s->changed_ms = mono_ms();
    s->outcome = *o;
    if (!from)
        watch_print(s->path, &s->print); /* what is loaded now is no change for the next scan */
    source_vet(s);
}

static int dir_of(const struct host *h, const char *path)
{
    const char *slash = strrchr(path, '/');
    for (uint32_t i = 0; i < h->n_dirs; i++) {
        size_t n = strlen(h->dirs[i]);
        if ((size_t)(slash - path) == n && strncmp(path, h->dirs[i], n) == 0)
            return (int)i;
    }
    return -1;
}

/* The file as an operator names it: an absolute path, or a name in one of the watched directories. malloc'ed or NULL.
 */
static char *path_resolve(const struct host *h, const char *file, struct bp_err *err)
{
    char *path = NULL;
    if (file[0] == '/')
        return strdup(file);
    if (strchr(file, '/')) {
        err_set(err, BP_INVALID, "%s: give an absolute path, or the name of a file in a plugins directory", file);
        return NULL;
    }
    for (uint32_t i = 0; i < h->n_dirs; i++) {
        struct fingerprint print;
        if (asprintf(&path, "%s/%s", h->dirs[i], file) < 0)
            break;
        watch_print(path, &print);
        if (print.inode)
            return path;
        free(path);
    }
    err_set(err, BP_NOTFOUND, "%s is in none of the plugins directories; give an absolute path", file);
    return NULL;
}

void host_load(struct host *h, const char *file, host_done done, void *arg)
{
    struct bp_err err = {0};
    struct outcome o = {done, arg, 0};
    ASSERT_HOST(h);
    char *path = h->stopping ? NULL : path_resolve(h, file, &err);
    if (h->stopping)
        err_set(&err, BP_STOPPED, "bpd is stopping");
    if (path)
        bring_up(h, source_take(h, path, dir_of(h, path)), NULL, &o);
    else
        fail(h, &o, &err);
    free(path);
}

struct plugin *plugin_wanted(struct host *h, const char *name, struct bp_err *err)
{
    const char *names[128];
    size_t n = 0;
    struct plugin *found = plugin_find(h, name);
    if (h->stopping) {
        err_set(err, BP_STOPPED, "bpd is stopping");
        return NULL;
    }
    if (found)
        return found;
    for (struct plugin *p = h->plugins; p && n < 128; p = p->next)
        names[n++] = p->name;
    const char *near = nearest_name(name, names, n);
    err_set(err, BP_NOTFOUND, "there is no plugin \"%.64s\"%s%s%s", name, near ? "; did you mean \"" : "",
            near ? near : "", near ? "\"?" : "");
    return NULL;
}

void host_reload(struct host *h, const char *name, host_done done, void *arg)
{
    struct bp_err err = {0};
    struct outcome o = {done, arg, 0};
    ASSERT_HOST(h);
    struct plugin *p = plugin_wanted(h, name, &err);
    struct source *s = p || h->stopping ? NULL : source_listed(h, name);
    if (p && p->coming)
        err_set(&err, BP_LATER, "%s: generation %u is being brought up already", name, p->coming->number);
    else if (p)
        s = source_take(h, p->file, dir_of(h, p->file));
    if (s)
        bring_up(h, s, NULL, &o);
    else
        fail(h, &o, &err);
}

void host_retire(struct host *h, const char *name, host_done done, void *arg)
{
    struct bp_err err = {0};
    struct outcome o = {done, arg, 0};
    ASSERT_HOST(h);
    struct plugin *p = plugin_wanted(h, name, &err);
    if (p && !p->current)
        err_set(&err, BP_CONFLICT, "%s is not running", name);
    else if (p && (p->current->state == DRAINING || p->retire.done))
        err_set(&err, BP_CONFLICT, "%s is draining already: %lld leases", name, (long long)p->leases);
    if (err.rc) {
        fail(h, &o, &err);
        return;
    }
    assert(p); /* err says why when there is none */
    struct source *s = source_find(h, p->file);
    if (s) { /* a new version of its template shall not bring it back */
        free(s->template);
        s->template = NULL;
    }
    p->retire = o;
    generation_remove(p->current, "retired by an operator");
}

/* ---- settings ---- */

static void settings_compare(struct host *h, struct plugin *p)
{
    struct outcome nobody = {0};
    struct generation *g = p->current;
    if (g->manifest->definition) /* its template has settings, not it */
        return;
    char *given = vet_given(config_map(h->config, CONFIG_PLUGIN_CONFIG), p->name);
    assert(given);
    if (strcmp(given, g->given) != 0) {
        log_info(LOG_HOST, "%s: its settings changed; it restarts as a new generation", p->name);
        bring_up(h, source_take(h, p->file, dir_of(h, p->file)), g, &nobody);
    }
    free(given);
}

static void overrides_apply(struct host *h, struct generation *g)
{
    struct bp_err err = {0};
    struct workflow *old = g->workflow;
    struct workflow *w = workflow_build(g, h->config, &err);
    if (!w) {
        log_warn(LOG_HOST, "%s: %s; its former settings stay", g->plugin->name, err.text);
        return;
    }
    w->draining = old->draining;
    w->quarantine = old->quarantine;
    w->scaling = old->scaling;
    w->scaling_inst = old->scaling_inst;
    w->actor = old->actor;
    g->workflow = w;
    workflow_free(old);
    if (g->manifest->definition && g->plugin->current == g)
        serving_publish(g);
}

/* Where plugins come and go by themselves, the file may have got another signature since: it is looked at first. */
static void signer_lost(struct plugin *p, const struct bp_err *err)
{
    struct host *h = p->host;
    struct source *s = source_find(h, p->file);
    if (!s || s->gone || !config_bool(h->config, CONFIG_PLUGINS_AUTO)) {
        generation_disown(p->current, err);
        return;
    }
    s->recheck = 1;
    if (s->busy)
        s->again = 1;
    else
        source_vet(s);
}

/* Other signers: what runs is held against them, and what was refused may have become welcome. */
static void signers_compare(struct host *h)
{
    struct bp_err err = {0};
    struct signers *now = NULL;
    if (host_signers(h->config, &now, &err) < 0) {
        log_error(LOG_HOST, "%s; the former signers stay", err.text);
        return;
    }
    int same =
        signers_bytes(now) == signers_bytes(h->signers) && (!now || !memcmp(now, h->signers, signers_bytes(now)));
    free(h->signers);
    h->signers = now;
    if (same)
        return;
    log_info(LOG_HOST, "plugins.signers changed; every plugin's signature is looked at again");
    for (struct source *s = h->sources; s && config_bool(h->config, CONFIG_PLUGINS_AUTO); s = s->next) {
        if (s->reason && !s->busy && !s->gone)
            source_vet(s);
    }
    for (struct plugin *p = h->plugins; p; p = p->next) {
        if (p->current && p->current->state == RUNNING && !generation_is_signed(p->current, &err))
            signer_lost(p, &err);
    }
}

void host_reconfigure(struct host *h, const struct config *c)
{
    ASSERT_HOST(h);
    h->config = c;
    if (!h->stopping) {
        signers_compare(h);
        sources_named(h);
    }
    for (struct generation *g = h->generations; g; g = g->next) {
        if (g->workflow && (g->state <= DRAINING || generation_is_up(g)))
            overrides_apply(h, g);
    }
    for (struct plugin *p = h->plugins; p && !h->stopping; p = p->next) {
        if (p->current && generation_is_up(p->current) && !p->coming)
            settings_compare(h, p);
    }
    routes_warn_unknown(h);
}
