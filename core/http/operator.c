/* SPDX-License-Identifier: Apache-2.0 */
/* operator.c - what the operator's page reads: a session for its submits, and the state of the whole. */
#include "http/door.h"
#include "log/json.h"

#include <assert.h>
#include <stdlib.h>

#define MINUTES_MAX 100000

/* The page submits as tenant "local" where there is one; else the visitor gives a tenant's token. */
void operator_session(struct call *c)
{
    const struct app *app = c->http->app;
    struct json_object *data = json_object_new_object();
    int has_token = app->local_token[0] && tenants_find(c->http->tenants, app->local_token) != NULL;

    json_put_str(data, "stage", config_str(app->config, CONFIG_STAGE));
    json_put_str(data, "version", BP_VERSION);
    json_put_str(data, "tenant", has_token ? "local" : NULL);
    json_put_str(data, "token", has_token ? app->local_token : NULL);
    answer_ok(c, 200, data, NULL);
    json_object_put(data);
}

/*
 * The state of the whole: the answers of several engines, one after the other. With a thousand workflows it is a
 * megabyte, so each part is a turn of the loop by itself, as of /metrics. What one part reads is of one moment.
 */
struct gather {
    struct call *call;
    struct text text;
    size_t part;
};

/* value becomes the text's. */
static void put_member(struct gather *g, const char *name, struct json_object *value)
{
    text_puts(&g->text, g->text.n ? "," : "{\"success\":true,\"data\":{");
    text_json(&g->text, name);
    text_puts(&g->text, ":");
    text_puts(&g->text, json_text(value));
    json_object_put(value);
}

static void take(struct gather *g, const struct dispatch_answer *a, const char *member)
{
    struct json_object *list = a->rc == BP_OK ? json_member(a->data, member) : NULL;

    put_member(g, member, list ? json_object_get(list) : json_object_new_array());
}

static void add_workflow(const struct workflow *w, void *arg)
{
    struct json_object *one = json_object_new_object();

    json_put_str(one, "slug", w->slug);
    json_put_str(one, "name", w->display_name);
    json_put_str(one, "version", w->version);
    json_put_int(one, "generation", w->generation);
    json_put_bool(one, "draining", w->draining);
    json_put_str(one, "quarantine", w->quarantine);
    json_put_int(one, "max_size", w->max_size);
    json_put_int(one, "backlog_target", w->backlog_target);
    json_put_str(one, "policy", w->policy);
    json_object_array_add(arg, one);
}

static void put_leader(struct json_object *o, const struct dispatch *d)
{
    struct leadership l;

    dispatch_leadership(d, &l);
    json_put_bool(o, "leads", l.leads);
    json_put_int(o, "controllers", l.controllers);
}

static void put_daemon(struct gather *g, const struct app *app)
{
    struct json_object *o = json_object_new_object();

    json_put_str(o, "stage", config_str(app->config, CONFIG_STAGE));
    json_put_str(o, "version", BP_VERSION);
    json_put_str(o, "url", app->url);
    json_put_int(o, "started_ms", app->started_ms);
    json_put_int(o, "now_ms", loop_now_ms(app->loop));
    json_put_bool(o, "ready", app->ready);
    json_put_bool(o, "draining", app->draining);
    json_put_str(o, "not_ready", app->not_ready[0] ? app->not_ready : NULL);
    put_leader(o, app->dispatch);
    json_put_int(o, "waiting_polls", dispatch_waiting_polls(app->dispatch));
    json_put_int(o, "connections", g->call->http->n_conns);
    json_put_num(o, "loop_lag_ms", (double)loop_lag_us(app->loop) / 1000);
    json_object_object_foreach(o, name, value)
    {
        put_member(g, name, json_object_get(value));
    }
    json_object_put(o);
}

static void put_workflows(struct gather *g, const struct app *app)
{
    struct json_object *workflows = json_object_new_array();

    host_each_workflow(app->host, add_workflow, workflows);
    put_member(g, "workflows", workflows);
}

static void put_fleets(struct gather *g, const struct app *app)
{
    put_member(g, "fleets", fleets_describe(app->fleets, NULL));
}

static void put_scaling(struct gather *g, const struct app *app)
{
    put_member(g, "scaling", scale_describe(app->scale, NULL));
}

static void put_plugins(struct gather *g, const struct app *app)
{
    put_member(g, "plugins", host_describe(app->host));
}

static void (*const parts[])(struct gather *g, const struct app *app) = {put_daemon, put_workflows, put_fleets,
                                                                         put_scaling, put_plugins};

static void turn(void *arg)
{
    struct gather *g = arg;
    struct call *c = g->call;

    if (c->conn && c->http && g->part < sizeof(parts) / sizeof(parts[0])) {
        parts[g->part++](g, c->http->app);
        loop_post(c->http->app->loop, "http.state", turn, g);
        return;
    }
    text_puts(&g->text, "},\"message\":null}");
    if (c->conn && c->http) /* else it is only freed */
        call_add_header(c, "Cache-Control", "no-store");
    answer_bytes(c, 200, "application/json", g->text.bytes, g->text.n);
    text_free(&g->text);
    free(g);
}

static void on_workers(const struct dispatch_answer *a, void *arg)
{
    take(arg, a, "workers");
    turn(arg);
}

static void on_jobs(const struct dispatch_answer *a, void *arg)
{
    struct gather *g = arg;

    take(g, a, "jobs");
    if (g->call->http)
        dispatch_worker_list(g->call->http->app->dispatch, on_workers, g);
    else
        turn(g);
}

void operator_state(struct call *c)
{
    struct gather *g = calloc(1, sizeof(*g));
    struct dispatch_list q = {.limit = 50};

    assert(g);
    g->call = c;
    dispatch_job_list(c->http->app->dispatch, &q, on_jobs, g);
}

static void on_samples(struct json_object *list, const struct bp_err *err, void *arg)
{
    struct call *c = arg;

    if (!c->conn || !c->http) {
        answer_error(c, 503, "", NULL); /* only frees the call */
    } else if (!list) {
        answer_err(c, err);
    } else {
        struct json_object *data = json_object_new_object();

        json_object_object_add(data, "samples", json_object_get(list));
        answer_ok(c, 200, data, NULL);
        json_object_put(data);
    }
}

/* Past samples of one metric: ?workflow=...&metric=...&minutes=60 */
void operator_metrics(struct call *c)
{
    char workflow[128] = "", metric[48] = "";
    int64_t minutes = 60;
    struct bp_err err = {0};
    const struct app *app = c->http->app;

    if (call_query_number(c, "minutes", 1, MINUTES_MAX, &minutes))
        return;
    if (query_get(call_query(c), "workflow", workflow, sizeof(workflow)) < 1)
        answer_field(c, "workflow", "Name a workflow.");
    else if (query_get(call_query(c), "metric", metric, sizeof(metric)) < 1)
        answer_field(c, "metric", "Name a metric, QueueDepth say.");
    else {
        const struct scale_samples q = {workflow, metric, loop_now_ms(app->loop) - minutes * 60000};

        if (scale_metrics_read(app->scale, &q, on_samples, c, &err) < 0)
            answer_err(c, &err);
    }
}
