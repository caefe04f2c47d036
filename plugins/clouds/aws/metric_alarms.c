/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_alarms.c - the alarms of a workflow, one row each; one is put only when it is not there as it should be.
 *
 * Whether an alarm's actions are switched on is the operator's: a correction leaves that as it is.
 */
#include "client.h"
#include "err.h"
#include "form.h"
#include "metrics_priv.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DESCRIBE_MAX 100
#define ACTIONS_MAX  5
#define DAY_MINUTES  1440 /* an alarm looks back so far */
#define STEP_FACTOR  2.5  /* from here on, in backlogTargets, scaling adds two at a time */

/* What is wanted. */
struct alarm {
    char name[METRIC_ALARM_NAME_N], description[400];
    const char *metric, *statistic, *comparison, *missing;
    double threshold;
    int64_t minutes;
    int acts;
    const char *slug, *stage;
};

enum { HAS_JOBS, BACKLOG_HIGH, QUEUE_EMPTY, NO_METRICS, LAUNCH_FAILURES, N_ALARMS };
_Static_assert(METRIC_WATCH_MAX *N_ALARMS <= DESCRIBE_MAX, "one call describes the alarms of one watch");

static const struct {
    const char *suffix, *metric, *statistic, *comparison, *missing;
    int acts; /* 1: people are told; the others are there to be looked at */
} rows[N_ALARMS] = {
    [HAS_JOBS] = {"queue-has-jobs", "QueueDepth", "Maximum", "GreaterThanOrEqualToThreshold", "notBreaching", 0},
    [BACKLOG_HIGH] = {"backlog-high", "BacklogPerInstance", "Minimum", "GreaterThanThreshold", "notBreaching", 1},
    [QUEUE_EMPTY] = {"queue-empty", "QueueDepth", "Maximum", "LessThanThreshold", "ignore", 0},
    [NO_METRICS] = {"no-metrics", "QueueDepth", "SampleCount", "LessThanThreshold", "breaching", 1},
    [LAUNCH_FAILURES] = {"launch-failures", "LaunchFailures", "Maximum", "GreaterThanOrEqualToThreshold",
                         "notBreaching", 1},
};

static void name_alarm(char out[METRIC_ALARM_NAME_N], const char *stage, const char *slug, int row)
{
    snprintf(out, METRIC_ALARM_NAME_N, METRIC_ALARM_PREFIX "%s-%s", stage, slug, rows[row].suffix);
}

static void describe(struct alarm *a, int row, const struct bp_metrics_watch *w)
{
    char *d = a->description;
    size_t n = sizeof a->description;
    const char *who = w->display_name && w->display_name[0] ? w->display_name : w->slug;
    if (row == HAS_JOBS)
        snprintf(d, n, "%s: jobs wait or run.", who);
    else if (row == BACKLOG_HIGH)
        snprintf(d, n,
                 "%s: more than %g jobs an instance for %lld minutes; the fleet does not keep up. Its most is %d.", who,
                 a->threshold, (long long)a->minutes, (int)w->max_size);
    else if (row == QUEUE_EMPTY)
        snprintf(d, n, "%s: no job for %lld minutes; the fleet goes to zero.", who, (long long)a->minutes);
    else if (row == NO_METRICS)
        snprintf(d, n, "%s: bpd has published nothing for %lld minutes. Does it run, and lead?", who,
                 (long long)a->minutes);
    else
        snprintf(d, n, "%s: %g launches or more failed within ten minutes. See: bpctl fleet %s", who, a->threshold,
                 w->slug);
}

static void want(const struct metrics *m, const struct bp_metrics_watch *w, int row, struct alarm *a)
{
    const struct settings *s = &m->aws->settings;
    int64_t empty = w->empty_after_s > 0 ? (w->empty_after_s + 59) / 60 : 1;
    memset(a, 0, sizeof *a);
    name_alarm(a->name, w->stage, w->slug, row);
    a->metric = rows[row].metric;
    a->statistic = rows[row].statistic;
    a->comparison = rows[row].comparison;
    a->missing = rows[row].missing;
    a->acts = rows[row].acts;
    a->slug = w->slug;
    a->stage = w->stage;
    a->threshold = 1;
    a->minutes = 1;
    if (row == BACKLOG_HIGH) {
        a->threshold = STEP_FACTOR * (w->backlog_target > 0 ? w->backlog_target : 1);
        a->minutes = settings_int(s, "alarmBacklogMinutes", 10);
    } else if (row == QUEUE_EMPTY) {
        a->minutes = empty < DAY_MINUTES ? empty : DAY_MINUTES;
    } else if (row == NO_METRICS) {
        a->minutes = settings_int(s, "alarmNoMetricsMinutes", 5);
    } else if (row == LAUNCH_FAILURES) {
        a->threshold = (double)settings_int(s, "alarmLaunchFailures", 3);
    }
    describe(a, row, w);
}

