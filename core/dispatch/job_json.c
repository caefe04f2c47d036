/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/job_json.h"

#include "dispatch/dispatch.h"
#include "dispatch/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const status_names[] = {NULL, "scheduled", "queued", "leased", "completed", "failed", "cancelled"};
#define N_STATUS ((int)(sizeof status_names / sizeof *status_names))

const char *job_status_name(int status)
{
    return status > 0 && status < N_STATUS ? status_names[status] : NULL;
}

int job_status_find(const char *name)
{
    for (int i = 1; name && i < N_STATUS; i++) {
        if (strcmp(name, status_names[i]) == 0)
            return i;
    }
    return 0;
}

/* As json-c writes it; whole numbers without its search for the digits of a double. */
void put_num(struct json_object *o, const char *key, double v)
{
    char text[24];
    if (!(v >= 0 && v < 1e9) || v != (double)(int)v || signbit(v)) { /* JSON has no infinity */
        put_new(o, key, isfinite(v) ? json_object_new_double(v) : NULL);
        return;
    }
    snprintf(text, sizeof text, "%d.0", (int)v);
    put_new(o, key, json_object_new_double_s(v, text));
}

void put_time(struct json_object *o, const char *key, int64_t ms)
{
    char text[TIME_SIZE];
    if (ms > 0)
        moment_text(ms, text);
    put_text(o, key, ms > 0 ? text : NULL);
}

static struct json_object *parse_as(const char *text, enum json_type type)
{
    struct json_object *v = NULL;
    if (text && strcmp(text, "{}") != 0 && strcmp(text, "[]") != 0) /* the usual empty ones cost no parse */
        v = json_parse(text, strlen(text), NULL);
    if (v && json_object_is_type(v, type))
        return v;
    json_object_put(v);
    return type == json_type_array ? json_object_new_array_ext(1) : json_object_new_object();
}

struct json_object *object_of(const char *text)
{
    return parse_as(text, json_type_object);
}

struct json_object *list_of(const char *text)
{
    return parse_as(text, json_type_array);
}

static void put_times(struct json_object *o, const struct bp_job_row *job)
{
    put_time(o, "created_at", job->created_ms);
    put_time(o, "not_before", job->not_before_ms);
    put_time(o, "started_at", job->first_leased_ms);
    put_time(o, "leased_at", job->leased_ms);
    put_time(o, "lease_expires_at", job->status == BP_JOB_LEASED ? job->lease_expires_ms : 0);
    put_time(o, "finished_at", job->finished_ms);
    put_time(o, "updated_at", job->updated_ms);
}

static void put_progress(struct json_object *o, const struct bp_job_row *job)
{
    put_num(o, "progress", job->progress);
    put_text(o, "progress_text", job->progress_text);
    put_int(o, "attempts", job->attempts);
    put_int(o, "max_attempts", job->max_attempts);
    put_int(o, "requeues", job->requeues);
    put_int(o, "priority", job->priority);
    put_text(o, "worker", job->worker);
    put_text(o, "error", job->error);
    put_new(o, "cancel_requested", json_object_new_boolean(job->cancel_requested != 0));
}

struct json_object *job_json(const struct bp_job_row *job, struct json_object *params, struct json_object *inputs)
{
    struct json_object *o = json_object_new_object();
    put_int(o, "id", job->id);
    put_text(o, "status", job_status_name(job->status));
    put_text(o, "tenant", job->tenant);
    put_text(o, "workflow", job->workflow);
    put_text(o, "effect", job->effect);
    put_new(o, "params", params ? json_object_get(params) : object_of(job->params));
    put_new(o, "inputs", inputs ? json_object_get(inputs) : list_of(job->inputs));
    put_progress(o, job);
    put_times(o, job);
    put_text(o, "idempotency_key", job->idempotency_key);
    put_text(o, "unique_key", job->unique_key);
    put_new(o, "after", job->after ? list_of(job->after) : NULL);
    put_new(o, "waits_for", job->waits_for >= 0 ? json_object_new_int(job->waits_for) : NULL);
    put_text(o, "provider_job_id", job->provider_job_id);
    put_new(o, "output", job->output ? object_of(job->output) : NULL);
    return o;
}

struct json_object *timeline_json(const struct bp_job_event *events, uint32_t n)
{
    struct json_object *list = json_object_new_array_ext((int)n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct json_object *o = json_object_new_object();
        put_int(o, "seq", events[i].seq);
        put_time(o, "at", events[i].at_ms);
        put_int(o, "at_ms", events[i].at_ms);
        put_text(o, "what", events[i].what);
        put_text(o, "who", events[i].who);
        put_text(o, "detail", events[i].detail);
        json_object_array_add(list, o);
    }
    return list;
}
