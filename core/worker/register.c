/* SPDX-License-Identifier: Apache-2.0 */
/* register.c - how a worker gets its token, gets another one when that is refused, and says goodbye. */
#include "log/log.h"
#include "worker/attempt.h"
#include "worker/worker_priv.h"

#include <bp/cloud.h>
#include <stdio.h>
#include <string.h>

static void add_slug(const struct workflow *flow, void *arg)
{
    json_object_array_add(arg, json_object_new_string(flow->slug));
}

static struct json_object *own_workflows(struct worker *w)
{
    struct json_object *slugs = json_object_new_array();
    host_each_workflow(w->host, add_slug, slugs);
    return slugs;
}

struct json_object *worker_capabilities(struct worker *w)
{
    struct json_object *o = json_object_new_object();
    struct json_object *health = health_json(w->health), *lacks = assets_json(w->assets);
    json_put_str(o, "software", "bpd");
    json_put_str(o, "version", BP_VERSION);
    json_put_str(o, "device", config_str(w->config, CONFIG_WORKER_DEVICE));
    json_object_object_add(o, "workflows", own_workflows(w));
    if (health)
        json_object_object_add(o, "health", health);
    if (lacks)
        json_object_object_add(o, "assets", lacks);
    return o;
}

static void remember_workflows(struct worker *w, struct json_object *slugs)
{
    free(w->registered);
    w->registered = strdup(json_text(slugs));
}

/* None at all is kept to itself: the controller would refuse it, and what is coming up may be here in a moment. */
int worker_workflows_changed(struct worker *w)
{
    if (w->fleet[0] || !w->registered || (!w->secret[0] && !w->secret_param[0]))
        return 0;
    struct json_object *slugs = own_workflows(w);
    int changed = json_object_array_length(slugs) > 0 && strcmp(json_text(slugs), w->registered) != 0;
    json_object_put(slugs);
    return changed;
}

/* A worker of a fleet names the fleet; one on its own names the workflows it has plugins for. */
static struct json_object *register_body(struct worker *w)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "worker_id", w->id);
    json_put_str(o, "display_name", w->id);
    json_object_object_add(o, "capabilities", worker_capabilities(w));
    json_put_int(o, "max_concurrency", 1);
    if (w->fleet[0]) {
        json_put_str(o, "fleet_slug", w->fleet);
        json_put_str(o, "stage", w->stage);
    } else {
        struct json_object *slugs = own_workflows(w);
        remember_workflows(w, slugs);
        json_object_object_add(o, "workflow_slugs", slugs);
    }
    if (w->identity && w->identity->capacity_type[0])
        json_put_str(o, "capacity_type", w->identity->capacity_type);
    if (w->identity && w->identity->instance_type[0])
        json_put_str(o, "instance_type", w->identity->instance_type);
    return o;
}

/* Takes the token out of the answer. The controller may give another id than it was asked for. */
static int adopt(struct worker *w, const struct api_answer *a)
{
    const char *token = json_str(a->data, "token", "");
    if (a->status < 200 || a->status > 299 || !*token || strlen(token) >= sizeof(w->token))
        return 0;
    snprintf(w->token, sizeof(w->token), "%s", token);
    w->tokens++;
    snprintf(w->id, sizeof(w->id), "%s", json_str(a->data, "worker_id", w->id));
    log_info(LOG_WORKER, "registered as %s at %s", w->id, w->url);
    return 1;
}

static void complain(struct worker *w, const struct api_answer *a, int64_t delay_ms)
{
    log_write(LOG_WORKER, w->warned ? BP_LOG_DEBUG : BP_LOG_WARN,
              "cannot register %s at %s: %s (status %d); trying again in %.1f s", w->id, w->url, a->message, a->status,
              (double)delay_ms / 1000);
    w->warned = 1;
}

static void try_again(void *arg)
{
    worker_register(arg);
}

/* Refused: the secret may have been rotated since it was read. */
static void doubt_secret(struct worker *w, const struct api_answer *a)
{
    w->secret_refused = a->status == 401 && w->secret_param[0];
}

