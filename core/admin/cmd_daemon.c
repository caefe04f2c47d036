/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_daemon.c - commands about the daemon itself: help, status, log, events, config, metrics, drain, shutdown. */
#include "admin_priv.h"

#include "log/err.h"
#include "log/json.h"
#include "log/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTES_MAX 100000

void cmd_help(struct admin_call *c)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < admin_n_commands; i++) {
        char usage[200];
        struct json_object *o = json_object_new_object();
        args_usage(&admin_commands[i], usage, sizeof usage);
        json_put_str(o, "name", admin_commands[i].name);
        json_put_str(o, "usage", usage);
        json_put_str(o, "help", admin_commands[i].help);
        json_put_bool(o, "changes", admin_commands[i].privilege == ADMIN_WRITE);
        json_object_array_add(list, o);
    }
    call_ok(c, list);
}

/* ---- status ---- */

static void add_counters(struct json_object *o, const struct dispatch *d)
{
    struct dispatch_counters n;
    struct json_object *c = json_object_new_object();
    dispatch_counters(d, &n);
    json_put_int(c, "submitted", (int64_t)n.submitted);
    json_put_int(c, "leased", (int64_t)n.leased);
    json_put_int(c, "completed", (int64_t)n.completed);
    json_put_int(c, "failed", (int64_t)n.failed);
    json_put_int(c, "retried", (int64_t)n.retried);
    json_put_int(c, "requeued", (int64_t)n.requeued);
    json_put_int(c, "expired", (int64_t)n.expired);
    json_put_int(c, "cancelled", (int64_t)n.cancelled);
    json_object_object_add(o, "since_start", c);
}

static int count_state(struct json_object *plugins, const char *state)
{
    int n = 0;
    for (size_t i = 0; i < json_object_array_length(plugins); i++)
        n += strcmp(json_str(json_object_array_get_idx(plugins, i), "state", ""), state) == 0;
    return n;
}

static void add_leader(struct json_object *o, const struct dispatch *d)
{
    struct leadership l;
    const char *redis = dispatch_bridge_state(d);
    dispatch_leadership(d, &l);
    json_put_bool(o, "leads", l.leads);
    json_put_str(o, "leader", l.who);
    json_put_int(o, "leader_epoch", l.epoch);
    json_put_int(o, "controllers", l.controllers);
    if (redis[0])
        json_put_str(o, "redis", redis);
}

void cmd_controllers(struct admin_call *c)
{
    call_ok(c, dispatch_controllers(c->app->dispatch));
}

static void got_stats(const struct dispatch_answer *a, void *arg)
{
    struct admin_call *c = arg;
    struct app *app = c->app;
    struct json_object *o = json_object_new_object();
    struct json_object *plugins = host_describe(app->host);
    json_put_str(o, "version", BP_VERSION);
    json_put_str(o, "stage", config_str(app->config, CONFIG_STAGE));
    json_put_bool(o, "ready", app->ready);
    if (!app->ready)
        json_put_str(o, "not_ready", app->not_ready);
    json_put_str(o, "url", app->url);
    add_leader(o, app->dispatch);
    json_put_int(o, "started_ms", app->started_ms);
    json_put_int(o, "loop_lag_us", loop_lag_us(app->loop));
    json_put_int(o, "waiting_polls", dispatch_waiting_polls(app->dispatch));
    json_put_int(o, "plugins_running", count_state(plugins, "running"));
    json_put_int(o, "plugins_refused", count_state(plugins, "refused") + count_state(plugins, "quarantined"));
    json_put_int(o, "workflows", host_workflow_count(app->host));
    if (a->rc < 0)
        json_put_str(o, "queue_error", a->message);
    else
        json_object_object_add(o, "queue", json_object_get(json_member(a->data, "workflows")));
    add_counters(o, app->dispatch);
    json_object_put(plugins);
    call_ok(c, o);
}

void cmd_status(struct admin_call *c)
{
    dispatch_stats(c->app->dispatch, got_stats, c);
}

/* ---- log and events ---- */

static void add_line(const char *line, void *arg)
{
    json_object_array_add(arg, json_object_new_string(line));
}

void cmd_log(struct admin_call *c)
{
    int64_t last = json_int(c->params, "last", 50);
    struct json_object *lines = json_object_new_array();
    log_recent(last < 1 ? 1 : last > 1000 ? 1000 : (uint32_t)last, add_line, lines);
    if (!c->plain && !c->text) {
        call_ok(c, lines);
        return;
    }
    struct json_object *words;
    size_t n = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &n);
    for (size_t i = 0; out && i < json_object_array_length(lines); i++)
        fprintf(out, "%s\n", json_object_get_string(json_object_array_get_idx(lines, i)));
    if (out)
        fclose(out);
    words = json_object_new_string(text ? text : "");
    free(text);
    json_object_put(lines);
    call_ok(c, words);
}

