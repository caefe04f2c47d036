/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - the minute's metrics, with the names and formulas operators already have alarms on. */
#include "scale_priv.h"

#include "log/json.h"
#include "log/log.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUT_TIMEOUT_MS 30000

/* One row a metric: its name, unit, and how it is computed from statistics and fleet counts. */
struct metric_row {
    const char *name, *unit;
    double (*value)(const struct bp_queue_stats_row *q, const struct bp_view *v);
};

static double depth(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return (double)(q->queued + q->leased);
}

static double workers(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return (double)q->active_workers;
}

/* QueueDepth / ActiveWorkers, two decimals; QueueDepth when there is no worker. */
static double backlog(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    return q->active_workers > 0 ? round(depth(q, v) / (double)q->active_workers * 100) / 100 : depth(q, v);
}

static double capacity(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return q->available_capacity > 0 ? (double)q->available_capacity : 0;
}

static double run_p50(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return q->run_p50_s;
}

/* Percent of the jobs finished within five minutes that failed, two decimals; 0 when none finished. */
static double error_rate(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    int64_t all = q->completed_recent + q->failed_recent;
    return all > 0 ? round(1e4 * (double)q->failed_recent / (double)all) / 100 : 0;
}

static double expired(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return (double)q->lease_expired_recent;
}

static double interrupted(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return (double)q->interrupted_recent;
}

static double wait_p95(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)v;
    return q->wait_p95_s;
}

static double launch_failures(const struct bp_queue_stats_row *q, const struct bp_view *v)
{
    (void)q;
    return v->launch_failures;
}

static const struct metric_row rows[SCALE_METRICS] = {
    {"QueueDepth", "Count", depth},           {"BacklogPerInstance", "Count", backlog},
    {"ActiveWorkers", "Count", workers},      {"AvailableCapacity", "Count", capacity},
    {"JobProcessingP50", "Seconds", run_p50}, {"ErrorRate", "Percent", error_rate},
    {"LeaseExpiredCount", "Count", expired},  {"SpotInterruptionCount", "Count", interrupted},
    {"QueueWaitP95", "Seconds", wait_p95},    {"LaunchFailures", "Count", launch_failures},
};

int metric_is_published(const char *name)
{
    for (size_t i = 0; i < SCALE_METRICS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return 1;
    return 0;
}

struct batch {
    struct scale *scale;
    uint32_t n, room, workflows;
    struct bp_metric *samples;
};

static void batch_free(void *arg)
{
    struct batch *b = arg;
    free(b->samples);
    free(b);
}

static int reserve(struct batch *b)
{
    if (b->n + SCALE_METRICS <= b->room)
        return 1;
    uint32_t room = b->room ? b->room * 2 : 8 * SCALE_METRICS;
    struct bp_metric *more = realloc(b->samples, room * sizeof *more);
    if (!more)
        return 0;
    b->samples = more;
    b->room = room;
    return 1;
}

static void add_workflow(const struct workflow *w, void *arg)
{
    struct batch *b = arg;
    struct scale *s = b->scale;
    struct scale_item *item = scale_item_find(s, w->slug);
    struct bp_view v;
    if (!item || !reserve(b))
        return;
    (void)view_build(s, w, item, &v); /* a fleet that is not known yet counts zero */
    for (uint32_t i = 0; i < SCALE_METRICS; i++) {
        struct bp_metric *m = &b->samples[b->n++];
        memset(m, 0, sizeof *m);
        snprintf(m->name, sizeof m->name, "%s", rows[i].name);
        snprintf(m->unit, sizeof m->unit, "%s", rows[i].unit);
        snprintf(m->workflow, sizeof m->workflow, "%s", w->slug);
        snprintf(m->stage, sizeof m->stage, "%s", config_str(s->config, CONFIG_STAGE));
        m->at_ms = v.now_ms;
        m->value = rows[i].value(&item->stats, &v);
        item->latest[i] = *m;
    }
    item->n_latest = SCALE_METRICS;
    b->workflows++;
}

/* On the provider's thread. */
static int run_put(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct bp_metrics *metrics = table;
    struct batch *b = args;
    return metrics->put(inst, b->samples, b->n, err);
}

static void was_put(void *args, const struct bp_err *err, void *arg)
{
    struct scale *s = arg;
    struct batch *b = args;
    if (err->rc < 0)
        log_warn(LOG_SCALE, "metrics of this period are lost: %s", err->text);
    else
        bus_publish(s->bus, EVENT_METRICS_PUBLISHED, (int64_t)b->workflows, (int64_t)b->n);
}

void metrics_publish(void *arg)
{
    struct scale *s = arg;
    struct bp_err err;
    struct lead_term term;
    struct batch *b = leads_now(&s->leads, &term) ? calloc(1, sizeof *b) : NULL;
    if (!b)
        return;
    b->scale = s;
    if (s->last_stats_ms && !s->stats_error[0]) /* zeros are facts; without statistics there is no fact */
        host_each_workflow(s->host, add_workflow, b);
    if (b->n == 0) {
        batch_free(b);
        return;
    }
    struct request_spec spec = {.service = "metrics",
                                .name = "metrics.put",
                                .run = run_put,
                                .args = b,
                                .args_free = batch_free,
                                .reply = was_put,
                                .arg = s,
                                .timeout_ms = PUT_TIMEOUT_MS};
    if (bus_request(s->bus, &spec, &err) < 0)
        log_warn(LOG_SCALE, "metrics of this period are lost: %s", err.text);
}

struct json_object *scale_metrics(struct scale *s)
{
    struct json_object *list = json_object_new_array();
    for (struct scale_item *i = s->items; i; i = i->next)
        for (uint32_t k = 0; k < i->n_latest; k++) {
            struct json_object *o = json_object_new_object();
            json_put_str(o, "workflow", i->slug);
            json_put_str(o, "name", i->latest[k].name);
            json_put_str(o, "unit", i->latest[k].unit);
            json_put_int(o, "at_ms", i->latest[k].at_ms);
            json_put_num(o, "value", i->latest[k].value);
            json_object_array_add(list, o);
        }
    return list;
}

void scale_each_metric(struct scale *s, void (*fn)(const char *slug, const struct bp_metric *m, void *arg), void *arg)
{
    for (const struct scale_item *i = s->items; i; i = i->next)
        for (uint32_t k = 0; k < i->n_latest; k++)
            fn(i->slug, &i->latest[k], arg);
}
