/* SPDX-License-Identifier: Apache-2.0 */
/* canary_command.c - what an operator does with canaries, and sees of them. */
#include "dispatch/canary_priv.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A candidate that is being vetted. */
struct beginning {
    struct dispatch *d;
    char slug[65];
    host_done done;
    void *arg;
    int again; /* taken up after a restart */
};

static void publish_start(struct canaries *all, const struct canary *c)
{
    bus_publish(all->d->bus, EVENT_CANARY_STARTED, c->slug, c->version, c->limits.percent, c->who);
}

static void cannot_begin(struct canaries *all, struct canary *c, const struct bp_err *err, int again)
{
    char why[400];
    const struct workflow *flow = again ? host_workflow(all->d->host, c->slug) : NULL;
    if (flow && strcmp(flow->version, c->version) == 0) {
        snprintf(why, sizeof why, "version %s serves since the restart", c->version);
        canary_move(all, c, CANARY_PROMOTED, why);
    } else if (again) {
        snprintf(why, sizeof why, "it cannot be taken up again after a restart: %.300s", err->text);
        canary_move(all, c, CANARY_ABORTED, why);
    } else {
        canary_remove(all, c); /* whoever asked is told; an earlier record of the workflow is gone by then */
    }
}

static void begins(struct canaries *all, struct canary *c, int again)
{
    char why[400];
    const struct workflow *flow = host_workflow(all->d->host, c->slug);
    const struct candidate *k = host_candidate(all->d->host, c->plugin);
    struct bp_err err = {0};
    if (!flow || !k || (again && strcmp(k->sha, c->sha) != 0)) {
        err_set(&err, BP_CONFLICT, "the workflow or its candidate went away meanwhile");
        cannot_begin(all, c, &err, again);
        return;
    }
    snprintf(c->version, sizeof c->version, "%s", k->version);
    snprintf(c->sha, sizeof c->sha, "%s", k->sha);
    if (!again) {
        snprintf(c->from_version, sizeof c->from_version, "%s", flow->version);
        snprintf(c->base, sizeof c->base, "%s", flow->file);
        publish_start(all, c);
    }
    snprintf(why, sizeof why, "%g %% of the jobs are tried; %lld good trials promote it", c->limits.percent,
             (long long)c->limits.jobs);
    canary_move(all, c, CANARY_RUNNING, why);
}

static void vetted(const struct bp_err *err, void *arg)
{
    struct beginning *b = arg;
    struct canaries *all = b->d->canaries;
    struct canary *c = b->d->dead ? NULL : canary_find(all, b->slug);
    struct bp_err said = *err;
    if (c)
        c->vetting = 0;
    if (c && c->state == CANARY_STARTING) {
        if (err->rc == BP_OK)
            begins(all, c, b->again);
        else if (err->rc != BP_STOPPED)
            cannot_begin(all, c, err, b->again);
    } else if (err->rc == BP_OK && !b->d->dead) {
        err_set(&said, BP_STOPPED, "it was aborted before it began");
        if (c)
            host_candidate_drop(all->d->host, c->plugin);
    }
    if (b->done)
        b->done(&said, b->arg);
    dispatch_unref(b->d);
    free(b);
}

static void try(struct canaries *all, struct canary *c, const char *file, struct beginning *with)
{
    struct beginning *b = calloc(1, sizeof *b);
    assert(b);
    c->vetting = 1;
    *b = *with;
    b->d = all->d;
    snprintf(b->slug, sizeof b->slug, "%s", c->slug);
    dispatch_ref(all->d);
    host_try(all->d->host, c->plugin, file, vetted, b);
}

void canaries_start(struct canaries *all)
{
    char file[PATH_MAX];
    canary_load(all);
    for (struct canary *c = all->list; c; c = c->next) {
        if (!canary_is_open(c))
            continue;
        c->state = CANARY_STARTING;
        host_kept_candidate(all->d->host, c->plugin, file, sizeof file);
        try(all, c, file, &(struct beginning){.again = 1});
    }
}

/* ---- commands ---- */