/* Who is told: alarmActions, else the topic of notifications. Returns how many. */
static int actions(const struct metrics *m, const char *out[ACTIONS_MAX])
{
    const struct settings *s = &m->aws->settings;
    struct json_object *list = settings_member(s, "alarmActions");
    const char *topic = settings_str(s, "snsTopicArn", "");
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    int k = 0;
    for (size_t i = 0; i < n && k < ACTIONS_MAX; i++) {
        struct json_object *arn = json_object_array_get_idx(list, i);
        if (json_object_is_type(arn, json_type_string))
            out[k++] = json_object_get_string(arn);
    }
    if (!k && topic[0] && !strstr(topic, ".fifo")) /* alarms send to standard topics only */
        out[k++] = topic;
    return k;
}

/* ---- what is there ---- */

static int has_actions(const struct xml *x, const char *path, const char *const *wanted, int n)
{
    int k = 0;
    for (const struct xml *a = xml_first(x, path); a; a = xml_next(a), k++)
        if (k >= n || strcmp(xml_text(a, ""), wanted[k]) != 0)
            return 0;
    return k == n;
}

static int has_dimensions(const struct xml *x, const struct alarm *a)
{
    int found = 0, others = 0;
    for (const struct xml *d = xml_first(x, "Dimensions/member"); d; d = xml_next(d)) {
        const char *name = xml_text(d, "Name"), *value = xml_text(d, "Value");
        int is = (strcmp(name, "WorkflowSlug") == 0 && strcmp(value, a->slug) == 0) ||
                 (strcmp(name, "Stage") == 0 && strcmp(value, a->stage) == 0);
        found += is;
        others += !is;
    }
    return found == 2 && !others;
}

static int is_text(const struct xml *x, const char *path, const char *wanted)
{
    return strcmp(xml_text(x, path), wanted) == 0;
}

static int is_as_wanted(const struct metrics *m, const struct xml *x, const struct alarm *a)
{
    const char *told[ACTIONS_MAX];
    int n = a->acts ? actions(m, told) : 0;
    return is_text(x, "Namespace", m->namespace) && is_text(x, "MetricName", a->metric) &&
           is_text(x, "Statistic", a->statistic) && is_text(x, "ComparisonOperator", a->comparison) &&
           is_text(x, "TreatMissingData", a->missing) && is_text(x, "AlarmDescription", a->description) &&
           xml_int(x, "Period", 0) == METRIC_PERIOD_S && xml_int(x, "EvaluationPeriods", 0) == a->minutes &&
           fabs(strtod(xml_text(x, "Threshold"), NULL) - a->threshold) < 1e-9 && has_dimensions(x, a) &&
           has_actions(x, "AlarmActions/member", told, n) && has_actions(x, "OKActions/member", told, n);
}

static const struct xml *find(const struct reply *r, const char *name)
{
    const struct xml *x = xml_first(xml_result(r->xml), "MetricAlarms/member");
    while (x && strcmp(xml_text(x, "AlarmName"), name) != 0)
        x = xml_next(x);
    return x;
}

/* The alarms of n names, in r. */
static int ask(const struct metrics *m, char (*names)[METRIC_ALARM_NAME_N], uint32_t n, struct reply *r,
               struct bp_err *err)
{
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to read alarms");
    for (uint32_t i = 0; i < n; i++)
        form_put(f, names[i], "AlarmNames.member.%u", i + 1);
    form_put_int(f, DESCRIBE_MAX, "MaxRecords");
    int rc = client_query(m->aws->client, AWS_OP_CLOUDWATCH_DESCRIBE_ALARMS, f, names[0], r, err);
    form_free(f);
    return rc;
}

/* ---- putting ---- */

