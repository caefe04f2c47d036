/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - /metrics in OpenMetrics text form: what the doors, engines, plugins and fleets count.
 *
 * A thousand workflows are some 35,000 samples: each step of the text is a turn of the loop by itself, so that others
 * get theirs in between. What one step reads is of one moment.
 */
#include "http/door.h"
#include "log/json.h"
#include "wire/openmetrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A scrape under way. */
struct scrape {
    struct call *call;
    struct json_object *stats; /* of the queue; NULL: it gave none */
    struct text text;
    size_t step;
};

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

    metric_family(t, "bpd_build", "info", "What runs here.");
    text_puts(t, "bpd_build_info{version=\"" BP_VERSION "\"} 1\n");
    metric_gauge(t, "bpd_ready", "1 when all services are up.",
                 app->ready && !app->draining && !dispatch_queue_error(app->dispatch));
    metric_gauge(t, "bpd_start_time_seconds", "When the daemon started, seconds since the epoch.",
                 (double)app->started_ms / 1000);
    metric_gauge(t, "bpd_resident_memory_bytes", "Memory of the daemon that is in RAM.", resident_bytes());
    metric_gauge(t, "bpd_scale_round_seconds", "How long the last round of scaling decisions kept the loop.",
                 scale_round_s(app->scale));
    metric_gauge(t, "bpd_loop_lag_seconds", "How late the event loop was, worst of the last 10 s.",
                 (double)loop_lag_us(app->loop) / 1e6);
}

static void put_requests(struct text *t, struct http *h)
{
    static const char *const methods[] = {"", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};

    metric_family(t, "bpd_http_requests", "counter", "Requests answered, by route and status.");
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
    metric_gauge(t, "bpd_http_connections", "Connections of clients.", h->n_conns);
    metric_gauge(t, "bpd_http_in_flight", "Requests that wait for their answer.", http_in_flight(h));
    metric_gauge(t, "bpd_waiting_polls", "Workers that wait for a job.", dispatch_waiting_polls(h->app->dispatch));
    metric_counter(t, "bpd_http_refused", "Requests refused before they reached a route.", h->refused);
    put_requests(t, h);
}

static void put_jobs(struct text *t, struct http *h)
{
    struct dispatch_counters n = {0};

    dispatch_counters(h->app->dispatch, &n);
    metric_counter(t, "bpd_jobs_submitted", "Jobs accepted.", n.submitted);
    metric_counter(t, "bpd_jobs_leased", "Leases granted.", n.leased);
    metric_counter(t, "bpd_jobs_completed", "Jobs completed.", n.completed);
    metric_counter(t, "bpd_jobs_failed", "Jobs failed for good.", n.failed);
    metric_counter(t, "bpd_jobs_retried", "Attempts that failed and will be tried again.", n.retried);
    metric_counter(t, "bpd_jobs_requeued", "Interrupted jobs put back.", n.requeued);
    metric_counter(t, "bpd_jobs_cancelled", "Jobs cancelled.", n.cancelled);
    metric_counter(t, "bpd_leases_expired", "Leases that ran out.", n.expired);
    metric_counter(t, "bpd_leases_stale", "Requests for a lease that was over.", n.stale);
    metric_counter(t, "bpd_refused_later", "Requests refused because a mailbox was full.", n.refused_later);
}

static void put_forwarded(struct text *t, struct app *app)
{
    uint64_t sent = 0, lost = 0;
    uint32_t waiting = 0;

    if (!app->log_counts)
        return;
    app->log_counts(app, &sent, &lost, &waiting);
    metric_counter(t, "bpd_lines_forwarded", "Log lines that the logs service took.", sent);
    metric_counter(t, "bpd_lines_lost", "Log lines that never reached the logs service.", lost);
    metric_gauge(t, "bpd_lines_waiting", "Log lines that wait for the logs service.", waiting);
}