static void registered(const struct api_answer *a, void *arg)
{
    struct worker *w = arg;
    w->call = NULL;
    if (adopt(w, a)) {
        w->backoff.tries = 0;
        w->warned = 0;
        worker_poll(w);
        worker_runner_warm_up(w);
        return;
    }
    doubt_secret(w, a);
    int64_t delay = backoff_next_ms(&w->backoff, a->retry_after_s);
    complain(w, a, delay);
    loop_timer_after(w->again, delay);
}

static void no_secret(struct worker *w, const struct bp_err *err, int64_t delay_ms)
{
    log_write(LOG_WORKER, w->warned ? BP_LOG_DEBUG : BP_LOG_WARN, "worker.fleetSecret: %s; trying again in %.1f s",
              err->text, (double)delay_ms / 1000);
    w->warned = 1;
}

static void send_register(struct worker *w, const struct bp_err *err)
{
    if (err->rc == BP_OK) {
        w->call = api_post(w, "register", register_body(w), API_TIMEOUT_MS, registered, w);
        return;
    }
    int64_t delay = backoff_next_ms(&w->backoff, 0);
    no_secret(w, err, delay);
    loop_timer_after(w->again, delay);
}

void worker_register(struct worker *w)
{
    if (w->token[0]) {
        worker_poll(w);
        worker_runner_warm_up(w);
        return;
    }
    w->phase = WORKER_REGISTERING;
    w->on_again = try_again;
    if (worker_needs_secret(w))
        worker_read_secret(w, send_register);
    else
        send_register(w, &(struct bp_err){.rc = BP_OK});
}

/* ---- a new token while a lease is held ---- */

static void renewed(const struct api_answer *a, void *arg)
{
    struct worker *w = arg;
    w->renewal = NULL;
    if (adopt(w, a)) {
        w->renew_backoff.tries = 0;
        return;
    }
    doubt_secret(w, a);
    int64_t delay = backoff_next_ms(&w->renew_backoff, a->retry_after_s);
    complain(w, a, delay);
    loop_timer_after(w->renew, delay);
}

static void send_renewal(struct worker *w, const struct bp_err *err)
{
    if (err->rc == BP_OK) {
        w->renewal = api_post(w, "register", register_body(w), API_TIMEOUT_MS, renewed, w);
        return;
    }
    int64_t delay = backoff_next_ms(&w->renew_backoff, 0);
    no_secret(w, err, delay);
    loop_timer_after(w->renew, delay);
}

void worker_renew(void *arg)
{
    struct worker *w = arg;
    if (w->renewal)
        return;
    if (worker_needs_secret(w))
        worker_read_secret(w, send_renewal);
    else
        send_renewal(w, &(struct bp_err){.rc = BP_OK});
}

/* An operator who revoked this worker wants it to wait, not to come back under a new token. */
static int is_revoked(const char *message)
{
    return strstr(message, "not approved") != NULL;
}

/* A late answer to the former token says nothing about the present one: replacing that too would give back what it
 * holds. */
void worker_unauthorized(struct worker *w, const struct api_answer *a)
{
    const char *message = a->message;
    if (a->old_token)
        return;
    if ((!w->secret[0] && !w->secret_param[0]) || is_revoked(message) || worker_is_stopping(w)) {
        log_write(LOG_WORKER, w->warned ? BP_LOG_DEBUG : BP_LOG_WARN, "the controller refuses this worker: %s",
                  message);
        w->warned = 1;
        return;
    }
    if (!w->token[0])
        return; /* being renewed */
    log_warn(LOG_WORKER, "the controller no longer knows this worker's token (%s): registering again", message);
    w->token[0] = '\0';
    if (w->attempt)
        worker_renew(w);
}

/* ---- goodbye ---- */

static void deregistered(const struct api_answer *a, void *arg)
{
    struct worker *w = arg;
    w->call = NULL;
    if (a->status != 200)
        log_warn(LOG_WORKER, "deregister %s: %s (status %d)", w->id, a->message, a->status);
    worker_release_instance(w);
}

void worker_deregister(struct worker *w)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "worker_id", w->id);
    json_put_str(o, "reason", w->stop_reason);
    w->call = api_post(w, "deregister", o, API_TIMEOUT_MS, deregistered, w);
}
