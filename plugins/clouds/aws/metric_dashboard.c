/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_dashboard.c - a row of widgets for each workflow on the stage's dashboard; further dashboards ("-2", "-3",
 * ...) when one is full.
 *
 * What is in CloudWatch is the truth: it is read, the rows of the workflows in question are made anew, and it is
 * written back only when it differs. Widgets that are not a workflow's row are somebody else's and stay, above ours.
 */
#include "client.h"
#include "clock.h"
#include "err.h"
#include "form.h"
#include "metrics_priv.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_MAX       32
#define ROWS_PER_PAGE   80 /* CloudWatch holds 500 widgets a dashboard */
#define WIDGETS_PER_ROW 6
#define WIDGET_WIDTH    4 /* of 24 columns */
#define WIDGET_HEIGHT   5
#define FRESH_MS        60000 /* so long what was read is taken for what is there */

struct dashboard {
    const struct metrics *metrics;
    char name[200];
    int64_t read_ms;                      /* 0: never */
    uint32_t n;                           /* pages that are there */
    struct json_object *pages[PAGES_MAX]; /* their bodies */
};

/* What a widget shows; metrics of the right axis come last. */
static const struct widget {
    const char *title, *metrics[4];
} widgets[WIDGETS_PER_ROW] = {
    {"depth", {"QueueDepth"}},
    {"workers", {"ActiveWorkers", "AvailableCapacity"}},
    {"backlog", {"BacklogPerInstance"}},
    {"P50 run, P95 wait", {"JobProcessingP50", "QueueWaitP95"}},
    {"errors", {"ErrorRate", "LeaseExpiredCount"}},
    {"Spot", {"SpotInterruptionCount", "LaunchFailures"}},
};

/* ---- rows ---- */

static struct json_object *str(const char *text)
{
    return json_object_new_string(text);
}

static void put(struct json_object *o, const char *name, struct json_object *v)
{
    json_object_object_add(o, name, v);
}

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *v = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &v);
    return v;
}

static const char *text_at(struct json_object *list, size_t i)
{
    struct json_object *v = json_object_is_type(list, json_type_array) && i < json_object_array_length(list)
                                ? json_object_array_get_idx(list, i)
                                : NULL;
    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* The workflow whose row a widget belongs to, "" for a widget that is not ours. */
static const char *slug_of(const struct dashboard *d, struct json_object *widget)
{
    struct json_object *list = member(member(widget, "properties"), "metrics");
    struct json_object *first = json_object_is_type(list, json_type_array) && json_object_array_length(list)
                                    ? json_object_array_get_idx(list, 0)
                                    : NULL;
    int ours = strcmp(text_at(first, 0), d->metrics->namespace) == 0 && strcmp(text_at(first, 2), "WorkflowSlug") == 0;
    return ours ? text_at(first, 3) : "";
}

static struct json_object *metric_list(const struct dashboard *d, const struct widget *k,
                                       const struct bp_metrics_watch *w)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < 4 && k->metrics[i]; i++) {
        struct json_object *m = json_object_new_array();
        const char *parts[] = {d->metrics->namespace, k->metrics[i], "WorkflowSlug", w->slug, "Stage", w->stage};
        for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
            json_object_array_add(m, str(parts[p]));
        json_object_array_add(list, m);
    }
    return list;
}

/* The line that the scaling aims at. */
static void put_target(struct json_object *properties, int32_t target)
{
    struct json_object *notes = json_object_new_object(), *list = json_object_new_array(),
                       *line = json_object_new_object();
    put(line, "label", str("target"));
    put(line, "value", json_object_new_int(target));
    json_object_array_add(list, line);
    put(notes, "horizontal", list);
    put(properties, "annotations", notes);
}

static struct json_object *widget_new(const struct dashboard *d, int i, const struct bp_metrics_watch *w)
{
    char title[200];
    struct json_object *o = json_object_new_object(), *p = json_object_new_object();
    const char *who = w->display_name && w->display_name[0] ? w->display_name : w->slug;
    snprintf(title, sizeof title, "%s: %s", who, widgets[i].title);
    put(p, "title", str(title));
    put(p, "region", str(d->metrics->aws->settings.region));
    put(p, "view", str("timeSeries"));
    put(p, "stat", str("Maximum"));
    put(p, "period", json_object_new_int(METRIC_PERIOD_S));
    put(p, "metrics", metric_list(d, &widgets[i], w));
    if (strcmp(widgets[i].metrics[0], "BacklogPerInstance") == 0)
        put_target(p, w->backlog_target);
    put(o, "type", str("metric"));
    put(o, "x", json_object_new_int(i * WIDGET_WIDTH));
    put(o, "y", json_object_new_int(0));
    put(o, "width", json_object_new_int(WIDGET_WIDTH));
    put(o, "height", json_object_new_int(WIDGET_HEIGHT));
    put(o, "properties", p);
    return o;
}