static int check_wish(const struct canary_wish *w, struct bp_err *err)
{
    if (!(w->percent > 0 && w->percent <= 100))
        return err_set(err, BP_INVALID, "the share must be more than 0 and at most 100 %%, like 10%%");
    if (w->jobs < 0 || w->jobs > 1000000)
        return err_set(err, BP_INVALID, "--jobs takes 1 to 1000000");
    if (w->file && w->file[0] != '/')
        return err_set(err, BP_INVALID, "%.200s: give an absolute path", w->file);
    return BP_OK;
}

/* Another workflow of the same template may have one: there is one candidate a plugin. */
static const struct canary *other_of_plugin(struct canaries *all, const char *slug, const char *plugin)
{
    for (const struct canary *c = all->list; c; c = c->next)
        if ((canary_is_open(c) || c->vetting) && strcmp(c->plugin, plugin) == 0 && strcmp(c->slug, slug) != 0)
            return c;
    return NULL;
}

static int may_begin(struct canaries *all, const struct canary_wish *w, const struct workflow *flow, struct bp_err *err)
{
    const struct canary *c = canary_find(all, w->slug),
                        *other = flow ? other_of_plugin(all, w->slug, flow->plugin) : NULL;
    if (!flow) {
        const char *near = host_nearest_workflow(all->d->host, w->slug);
        return err_set(err, BP_NOTFOUND, "there is no workflow \"%.64s\"%s%s%s", w->slug,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (c && canary_is_open(c))
        return err_set(err, BP_CONFLICT, "a canary of %s is %s (version %s): promote or abort it first", w->slug,
                       canary_state_name(c->state), c->version);
    if (c && c->vetting)
        return err_set(err, BP_CONFLICT, "the version that was aborted is still being vetted: begin again in a moment");
    if (other)
        return err_set(err, BP_CONFLICT, "a candidate of the plugin %s is being tried on %s: promote or abort it first",
                       flow->plugin, other->slug);
    return BP_OK;
}

static struct canary *record(struct canaries *all, const struct canary_wish *w, const struct workflow *flow)
{
    const struct config *k = all->d->config;
    struct canary *c = canary_make(all, w->slug);
    snprintf(c->plugin, sizeof c->plugin, "%s", flow->plugin);
    snprintf(c->who, sizeof c->who, "%s", w->who);
    c->limits = (struct canary_limits){.percent = w->percent,
                                       .jobs = w->jobs ? w->jobs : config_int(k, CONFIG_CANARY_JOBS),
                                       .failures = config_int(k, CONFIG_CANARY_FAILURES),
                                       .tolerance = config_num(k, CONFIG_CANARY_TOLERANCE),
                                       .sound_tolerance = config_num(k, CONFIG_CANARY_SOUND_TOLERANCE),
                                       .slowest = config_num(k, CONFIG_CANARY_SLOWEST)};
    c->credit = 100 - w->percent; /* the first job is tried: what is quite wrong is known soon */
    c->started_ms = dispatch_now(all->d);
    return c;
}

void dispatch_canary_start(struct dispatch *d, const struct canary_wish *w, host_done done, void *arg)
{
    char file[PATH_MAX];
    struct bp_err err = {0};
    const struct workflow *flow = host_workflow(d->host, w->slug);
    ASSERT_LOOP(d->loop);
    if (check_wish(w, &err) < 0 || may_begin(d->canaries, w, flow, &err) < 0) {
        done(&err, arg);
        return;
    }
    host_default_candidate(d->host, flow->plugin, file, sizeof file);
    struct canary *c = record(d->canaries, w, flow);
    try(d->canaries, c, w->file ? w->file : file, &(struct beginning){.done = done, .arg = arg});
}

int dispatch_canary_share(struct dispatch *d, const char *slug, double percent, struct bp_err *err)
{
    char why[400];
    struct canary *c = canary_find(d->canaries, slug);
    if (!c || c->state != CANARY_RUNNING)
        return err_set(err, BP_NOTFOUND, "no canary of %.64s runs", slug);
    if (check_wish(&(struct canary_wish){.percent = percent}, err) < 0)
        return err->rc;
    snprintf(why, sizeof why, "the share was changed from %g to %g %% of the jobs", c->limits.percent, percent);
    c->limits.percent = percent;
    canary_move(d->canaries, c, CANARY_RUNNING, why);
    return BP_OK;
}

int dispatch_canary_runs(struct dispatch *d, const char *slug)
{
    const struct canary *c = canary_find(d->canaries, slug);
    return c && c->state == CANARY_RUNNING;
}

void dispatch_canary_promote(struct dispatch *d, const char *slug, const char *who, host_done done, void *arg)
{
    char why[400];
    struct bp_err err;
    struct canary *c = canary_find(d->canaries, slug);
    if (!c || (c->state != CANARY_RUNNING && c->state != CANARY_PASSED)) {
        err_set(&err, BP_NOTFOUND, "no canary of %.64s runs", slug);
        done(&err, arg);
        return;
    }
    if (canary_outlived(d->canaries, c)) {
        err_set(&err, BP_CONFLICT, "%s", c->why);
        done(&err, arg);
        return;
    }
    snprintf(why, sizeof why, "promoted by %s after %lld good trials", who, (long long)c->counts.good);
    canary_promote(d->canaries, c, why, done, arg);
}

int dispatch_canary_abort(struct dispatch *d, const char *slug, const char *who, struct bp_err *err)
{
    char why[400];
    struct canary *c = canary_find(d->canaries, slug);
    if (!c || (c->state != CANARY_RUNNING && c->state != CANARY_STARTING && c->state != CANARY_PASSED))
        return err_set(err, BP_NOTFOUND, "no canary of %.64s runs", slug);
    snprintf(why, sizeof why, "aborted by %s", who);
    canary_move(d->canaries, c, CANARY_ABORTED, why);
    return BP_OK;
}

/* ---- what is seen of it ---- */

static void put_speed(struct json_object *o, const struct canary_counts *n)
{
    if (n->timed == 0)
        return;
    json_put_int(o, "old_ms", n->old_ms / n->timed);
    json_put_int(o, "new_ms", n->new_ms / n->timed);
    if (n->old_ms > 0)
        json_put_num(o, "ratio", round((double)n->new_ms / (double)n->old_ms * 100) / 100);
}

/* As an operator reads it. The caller's. */
static struct json_object *canary_json(const struct canaries *all, const struct canary *c)
{
    const struct canary_counts *n = &c->counts;
    struct json_object *o = json_object_new_object();
    (void)all;
    json_put_str(o, "workflow", c->slug);
    json_put_str(o, "plugin", c->plugin);
    json_put_str(o, "state", canary_state_name(c->state));
    json_put_str(o, "why", c->why);
    json_put_str(o, "version", c->version);
    json_put_str(o, "from_version", c->from_version);
    json_put_str(o, "sha256", c->sha);
    json_put_num(o, "percent", c->limits.percent);
    json_put_int(o, "good", n->good);
    json_put_int(o, "jobs", c->limits.jobs);
    json_put_int(o, "bad", n->bad);
    json_put_int(o, "failures", c->limits.failures);
    json_put_int(o, "marked", c->marked);
    json_put_int(o, "untold", c->marked - n->good - n->bad - n->absent - n->dropped);
    json_put_int(o, "absent", n->absent);
    json_put_int(o, "dropped", n->dropped);
    json_put_num(o, "difference", n->worst);
    json_put_num(o, "tolerance", c->limits.tolerance);
    json_put_num(o, "sound", n->worst_sound);
    json_put_num(o, "sound_tolerance", c->limits.sound_tolerance);
    put_speed(o, n);
    json_put_num(o, "slowest", c->limits.slowest);
    json_put_str(o, "who", c->who);
    json_put_int(o, "started_ms", c->started_ms);
    json_put_int(o, "ended_ms", c->ended_ms);
    json_object_object_add(o, "trials", json_object_get(c->trials));
    return o;
}

struct json_object *dispatch_canary(struct dispatch *d, const char *slug)
{
    const struct canary *c = canary_find(d->canaries, slug);
    return c ? canary_json(d->canaries, c) : NULL;
}

struct json_object *dispatch_canaries(struct dispatch *d)
{
    struct json_object *list = json_object_new_array();
    for (const struct canary *c = d->canaries->list; c; c = c->next) {
        struct json_object *o = canary_json(d->canaries, c);
        json_object_object_del(o, "trials");
        json_object_array_add(list, o);
    }
    return list;
}
