/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_call.c - calls of a cloud plugin's metrics, logs and notify:
 *
 *   {"call":"metrics","samples":[{"name":"QueueDepth","workflow":"w","stage":"prod","unit":"Count","at_ms":1,"value":2}]}
 *   {"call":"history","name":"QueueDepth","workflow":"w","since_ms":1,"n":10}   ->  {"rc":0,"samples":[{"at_ms":...}]}
 *   {"call":"watch","workflows":[{"slug":"w","stage":"prod","name":"W","backlog_target":2,"max_size":5,"empty_s":600}]}
 *   {"call":"unwatch","slug":"w","stage":"prod"}
 *   {"call":"log","group":"/bp/prod/bpd","stream":"a","lines":[[at_ms,"text"]]}
 *   {"call":"notify","subject":"s","message":"m","key":"k"}
 */
#include "facet_call.h"
#include <bp/cloud.h>

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX 50000

static void copy(struct json_object *o, const char *name, char *out, size_t n)
{
    const char *text = str(o, name);
    snprintf(out, n, "%s", text ? text : "");
}

static struct json_object *list_of(struct json_object *in, const char *name, size_t *n)
{
    struct json_object *list = NULL;
    json_object_object_get_ex(in, name, &list);
    *n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return list;
}

static int call_metrics(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    const struct bp_metrics *t = facet_of(BP_METRICS_FACET);
    size_t n;
    struct json_object *list = list_of(in, "samples", &n), *v;
    struct bp_metric *samples = calloc(n + 1, sizeof *samples);
    (void)out;
    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        copy(o, "name", samples[i].name, sizeof samples[i].name);
        copy(o, "workflow", samples[i].workflow, sizeof samples[i].workflow);
        copy(o, "stage", samples[i].stage, sizeof samples[i].stage);
        copy(o, "unit", samples[i].unit, sizeof samples[i].unit);
        samples[i].at_ms = num(o, "at_ms", 0);
        samples[i].value = json_object_object_get_ex(o, "value", &v) ? json_object_get_double(v) : 0;
    }
    int rc = t->put(inst, samples, (uint32_t)n, err);
    free(samples);
    return rc;
}

static int call_history(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    static struct bp_metric samples[SAMPLES_MAX];
    const struct bp_metrics *t = facet_of(BP_METRICS_FACET);
    struct json_object *list = json_object_new_array();
    uint32_t n = (uint32_t)num(in, "n", SAMPLES_MAX);
    int rc = t->get(inst, str(in, "name"), str(in, "workflow"), num(in, "since_ms", 0), samples, &n, err);
    for (uint32_t i = 0; i < n; i++) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "at_ms", json_object_new_int64(samples[i].at_ms));
        json_object_object_add(o, "value", json_object_new_double(samples[i].value));
        json_object_array_add(list, o);
    }
    json_object_object_add(out, "samples", list);
    return rc;
}

static int call_watch(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    const struct bp_metrics *t = facet_of(BP_METRICS_FACET);
    size_t n;
    struct json_object *list = list_of(in, "workflows", &n);
    struct bp_metrics_watch *specs = calloc(n + 1, sizeof *specs);
    (void)out;
    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        specs[i] = (struct bp_metrics_watch){.size = sizeof *specs,
                                             .backlog_target = (int32_t)num(o, "backlog_target", 2),
                                             .max_size = (int32_t)num(o, "max_size", 5),
                                             .empty_after_s = (int32_t)num(o, "empty_s", 600),
                                             .slug = str(o, "slug"),
                                             .stage = str(o, "stage"),
                                             .display_name = str(o, "name")};
    }
    int rc = t->watch(inst, specs, (uint32_t)n, err);
    free(specs);
    return rc;
}

static int call_unwatch(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    const struct bp_metrics *t = facet_of(BP_METRICS_FACET);
    (void)out;
    return t->unwatch(inst, str(in, "slug"), str(in, "stage"), err);
}

static int call_log(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    const struct bp_logs *t = facet_of(BP_LOGS_FACET);
    size_t n;
    struct json_object *list = list_of(in, "lines", &n);
    struct bp_log_line *lines = calloc(n + 1, sizeof *lines);
    (void)out;
    for (size_t i = 0; i < n; i++) {
        struct json_object *pair = json_object_array_get_idx(list, i);
        lines[i].at_ms = json_object_get_int64(json_object_array_get_idx(pair, 0));
        lines[i].text = json_object_get_string(json_object_array_get_idx(pair, 1));
    }
    int rc = t->put_at(inst, str(in, "group"), str(in, "stream"), lines, (uint32_t)n, err);
    free(lines);
    return rc;
}

static int call_notify(void *inst, struct json_object *in, struct json_object *out, struct bp_err *err)
{
    const struct bp_notify *t = facet_of(BP_NOTIFY_FACET);
    (void)out;
    return t->send(inst, str(in, "subject"), str(in, "message"), str(in, "key"), err);
}

const struct facet_call facet_calls[] = {
    {"metrics", call_metrics}, {"history", call_history}, {"watch", call_watch}, {"unwatch", call_unwatch},
    {"log", call_log},         {"notify", call_notify},   {NULL, NULL},
};
