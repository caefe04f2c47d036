/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of workflows.d in the host: each is a plugin of its own to the operator, listed by its slug, whose code is its
 * template's. It comes up when the template runs, follows each new version of it, and drains when it ends.
 */
#include "host/state.h"
#include "log/err.h"
#include <stdlib.h>
#include <string.h>

static void template_set(struct source *s, const char *plugin)
{
    char *copy = strdup(plugin);
    assert(copy);
    free(s->template);
    s->template = copy;
}

/* "there is no plugin "exce"; did you mean "exec"?", among templates. */
static int nobody_serves(struct host *h, const char *name, struct bp_err *err)
{
    const char *names[128];
    size_t n = 0;
    for (const struct plugin *p = h->plugins; p && n < 128; p = p->next) {
        if (p->current && p->current->manifest->is_template)
            names[n++] = p->name;
    }
    const char *near = nearest_name(name, names, n);
    if (near)
        return err_set(err, BP_NOTFOUND, "there is no plugin \"%s\"; did you mean \"%s\"?", name, near);
    return err_set(err, BP_NOTFOUND, "there is no plugin \"%s\": put %s.so into a plugins directory", name, name);
}

/* The template of that name as it runs now. BP_LATER: it is coming up. */
static int template_find(struct host *h, const char *name, const struct generation **out, struct bp_err *err)
{
    const struct plugin *p = plugin_find(h, name);
    const struct generation *g = p ? p->current : NULL;
    if (!g && p && p->coming)
        return BP_LATER;
    if (!p)
        return nobody_serves(h, name, err);
    if (!g)
        return err_set(err, BP_NOTFOUND, "its plugin %s is %s: see bpctl plugin show %s", name, state_name(p->state),
                       name);
    if (!g->manifest->is_template)
        return err_set(err, BP_INVALID,
                       "plugin \"%s\" is no template (its manifest does not say \"template\": true), so no file can "
                       "define a workflow of it",
                       name);
    *out = g;
    return BP_OK;
}

/* The workflow cannot go on without its template. A file that is merely wrong leaves the former one running. */
static void template_gone(const struct source *s, const char *slug)
{
    char why[128];
    const struct plugin *p = plugin_find(s->host, slug);
    struct generation *g = p && strcmp(p->file, s->path) == 0 ? p->current : NULL;
    if (!g || !generation_is_up(g))
        return;
    const struct plugin *t = plugin_find(s->host, g->manifest->name);
    if (t && (t->current || t->coming))
        return;
    snprintf(why, sizeof(why), "its plugin %s runs no more", g->manifest->name);
    generation_remove(g, why);
}

static void refuse(struct source *s, const struct definition *d, const struct bp_err *err)
{
    template_gone(s, definition_slug(d));
    source_refuse(s, NULL, err);
}

void definition_take_in(struct source *s, struct vetted *v)
{
    struct bp_err err = {0};
    struct host *h = s->host;
    const struct generation *t = NULL;
    const struct definition *d = v->definition;
    template_set(s, definition_plugin(d));
    if (template_find(h, definition_plugin(d), &t, &err) == BP_LATER)
        return; /* definitions_follow() comes back to it */
    v->manifest = t ? definition_apply(d, t->manifest, &err) : NULL;
    if (!v->manifest || source_check_name(s, v->manifest, &err)) {
        if (!t)
            definition_place(d, "plugin", &err);
        refuse(s, d, &err);
        return;
    }
    v->settings = json_object_new_object();
    v->given = strdup("");
    assert(v->settings && v->given);
    memcpy(v->copy.path, t->copy, strlen(t->copy) + 1);
    memcpy(v->code, t->code, sizeof(v->code));
    definition_sha(d, t->sha, v->copy.sha);
    source_bring_up(s, v);
}

void definitions_follow(struct host *h, const char *plugin)
{
    for (struct source *s = h->sources, *next; s && !h->stopping; s = next) {
        next = s->next;
        if (!s->template || strcmp(s->template, plugin) != 0 || s->gone || s->held)
            continue;
        if (s->busy)
            s->again = 1;
        else
            source_vet(s);
    }
}

void definitions_release(struct host *h)
{
    h->held = 0;
    for (struct source *s = h->sources, *next; s; s = next) {
        next = s->next;
        if (!s->held)
            continue;
        s->held = 0;
        source_vet(s);
    }
}
