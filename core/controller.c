/* SPDX-License-Identifier: Apache-2.0 */
/*
 * controller.c - brings the controller up in the order of the arrows and takes it down in the reverse one.
 *
 * The HTTP door listens first (plugins are told its address), the plugins come up next, and the engines begin when the
 * queue service is there: before and without it the doors answer 503 with the reason.
 */
#include "controller.h"

#include "about.h"
#include "admin/admin.h"
#include "alerts.h"
#include "app.h"
#include "http/http.h"
#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include "log_forward.h"
#include "paths.h"
#include "promises.h"
#include "reload.h"
#include "sd_notify.h"
#include "secrets.h"
#include "state_dir.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct controller {
    struct app app; /* first: the doors hold a pointer to it */
    const struct options *options;
    struct config *config;
    struct http *http;
    struct admin *admin;
    struct loop_timer *shutdown_tick, *watchdog, *secrets;
    struct alerts *alerts;
    struct promise_watch *promises;
    struct log_forward *forward;
    struct subscription *plugin_events;
    char own_plugins[4096], host_name[256];
    int64_t shutdown_deadline_ms;
    int settled, exit_status;
};

/* ---- ending ---- */

static void host_stopped(void *arg)
{
    struct controller *k = arg;
    loop_stop(k->app.loop);
}

static void logs_are_out(void *arg)
{
    struct controller *k = arg;
    host_stop(k->app.host, host_stopped, k);
}

/* Waits for requests in flight, at most shutdown.graceSeconds, then stops the plugins; the logs provider among them
 * gets the last lines first. */
static void shutdown_tick(void *arg)
{
    struct controller *k = arg;
    uint32_t left = http_in_flight(k->http);
    if (left && mono_ms() < k->shutdown_deadline_ms) {
        loop_timer_after(k->shutdown_tick, 20);
        return;
    }
    if (left)
        log_warn(LOG_CORE, "ending with %u requests unanswered after %lld s", left,
                 (long long)config_num(k->config, CONFIG_SHUTDOWN_GRACE_S));
    log_forward_end(k->forward, logs_are_out, k);
}

/* The instances are gone, or were never ours to end: nobody needs the HTTP door any more. */
static void fleets_left(void *arg)
{
    struct controller *k = arg;
    http_drain(k->http);
    loop_timer_after(k->shutdown_tick, 0);
}

/* Nothing is changed here any more: another controller may lead at once. */
static void fleets_quiet(void *arg)
{
    struct controller *k = arg;
    dispatch_resign(k->app.dispatch);
}

/*
 * New work ends first; workers go on reaching the HTTP door while their instances hand back what they run; then the
 * door closes, and the plugins stop last.
 */
static void app_shutdown(struct app *app, const char *why)
{
    struct controller *k = (struct controller *)app;
    if (k->shutdown_deadline_ms)
        return;
    k->shutdown_deadline_ms = mono_ms() + (int64_t)(config_num(k->config, CONFIG_SHUTDOWN_GRACE_S) * 1000);
    log_info(LOG_CORE, "shutting down: %s", why);
    sd_notify_send("STOPPING=1\nSTATUS=draining");
    bus_publish(app->bus, EVENT_CORE_STATE, "stopping", why);
    app->draining = 1;
    app->ready = 0;
    snprintf(app->not_ready, sizeof app->not_ready, "shutting down: %s", why);
    dispatch_drain(app->dispatch);
    scale_stop(app->scale);
    fleets_stop(app->fleets, &(struct fleets_ending){fleets_quiet, fleets_left, k});
}

