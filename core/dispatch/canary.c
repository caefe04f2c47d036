/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/canary_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEARD_MAX 64   /* trials one poll may tell of */
#define SOUND_MAX 1000 /* a larger difference of sound is no number */

static const char *const states[] = {
    [CANARY_STARTING] = "starting", [CANARY_RUNNING] = "running", [CANARY_PROMOTING] = "promoting",
    [CANARY_PROMOTED] = "promoted", [CANARY_PASSED] = "passed",   [CANARY_ROLLED_BACK] = "rolled-back",
    [CANARY_ABORTED] = "aborted",
};

const char *canary_state_name(enum canary_state s)
{
    return states[s];
}

struct canaries *canaries_new(struct dispatch *d)
{
    struct canaries *all = calloc(1, sizeof *all);
    assert(all);
    all->d = d;
    return all;
}

struct canary *canary_find(struct canaries *all, const char *slug)
{
    for (struct canary *c = all->list; c; c = c->next)
        if (strcmp(c->slug, slug) == 0)
            return c;
    return NULL;
}

void canary_remove(struct canaries *all, struct canary *c)
{
    struct canary **at = &all->list;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    json_object_put(c->trials);
    free(c);
}

struct canary *canary_make(struct canaries *all, const char *slug)
{
    struct canary *old = canary_find(all, slug), *c = calloc(1, sizeof *c);
    assert(c);
    if (old)
        canary_remove(all, old);
    snprintf(c->slug, sizeof c->slug, "%s", slug);
    c->trials = json_object_new_array();
    c->state = CANARY_STARTING;
    c->next = all->list;
    all->list = c;
    return c;
}

void canaries_free(struct canaries *all)
{
    while (all->list)
        canary_remove(all, all->list);
    free(all);
}

/* ---- from state to state ---- */

void canary_move(struct canaries *all, struct canary *c, enum canary_state state, const char *why)
{
    c->state = state;
    snprintf(c->why, sizeof c->why, "%s", why);
    if (!canary_is_open(c))
        c->ended_ms = dispatch_now(all->d);
    log_write(LOG_DISPATCH, state == CANARY_ROLLED_BACK || state == CANARY_PASSED ? BP_LOG_WARN : BP_LOG_INFO,
              "canary of %s, version %s: %s: %s", c->slug, c->version, states[state], why);
    bus_publish(all->d->bus, EVENT_CANARY_DECIDED, c->slug, c->version, states[state], why);
    if (state != CANARY_PROMOTING && !canary_is_open(c) && state != CANARY_PASSED)
        host_candidate_drop(all->d->host, c->plugin);
    canary_save(all, c);
}

/* ---- promotion ---- */

struct promotion {
    struct dispatch *d;
    char slug[65];
    host_done done;
    void *arg;
};

static void promoted(const struct bp_err *err, void *arg)
{
    char why[400];
    struct promotion *p = arg;
    struct canary *c = p->d->dead ? NULL : canary_find(p->d->canaries, p->slug);
    if (c && c->state == CANARY_PROMOTING && err->rc == BP_OK) {
        snprintf(why, sizeof why, "version %s serves: %.300s", c->version, c->why);
        canary_move(p->d->canaries, c, CANARY_PROMOTED, why);
    } else if (c && c->state == CANARY_PROMOTING && err->rc != BP_STOPPED) {
        snprintf(why, sizeof why, "it did well, but could not be put in place: %.200s; install the file yourself",
                 err->text);
        canary_move(p->d->canaries, c, CANARY_PASSED, why);
    }
    if (p->done)
        p->done(err, p->arg);
    dispatch_unref(p->d);
    free(p);
}

void canary_promote(struct canaries *all, struct canary *c, const char *why, host_done done, void *arg)
{
    struct promotion *p = calloc(1, sizeof *p);
    assert(p);
    p->d = all->d;
    p->done = done;
    p->arg = arg;
    snprintf(p->slug, sizeof p->slug, "%s", c->slug);
    canary_move(all, c, CANARY_PROMOTING, why);
    dispatch_ref(all->d);
    host_promote(all->d->host, c->plugin, promoted, p);
}

/* ---- jobs ---- */

int canary_outlived(struct canaries *all, struct canary *c)
{
    char why[400];
    const struct workflow *flow = host_workflow(all->d->host, c->slug);
    if (flow && strcmp(flow->file, c->base) == 0)
        return 0;
    snprintf(why, sizeof why, "version %s, which it was compared with, %s", c->from_version,
             flow ? "was replaced meanwhile" : "serves no more");
    canary_move(all, c, CANARY_ABORTED, why);
    return 1;
}

