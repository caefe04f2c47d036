/* SPDX-License-Identifier: Apache-2.0 */
#include "host/serving.h"
#include "host/state.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void finished(struct generation *g)
{
    struct host *h = g->host;
    struct plugin *p = g->plugin;
    struct bp_err ok = {0};
    struct outcome o = p->retire;
    int retired = g->last == RETIRED;
    if (g->last == QUARANTINED) {
        g->ended = 1;
        stop_check(h);
        return;
    }
    if (retired)
        generation_move(g, RETIRED, NULL);
    generation_free(g);
    if (retired && !p->current) {
        memset(&p->retire, 0, sizeof(p->retire));
        outcome_end(h, &o, &ok);
    }
    stop_check(h);
}

void generation_ended(struct generation *g)
{
    struct actor *a = g->actor;
    g->actor = NULL;
    actor_free(a);
    finished(g);
}

/* Nothing is in its mailbox and no call of it runs: stop() is the last one. */
static void actor_drained(struct actor *a, void *arg)
{
    struct generation *g = arg;
    assert(g->actor == a);
    if (g->started)
        generation_stop(g);
    else
        generation_ended(g);
}

void generation_close(struct generation *g)
{
    if (g->actor)
        actor_drain(g->actor, actor_drained, g);
    else
        finished(g);
}

static void end(struct generation *g)
{
    struct plugin *p = g->plugin;
    if (p->current == g)
        p->current = NULL;
    if (!p->current)
        serving_withdraw(p->host, p->name);
    routes_update(g->host);
    routes_drop(g);
    workflows_update(g->host);
    if (g->manifest->is_template && !p->current)
        definitions_follow(g->host, p->name);
    generation_close(g);
}

void generation_drain(struct generation *g, enum state last, const char *reason)
{
    g->last = last;
    if (g->state != DRAINING)
        generation_move(g, last == QUARANTINED ? QUARANTINED : DRAINING, reason);
    end(g);
}

void generation_remove(struct generation *g, const char *reason)
{
    char words[320];
    struct plugin *p = g->plugin;
    g->last = RETIRED;
    if (!g->workflow || p->leases <= 0 || g->host->stopping) {
        generation_drain(g, RETIRED, reason);
        return;
    }
    g->workflow->draining = 1;
    snprintf(words, sizeof(words), "%s; %lld lease%s still run%s", reason, (long long)p->leases,
             p->leases == 1 ? "" : "s", p->leases == 1 ? "s" : "");
    generation_move(g, DRAINING, words);
}

void generation_disown(struct generation *g, const struct bp_err *err)
{
    if (g->manifest->kind == KIND_WORKFLOW)
        generation_remove(g, err->text);
    else
        log_error(LOG_HOST,
                  "%s: %s; its code stays in bpd until that ends: replace it, or restart bpd, which refuses it",
                  g->plugin->name, err->text);
}

void host_set_leases(struct host *h, const char *slug, int64_t leases)
{
    ASSERT_HOST(h);
    json_put_int(h->leases, slug, leases);
    for (struct plugin *p = h->plugins; p; p = p->next) {
        struct generation *g = p->current;
        if (!g || !g->workflow || strcmp(g->workflow->slug, slug) != 0)
            continue;
        p->leases = leases;
        if (g->state == DRAINING && leases <= 0)
            end(g);
        return;
    }
}