static void on_stop_signal(int signo, void *arg)
{
    app_shutdown(arg, signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- while running ---- */

static int app_reload(struct app *app, uint32_t *changed, struct bp_err *err)
{
    struct controller *k = (struct controller *)app;
    struct reload r = {.app = app, .options = k->options, .config = &k->config, .http = k->http};
    int rc = reload_config(&r, changed, err);
    if (rc == 0) {
        alerts_reconfigure(k->alerts, k->config);
        log_forward_reconfigure(k->forward, k->config);
    }
    return rc;
}

static void app_log_counts(struct app *app, uint64_t *sent, uint64_t *lost, uint32_t *waiting)
{
    struct log_forward_counts c;
    log_forward_counts(((struct controller *)app)->forward, &c);
    *sent = c.sent;
    *lost = c.lost;
    *waiting = c.waiting;
}

static void on_hangup(int signo, void *arg)
{
    (void)signo;
    struct bp_err err = {0};
    uint32_t changed = 0;
    if (app_reload(arg, &changed, &err) < 0)
        log_error(LOG_CONFIG, "reload refused, the former settings stay: %s", err.text);
}

/* Draining stops new work at this controller; it ends only with a restart, since waiting polls were sent away. */
static int app_drain(struct app *app, int on, struct bp_err *err)
{
    if (!on)
        return err_set(err, BP_UNSUPPORTED, "a drained daemon does not come back; restart it");
    if (app->draining)
        return 0;
    app->draining = 1;
    app->ready = 0;
    snprintf(app->not_ready, sizeof app->not_ready, "drained by an operator");
    bus_publish(app->bus, EVENT_CORE_STATE, "draining", "asked by an operator");
    dispatch_drain(app->dispatch);
    return 0;
}

static void on_slow(const char *name, int64_t ms, void *arg)
{
    struct controller *k = arg;
    bus_publish(k->app.bus, EVENT_LOOP_SLOW, name, ms);
}

static void watchdog_beat(void *arg)
{
    (void)arg;
    sd_notify_send("WATCHDOG=1");
}

/* ---- becoming ready ---- */

static void become_ready(struct controller *k)
{
    struct app *app = &k->app;
    dispatch_start(app->dispatch);
    fleets_start(app->fleets);
    scale_start(app->scale);
    if (bus_has_service(app->bus, "objects"))
        dispatch_probe_objects(app->dispatch);
    app->ready = 1;
    app->not_ready[0] = 0;
    char state[128];
    snprintf(state, sizeof state, "READY=1\nSTATUS=%u workflows", host_workflow_count(app->host));
    sd_notify_send(state);
    log_info(LOG_CORE, "ready after %lld ms: %u workflows, %s", (long long)(loop_now_ms(app->loop) - app->started_ms),
             host_workflow_count(app->host), app->url);
    uint32_t refused = host_refused_count(app->host);
    if (refused)
        log_warn(LOG_CORE, "%u files of plugins and workflows are refused; bpctl plugin list says why", refused);
    bus_publish(app->bus, EVENT_CORE_STATE, "ready", "");
}

/* Why there is no queue: the words of the plugin that should be it. */
static void queue_missing(struct app *app)
{
    const char *chosen = json_str(config_map(app->config, CONFIG_SERVICES), "queue", NULL);
    struct json_object *plugins = host_describe(app->host);
    snprintf(app->not_ready, sizeof app->not_ready, "no queue plugin is running; see bpctl plugin list for the reason");
    for (size_t i = 0; i < json_object_array_length(plugins); i++) {
        struct json_object *p = json_object_array_get_idx(plugins, i);
        const char *name = json_str(p, "name", ""), *reason = json_str(p, "reason", "");
        if (strcmp(json_str(p, "kind", ""), "queue") == 0 && *reason && (!chosen || strcmp(chosen, name) == 0))
            snprintf(app->not_ready, sizeof app->not_ready, "the queue plugin %s is not running: %s", name, reason);
    }
    json_object_put(plugins);
}

/* Ready once the first scan is over and a queue serves; called again whenever a plugin moved. */
static void check_ready(struct controller *k)
{
    struct app *app = &k->app;
    if (app->ready || app->draining || !k->settled)
        return;
    if (bus_has_service(app->bus, "queue"))
        become_ready(k);
    else
        queue_missing(app);
}

static void on_plugin_event(const struct event_msg *e, void *arg)
{
    (void)e;
    check_ready(arg);
}

static void warn_unserved(const struct controller *k, const char *key, const char *slug)
{
    const char *near = host_workflow(k->app.host, slug) ? NULL : host_nearest_workflow(k->app.host, slug);
    if (!host_workflow(k->app.host, slug))
        log_warn(LOG_CORE, "config: %s names workflow \"%s\", which no plugin serves%s%s%s", key, slug,
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* A name that is mistyped changes nothing, and nobody would be told. */
static void warn_unserved_workflows(const struct controller *k)
{
    struct json_object *workflows = config_map(k->config, CONFIG_WORKFLOWS);
    struct json_object *effects = config_map(k->config, CONFIG_EFFECTS);
    if (workflows) {
        json_object_object_foreach(workflows, slug, overrides)
        {
            (void)overrides;
            warn_unserved(k, "workflows", slug);
        }
    }
    if (effects) {
        json_object_object_foreach(effects, name, effect)
        {
            char key[160];
            snprintf(key, sizeof key, "effects.%s", name);
            warn_unserved(k, key, json_str(effect, "workflow", ""));
        }
    }
}

static void host_settled(void *arg)
{
    struct controller *k = arg;
    k->settled = 1;
    warn_unserved_workflows(k);
    secrets_fetch_params(&k->app);
    check_ready(k);
    if (!k->app.ready)
        log_error(LOG_CORE, "not ready: %s", k->app.not_ready);
}

/* ---- bringing up ---- */

static int open_host(struct controller *k, struct bp_err *err)
{
    struct app *app = &k->app;
    const char *dirs[OPTIONS_MAX];
    char secret_file[4200], serving[4200], defined[4300], workflows_dir[4200];
    const char *serving_dirs[] = {serving};
    uint32_t n = about_plugins_dirs(k->options, k->config, k->own_plugins, sizeof k->own_plugins, dirs);
    snprintf(secret_file, sizeof secret_file, "%s/fleet.secret", app->state_dir);
    snprintf(serving, sizeof serving, "%s/serving", app->state_dir); /* what workers here are given: host/serving.h */
    snprintf(defined, sizeof defined, "%s/workflows.d", serving);
    about_workflows_dir(k->options, k->config, dirs[0], workflows_dir, sizeof workflows_dir);
    struct about about = {.role = "controller",
                          .url = app->url,
                          .stage = config_str(k->config, CONFIG_STAGE),
                          .state_dir = app->state_dir,
                          .fleet_secret_file = secret_file,
                          .plugins_dirs = serving_dirs,
                          .n_plugins_dirs = 1,
                          .workflows_dir = defined};
    char *text = about_json(&about);
    struct host_spec spec = {.bus = app->bus,
                             .config = k->config,
                             .role = HOST_CONTROLLER,
                             .state_dir = app->state_dir,
                             .dirs = dirs,
                             .n_dirs = n,
                             .workflows_dir = workflows_dir,
                             .runner = app->runner,
                             .about = text};
    app->host = host_new(&spec, err);
    free(text);
    return app->host ? 0 : err->rc;
}

static int fleet_counts_for_scale(void *fleets, const char *slug, struct bp_view *v, int64_t *described_ms)
{
    struct fleet_counts c;
    int rc = fleet_counts(fleets, slug, &c);
    if (rc < 0)
        return rc;
    v->desired = c.desired;
    v->pending = c.pending;
    v->running = c.running;
    v->draining = c.draining;
    v->terminating = c.terminating;
    v->busy = c.busy;
    v->launch_failures = c.launch_failures;
    int64_t returning = c.returning < v->leased ? c.returning : v->leased;
    v->queued += returning; /* as good as queued: they need another instance */
    v->leased -= returning;
    if (c.max_size > 0)
        v->max_size = c.max_size;
    *described_ms = c.described_ms;
    return 0;
}

static int fleet_resize_for_scale(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err)
{
    return fleet_resize(fleets, slug, to, reason, err);
}

static void fleet_detail_for_scale(void *fleets, const char *slug, struct policy_fleet *out)
{
    fleet_detail(fleets, slug, out);
}

static int fleet_trouble_for_scale(void *fleets, const char *slug, struct scale_trouble *out)
{
    struct fleet_trouble t;
    int rc = fleet_trouble(fleets, slug, &t);
    if (rc == 0)
        *out = (struct scale_trouble){.failures = t.failures,
                                      .on_demand = t.on_demand,
                                      .last_failure_ms = t.last_failure_ms,
                                      .last_spot_ms = t.last_spot_ms};
    return rc;
}

static void fleet_afford_for_scale(void *fleets, const char *slug, int32_t on_demand, const char *reason)
{
    fleet_afford(fleets, slug, on_demand, reason);
}

/* The state directory is locked: the run before has ended, however it did. */
static void name_run(struct app *app)
{
    char former[64];
    state_dir_name_run(app->state_dir, dispatch_run(app->dispatch), former, sizeof former);
    dispatch_former_run(app->dispatch, former);
    dispatch_set_url(app->dispatch, app->url);
}

static int open_engines(struct controller *k, struct bp_err *err)
{
    struct app *app = &k->app;
    app->dispatch = dispatch_new(app->bus, app->host, k->config);
    app->fleets = fleets_new(app->bus, app->host, k->config);
    struct scale_fleet fleet = {.counts = fleet_counts_for_scale,
                                .resize = fleet_resize_for_scale,
                                .detail = fleet_detail_for_scale,
                                .fleets = app->fleets,
                                .trouble = fleet_trouble_for_scale,
                                .afford = fleet_afford_for_scale,
                                .lives = fleet_lives,
                                .take_lives = fleet_take_lives};
    app->scale = scale_new(app->bus, app->host, k->config, &fleet);
    k->promises = promise_watch_new(app);
    if (!app->dispatch || !app->fleets || !app->scale || !k->promises)
        return err_set(err, BP_NOMEM, "no memory to start the engines");
    dispatch_webhook_secret(app->dispatch, app->webhook_secret);
    dispatch_bridge(app->dispatch, app->redis_url);
    dispatch_set_lives(app->dispatch, fleet_life_s, app->fleets);
    struct leads leads = {dispatch_leads, app->dispatch};
    fleets_set_leads(app->fleets, &leads);
    scale_set_leads(app->scale, &leads);
    name_run(app);
    return 0;
}

static int open_base(struct controller *k, struct bp_err *err)
{
    struct app *app = &k->app;
    int rc = state_dir_open(k->config, app->state_dir, sizeof app->state_dir, err);
    if (rc < 0 || (rc = state_dir_lock(app->state_dir, err)) < 0)
        return rc;
    if ((rc = secrets_open(app, k->config, err)) < 0)
        return rc;
    paths_runner(config_str(k->config, CONFIG_PLUGINS_RUNNER), app->runner, sizeof app->runner);
    app->loop = loop_new();
    app->bus = app->loop ? bus_new(app->loop) : NULL;
    if (!app->bus)
        return err_set(err, BP_NOMEM, "no memory to start");
    /* From here on a signal waits for the loop: none ends the process half-way up. */
    loop_on_signal(app->loop, SIGTERM, on_stop_signal, k);
    loop_on_signal(app->loop, SIGINT, on_stop_signal, k);
    loop_on_signal(app->loop, SIGHUP, on_hangup, k);
    app->started_ms = loop_now_ms(app->loop);
    app->config = k->config;
    app->reload = app_reload;
    app->shutdown = app_shutdown;
    app->drain = app_drain;
    app->secret_refused = secrets_doubt_fleet;
    app->log_counts = app_log_counts;
    snprintf(app->not_ready, sizeof app->not_ready, "starting: plugins are coming up");
    return 0;
}

/* The stream of this controller's lines: its machine. */
static const char *log_stream(void *arg)
{
    struct controller *k = arg;
    if (!k->host_name[0] && gethostname(k->host_name, sizeof k->host_name - 1) < 0)
        snprintf(k->host_name, sizeof k->host_name, "bpd");
    return k->host_name;
}

static int open_messengers(struct controller *k, struct bp_err *err)
{
    char group[600];
    const char *own = config_str(k->config, CONFIG_LOG_FORWARD_GROUP);
    if (*own)
        snprintf(group, sizeof group, "%s", own);
    else
        snprintf(group, sizeof group, "/bp/%s/bpd", config_str(k->config, CONFIG_STAGE));
    struct log_forward_spec spec = {
        .bus = k->app.bus, .config = k->config, .group = group, .stream = log_stream, .arg = k};
    if (!(k->forward = log_forward_new(&spec, err)))
        return err->rc;
    k->alerts = alerts_new(k->app.bus, k->config);
    return k->alerts ? 0 : err_set(err, BP_NOMEM, "no memory to watch over events");
}

static int open_all(struct controller *k, struct bp_err *err)
{
    int rc = open_base(k, err);
    if (rc < 0 || (rc = open_messengers(k, err)) < 0)
        return rc;
    if (!(k->http = http_new(&k->app, err)))
        return err->rc;
    if ((rc = open_host(k, err)) < 0 || (rc = open_engines(k, err)) < 0)
        return rc;
    k->admin = admin_new(&k->app, err);
    return k->admin ? 0 : err->rc;
}

static void read_secrets(void *arg)
{
    struct controller *k = arg;
    if (k->settled)
        secrets_fetch_params(&k->app);
}

static void watch(struct controller *k)
{
    struct loop *l = k->app.loop;
    loop_on_slow(l, on_slow, k);
    k->plugin_events = bus_subscribe(k->app.bus, "plugin.state", on_plugin_event, k);
    k->shutdown_tick = loop_timer_new(l, "core.shutdown", shutdown_tick, k);
    k->secrets = loop_timer_new(l, "core.secrets", read_secrets, k);
    loop_timer_every(k->secrets, (int64_t)(config_num(k->config, CONFIG_WORKERS_SECRET_PERIOD_S) * 1000));
    if (sd_notify_watchdog_ms()) {
        k->watchdog = loop_timer_new(l, "core.watchdog", watchdog_beat, k);
        loop_timer_every(k->watchdog, sd_notify_watchdog_ms());
    }
}

static void close_all(struct controller *k)
{
    struct app *app = &k->app;
    if (k->admin)
        admin_free(k->admin);
    if (k->http)
        http_free(k->http);
    if (app->scale)
        scale_free(app->scale);
    if (app->fleets)
        fleets_free(app->fleets);
    if (app->dispatch)
        dispatch_free(app->dispatch);
    promise_watch_free(k->promises);
    bus_unsubscribe(k->plugin_events);
    alerts_free(k->alerts);
    log_forward_free(k->forward);
    if (app->host)
        host_free(app->host);
    loop_timer_free(k->shutdown_tick);
    loop_timer_free(k->watchdog);
    loop_timer_free(k->secrets);
    if (app->bus)
        bus_free(app->bus);
    if (app->loop)
        loop_free(app->loop);
    config_free(k->config);
}

int controller_run(const struct options *o, struct config *c)
{
    struct controller *k = calloc(1, sizeof *k);
    struct bp_err err = {0};
    if (!k) {
        config_free(c);
        return 1;
    }
    k->options = o;
    k->config = c;
    if (open_all(k, &err) < 0) {
        log_error(LOG_CORE, "cannot start: %s", err.text);
        k->exit_status = err.rc == BP_INVALID ? 2 : 1;
    } else {
        watch(k);
        bus_publish(k->app.bus, EVENT_CORE_STATE, "starting", "");
        host_start(k->app.host, host_settled, k);
        loop_run(k->app.loop);
        log_info(LOG_CORE, "ended");
    }
    int status = k->exit_status;
    close_all(k);
    free(k);
    return status;
}