static void put_leader(struct text *t, struct http *h)
{
    struct leadership l;

    dispatch_leadership(h->app->dispatch, &l);
    metric_gauge(t, "bpd_leader", "1 when this controller leads: one of all on the same queue does.", l.leads);
    metric_gauge(t, "bpd_leader_epoch", "Which change of the leader this is, counted over all controllers.",
                 (double)l.epoch);
    metric_counter(t, "bpd_leader_takeovers", "Times that this controller began to lead.", l.gained);
    metric_counter(t, "bpd_leader_losses", "Times that this controller led no more.", l.lost);
    metric_gauge(t, "bpd_controllers", "Controllers alive on the same queue.", l.controllers);
}

/* ---- workflows ---- */

#define COLUMNS 32

/* One family of many, which grows row by row beside the others. */
struct column {
    struct text text;
    char name[64];
};

static void columns_end(struct text *t, struct column *columns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_add(t, columns[i].text.bytes, columns[i].text.n);
        text_free(&columns[i].text);
    }
}

static int is_number(struct json_object *v)
{
    return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

/* The row of one workflow; every row has the same members in the same order. */
static size_t put_stats_row(struct column *columns, struct json_object *row, const struct text *labels)
{
    size_t n = 0;

    json_object_object_foreach(row, key, value)
    {
        struct column *c = &columns[n];
        if (!is_number(value) || n == COLUMNS)
            continue;
        if (c->text.n == 0) {
            snprintf(c->name, sizeof(c->name), "bpd_workflow_%s", key);
            metric_family(&c->text, c->name, "gauge", NULL);
        }
        metric_sample(&c->text, c->name, labels, json_object_get_double(value));
        n++;
    }
    return n;
}

/* One family per number of the statistics, one sample per workflow. */
static void put_stats(struct text *t, struct scrape *s)
{
    struct json_object *rows = json_member(s->stats, "workflows");
    struct column columns[COLUMNS] = {0};
    struct text labels = {0};
    size_t n = 0;

    for (size_t i = 0; rows && i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        metric_labels(&labels, (const char *const[]){"workflow", json_str(row, "workflow", ""), NULL});
        n = put_stats_row(columns, row, &labels);
    }
    columns_end(t, columns, n);
    text_free(&labels);
}

/* The metrics of scaling: what grows, and a place for labels. */
struct published {
    struct text *text, labels;
};

static void put_published_one(const char *slug, const struct bp_metric *m, void *arg)
{
    struct published *p = arg;

    metric_labels(&p->labels, (const char *const[]){"workflow", slug, "name", m->name, NULL});
    metric_sample(p->text, "bpd_published", &p->labels, m->value);
}

static void put_published(struct text *t, struct scrape *s)
{
    struct published p = {.text = t};

    metric_family(t, "bpd_published", "gauge", "The metrics that scaling publishes, as last sent.");
    scale_each_metric(s->call->http->app->scale, put_published_one, &p);
    text_free(&p.labels);
}

/* What grows, a place for labels, and where it comes from. */
struct kept {
    struct text *text, labels;
    struct scale *scale;
};

static void put_kept(const struct workflow *w, void *arg)
{
    struct kept *k = arg;
    const struct promises *p = scale_promises(k->scale, w->slug);

    for (int i = 0; p && i < PROMISE_KINDS; i++) {
        if (p->of[i].judged <= 0)
            continue;
        metric_labels(&k->labels, (const char *const[]){"workflow", w->slug, "of", promise_names[i], NULL});
        metric_sample(k->text, "bpd_promises_kept", &k->labels, p->of[i].kept);
    }
}

static void put_promises(struct text *t, struct scrape *s)
{
    const struct app *app = s->call->http->app;
    struct kept kept = {.text = t, .scale = app->scale};

    metric_family(t, "bpd_promises_kept", "gauge",
                  "Share of the jobs asked about that kept what was 95 % sure, the last 200.");
    host_each_workflow(app->host, put_kept, &kept);
    text_free(&kept.labels);
}

/* ---- fleets and plugins: columns, and a place for the labels of a row ---- */

struct rows {
    struct column columns[COLUMNS];
    struct text labels;
};

static void column_begin(struct column *c, const char *name, const char *type, const char *help)
{
    snprintf(c->name, sizeof(c->name), "%s%s", name, strcmp(type, "counter") == 0 ? "_total" : "");
    metric_family(&c->text, name, type, help);
}

static void put_fleet(const char *slug, const struct fleet_counts *n, void *arg)
{
    struct rows *r = arg;
    const double values[] = {n->desired, n->max_size, n->pending, n->running, n->draining, n->busy, n->launch_failures};

    metric_labels(&r->labels, (const char *const[]){"workflow", slug, NULL});
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        metric_sample(&r->columns[i].text, r->columns[i].name, &r->labels, values[i]);
}

static void put_fleets(struct text *t, struct scrape *s)
{
    static const char *const heads[][2] = {
        {"bpd_fleet_desired", "Instances wanted."},
        {"bpd_fleet_max_size", "Most instances allowed."},
        {"bpd_fleet_pending", "Instances asked for, not running yet."},
        {"bpd_fleet_running", "Instances that run."},
        {"bpd_fleet_draining", "Instances that end when they are idle."},
        {"bpd_fleet_busy", "Instances with a lease."},
        {"bpd_fleet_launch_failures", "Launches that failed within 10 min."},
    };
    struct rows r = {0};

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        column_begin(&r.columns[i], heads[i][0], "gauge", heads[i][1]);
    fleets_each(s->call->http->app->fleets, put_fleet, &r);
    columns_end(t, r.columns, sizeof(heads) / sizeof(heads[0]));
    text_free(&r.labels);
}

static void put_plugin(const struct host_plugin *p, void *arg)
{
    struct rows *r = arg;
    char generation[16];

    snprintf(generation, sizeof(generation), "%u", p->generation);
    metric_labels(&r->labels, (const char *const[]){"plugin", p->name, "kind", p->kind, "generation", generation,
                                                    "state", p->state, NULL});
    metric_sample(&r->columns[0].text, r->columns[0].name, &r->labels, 1);
    metric_labels(&r->labels, (const char *const[]){"plugin", p->name, "generation", generation, NULL});
    metric_sample(&r->columns[1].text, r->columns[1].name, &r->labels, p->waiting);
    metric_sample(&r->columns[2].text, r->columns[2].name, &r->labels, (double)p->served);
}

static void put_plugins(struct text *t, struct scrape *s)
{
    struct rows r = {0};

    column_begin(&r.columns[0], "bpd_plugin_state", "gauge", "1 for the state each plugin is in.");
    column_begin(&r.columns[1], "bpd_plugin_waiting", "gauge", "Requests in the plugin's mailbox.");
    column_begin(&r.columns[2], "bpd_plugin_served", "counter", "Requests the plugin answered.");
    host_each_plugin(s->call->http->app->host, put_plugin, &r);
    columns_end(t, r.columns, 3);
    text_free(&r.labels);
}

/* ---- step by step ---- */

static void put_totals(struct text *t, struct scrape *s)
{
    struct http *h = s->call->http;

    put_daemon(t, h);
    put_door(t, h);
    put_jobs(t, h);
    put_forwarded(t, h->app);
    put_leader(t, h);
}

static void (*const steps[])(struct text *t, struct scrape *s) = {put_totals,   put_stats,  put_published,
                                                                  put_promises, put_fleets, put_plugins};

static void turn(void *arg)
{
    struct scrape *s = arg;
    struct call *c = s->call;

    if (c->conn && c->http && s->step < sizeof(steps) / sizeof(steps[0])) {
        steps[s->step++](&s->text, s);
        loop_post(c->http->app->loop, "http.metrics", turn, s);
        return;
    }
    text_puts(&s->text, "# EOF\n");
    answer_bytes(c, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", s->text.bytes, s->text.n);
    json_object_put(s->stats);
    text_free(&s->text);
    free(s);
}

static void on_stats(const struct dispatch_answer *a, void *arg)
{
    struct scrape *s = arg;

    s->stats = a->rc == BP_OK ? json_object_get(a->data) : NULL;
    turn(s);
}

void metrics_show(struct call *c)
{
    struct scrape *s = calloc(1, sizeof(*s));

    assert(s);
    s->call = c;
    dispatch_stats(c->http->app->dispatch, on_stats, s);
}
