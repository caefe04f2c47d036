/* SPDX-License-Identifier: Apache-2.0 */
/* attempt_lease.c - keeping the lease: heartbeats on their own timer, progress, fresh URLs, and what the answers say.
 */
#include "log/log.h"
#include "worker/attempt_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_MS     1000 /* progress goes out at most so often */
#define TELL_OLD_MS 5000 /* and so often when nothing is new: its answer may say that the job is cancelled */
#define BEAT_MIN_MS 50

static void beat(void *arg);
static void tell_now(void *arg);

/* A third of the lease, or as often as the controller asks, or as configured: whichever is the shortest. */
static int64_t beat_period(const struct attempt *a)
{
    double s = config_num(a->w->config, CONFIG_WORKER_HEARTBEAT_S);
    double asked = json_num(a->job, "heartbeat_seconds", s);
    double lease = json_num(a->job, "lease_seconds", 3 * s) / 3;
    s = asked > 0 && asked < s ? asked : s;
    s = lease > 0 && lease < s ? lease : s;
    int64_t ms = (int64_t)(s * 1000);
    return ms < BEAT_MIN_MS ? BEAT_MIN_MS : ms;
}

void attempt_start_beating(struct attempt *a)
{
    a->urls_ms = a->answered_ms = mono_ms();
    a->told_ms = -TELL_MS;
    a->beat_ms = beat_period(a);
    a->beat = loop_timer_new(a->w->loop, "worker.heartbeat", beat, a);
    a->tell = loop_timer_new(a->w->loop, "worker.progress", tell_now, a);
    if (!a->beat || !a->tell)
        abort(); /* a few bytes, right after a poll's answer was parsed */
    loop_timer_after(a->beat, a->beat_ms);
}

void attempt_stop_beating(struct attempt *a)
{
    api_cancel(&a->beat_call);
    api_cancel(&a->tell_call);
    loop_timer_free(a->beat);
    loop_timer_free(a->tell);
    a->beat = a->tell = NULL;
}

/* What any accepted heartbeat or progress call may bring. 1: a is gone. */
static int heed(struct attempt *a, struct json_object *data)
{
    a->answered_ms = mono_ms();
    worker_drains(a->w, json_truth(data, "draining", 0));
    if (json_truth(data, "cancel", 0) && !a->cancelled && a->stage < ATTEMPT_SAVING) {
        attempt_cancel(a);
        return 1;
    }
    return 0;
}

/* 404: someone else has the job, or it is finished. 1: a is gone. */
static int refused(struct attempt *a, const struct api_answer *answer, const char *what)
{
    if (answer->status == 404 || answer->status == 409) {
        if (a->stage == ATTEMPT_REPORTING)
            return 0; /* the report's own answer decides */
        attempt_lost(a, answer->message);
        return 1;
    }
    if (answer->status == 401)
        worker_unauthorized(a->w, answer);
    else
        log_debug(LOG_WORKER, "job %lld: %s: %s (status %d)", (long long)a->id, what, answer->message, answer->status);
    return 0;
}

/* ---- URLs ---- */

static void take_url(struct json_object *from, const char *name, struct json_object *into)
{
    const char *url = json_str(from, name, NULL);
    if (url)
        json_put_str(into, name, url);
}

static void take_inputs(struct attempt *a, struct json_object *fresh)
{
    struct json_object *ours = json_member(a->input, "inputs");
    if (!ours || !fresh || !json_object_is_type(fresh, json_type_array))
        return;
    size_t n = json_object_array_length(fresh);
    for (size_t i = 0; i < n && i < a->n_inputs; i++)
        take_url(json_object_array_get_idx(fresh, i), "url", json_object_array_get_idx(ours, i));
}

