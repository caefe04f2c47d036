/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c - faults of plugins, and the quarantine that so many of them within so long lead to.
 *
 * A queue or cloud plugin in quarantine is stopped. A workflow is not: its jobs stay, new ones are taken, and what it
 * has at work ends; only no job of it is leased, until it is released or other content comes.
 */
#include "host/state.h"
#include "log/err.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int generation_is_up(const struct generation *g)
{
    return g->state == RUNNING || (g->workflow && g->workflow->quarantine);
}

/* One poisonous job, tried again and again, must not quarantine a plugin for all others: it counts once. */
static int is_told(const struct plugin *p, int64_t job, int64_t since_ms)
{
    for (int i = 0; job && i < p->n_faults; i++) {
        if (p->faults[i].job == job && p->faults[i].at_ms >= since_ms)
            return 1;
    }
    return 0;
}

/* Adds a fault, the newest first; how long ago the oldest of so many is, ms, or -1: they are not so many. */
static int64_t count(struct plugin *p, int64_t job, int64_t now_ms, int64_t many)
{
    memmove(p->faults + 1, p->faults, sizeof(p->faults) - sizeof(p->faults[0]));
    p->faults[0] = (struct fault){now_ms, job};
    if (p->n_faults < FAULTS_MAX)
        p->n_faults++;
    return many > 0 && p->n_faults >= many ? now_ms - p->faults[many - 1].at_ms : -1;
}

static void quarantine(struct plugin *p, const char *why)
{
    struct generation *g = p->current;
    free(p->quarantined);
    p->quarantined = strdup(g->sha);
    assert(p->quarantined);
    if (!g->workflow) {
        generation_drain(g, QUARANTINED, why);
        return;
    }
    generation_move(g, QUARANTINED, why);
    g->workflow->quarantine = g->reason;
}

static void fault(struct host *h, struct plugin *p, int64_t job, const char *what)
{
    char why[400];
    int64_t many = config_int(h->config, CONFIG_PLUGINS_FAULTS), now = mono_ms();
    int64_t within = (int64_t)(config_num(h->config, CONFIG_PLUGINS_FAULT_S) * 1000);
    if (!p->current || is_told(p, job, now - within))
        return;
    int64_t took = count(p, job, now, many);
    if (took < 0 || took > within || p->current->state != RUNNING)
        return;
    snprintf(why, sizeof(why),
             "%lld faults in %lld s, the last: %.200s; put another version in place, or bpctl plugin release %s",
             (long long)many, (long long)(took + 999) / 1000, what, p->name);
    quarantine(p, why);
}

void host_fault(struct host *h, const char *plugin, int64_t job, const char *what)
{
    ASSERT_HOST(h);
    struct plugin *p = plugin_find(h, plugin);
    log_warn(LOG_HOST, "%s: fault: %s", plugin, what);
    bus_publish(h->bus, EVENT_PLUGIN_FAULT, plugin, what);
    if (p)
        fault(h, p, job, what);
}

void host_workflow_fault(struct host *h, const char *slug, const char *sha, int64_t job, const char *what)
{
    ASSERT_HOST(h);
    const struct workflow *w = host_workflow(h, slug);
    if (w && (!sha || !*sha || strcmp(sha, w->sha) == 0))
        host_fault(h, w->listed, job, what);
    else
        log_warn(LOG_HOST, "%s: a fault of code that does not serve here any more: %s", slug, what);
}

/* ---- the end of a quarantine ---- */

void quarantine_lift(struct plugin *p)
{
    free(p->quarantined);
    p->quarantined = NULL;
    p->n_faults = 0;
    for (struct generation *g = p->host->generations, *next; g; g = next) {
        next = g->next;
        if (g->plugin != p || g->state != QUARANTINED)
            continue;
        g->last = RETIRED;
        if (!g->ended)
            continue;
        generation_move(g, RETIRED, "replaced");
        generation_free(g);
    }
}

/* By the plugin's name, or a workflow's slug. */
static const char *name_of(struct host *h, const char *name)
{
    const struct workflow *w = plugin_find(h, name) ? NULL : host_workflow(h, name);
    return w ? w->listed : name;
}

void host_release(struct host *h, const char *name, host_done done, void *arg)
{
    struct bp_err err = {0};
    struct outcome o = {done, arg, 0};
    ASSERT_HOST(h);
    struct plugin *p = plugin_wanted(h, name_of(h, name), &err);
    struct generation *g = p ? p->current : NULL;
    if (p && !p->quarantined) {
        err_set(&err, BP_CONFLICT, "%s is not in quarantine", p->name);
    } else if (g && g->workflow && g->workflow->quarantine) {
        free(p->quarantined);
        p->quarantined = NULL;
        p->n_faults = 0;
        g->workflow->quarantine = NULL;
        generation_move(g, RUNNING, "released by an operator");
    } else if (p) {
        host_reload(h, p->name, done, arg); /* nothing of it runs: it comes up anew */
        return;
    }
    if (done)
        outcome_end_soon(h, &o, &err);
}
