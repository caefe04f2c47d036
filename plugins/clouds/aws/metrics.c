/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - facet bp.metrics/1: samples go into a buffer, from where a thread sends them to CloudWatch; alarms and
 * the dashboard are made as they are asked for.
 */
#include "background.h"
#include "err.h"
#include "metrics_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS  3000
#define VALUE_MAX 0x1p360 /* CloudWatch refuses what is not smaller */

static int check(const struct bp_metric *s, struct bp_err *err)
{
    int ok = memchr(s->name, 0, sizeof s->name) && memchr(s->workflow, 0, sizeof s->workflow) &&
             memchr(s->stage, 0, sizeof s->stage) && memchr(s->unit, 0, sizeof s->unit);
    if (!ok || !s->name[0] || !s->workflow[0])
        return err_set(err, BP_INVALID, "a sample needs a name, a workflow and terminated texts");
    if (!isfinite(s->value) || fabs(s->value) >= VALUE_MAX)
        return err_set(err, BP_INVALID, "a sample of %s for %s has a value that CloudWatch has no room for", s->name,
                       s->workflow);
    return 0;
}

static int32_t put(void *inst, const struct bp_metric *samples, uint32_t n, struct bp_err *err)
{
    struct metrics *m = ((struct aws *)inst)->metrics;
    int rc = 0;
    if (!m)
        return err_set(err, BP_UNSUPPORTED, "workers publish no metrics");
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = check(&samples[i], err);
    if (rc < 0 || !n)
        return rc;
    pthread_mutex_lock(&m->mutex);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        int pushed_out;
        if (metric_buffer_add(m->buffer, &samples[i], &pushed_out) < 0)
            rc = err_set(err, BP_NOMEM, "no memory to keep %u of %u samples", n - i, n);
        m->lost.pushed_out += (uint64_t)pushed_out;
    }
    pthread_mutex_unlock(&m->mutex);
    background_wake(m->sender);
    return rc;
}

static int32_t get(void *inst, const char *name, const char *workflow, int64_t since_ms, struct bp_metric *out,
                   uint32_t *n, struct bp_err *err)
{
    struct metrics *m = ((struct aws *)inst)->metrics;
    if (!m)
        return err_set(err, BP_UNSUPPORTED, "workers read no metrics");
    if (!name || !workflow || !name[0] || !workflow[0])
        return err_set(err, BP_INVALID, "samples are asked for by metric and workflow");
    return metrics_read(m, name, workflow, since_ms, out, n, err);
}

/* Up to METRIC_WATCH_MAX of them, n. */
static int watch_some(struct metrics *m, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err)
{
    int rc = alarms_keep(m, specs, n, err);
    if (rc == 0 && m->dashboard)
        rc = dashboard_keep(m->dashboard, specs, n, err);
    return rc;
}

static int32_t watch(void *inst, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err)
{
    struct metrics *m = ((struct aws *)inst)->metrics;
    int rc = 0;
    if (!m)
        return err_set(err, BP_UNSUPPORTED, "workers watch over nothing");
    if (!n)
        return 0;
    const char *at = (const char *)specs;
    size_t step = specs->size, own = step < sizeof *specs ? step : sizeof *specs;
    pthread_mutex_lock(&m->watch_mutex);
    for (uint32_t done = 0; done < n && rc == 0;) {
        struct bp_metrics_watch some[METRIC_WATCH_MAX] = {0};
        uint32_t k = 0;
        for (; k < METRIC_WATCH_MAX && done < n; k++, done++)
            memcpy(&some[k], at + done * step, own);
        rc = watch_some(m, some, k, err);
    }
    pthread_mutex_unlock(&m->watch_mutex);
    return rc;
}

static int32_t unwatch(void *inst, const char *slug, const char *stage, struct bp_err *err)
{
    struct metrics *m = ((struct aws *)inst)->metrics;
    if (!m)
        return err_set(err, BP_UNSUPPORTED, "workers watch over nothing");
    pthread_mutex_lock(&m->watch_mutex);
    int rc = alarms_remove(m, slug, stage, err);
    if (rc == 0 && m->dashboard)
        rc = dashboard_remove(m->dashboard, slug, err);
    pthread_mutex_unlock(&m->watch_mutex);
    return rc;
}

/* ---- life ---- */

static int open_inside(struct metrics *m, struct bp_err *err)
{
    const struct settings *s = &m->aws->settings;
    m->buffer = metric_buffer_new((uint32_t)settings_int(s, "metricsBufferSamples", 200000));
    m->batch = calloc(METRIC_SAMPLES_MAX, sizeof *m->batch);
    if (!m->buffer || !m->batch)
        return err_set(err, BP_NOMEM, "no memory for metrics");
    if (settings_bool(s, "dashboard", 1) && !(m->dashboard = dashboard_new(m, err)))
        return err->rc;
    m->sender = background_start(metrics_send_step, m, err);
    return m->sender ? 0 : err->rc;
}

struct metrics *metrics_open(struct aws *a, struct bp_err *err)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m) {
        err_set(err, BP_NOMEM, "no memory for metrics");
        return NULL;
    }
    m->aws = a;
    m->namespace = settings_str(&a->settings, "metricsNamespace", "BP/Workers");
    m->keep_ms = settings_int(&a->settings, "metricsKeepMinutes", 180) * 60000;
    m->limit = METRIC_SAMPLES_MAX;
    pthread_mutex_init(&m->mutex, NULL);
    pthread_mutex_init(&m->watch_mutex, NULL);
    if (open_inside(m, err) == 0)
        return m;
    metrics_close(m);
    return NULL;
}

void metrics_close(struct metrics *m)
{
    if (!m)
        return;
    background_stop(m->sender, DRAIN_MS);
    if (m->buffer && metric_buffer_count(m->buffer))
        AWS_LOG(m->aws, BP_LOG_WARN, "%u samples of metrics end with the plugin: CloudWatch did not take them",
                metric_buffer_count(m->buffer));
    metric_buffer_free(m->buffer);
    dashboard_free(m->dashboard);
    pthread_mutex_destroy(&m->watch_mutex);
    pthread_mutex_destroy(&m->mutex);
    free(m->batch);
    free(m);
}

const struct bp_metrics metrics_facet = {
    .size = sizeof(struct bp_metrics), .put = put, .get = get, .watch = watch, .unwatch = unwatch};
