/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_priv.h - the metrics' inside, for the metric*.c files. */
#ifndef AWS_METRICS_PRIV_H
#define AWS_METRICS_PRIV_H

#include "aws.h"
#include "metric_buffer.h"

#include <pthread.h>

#define METRIC_DATUMS_MAX   1000 /* of one PutMetricData */
#define METRIC_SETS         2    /* datums of a sample: by WorkflowSlug, and by WorkflowSlug and Stage */
#define METRIC_SAMPLES_MAX  (METRIC_DATUMS_MAX / METRIC_SETS)
#define METRIC_BODY_MAX     (900U << 10) /* before it is packed; CloudWatch takes 1 MB */
#define METRIC_FUTURE_MS    7200000      /* CloudWatch takes no later ones */
#define METRIC_PERIOD_S     60
#define METRIC_ALARM_NAME_N 256
#define METRIC_WATCH_MAX    20 /* workflows at once */

struct background;
struct dashboard;

/* Samples that CloudWatch will never have, since the start. */
struct metric_losses {
    uint64_t late, pushed_out, refused;
};

struct metrics {
    struct aws *aws;
    const char *namespace;
    pthread_mutex_t mutex; /* of the members down to the next blank line */
    struct metric_buffer *buffer;
    struct metric_losses lost;
    uint64_t sent;   /* samples */
    char error[252]; /* why CloudWatch did not take the last ones; "": it did */

    /* Of the sender only. */
    struct background *sender;
    struct metric_losses told;
    struct bp_metric *batch; /* METRIC_SAMPLES_MAX */
    uint32_t limit;          /* samples of the next request; fewer after one was refused */
    int64_t rest_ms;         /* > 0: CloudWatch did not take the last one */
    int64_t told_ms, keep_ms;

    pthread_mutex_t watch_mutex; /* one thread at a time watches or unwatches */
    struct dashboard *dashboard; /* NULL: none is kept */
};

/* metrics_send.c: one request at most; as a step of background.h. */
int64_t metrics_send_step(void *metrics);

/* metrics_get.c */
int metrics_read(struct metrics *m, const char *name, const char *workflow, int64_t since_ms, struct bp_metric *out,
                 uint32_t *n, struct bp_err *err);

/* metric_alarms.c: puts those that differ from what is there; n <= METRIC_WATCH_MAX, so for dashboard_keep. */
int alarms_keep(struct metrics *m, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err);
int alarms_remove(struct metrics *m, const char *slug, const char *stage, struct bp_err *err);

/* The names of all alarms of a stage begin so. */
#define METRIC_ALARM_PREFIX "bpd-%s-"

/* metric_dashboard.c; all under watch_mutex. */
struct dashboard *dashboard_new(const struct metrics *m, struct bp_err *err);
void dashboard_free(struct dashboard *d);
int dashboard_keep(struct dashboard *d, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err);
int dashboard_remove(struct dashboard *d, const char *slug, struct bp_err *err);

#endif
