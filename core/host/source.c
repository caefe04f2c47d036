/* SPDX-License-Identifier: Apache-2.0 */
#include "host/candidate.h"
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 2000 /* an incomplete file may still be being written, as long as it changed within */
#define RETRY_MS    200
#define REST_MIN_MS 1000
#define REST_MAX_MS 30000
#define VETS_MAX    16 /* at once; the others wait here, where waiting is not being late */

/* One vetting on its way through the files actor. Everything in it is its own. */
struct vetting {
    struct source *source; /* for the loop */
    char *path, *copies, *config, *signature;
    int64_t max_bytes;
    int is_definition;
    struct signers *signers;
    struct vetted out;
};

struct source *source_find(struct host *h, const char *path)
{
    for (struct source *s = h->sources; s; s = s->next) {
        if (strcmp(s->path, path) == 0)
            return s;
    }
    return NULL;
}

struct source *source_listed(struct host *h, const char *name)
{
    struct source *s = h->sources;
    while (s && !(s->name && strcmp(s->name, name) == 0))
        s = s->next;
    return s;
}

static void retry(void *arg)
{
    struct source *s = arg;
    const struct plugin *p = s->name ? plugin_find(s->host, s->name) : NULL;
    if (!s->busy && !s->gone && !(p && p->coming))
        source_vet(s);
}

/* Comes back to it by itself. */
static void rest(struct source *s)
{
    if (s->gone || s->busy || s->host->stopping)
        return;
    s->rest_ms = s->rest_ms ? s->rest_ms * 2 : REST_MIN_MS;
    if (s->rest_ms > REST_MAX_MS)
        s->rest_ms = REST_MAX_MS;
    loop_timer_after(s->retry, s->rest_ms);
}

void source_again(struct source *s)
{
    if (!s->busy)
        s->force = 1; /* whoever asked for it at first, it is wanted */
    rest(s);
}

int source_is_patient(const struct source *s)
{
    return s->rest_ms < REST_MAX_MS;
}

void source_up(struct source *s)
{
    s->rest_ms = 0;
    loop_timer_cancel(s->retry);
}

struct source *source_take(struct host *h, const char *path, int dir)
{
    struct source *s = source_find(h, path);
    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    assert(s);
    s->host = h;
    s->path = strdup(path);
    s->dir = dir;
    s->is_definition = definition_is_name(path);
    assert(s->path);
    s->retry = loop_timer_new(h->loop, "host.retry", retry, s);
    s->next = h->sources;
    h->sources = s;
    return s;
}

static void refusal_clear(struct source *s)
{
    free(s->name);
    free(s->kind);
    free(s->reason);
    s->name = s->kind = s->reason = NULL;
}

/* [s is not busy] */
void source_free(struct source *s)
{
    struct source **at = &s->host->sources;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    loop_timer_free(s->retry);
    refusal_clear(s);
    free(s->from);
    free(s->template);
    free(s->from_signature);
    free(s->path);
    free(s);
}