static void take_urls(struct attempt *a, struct json_object *data)
{
    if (!json_str(data, "output_url", NULL) && !json_str(data, "input_url", NULL))
        return; /* a controller that cannot */
    take_url(data, "input_url", a->job);
    take_url(data, "output_url", a->job);
    take_url(data, "checkpoint_upload_url", a->input);
    take_url(data, "checkpoint_url", a->input);
    take_inputs(a, json_member(data, "inputs"));
    struct json_object *headers = json_member(data, "output_headers");
    if (headers)
        json_object_object_add(a->job, "output_headers", json_object_get(headers));
    a->urls_ms = mono_ms();
}

/* The lifetime that the URL itself names (as S3's do), else the one configured here. */
static int64_t url_life_ms(const struct attempt *a, const char *url)
{
    const char *amz = url ? strstr(url, "X-Amz-Expires=") : NULL;
    int64_t s = amz ? strtoll(amz + sizeof("X-Amz-Expires=") - 1, NULL, 10) : 0;
    return (s > 0 ? s : config_int(a->w->config, CONFIG_DISPATCH_URL_TTL_S)) * 1000;
}

int attempt_urls_are_old(const struct attempt *a, const char *url)
{
    return mono_ms() - a->urls_ms > url_life_ms(a, url) / 2;
}

void attempt_refresh(struct attempt *a, void (*fn)(struct attempt *a))
{
    a->refreshed = fn;
    if (!a->beat_call)
        beat(a);
}

/* ---- heartbeats ---- */

static void beaten(const struct api_answer *answer, void *arg)
{
    struct attempt *a = arg;
    a->beat_call = NULL;
    int good = answer->status >= 200 && answer->status <= 299;
    /* A missed one is tried again soon: three fit into a lease. */
    int64_t next = good ? a->beat_ms : a->beat_ms / 4 + 1;
    loop_timer_after(a->beat, a->refreshed && !(good && a->beat_refreshes) ? next / 4 + 1 : next);
    if (!good) {
        refused(a, answer, "heartbeat");
        return;
    }
    void (*refreshed)(struct attempt *) = a->beat_refreshes ? a->refreshed : NULL;
    if (a->beat_refreshes)
        take_urls(a, answer->data);
    if (refreshed)
        a->refreshed = NULL;
    if (!heed(a, answer->data) && refreshed)
        refreshed(a);
}

static void beat(void *arg)
{
    struct attempt *a = arg;
    struct json_object *body = attempt_body(a);
    if (a->beat_call) {
        json_object_put(body);
        return;
    }
    a->beat_refreshes = a->refreshed != NULL;
    if (a->beat_refreshes)
        json_put_bool(body, "refresh_urls", 1);
    int64_t wait = a->beat_ms * 2 > 2000 ? a->beat_ms * 2 : 2000;
    a->beat_call = api_post(a->w, "heartbeat", body, wait < API_TIMEOUT_MS ? wait : API_TIMEOUT_MS, beaten, a);
}

/* ---- progress ---- */

static void told(const struct api_answer *answer, void *arg)
{
    struct attempt *a = arg;
    a->tell_call = NULL;
    if (answer->status >= 200 && answer->status <= 299) {
        if (heed(a, answer->data))
            return;
    } else {
        if (refused(a, answer, "progress"))
            return;
        a->key_untold = a->saved;
    }
    if (a->untold || a->key_untold)
        attempt_tell(a);
}

static void tell_now(void *arg)
{
    struct attempt *a = arg;
    struct json_object *body = attempt_body(a);
    json_put_num(body, "progress", a->fraction);
    json_put_str(body, "text", a->text);
    if (a->key_untold)
        json_put_str(body, "checkpoint_key", json_str(a->input, "checkpoint_key", NULL));
    a->untold = a->news = a->key_untold = 0;
    a->told_ms = mono_ms();
    a->tell_call = api_post(a->w, "progress", body, API_TIMEOUT_MS, told, a);
}

void attempt_tell(struct attempt *a)
{
    int64_t since = mono_ms() - a->told_ms, rest = a->news || a->key_untold ? TELL_MS : TELL_OLD_MS;
    if (!a->tell_call && a->stage != ATTEMPT_REPORTING)
        loop_timer_after(a->tell, since >= rest ? 0 : rest - since);
}
