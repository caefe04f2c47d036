/* SPDX-License-Identifier: Apache-2.0 */
/* poll.c - asking for a job, one long poll after another. */
#include "log/log.h"
#include "worker/attempt.h"
#include "worker/worker_priv.h"

#include <string.h>

/* A controller that does not know wait_seconds answers at once: it is asked no more often than this. */
#define SHORT_POLL_MS   3000
#define DRAINED_POLL_MS 1000
#define SPARE_MS        30000
#define RENEWAL_MS      250   /* mostly enough for a new token; the former one serves too */
#define BROKEN_POLL_MS  10000 /* a worker with a broken device stays in sight */

static void poll_again(void *arg)
{
    worker_poll(arg);
}

void worker_poll_later(struct worker *w, int64_t delay_ms)
{
    w->on_again = poll_again;
    loop_timer_after(w->again, delay_ms);
}

static void poll_failed(struct worker *w, const struct api_answer *a)
{
    int64_t delay = backoff_next_ms(&w->backoff, a->retry_after_s);
    if (a->status == 401) {
        worker_unauthorized(w, a);
        if (!w->token[0]) {
            worker_register(w);
            return;
        }
    } else {
        log_write(LOG_WORKER, w->warned ? BP_LOG_DEBUG : BP_LOG_WARN, "poll %s: %s (status %d); trying again in %.1f s",
                  w->url, a->message, a->status, (double)delay / 1000);
        w->warned = 1;
    }
    worker_poll_later(w, delay);
}

/* It stays, without a job, until its instance is ended or it is wanted again: a drain can be cancelled. */
void worker_drains(struct worker *w, int draining)
{
    if (draining && !w->draining)
        log_info(LOG_WORKER, "this worker is draining: it takes no more jobs");
    else if (!draining && w->draining)
        log_info(LOG_WORKER, "this worker takes jobs again");
    w->draining = draining;
}

static int says_draining(const struct api_answer *a)
{
    return json_truth(a->data, "draining", 0) || !strcmp(a->message, "Worker draining");
}

static void no_job(struct worker *w, const struct api_answer *a)
{
    int64_t wait_ms = config_int(w->config, CONFIG_WORKER_WAIT_S) * 1000;
    worker_drains(w, says_draining(a));
    if (!strcmp(a->message, "Worker unhealthy"))
        w->told_version = -1; /* this controller has not heard that it is sound again */
    if (health_fault(w->health)) {
        worker_poll_later(w, BROKEN_POLL_MS);
        return;
    }
    if (w->draining) {
        worker_poll_later(w, DRAINED_POLL_MS);
        return;
    }
    int at_once = wait_ms > 0 && mono_ms() - w->polled_ms >= wait_ms / 2;
    worker_poll_later(w, at_once ? 0 : SHORT_POLL_MS);
}

static void list_quarantined(const struct workflow *flow, void *arg)
{
    if (flow->quarantine)
        json_object_array_add(arg, json_object_new_string(flow->slug));
}

/* Slugs of workflows that failed too often here; json_object_put() it. */
static struct json_object *quarantined(struct worker *w)
{
    struct json_object *slugs = json_object_new_array();
    host_each_workflow(w->host, list_quarantined, slugs);
    return slugs;
}

/* They are tried again, at once, when an operator released a workflow at the controller. */
static int follow_release(struct worker *w, int64_t released_ms)
{
    if (released_ms <= w->released_ms)
        return 0;
    w->released_ms = released_ms;
    struct json_object *slugs = quarantined(w);
    for (size_t i = 0; i < json_object_array_length(slugs); i++)
        host_release(w->host, json_object_get_string(json_object_array_get_idx(slugs, i)), NULL, NULL);
    int any = json_object_array_length(slugs) > 0;
    json_object_put(slugs);
    return any;
}

/* What the waiting poll excepted may serve again: another version of it came. */
static void on_plugin(const struct event_msg *e, void *arg)
{
    struct worker *w = arg;
    if (!w->excepts || w->phase != WORKER_POLLING || !w->call ||
        strcmp(json_str(event_fields(e), "to", ""), "running") != 0)
        return;
    api_cancel(&w->call);
    worker_poll(w);
}

void worker_watch_plugins(struct worker *w)
{
    w->plugins = bus_subscribe(w->bus, event_info(EVENT_PLUGIN_STATE)->name, on_plugin, w);
}

/* A poll was answered. Returns whether a workflow was released by that. */
static int heard(struct worker *w, struct json_object *data)
{
    json_object_put(w->told); /* it took them */
    w->told = NULL;
    w->told_version = w->telling;
    return follow_release(w, json_int(data, "released_at_ms", 0));
}