void canary_mark(struct dispatch *d, const struct bp_job_row *job, struct json_object *payload)
{
    struct canary *c = canary_find(d->canaries, job->workflow);
    if (!c || c->state != CANARY_RUNNING || canary_outlived(d->canaries, c))
        return;
    c->credit += c->limits.percent;
    if (c->credit < 100)
        return;
    c->credit -= 100;
    c->marked++;
    struct json_object *o = json_object_new_object();
    json_put_str(o, "sha256", c->sha);
    json_put_str(o, "version", c->version);
    json_put_num(o, "slowest", c->limits.slowest);
    json_object_object_add(payload, "canary", o);
}

static enum canary_outcome outcome_of(const char *name)
{
    static const char *const names[] = {
        [TRIAL_RAN] = "ran", [TRIAL_FAILED] = "failed", [TRIAL_ABSENT] = "absent", [TRIAL_DROPPED] = "dropped"};
    for (int i = TRIAL_RAN; i <= TRIAL_DROPPED; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum canary_outcome)i;
    return TRIAL_DROPPED;
}

static struct canary_trial read_trial(struct json_object *o)
{
    struct json_object *by = json_member(o, "difference");
    struct canary_trial t = {.job = json_int(o, "job", 0),
                             .outcome = outcome_of(json_str(o, "outcome", "")),
                             .old_ms = json_int(o, "old_ms", 0),
                             .new_ms = json_int(o, "new_ms", 0),
                             .compared = by != NULL,
                             .difference = json_num(o, "difference", 0),
                             .sound = json_num(o, "sound", 0),
                             .text = json_str(o, "text", "")};
    if (!(t.difference >= 0 && t.difference <= 255))
        t.difference = 255;
    if (!(t.sound >= 0 && t.sound <= SOUND_MAX))
        t.sound = SOUND_MAX;
    t.old_ms = t.old_ms > 0 && t.old_ms < INT32_MAX ? t.old_ms : 0;
    t.new_ms = t.new_ms > 0 && t.new_ms < INT32_MAX ? t.new_ms : 0;
    return t;
}

static void remember(struct canaries *all, struct canary *c, const struct canary_trial *t, const char *worker,
                     const char *outcome, const char *words)
{
    struct json_object *o = json_object_new_object();
    json_put_int(o, "at_ms", dispatch_now(all->d));
    json_put_int(o, "job", t->job);
    json_put_str(o, "worker", worker);
    json_put_str(o, "outcome", outcome);
    json_put_int(o, "old_ms", t->old_ms);
    json_put_int(o, "new_ms", t->new_ms);
    if (t->compared)
        json_put_num(o, "difference", t->difference);
    if (t->compared && t->sound > 0)
        json_put_num(o, "sound", t->sound);
    json_put_str(o, "text", words);
    if (json_object_array_length(c->trials) >= CANARY_TRIALS)
        json_object_array_del_idx(c->trials, 0, 1);
    json_object_array_add(c->trials, o);
    bus_publish(all->d->bus, EVENT_CANARY_TRIAL, c->slug, t->job, outcome, t->old_ms, t->new_ms, t->difference, words);
}

/* A poll whose answer was lost is sent again. */
static int is_known(const struct canary *c, int64_t job)
{
    for (size_t i = 0; i < json_object_array_length(c->trials); i++)
        if (json_int(json_object_array_get_idx(c->trials, i), "job", 0) == job)
            return 1;
    return 0;
}

static void hear(struct canaries *all, struct canary *c, const char *worker, struct json_object *o)
{
    char words[400];
    struct canary_trial t = read_trial(o);
    int64_t bad = c->counts.bad;
    if (is_known(c, t.job))
        return;
    enum canary_verdict v = canary_judge(&c->limits, &c->counts, &t, words);
    const char *outcome = t.outcome == TRIAL_ABSENT    ? "absent"
                          : t.outcome == TRIAL_DROPPED ? "dropped"
                          : t.outcome == TRIAL_FAILED  ? "failed"
                          : c->counts.bad > bad        ? "differs"
                                                       : "good";
    remember(all, c, &t, worker, outcome, words);
    if (v == CANARY_PROMOTES)
        canary_promote(all, c, words, NULL, NULL);
    else if (v == CANARY_ROLLS_BACK)
        canary_move(all, c, CANARY_ROLLED_BACK, words);
    else
        canary_save(all, c);
}

void canary_heard(struct dispatch *d, const char *worker_id, struct json_object *list)
{
    size_t n = list && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n && i < HEARD_MAX; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *slug = json_str(o, "workflow", NULL);
        struct canary *c = slug ? canary_find(d->canaries, slug) : NULL;
        /* what comes of an earlier canary, or after the end, counts no more */
        if (c && c->state == CANARY_RUNNING && strcmp(json_str(o, "sha256", ""), c->sha) == 0 &&
            !canary_outlived(d->canaries, c))
            hear(d->canaries, c, worker_id, o);
    }
}