/* ---- pages ---- */

static struct json_object *widgets_of(struct json_object *page)
{
    struct json_object *list = member(page, "widgets");
    return json_object_is_type(list, json_type_array) ? list : NULL;
}

static int holds(const struct dashboard *d, struct json_object *page, const char *slug)
{
    struct json_object *list = widgets_of(page);
    size_t n = list ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(slug_of(d, json_object_array_get_idx(list, i)), slug) == 0)
            return 1;
    return 0;
}

static size_t rows_of(const struct dashboard *d, struct json_object *page)
{
    struct json_object *list = widgets_of(page);
    size_t n = list ? json_object_array_length(list) : 0, ours = 0;
    for (size_t i = 0; i < n; i++)
        ours += slug_of(d, json_object_array_get_idx(list, i))[0] != 0;
    return (ours + WIDGETS_PER_ROW - 1) / WIDGETS_PER_ROW;
}

/* Takes over widgets of `from`: those that are not ours (side 0), or of the rows before (-1) or behind (1) that of
 * slug. */
static void take(const struct dashboard *d, struct json_object *from, const char *slug, int side,
                 struct json_object *into)
{
    size_t n = from ? json_object_array_length(from) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *w = json_object_array_get_idx(from, i);
        const char *of = slug_of(d, w);
        int order = of[0] ? strcmp(of, slug) : 0;
        if (side == 0 ? !of[0] : order * side > 0)
            json_object_array_add(into, json_object_get(w));
    }
}

/* How far down they reach. */
static int32_t bottom_of(struct json_object *list)
{
    int32_t bottom = 0;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *w = json_object_array_get_idx(list, i);
        int32_t end = json_object_get_int(member(w, "y")) + json_object_get_int(member(w, "height"));
        bottom = end > bottom ? end : bottom;
    }
    return bottom;
}

/* Rows of widgets `first` and following, one below the other. */
static void lay_out(const struct dashboard *d, struct json_object *list, size_t first, int32_t y)
{
    for (size_t i = first; i < json_object_array_length(list); i++) {
        struct json_object *w = json_object_array_get_idx(list, i);
        if (i > first && strcmp(slug_of(d, w), slug_of(d, json_object_array_get_idx(list, i - 1))) != 0)
            y += WIDGET_HEIGHT;
        put(w, "y", json_object_new_int(y));
    }
}

/* The page with the row of slug made anew by w, or gone (w NULL). Everything else that the body has stays. */
static struct json_object *change(const struct dashboard *d, struct json_object *page, const char *slug,
                                  const struct bp_metrics_watch *w)
{
    struct json_object *copy = NULL, *list = json_object_new_array();
    if (!page || json_object_deep_copy(page, &copy, NULL) < 0)
        copy = json_object_new_object();
    take(d, widgets_of(copy), slug, 0, list);
    size_t first = json_object_array_length(list);
    int32_t bottom = bottom_of(list);
    take(d, widgets_of(copy), slug, -1, list);
    for (int i = 0; w && i < WIDGETS_PER_ROW; i++)
        json_object_array_add(list, widget_new(d, i, w));
    take(d, widgets_of(copy), slug, 1, list);
    lay_out(d, list, first, bottom);
    put(copy, "widgets", list);
    return copy;
}

/* ---- CloudWatch ---- */

static void name_page(const struct dashboard *d, uint32_t i, char out[220])
{
    if (i == 0)
        snprintf(out, 220, "%s", d->name);
    else
        snprintf(out, 220, "%s-%u", d->name, i + 1);
}

static int read_page(struct dashboard *d, uint32_t i, struct bp_err *err)
{
    char name[220];
    struct reply r = {0};
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to read a dashboard");
    name_page(d, i, name);
    form_put(f, name, "DashboardName");
    int rc = client_query(d->metrics->aws->client, AWS_OP_CLOUDWATCH_GET_DASHBOARD, f, name, &r, err);
    form_free(f);
    if (rc == 0) {
        d->pages[i] = json_tokener_parse(xml_text(xml_result(r.xml), "DashboardBody"));
        if (!json_object_is_type(d->pages[i], json_type_object))
            rc = err_set(err, BP_INVALID, "the dashboard %s holds no JSON object; delete it and it is made anew", name);
    }
    reply_free(&r);
    return rc;
}

static void forget_pages(struct dashboard *d)
{
    for (uint32_t i = 0; i < PAGES_MAX; i++) {
        json_object_put(d->pages[i]);
        d->pages[i] = NULL;
    }
    d->n = 0;
    d->read_ms = 0;
}