void cmd_log_level(struct admin_call *c)
{
    struct bp_err err = {0};
    log_set_levels(json_str(c->params, "levels", ""), &err);
    call_done(&err, c);
}

struct event_lines {
    struct json_object *list;
    FILE *text; /* NULL: as JSON */
};

static void add_event(const struct event_msg *e, void *arg)
{
    struct event_lines *l = arg;
    char *line = l->text ? event_text(e) : event_json(e);
    if (line && l->text)
        fprintf(l->text, "%s\n", line);
    else if (line)
        json_object_array_add(l->list, json_tokener_parse(line));
    free(line);
}

/* Who waits for it would wait in vain. */
static void refuse_pattern(struct admin_call *c, const char *match)
{
    const char *names[EVENT_END];
    struct bp_err err;
    for (int i = EVENT_NONE + 1; i < EVENT_END; i++)
        names[i - 1] = event_info((enum event_id)i)->name;
    const char *near = nearest_name(match, names, EVENT_END - 1);
    if (near)
        err_set(&err, BP_INVALID, "no event is named %.100s; did you mean %s?", match, near);
    else
        err_set(&err, BP_INVALID, "no event is named %.100s; docs/events.md lists them, and * stands for all", match);
    call_fail(c, BP_INVALID, err.text, NULL);
}

void cmd_events(struct admin_call *c)
{
    const char *match = json_str(c->params, "match", "*");
    int64_t last = json_int(c->params, "last", 20);
    int follow = json_truth(c->params, "follow", 0);
    size_t n = 0;
    char *text = NULL;
    if (event_match(match) == 0) {
        refuse_pattern(c, match);
        return;
    }
    struct event_lines l = {.list = json_object_new_array()};
    if (c->plain || c->text)
        l.text = open_memstream(&text, &n);
    if (last > 0)
        bus_recent(c->app->bus, match, last > 1000 ? 1000 : (uint32_t)last, add_event, &l);
    if (l.text) {
        fclose(l.text);
        json_object_put(l.list);
        l.list = json_object_new_string(text ? text : "");
        free(text);
    }
    if (follow && c->conn)
        conn_follow(c->conn, match, c->plain ? FEED_PLAIN : c->text ? FEED_TEXT : FEED_JSON);
    call_ok(c, l.list);
}

/* ---- settings ---- */

void cmd_config(struct admin_call *c)
{
    const char *prefix = json_str(c->params, "key", "");
    struct json_object *all = config_describe(c->app->config);
    struct json_object *some = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *row = json_object_array_get_idx(all, i);
        if (strncmp(json_str(row, "key", ""), prefix, strlen(prefix)) == 0)
            json_object_array_add(some, json_object_get(row));
    }
    json_object_put(all);
    call_ok(c, some);
}

void cmd_config_reload(struct admin_call *c)
{
    struct bp_err err = {0};
    uint32_t changed = 0;
    if (c->app->reload(c->app, &changed, &err) < 0) {
        call_fail(c, err.rc, err.text, NULL);
        return;
    }
    struct json_object *o = json_object_new_object();
    json_put_int(o, "changed", changed);
    call_ok(c, o);
}

void cmd_metrics(struct admin_call *c)
{
    call_ok(c, scale_metrics(c->app->scale));
}

static void got_samples(struct json_object *list, const struct bp_err *err, void *arg)
{
    if (list)
        call_ok(arg, json_object_get(list));
    else
        call_fail(arg, err->rc, err->text, NULL);
}

void cmd_metrics_history(struct admin_call *c)
{
    struct bp_err err = {0};
    int64_t minutes = json_int(c->params, "minutes", 60);
    if (minutes < 1 || minutes > MINUTES_MAX) {
        call_fail(c, BP_INVALID, "--minutes is 1 to 100000", NULL);
        return;
    }
    const struct scale_samples q = {json_str(c->params, "workflow", ""), json_str(c->params, "metric", ""),
                                    loop_now_ms(c->app->loop) - minutes * 60000};
    if (scale_metrics_read(c->app->scale, &q, got_samples, c, &err) < 0)
        call_fail(c, err.rc, err.text, NULL);
}

/* ---- the end ---- */

void cmd_drain(struct admin_call *c)
{
    struct bp_err err = {0};
    c->app->drain(c->app, 1, &err);
    call_done(&err, c);
}

void cmd_shutdown(struct admin_call *c)
{
    struct bp_err ok = {0};
    c->app->shutdown(c->app, c->who);
    call_done(&ok, c);
}