static struct form *alarm_form(const struct metrics *m, const struct alarm *a, int acts)
{
    const char *told[ACTIONS_MAX];
    int n = a->acts ? actions(m, told) : 0;
    struct form *f = form_new();
    if (!f)
        return NULL;
    form_put(f, a->name, "AlarmName");
    form_put(f, a->description, "AlarmDescription");
    form_put_bool(f, acts, "ActionsEnabled");
    for (int i = 0; i < n; i++) {
        form_put(f, told[i], "AlarmActions.member.%d", i + 1);
        form_put(f, told[i], "OKActions.member.%d", i + 1);
    }
    form_put(f, m->namespace, "Namespace");
    form_put(f, a->metric, "MetricName");
    form_put(f, "WorkflowSlug", "Dimensions.member.1.Name");
    form_put(f, a->slug, "Dimensions.member.1.Value");
    form_put(f, "Stage", "Dimensions.member.2.Name");
    form_put(f, a->stage, "Dimensions.member.2.Value");
    form_put(f, a->statistic, "Statistic");
    form_put_int(f, METRIC_PERIOD_S, "Period");
    form_put_int(f, a->minutes, "EvaluationPeriods");
    form_put_num(f, a->threshold, "Threshold");
    form_put(f, a->comparison, "ComparisonOperator");
    form_put(f, a->missing, "TreatMissingData");
    return f;
}

/* CloudWatch takes three of these calls a second. */
static void pace(const struct metrics *m)
{
    int64_t ms = settings_int(&m->aws->settings, "alarmPaceMilliseconds", 350);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

static int put_alarm(const struct metrics *m, const struct alarm *a, const struct xml *there, struct bp_err *err)
{
    struct reply r = {0};
    char what[METRIC_ALARM_NAME_N + 8];
    struct form *f = alarm_form(m, a, !there || !is_text(there, "ActionsEnabled", "false"));
    snprintf(what, sizeof what, "alarm %s", a->name);
    int rc = f ? client_query(m->aws->client, AWS_OP_CLOUDWATCH_PUT_METRIC_ALARM, f, what, &r, err)
               : err_set(err, BP_NOMEM, "no memory to put %s", what);
    reply_free(&r);
    form_free(f);
    if (rc == 0)
        pace(m);
    return rc;
}

int alarms_keep(struct metrics *m, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err)
{
    char names[METRIC_WATCH_MAX * N_ALARMS][METRIC_ALARM_NAME_N];
    struct reply r = {0};
    if (!settings_bool(&m->aws->settings, "alarms", 1))
        return 0;
    for (uint32_t i = 0; i < n * N_ALARMS; i++)
        name_alarm(names[i], specs[i / N_ALARMS].stage, specs[i / N_ALARMS].slug, (int)(i % N_ALARMS));
    int rc = ask(m, names, n * N_ALARMS, &r, err);
    for (uint32_t i = 0; i < n * N_ALARMS && rc == 0; i++) {
        struct alarm a;
        const struct xml *there = find(&r, names[i]);
        want(m, &specs[i / N_ALARMS], (int)(i % N_ALARMS), &a);
        if (!there || !is_as_wanted(m, there, &a))
            rc = put_alarm(m, &a, there, err);
    }
    reply_free(&r);
    return rc;
}

int alarms_remove(struct metrics *m, const char *slug, const char *stage, struct bp_err *err)
{
    char names[N_ALARMS][METRIC_ALARM_NAME_N];
    struct reply r = {0}, gone = {0};
    struct form *f = settings_bool(&m->aws->settings, "alarms", 1) ? form_new() : NULL;
    uint32_t n = 0;
    if (!f)
        return 0;
    for (int i = 0; i < N_ALARMS; i++)
        name_alarm(names[i], stage, slug, i);
    int rc = ask(m, names, N_ALARMS, &r, err);
    /* One name that is not there would keep the others. */
    for (int i = 0; i < N_ALARMS && rc == 0; i++)
        if (find(&r, names[i]))
            form_put(f, names[i], "AlarmNames.member.%u", ++n);
    if (rc == 0 && n)
        rc = client_query(m->aws->client, AWS_OP_CLOUDWATCH_DELETE_ALARMS, f, slug, &gone, err);
    reply_free(&gone);
    reply_free(&r);
    form_free(f);
    return rc == BP_NOTFOUND ? 0 : rc;
}