static int read_pages(struct dashboard *d, struct bp_err *err)
{
    int64_t now = wall_ms();
    int rc = 0;
    if (d->read_ms && now >= d->read_ms && now - d->read_ms < FRESH_MS)
        return 0;
    forget_pages(d);
    while (d->n < PAGES_MAX && (rc = read_page(d, d->n, err)) == 0)
        d->n++;
    if (rc < 0 && rc != BP_NOTFOUND) {
        forget_pages(d);
        return rc;
    }
    d->read_ms = now;
    return 0;
}

static int write_page(struct dashboard *d, uint32_t i, struct json_object *body, struct bp_err *err)
{
    char name[220], what[240];
    struct reply r = {0};
    struct form *f = form_new();
    if (!f)
        return err_set(err, BP_NOMEM, "no memory to write a dashboard");
    name_page(d, i, name);
    snprintf(what, sizeof what, "dashboard %s", name);
    form_put(f, name, "DashboardName");
    form_put(f, json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
             "DashboardBody");
    int rc = client_query(d->metrics->aws->client, AWS_OP_CLOUDWATCH_PUT_DASHBOARD, f, what, &r, err);
    reply_free(&r);
    form_free(f);
    return rc;
}

/* ---- what is asked for ---- */

/* Where the row of slug is, else where there is room for one. */
static uint32_t page_of(const struct dashboard *d, const char *slug)
{
    uint32_t room = d->n;
    for (uint32_t i = d->n; i-- > 0;) {
        if (holds(d, d->pages[i], slug))
            return i;
        room = rows_of(d, d->pages[i]) < ROWS_PER_PAGE ? i : room;
    }
    return room;
}

/* Writes the pages that differ from what was read; they are what is there from now on. */
static int write_changed(struct dashboard *d, struct json_object **wanted, struct bp_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < PAGES_MAX && rc == 0; i++) {
        if (!wanted[i] || (d->pages[i] && json_object_equal(wanted[i], d->pages[i])))
            continue;
        rc = write_page(d, i, wanted[i], err);
        if (rc == 0) {
            json_object_put(d->pages[i]);
            d->pages[i] = json_object_get(wanted[i]);
        }
    }
    for (uint32_t i = 0; i < PAGES_MAX; i++)
        json_object_put(wanted[i]);
    if (rc < 0)
        forget_pages(d);
    return rc;
}

int dashboard_keep(struct dashboard *d, const struct bp_metrics_watch *specs, uint32_t n, struct bp_err *err)
{
    struct json_object *before[PAGES_MAX] = {0}, *wanted[PAGES_MAX] = {0};
    int rc = read_pages(d, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < PAGES_MAX; i++)
        before[i] = json_object_get(d->pages[i]);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t page = page_of(d, specs[i].slug);
        if (page == PAGES_MAX) {
            rc = err_set(err, BP_NOSPACE, "%d dashboards are full; %s has no row there", PAGES_MAX, specs[i].slug);
            continue;
        }
        struct json_object *body = change(d, d->pages[page], specs[i].slug, &specs[i]);
        json_object_put(d->pages[page]);
        d->pages[page] = body;
        d->n = page == d->n ? page + 1 : d->n;
    }
    for (uint32_t i = 0; i < PAGES_MAX; i++) {
        wanted[i] = d->pages[i];
        d->pages[i] = before[i];
    }
    int written = write_changed(d, wanted, err);
    return written < 0 ? written : rc;
}

int dashboard_remove(struct dashboard *d, const char *slug, struct bp_err *err)
{
    struct json_object *wanted[PAGES_MAX] = {0};
    int rc = read_pages(d, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < d->n; i++)
        if (holds(d, d->pages[i], slug))
            wanted[i] = change(d, d->pages[i], slug, NULL);
    return write_changed(d, wanted, err);
}

/* ---- life ---- */

struct dashboard *dashboard_new(const struct metrics *m, struct bp_err *err)
{
    struct dashboard *d = calloc(1, sizeof *d);
    const char *name = settings_str(&m->aws->settings, "dashboardName", "");
    if (!d) {
        err_set(err, BP_NOMEM, "no memory for a dashboard");
        return NULL;
    }
    d->metrics = m;
    if (name[0])
        snprintf(d->name, sizeof d->name, "%s", name);
    else
        snprintf(d->name, sizeof d->name, "bpd-%s", m->aws->settings.stage);
    for (char *c = d->name; *c; c++) /* what a dashboard may be named with */
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            *c = '-';
    return d;
}

void dashboard_free(struct dashboard *d)
{
    if (d)
        forget_pages(d);
    free(d);
}
