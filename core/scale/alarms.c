/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alarms.c - keeps the metrics provider's alarms and dashboards like the workflows are: asked for when one appears or
 * changes, a few at a time, since providers allow few such calls a second; taken away when one retires.
 */
#include "scale_priv.h"

#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKFLOWS_AT_ONCE 8
#define WATCH_TIMEOUT_MS  300000
#define REST_MS           60000

/* One question: up to WORKFLOWS_AT_ONCE workflows to watch, or one to watch no more. */
struct ask {
    struct scale *scale; /* [loop] only */
    uint32_t n;
    int unwatch;
    struct bp_metrics_watch specs[WORKFLOWS_AT_ONCE];
    char slugs[WORKFLOWS_AT_ONCE][128], names[WORKFLOWS_AT_ONCE][128], stage[33];
};

static struct scale_alarms like(const struct workflow *w)
{
    int32_t empty_s = w->scale_to_zero_s > 0 ? (int32_t)w->scale_to_zero_s : w->scale_to_zero_minutes * 60;
    return (struct scale_alarms){w->backlog_target, w->max_size, empty_s};
}

static void add_changed(const struct workflow *w, void *arg)
{
    struct ask *a = arg;
    struct scale_item *item = scale_item_find(a->scale, w->slug);
    struct scale_alarms wanted = like(w);
    if (!item || w->draining || a->n == WORKFLOWS_AT_ONCE || memcmp(&item->alarms, &wanted, sizeof wanted) == 0)
        return;
    snprintf(a->slugs[a->n], sizeof a->slugs[0], "%s", w->slug);
    snprintf(a->names[a->n], sizeof a->names[0], "%s", w->display_name ? w->display_name : w->slug);
    a->specs[a->n] = (struct bp_metrics_watch){.size = sizeof a->specs[0],
                                               .backlog_target = wanted.backlog_target,
                                               .max_size = wanted.max_size,
                                               .empty_after_s = wanted.empty_after_s,
                                               .slug = a->slugs[a->n],
                                               .stage = a->stage,
                                               .display_name = a->names[a->n]};
    a->n++;
}

/* On the provider's thread. */
static int run_watch(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_metrics *t = table;
    const struct ask *a = args;
    if (a->unwatch)
        return BP_HAS(t, unwatch) ? t->unwatch(inst, a->slugs[0], a->stage, err) : BP_OK;
    return BP_HAS(t, watch) ? t->watch(inst, a->specs, a->n, err) : BP_OK;
}

static void watched(void *args, const struct bp_err *err, void *arg)
{
    struct scale *s = arg;
    const struct ask *a = args;
    s->watching = 0;
    if (err->rc < 0) {
        if (strcmp(s->watch_error, err->text) != 0)
            log_warn(LOG_SCALE, "alarms and dashboards are not as they should be, tried again every minute: %s",
                     err->text);
        snprintf(s->watch_error, sizeof s->watch_error, "%s", err->text);
        s->watch_after_ms = mono_ms() + REST_MS;
        return;
    }
    s->watch_error[0] = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        struct scale_item *item = a->unwatch ? NULL : scale_item_find(s, a->slugs[i]);
        const struct bp_metrics_watch *w = &a->specs[i];
        if (item)
            item->alarms = (struct scale_alarms){w->backlog_target, w->max_size, w->empty_after_s};
    }
    if (s->started)
        alarms_keep(s);
}

static void put_question(struct scale *s, struct ask *a, request_reply reply)
{
    struct bp_err err = {0};
    struct request_spec spec = {.service = "metrics",
                                .name = a->unwatch ? "metrics.unwatch" : "metrics.watch",
                                .run = run_watch,
                                .args = a,
                                .args_free = free,
                                .reply = reply,
                                .arg = s,
                                .timeout_ms = WATCH_TIMEOUT_MS};
    if (bus_request(s->bus, &spec, &err) == 0)
        s->watching += reply == watched;
    else
        s->watch_after_ms = mono_ms() + REST_MS;
}

static struct ask *ask_new(struct scale *s)
{
    struct ask *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->scale = s;
    snprintf(a->stage, sizeof a->stage, "%s", config_str(s->config, CONFIG_STAGE));
    return a;
}

void alarms_keep(struct scale *s)
{
    struct lead_term term;
    if (s->watching || mono_ms() < s->watch_after_ms || !leads_now(&s->leads, &term) ||
        !bus_has_service(s->bus, "metrics"))
        return;
    struct ask *a = ask_new(s);
    if (a)
        host_each_workflow(s->host, add_changed, a);
    if (a && a->n)
        put_question(s, a, watched);
    else
        free(a);
}

static void unwatched(void *args, const struct bp_err *err, void *arg)
{
    (void)arg;
    if (err->rc == BP_TIMEOUT)
        log_warn(LOG_SCALE, "alarms of a retired workflow may still be there: %s", err->text);
    else if (err->rc < 0)
        log_warn(LOG_SCALE, "the alarms of the retired %s stay: %s", ((const struct ask *)args)->slugs[0], err->text);
}

void alarms_drop(struct scale *s, const struct scale_item *item)
{
    struct lead_term term;
    struct ask *a = leads_now(&s->leads, &term) && item->alarms.max_size ? ask_new(s) : NULL;
    if (!a)
        return;
    a->unwatch = 1;
    a->n = 1;
    snprintf(a->slugs[0], sizeof a->slugs[0], "%s", item->slug);
    put_question(s, a, unwatched);
}