static int hold(struct worker *w, struct json_object *job)
{
    worker_drains(w, 0);
    w->phase = WORKER_WORKING;
    w->attempt = attempt_begin(w, job);
    return w->attempt != NULL;
}

static void polled(const struct api_answer *a, void *arg)
{
    struct worker *w = arg;
    w->call = NULL;
    if (a->status < 200 || a->status > 299) {
        poll_failed(w, a);
        return;
    }
    if (w->warned)
        log_info(LOG_WORKER, "the controller answers again");
    w->warned = 0;
    w->backoff.tries = 0;
    int released = heard(w, a->data);
    struct json_object *job = json_member(a->data, "job");
    if (!job && released) {
        worker_poll_later(w, 0);
        return;
    }
    if (!job) {
        no_job(w, a);
        return;
    }
    if (!hold(w, job))
        worker_poll_later(w, SHORT_POLL_MS);
}

/* A plugin or a file of workflows.d came or went: what this worker may be given must be told anew. */
static int told_workflows(struct worker *w)
{
    if (!worker_workflows_changed(w))
        return 0;
    log_info(LOG_WORKER, "the workflows of %s have changed: registering again", w->id);
    worker_renew(w);
    return 1;
}

void worker_health_checked(struct worker *w)
{
    if (worker_is_stopping(w) || w->phase != WORKER_POLLING || w->attempt)
        return;
    if (w->call && !health_fault(w->health))
        return; /* as it should be: the next poll tells what is new */
    api_cancel(&w->call);
    loop_timer_cancel(w->again);
    worker_poll(w);
}

void worker_assets_changed(struct worker *w)
{
    if (worker_is_stopping(w) || w->phase != WORKER_POLLING || w->attempt || !w->call)
        return; /* the next poll tells it */
    api_cancel(&w->call);
    worker_poll_later(w, 0);
    worker_runner_warm_up(w);
}

/* What is new of health and assets; of a fault each controller must know. */
static void put_capabilities(struct worker *w, struct json_object *o)
{
    struct json_object *lacks = assets_json(w->assets);
    w->telling = health_version(w->health) + assets_version(w->assets);
    if (w->telling != w->told_version || health_fault(w->health) || lacks)
        json_object_object_add(o, "capabilities", worker_capabilities(w));
    json_object_put(lacks);
}

static void put_risk(struct worker *w, struct json_object *o)
{
    if (w->polled_at_risk != w->at_risk)
        log_info(LOG_WORKER, w->at_risk ? "asks for short jobs only from now on" : "asks for any job again");
    w->polled_at_risk = w->at_risk;
    if (w->at_risk)
        json_put_bool(o, "at_risk", 1);
}

static struct json_object *poll_body(struct worker *w)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "worker_id", w->id);
    json_put_int(o, "current_load", 0);
    json_put_int(o, "max_concurrency", 1);
    put_risk(w, o);
    struct json_object *except = quarantined(w);
    assets_except(w->assets, except);
    put_capabilities(w, o);
    w->excepts = json_object_array_length(except) > 0;
    if (w->excepts)
        json_object_object_add(o, "except", json_object_get(except));
    json_object_put(except);
    if (w->told)
        json_object_object_add(o, "canary", json_object_get(w->told));
    return o;
}

void worker_poll(struct worker *w)
{
    w->phase = WORKER_POLLING;
    if (told_workflows(w)) {
        worker_poll_later(w, RENEWAL_MS);
        return;
    }
    if (!health_is_known(w->health))
        return; /* worker_health_checked() follows */
    int64_t wait_s = health_fault(w->health) ? 0 : config_int(w->config, CONFIG_WORKER_WAIT_S);
    struct json_object *o = poll_body(w);
    json_put_int(o, "wait_seconds", wait_s);
    w->polled_ms = mono_ms();
    w->call = api_post(w, "poll", o, wait_s * 1000 + SPARE_MS, polled, w);
}

/* ---- with the end of a job ---- */

struct json_object *worker_next(struct worker *w)
{
    if (worker_is_stopping(w) || w->draining || !w->token[0] || !health_is_sound(w->health) ||
        worker_workflows_changed(w))
        return NULL;
    return poll_body(w);
}

int worker_take(struct worker *w)
{
    struct json_object *said = w->next, *data = json_member(said, "data");
    int good = json_truth(said, "success", 0);
    struct json_object *job = good ? json_member(data, "job") : NULL;
    w->next = NULL;
    if (good)
        heard(w, data);
    int held = job && hold(w, job);
    json_object_put(said);
    return held;
}
