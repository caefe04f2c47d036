/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - /metrics in OpenMetrics text form: what the doors, engines, plugins and fleets count. */
#include "http/door.h"
#include "log/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void family(struct text *t, const char *name, const char *type, const char *help)
{
    text_printf(t, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* A label value: backslash, quote and line feed escaped. */
static void put_label(struct text *t, const char *name, const char *value)
{
    text_printf(t, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            text_add(t, "\\", 1);
        text_add(t, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
    }
    text_add(t, "\"", 1);
}

static void gauge(struct text *t, const char *name, const char *help, double value)
{
    family(t, name, "gauge", help);
    text_printf(t, "%s %.15g\n", name, value);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    family(t, name, "counter", help);
    text_printf(t, "%s_total %llu\n", name, (unsigned long long)value);
}

/* ---- the daemon ---- */

static double resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void put_daemon(struct text *t, struct http *h)
{
    const struct app *app = h->app;

    family(t, "bpd_build", "info", "What runs here.");
    text_puts(t, "bpd_build_info{version=\"" BP_VERSION "\"} 1\n");
    gauge(t, "bpd_ready", "1 when all services are up.",
          app->ready && !app->draining && !dispatch_queue_error(app->dispatch));
    gauge(t, "bpd_start_time_seconds", "When the daemon started, seconds since the epoch.",
          (double)app->started_ms / 1000);
    gauge(t, "bpd_resident_memory_bytes", "Memory of the daemon that is in RAM.", resident_bytes());
    gauge(t, "bpd_scale_round_seconds", "How long the last round of scaling decisions kept the loop.",
          scale_round_s(app->scale));
    gauge(t, "bpd_loop_lag_seconds", "How late the event loop was, worst of the last 10 s.",
          (double)loop_lag_us(app->loop) / 1e6);
}

static void put_requests(struct text *t, struct http *h)
{
    static const char *const methods[] = {"", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};

    family(t, "bpd_http_requests", "counter", "Requests answered, by route and status.");
    for (size_t i = 0; i <= n_routes; i++) {
        for (size_t k = 0; k < DOOR_CODES; k++) {
            if (h->counts[i][k] == 0)
                continue;
            text_printf(t, "bpd_http_requests_total{method=\"%s\",route=\"%s\",code=\"%d\"} %llu\n",
                        i < n_routes ? methods[routes[i].method] : "other", i < n_routes ? routes[i].pattern : "none",
                        status_counted(k), (unsigned long long)h->counts[i][k]);
        }
    }
}

static void put_door(struct text *t, struct http *h)
{
    gauge(t, "bpd_http_connections", "Connections of clients.", h->n_conns);
    gauge(t, "bpd_http_in_flight", "Requests that wait for their answer.", http_in_flight(h));
    gauge(t, "bpd_waiting_polls", "Workers that wait for a job.", dispatch_waiting_polls(h->app->dispatch));
    counter(t, "bpd_http_refused", "Requests refused before they reached a route.", h->refused);
    put_requests(t, h);
}

static void put_jobs(struct text *t, struct http *h)
{
    struct dispatch_counters n = {0};

    dispatch_counters(h->app->dispatch, &n);
    counter(t, "bpd_jobs_submitted", "Jobs accepted.", n.submitted);
    counter(t, "bpd_jobs_leased", "Leases granted.", n.leased);
    counter(t, "bpd_jobs_completed", "Jobs completed.", n.completed);
    counter(t, "bpd_jobs_failed", "Jobs failed for good.", n.failed);
    counter(t, "bpd_jobs_retried", "Attempts that failed and will be tried again.", n.retried);
    counter(t, "bpd_jobs_requeued", "Interrupted jobs put back.", n.requeued);
    counter(t, "bpd_jobs_cancelled", "Jobs cancelled.", n.cancelled);
    counter(t, "bpd_leases_expired", "Leases that ran out.", n.expired);
    counter(t, "bpd_leases_stale", "Requests for a lease that was over.", n.stale);
    counter(t, "bpd_refused_later", "Requests refused because a mailbox was full.", n.refused_later);
}

static void put_forwarded(struct text *t, struct app *app)
{
    uint64_t sent = 0, lost = 0;
    uint32_t waiting = 0;

    if (!app->log_counts)
        return;
    app->log_counts(app, &sent, &lost, &waiting);
    counter(t, "bpd_lines_forwarded", "Log lines that the logs service took.", sent);
    counter(t, "bpd_lines_lost", "Log lines that never reached the logs service.", lost);
    gauge(t, "bpd_lines_waiting", "Log lines that wait for the logs service.", waiting);
}

static void put_leader(struct text *t, struct http *h)
{
    struct leadership l;

    dispatch_leadership(h->app->dispatch, &l);
    gauge(t, "bpd_leader", "1 when this controller leads: one of all on the same queue does.", l.leads);
    gauge(t, "bpd_leader_epoch", "Which change of the leader this is, counted over all controllers.", (double)l.epoch);
    counter(t, "bpd_leader_takeovers", "Times that this controller began to lead.", l.gained);
    counter(t, "bpd_leader_losses", "Times that this controller led no more.", l.lost);
    gauge(t, "bpd_controllers", "Controllers alive on the same queue.", l.controllers);
}

/* ---- workflows ---- */

static int is_number(struct json_object *v)
{
    return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

/* One family per number of the statistics, one sample per workflow. */
static void put_stats(struct text *t, struct json_object *rows)
{
    struct json_object *first = rows && json_object_array_length(rows) ? json_object_array_get_idx(rows, 0) : NULL;

    if (!first || !json_object_is_type(first, json_type_object))
        return;
    json_object_object_foreach(first, key, value)
    {
        if (!is_number(value))
            continue;
        text_printf(t, "# TYPE bpd_workflow_%s gauge\n", key);
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
            struct json_object *row = json_object_array_get_idx(rows, i);
            text_printf(t, "bpd_workflow_%s{", key);
            put_label(t, "workflow", json_str(row, "workflow", ""));
            text_printf(t, "} %.15g\n", json_num(row, key, 0));
        }
    }
}

static void put_sample(const char *slug, const struct bp_metric *m, void *arg)
{
    struct text *t = arg;

    text_puts(t, "bpd_published{");
    put_label(t, "workflow", slug);
    text_puts(t, ",");
    put_label(t, "name", m->name);
    text_printf(t, "} %.15g\n", m->value);
}

static void put_published(struct text *t, struct http *h)
{
    family(t, "bpd_published", "gauge", "The metrics that scaling publishes, as last sent.");
    scale_each_metric(h->app->scale, put_sample, t);
}

/* One sample of all fleets' `key`. */
static void put_fleet(struct text *t, struct json_object *fleets, const char *key, const char *help)
{
    char name[64];

    snprintf(name, sizeof(name), "bpd_fleet_%s", key);
    family(t, name, "gauge", help);
    for (size_t i = 0; fleets && i < json_object_array_length(fleets); i++) {
        struct json_object *one = json_object_array_get_idx(fleets, i);
        text_printf(t, "%s{", name);
        put_label(t, "workflow", json_str(one, "workflow", ""));
        text_printf(t, "} %.15g\n", json_num(one, key, 0));
    }
}

static void put_fleets(struct text *t, struct http *h)
{
    struct json_object *fleets = fleets_describe(h->app->fleets, NULL);

    put_fleet(t, fleets, "desired", "Instances wanted.");
    put_fleet(t, fleets, "max_size", "Most instances allowed.");
    put_fleet(t, fleets, "pending", "Instances asked for, not running yet.");
    put_fleet(t, fleets, "running", "Instances that run.");
    put_fleet(t, fleets, "draining", "Instances that end when they are idle.");
    put_fleet(t, fleets, "busy", "Instances with a lease.");
    put_fleet(t, fleets, "launch_failures", "Launches that failed within 10 min.");
    json_object_put(fleets);
}

struct kept {
    struct text *text;
    struct scale *scale;
};

static void put_kept(const struct workflow *w, void *arg)
{
    const struct kept *k = arg;
    const struct promises *p = scale_promises(k->scale, w->slug);

    for (int i = 0; p && i < PROMISE_KINDS; i++) {
        if (p->of[i].judged <= 0)
            continue;
        text_puts(k->text, "bpd_promises_kept{");
        put_label(k->text, "workflow", w->slug);
        text_printf(k->text, ",of=\"%s\"} %.15g\n", promise_names[i], p->of[i].kept);
    }
}

static void put_promises(struct text *t, struct http *h)
{
    struct kept kept = {t, h->app->scale};

    family(t, "bpd_promises_kept", "gauge",
           "Share of the jobs asked about that kept what was 95 % sure, the last 200.");
    host_each_workflow(h->app->host, put_kept, &kept);
}

/* ---- plugins ---- */

static void put_plugin_number(struct text *t, struct json_object *plugins, const char *key, const char *type,
                              const char *help)
{
    int counts = strcmp(type, "counter") == 0;

    text_printf(t, "# TYPE bpd_plugin_%s %s\n# HELP bpd_plugin_%s %s\n", key, type, key, help);
    for (size_t i = 0; i < json_object_array_length(plugins); i++) {
        struct json_object *one = json_object_array_get_idx(plugins, i);
        if (!json_member(one, key))
            continue;
        text_printf(t, "bpd_plugin_%s%s{", key, counts ? "_total" : "");
        put_label(t, "plugin", json_str(one, "name", ""));
        text_puts(t, ",");
        text_printf(t, "generation=\"%lld\"} %.15g\n", (long long)json_int(one, "generation", 0),
                    json_num(one, key, 0));
    }
}

static void put_plugins(struct text *t, struct http *h)
{
    struct json_object *plugins = host_describe(h->app->host);

    if (!plugins)
        return;
    family(t, "bpd_plugin_state", "gauge", "1 for the state each plugin is in.");
    for (size_t i = 0; i < json_object_array_length(plugins); i++) {
        struct json_object *one = json_object_array_get_idx(plugins, i);
        text_puts(t, "bpd_plugin_state{");
        put_label(t, "plugin", json_str(one, "name", ""));
        text_puts(t, ",");
        put_label(t, "kind", json_str(one, "kind", ""));
        text_printf(t, ",generation=\"%lld\",", (long long)json_int(one, "generation", 0));
        put_label(t, "state", json_str(one, "state", ""));
        text_puts(t, "} 1\n");
    }
    put_plugin_number(t, plugins, "waiting", "gauge", "Requests in the plugin's mailbox.");
    put_plugin_number(t, plugins, "served", "counter", "Requests the plugin answered.");
    json_object_put(plugins);
}

static void answer_text(struct call *c, struct json_object *stats)
{
    struct http *h = c->http;
    struct text t = {0};

    put_daemon(&t, h);
    put_door(&t, h);
    put_jobs(&t, h);
    put_forwarded(&t, h->app);
    put_leader(&t, h);
    put_stats(&t, json_member(stats, "workflows"));
    put_published(&t, h);
    put_fleets(&t, h);
    put_promises(&t, h);
    put_plugins(&t, h);
    text_puts(&t, "# EOF\n");
    answer_bytes(c, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", t.bytes, t.n);
    text_free(&t);
}

static void on_stats(const struct dispatch_answer *a, void *arg)
{
    struct call *c = arg;

    if (!c->conn || !c->http)
        answer_error(c, 503, "", NULL); /* only frees the call */
    else
        answer_text(c, a->rc == BP_OK ? a->data : NULL);
}

void metrics_show(struct call *c)
{
    dispatch_stats(c->http->app->dispatch, on_stats, c);
}