/* "sqlite" of "/x/sqlite.so", in a buffer: the name until the manifest says it. */
static const char *base_name(const char *path, char *buf, size_t size)
{
    const char *slash = strrchr(path, '/');
    snprintf(buf, size, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(buf, '.');
    if (dot && (strcmp(dot, ".so") == 0 || strcmp(dot, DEFINITION_ENDING) == 0))
        *dot = '\0';
    return buf;
}

void source_refused(struct source *s, const char *name, const char *kind, const char *reason)
{
    char base[256];
    refusal_clear(s);
    s->name = strdup(name ? name : base_name(s->path, base, sizeof(base)));
    s->kind = strdup(kind ? kind : "");
    s->reason = strdup(reason);
    assert(s->name && s->kind && s->reason);
}

/* ---- on the files actor ---- */

static int vetting_run(const void *table, void *inst, void *args, struct bp_err *err)
{
    struct vetting *v = args;
    struct vet_spec spec = {v->path, v->copies, v->config, v->max_bytes, v->signers, v->signature};
    (void)table, (void)inst;
    return v->is_definition ? vet_definition(&spec, &v->out, err) : vet_file(&spec, &v->out, err);
}

static void vetting_free(void *args)
{
    struct vetting *v = args;
    vetted_clear(&v->out);
    free(v->path);
    free(v->copies);
    free(v->config);
    free(v->signature);
    free(v->signers);
    free(v);
}

/* ---- what comes of it, on the loop ---- */

void source_refuse(struct source *s, const struct manifest *m, const struct bp_err *err)
{
    struct host *h = s->host;
    source_refused(s, m ? m->listed : NULL, m || s->is_definition ? kind_name(m ? m->kind : KIND_WORKFLOW) : NULL,
                   err->text);
    struct arrow a = {s->name, s->kind, s->reason, 0, FOUND, REFUSED};
    arrow_tell(h, &a);
    struct plugin *p = plugin_find(h, s->name);
    if (p && p->current && p->current->state == RUNNING)
        log_warn(LOG_HOST, "%s: %s was refused, generation %u keeps running", p->name, s->path, p->current->number);
    struct outcome o = s->outcome;
    memset(&s->outcome, 0, sizeof(s->outcome));
    struct bp_err said;
    err_set(&said, err->rc, "%s refused: %s", s->path, err->text);
    outcome_end(h, &o, &said);
}

static void disown(struct source *s, const struct bp_err *err)
{
    for (struct plugin *p = s->host->plugins; p; p = p->next) {
        if (p->current && p->current->state == RUNNING && strcmp(p->file, s->path) == 0)
            generation_disown(p->current, err);
    }
}

/* The plugin that already has this name or slug from another file that is still there, or NULL. */
static const struct plugin *holder(struct host *h, const struct source *s, const struct manifest *m)
{
    for (struct plugin *p = h->plugins; p; p = p->next) {
        const struct generation *g = p->current ? p->current : p->coming;
        if (!g || strcmp(p->file, s->path) == 0)
            continue;
        int same_slug = m->slug && g->manifest->slug && strcmp(m->slug, g->manifest->slug) == 0;
        if (!same_slug && strcmp(p->name, m->listed) != 0)
            continue;
        const struct source *other = source_find(h, p->file);
        if (other && !other->gone)
            return p;
    }
    return NULL;
}

int source_check_name(const struct source *s, const struct manifest *m, struct bp_err *err)
{
    struct host *h = s->host;
    const struct plugin *p = holder(h, s, m);
    if (p && strcmp(p->name, m->listed) == 0)
        return err_set(err, BP_CONFLICT, "duplicate name: \"%s\" is already the plugin of %.140s", m->listed, p->file);
    if (p)
        return err_set(err, BP_CONFLICT, "duplicate slug: workflow \"%s\" is already served by plugin %s of %.100s",
                       m->slug, p->name, p->file);
    p = plugin_find(h, m->listed);
    if (p && p->current && p->current->manifest->kind != m->kind)
        return err_set(err, BP_CONFLICT, "wrong kind: the running plugin %s is of kind %s, this file of kind %s",
                       m->listed, kind_name(p->current->manifest->kind), kind_name(m->kind));
    for (p = h->plugins; p; p = p->next) {
        const struct generation *g = p->current;
        if (g && strcmp(p->file, s->path) == 0 && strcmp(p->name, m->listed) != 0 && g->state == RUNNING)
            return err_set(err, BP_CONFLICT,
                           "name mismatch: %s ran from this file, which now says \"%s\"; use another file", p->name,
                           m->listed);
    }
    return BP_OK;
}

/* Is there nothing to do because just this content runs, or is in quarantine? */
static int nothing_new(const struct source *s, const struct vetted *v)
{
    const struct plugin *p = plugin_find(s->host, v->manifest->listed);
    if (!p || s->force)
        return 0;
    if (p->current && p->current->state == RUNNING && strcmp(p->current->sha, v->copy.sha) == 0)
        return strcmp(p->current->given, v->given) == 0;
    return p->quarantined && strcmp(p->quarantined, v->copy.sha) == 0;
}

static int is_named(const struct config *c, const char *plugin)
{
    struct json_object *services = config_map(c, CONFIG_SERVICES);
    json_object_object_foreach(services, service, provider)
    {
        (void)service;
        if (json_object_is_type(provider, json_type_string) && strcmp(json_object_get_string(provider), plugin) == 0)
            return 1;
    }
    return json_member(config_map(c, CONFIG_PLUGIN_CONFIG), plugin) != NULL;
}

/* At a controller, a plugin that needs a server or an account waits until a setting names it: services.* or
 * plugin.<name>. A worker is told by such a plugin of notices about its instance, whether a setting names it or not. */
static int is_unwanted(const struct source *s, const struct manifest *m)
{
    if (s->force || s->host->role == HOST_WORKER || strcmp(json_str(m->json, "start", "always"), "named") != 0)
        return 0;
    return !is_named(s->host->config, m->name);
}

void sources_named(struct host *h)
{
    for (struct source *s = h->sources; s; s = s->next) {
        if (s->name && !s->reason && !s->busy && !s->gone && is_named(h->config, s->name))
            source_vet(s);
    }
}

/* There is nothing to bring up. */
static void leave_be(struct source *s)
{
    struct bp_err ok = {0};
    struct outcome o = s->outcome;
    refusal_clear(s);
    memset(&s->outcome, 0, sizeof(s->outcome));
    outcome_end(s->host, &o, &ok);
}

static void leave_unnamed(struct source *s, const struct manifest *m)
{
    log_info(LOG_HOST, "%s: not started, no setting names it: services.* or plugin.%s", s->path, m->name);
    leave_be(s);
    s->name = strdup(m->listed);
    s->kind = strdup(kind_name(m->kind));
    assert(s->name && s->kind);
}

void source_bring_up(struct source *s, struct vetted *v)
{
    struct outcome o = s->outcome;
    if (nothing_new(s, v)) {
        log_debug(LOG_HOST, "%s: unchanged", s->path);
        leave_be(s);
        return;
    }
    refusal_clear(s);
    memset(&s->outcome, 0, sizeof(s->outcome));
    generation_begin(s->host, s, v, &o);
}

static void take_in(struct source *s, struct vetted *v)
{
    struct bp_err err = {0};
    if (s->host->role == HOST_WORKER && v->manifest->kind == KIND_QUEUE) {
        log_debug(LOG_HOST, "%s: a queue plugin, not loaded in a worker", s->path);
        leave_be(s);
    } else if (is_unwanted(s, v->manifest)) {
        leave_unnamed(s, v->manifest);
    } else if (facet_check_manifest(v->manifest, &err) || source_check_name(s, v->manifest, &err)) {
        source_refuse(s, v->manifest, &err);
    } else {
        source_bring_up(s, v);
    }
}

/* The file went away, or the daemon stops, while it was vetted. */
static int dropped(struct source *s)
{
    struct host *h = s->host;
    if (!s->gone && !h->stopping)
        return 0;
    struct outcome o = s->outcome;
    struct bp_err err;
    err_set(&err, BP_STOPPED, h->stopping ? "bpd is stopping" : "%s was removed", s->path);
    memset(&s->outcome, 0, sizeof(s->outcome)); /* the stop that comes next finds nothing left to answer */
    int gone = s->gone;
    if (gone)
        source_free(s);
    outcome_end(h, &o, &err);
    stop_check(h);
    return 1;
}

/* It could not be looked at (in time), which says nothing of the file. */
static void unseen(struct source *s, const struct bp_err *err)
{
    struct bp_err why;
    err_set(&why, err->rc, "%s; it is tried again by itself", err->text);
    source_refuse(s, NULL, &why);
    rest(s);
}

static void vet_ended(struct source *s, struct vetting *v, const struct bp_err *err)
{
    s->busy = 0;
    if (dropped(s))
        return;
    int patient = mono_ms() - s->changed_ms < PATIENCE_MS;
    if (s->again || (err->rc == BP_LATER && patient)) {
        loop_timer_after(s->retry, s->again ? 0 : RETRY_MS);
        s->again = 0;
        return;
    }
    if (!v) {
        unseen(s, err); /* what was asked for is asked for still */
        return;
    }
    if (err->rc && s->recheck)
        disown(s, err);
    if (err->rc)
        source_refuse(s, v->out.manifest, err);
    else
        (s->is_definition ? definition_take_in : take_in)(s, &v->out);
    s->force = s->recheck = 0;
    if (v->out.copy.path[0] && !v->out.copy.fresh)
        tidy_later(s->host, v->out.copy.path); /* unless a generation has it now */
    tidy(s->host);
}

static void vets_begin(struct host *h);

static void vetted(void *args, const struct bp_err *err, void *arg)
{
    struct source *s = arg;
    struct host *h = s->host;
    h->vets--;
    vet_ended(s, err->rc == BP_TIMEOUT ? NULL : args, err);
    vets_begin(h);
}

static struct vetting *vetting_new(struct source *s)
{
    struct host *h = s->host;
    struct vetting *v = calloc(1, sizeof(*v));
    struct json_object *config = config_map(h->config, CONFIG_PLUGIN_CONFIG);
    assert(v);
    v->source = s;
    v->path = s->from ? s->from : strdup(s->path);
    v->signature = s->from_signature;
    s->from = s->from_signature = NULL;
    v->signers = signers_copy(h->signers);
    v->copies = strdup(h->copies);
    v->config = config ? strdup(json_text(config)) : NULL;
    v->is_definition = s->is_definition;
    v->max_bytes = config_int(h->config, CONFIG_PLUGINS_MAX_BYTES);
    assert(v->path && v->copies && (v->signers || !h->signers));
    return v;
}

static void vet_begin(struct source *s)
{
    struct host *h = s->host;
    struct bp_err err = {0};
    struct request_spec spec = {.service = FILES_SERVICE,
                                .name = "host.vet",
                                .run = vetting_run,
                                .args = vetting_new(s),
                                .args_free = vetting_free,
                                .reply = vetted,
                                .arg = s,
                                .timeout_ms = config_int(h->config, CONFIG_PLUGINS_START_TIMEOUT_S) * 1000};
    h->vets++;
    if (bus_request(h->bus, &spec, &err) == 0)
        return;
    h->vets--;
    s->busy = 0;
    unseen(s, &err);
}

static void vets_begin(struct host *h)
{
    while (h->vets_waiting && h->vets < VETS_MAX) {
        struct source *s = h->vets_waiting;
        h->vets_waiting = s->behind;
        if (!h->vets_waiting)
            h->vets_last = NULL;
        s->behind = NULL;
        s->again = 0; /* what changed while it waited is seen now */
        if (!dropped(s))
            vet_begin(s);
    }
}

void source_vet(struct source *s)
{
    char base[256];
    struct host *h = s->host;
    assert(!s->busy);
    loop_timer_cancel(s->retry);
    struct arrow a = {base_name(s->path, base, sizeof(base)), NULL, s->path, 0, 0, FOUND};
    if (s->told_ms != s->changed_ms)
        arrow_tell(h, &a);
    s->told_ms = s->changed_ms;
    s->busy = 1;
    if (h->vets_last)
        h->vets_last->behind = s;
    else
        h->vets_waiting = s;
    h->vets_last = s;
    vets_begin(h);
}

uint32_t host_refused_count(const struct host *h)
{
    uint32_t n = 0;
    ASSERT_HOST(h);
    for (const struct source *s = h->sources; s; s = s->next)
        n += s->reason && !s->gone;
    return n;
}

/* ---- scans ---- */

static void changed(struct host *h, struct source *s, const struct fingerprint *print)
{
    s->print = *print;
    s->changed_ms = mono_ms();
    if (h->scanned && !config_bool(h->config, CONFIG_PLUGINS_AUTO)) {
        log_info(LOG_HOST, "%s changed; plugins.auto is off, so use bpctl plugin load", s->path);
        return;
    }
    if (!h->scanned) {
        s->outcome.initial = 1;
        h->open++;
        s->held = s->is_definition;
        h->held += s->held;
    }
    if (s->held)
        return;
    if (s->busy)
        s->again = 1;
    else
        source_vet(s);
}

static void removed(struct host *h, struct source *s)
{
    int automatic = config_bool(h->config, CONFIG_PLUGINS_AUTO);
    if (!automatic)
        log_info(LOG_HOST, "%s was removed; plugins.auto is off, so use bpctl plugin retire", s->path);
    for (struct plugin *p = h->plugins; p && automatic; p = p->next) {
        if (strcmp(p->file, s->path) != 0)
            continue;
        if (p->coming)
            p->coming->abandon = 1;
        if (p->current && generation_is_up(p->current))
            generation_remove(p->current, "its file was removed");
    }
    s->gone = 1;
    if (s->busy)
        return;
    struct outcome o = s->outcome; /* of a definition that waits for its plugin */
    struct bp_err err;
    err_set(&err, BP_STOPPED, "%s was removed", s->path);
    h->held -= s->held;
    source_free(s);
    outcome_end(h, &o, &err);
}

static const struct found *scan_find(const struct scan *scan, const char *path)
{
    for (uint32_t i = 0; i < scan->n; i++) {
        if (strcmp(scan->files[i].path, path) == 0)
            return &scan->files[i];
    }
    return NULL;
}

/* Removed files first: a renamed file then finds its name free. */
void source_scanned(const struct scan *scan, void *host)
{
    struct host *h = host;
    ASSERT_HOST(h);
    for (struct source *s = h->sources, *next; s; s = next) {
        next = s->next;
        if (s->dir >= 0 && !s->gone && scan->dir_ok[s->dir] && !scan_find(scan, s->path))
            removed(h, s);
    }
    candidates_scanned(h, scan);
    for (uint32_t i = 0; i < scan->n && !h->stopping; i++) {
        const struct found *f = &scan->files[i];
        if (candidate_is_name(f->path))
            continue;
        struct source *s = source_take(h, f->path, f->dir);
        s->gone = 0;
        if (memcmp(&s->print, &f->print, sizeof(s->print)) != 0)
            changed(h, s, &f->print);
    }
    h->scanned = 1;
    settle_check(h);
}
