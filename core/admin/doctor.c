/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include "log/err.h"
#include "log/json.h"
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_S     20
#define BUDGET_MAX_S 120
#define ROWS_MAX     64
#define SPARE_MS     500 /* a plugin is told to be done so much earlier */

struct gathering {
    struct gathering *next; /* of the run */
    atomic_int refs;
    char plugin[65];
    pthread_mutex_t mutex; /* guards what follows */
    int closed;            /* the answer is out: nothing is taken any more */
    uint32_t n, lost;
    struct bp_check_row rows[ROWS_MAX];
    /* of the loop alone */
    int answered;
    struct bp_err err;
};

/* What goes to the plugin's thread. */
struct question {
    const void *table;
    void *inst;
    int32_t budget_ms;
    struct gathering *g;
    struct checkup *checkup;
};

/* The plugins that are asked now, also by runs that gave up waiting: each is asked by one run at a time. */
struct checkup {
    int refs; /* admin and each question */
    uint32_t n;
    char names[64][65];
};

/* ---- rows ---- */

static const char *status_name(int status)
{
    return status == BP_CHECK_OK ? "ok" : status == BP_CHECK_WARN ? "warn" : "fail";
}

static void add_row(struct json_object *list, const char *plugin, const struct bp_check_row *r)
{
    char name[128];
    struct json_object *o = json_object_new_object();
    snprintf(name, sizeof name, "%s%s%s", plugin, plugin[0] ? "." : "", r->name);
    json_put_str(o, "check", name);
    json_put_str(o, "status", status_name(r->status));
    if (r->operation[0])
        json_put_str(o, "operation", r->operation);
    if (r->resource[0])
        json_put_str(o, "resource", r->resource);
    json_put_str(o, "text", r->text);
    if (r->permission[0])
        json_put_str(o, "permission", r->permission);
    if (r->remedy[0])
        json_put_str(o, "remedy", r->remedy);
    json_object_array_add(list, o);
}

void doctor_say(struct doctor *d, const char *name, int status, const char *remedy, const char *fmt, ...)
{
    struct bp_check_row r = {.size = sizeof r, .status = status};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r.text, sizeof r.text, fmt, ap);
    va_end(ap);
    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.remedy, sizeof r.remedy, "%s", remedy ? remedy : "");
    add_row(d->rows, "", &r);
}

/* ---- one plugin's rows ---- */

static void gathering_unref(struct gathering *g)
{
    if (atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

/* A plugin's row as far as it and we know it, every text ended. */
static void copy_row(struct bp_check_row *to, const struct bp_check_row *from)
{
    size_t n = from->size < sizeof *to ? from->size : sizeof *to;
    memset(to, 0, sizeof *to);
    memcpy(to, from, n);
    to->name[sizeof to->name - 1] = to->operation[sizeof to->operation - 1] = '\0';
    to->resource[sizeof to->resource - 1] = to->text[sizeof to->text - 1] = '\0';
    to->permission[sizeof to->permission - 1] = to->remedy[sizeof to->remedy - 1] = '\0';
    to->service[sizeof to->service - 1] = '\0';
}

/* [the plugin's thread] */
static void take_row(void *arg, const struct bp_check_row *row)
{
    struct gathering *g = arg;
    struct bp_check_row copy;
    copy_row(&copy, row);
    pthread_mutex_lock(&g->mutex);
    uint32_t i = 0;
    while (i < g->n && strcmp(g->rows[i].name, copy.name) != 0)
        i++;
    if (g->closed || i == ROWS_MAX) {
        g->lost++;
    } else {
        g->rows[i] = copy;
        g->n += i == g->n;
    }
    pthread_mutex_unlock(&g->mutex);
}

/* [the plugin's thread] */
static int ask_plugin(const void *table, void *inst, void *args, struct bp_err *err)
{
    const struct question *q = args;
    const struct bp_check *t = q->table;
    (void)table, (void)inst;
    return t->run(q->inst, q->budget_ms, take_row, q->g, err);
}

/* Is it about a service that another plugin provides? */
static int is_idle(const struct doctor *d, const char *plugin, const char *service)
{
    const char *provider = service[0] ? host_provider(d->app->host, service) : plugin;
    return !provider || strcmp(provider, plugin) != 0;
}

static void late_row(struct bp_check_row *r, int budget_ms)
{
    r->status = BP_CHECK_FAIL;
    snprintf(r->text, sizeof r->text, "no answer within %d s", budget_ms / 1000);
    if (!r->remedy[0])
        snprintf(r->remedy, sizeof r->remedy,
                 "see whether what it asks can be reached: network, proxy, firewall, endpoint");
}

/* Moves what was gathered into the answer and takes no more. */
static void gathering_close(struct doctor *d, struct gathering *g)
{
    struct bp_check_row own = {.size = sizeof own, .status = BP_CHECK_FAIL, .name = "checks"};
    pthread_mutex_lock(&g->mutex);
    g->closed = 1;
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->rows[i].status == BP_CHECK_RUNNING)
            late_row(&g->rows[i], d->budget_ms);
        if (!is_idle(d, g->plugin, g->rows[i].service))
            add_row(d->rows, g->plugin, &g->rows[i]);
    }
    pthread_mutex_unlock(&g->mutex);
    if (!g->answered) {
        late_row(&own, d->budget_ms);
        snprintf(own.text, sizeof own.text, "plugin %s did not finish its checks within %d s", g->plugin,
                 d->budget_ms / 1000);
        add_row(d->rows, g->plugin, &own);
    } else if (g->err.rc < 0) {
        snprintf(own.text, sizeof own.text, "%s", g->err.text);
        add_row(d->rows, g->plugin, &own);
    }
}

/* ---- asking ---- */

void checkup_unref(struct checkup *c)
{
    if (c && --c->refs == 0)
        free(c);
}

static int is_asked(const struct checkup *c, const char *plugin)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (strcmp(c->names[i], plugin) == 0)
            return 1;
    return 0;
}

static void question_free(void *args)
{
    struct question *q = args;
    struct checkup *c = q->checkup;
    for (uint32_t i = 0; i < c->n; i++)
        if (strcmp(c->names[i], q->g->plugin) == 0)
            memmove(c->names[i], c->names[--c->n], sizeof c->names[i]);
    checkup_unref(c);
    gathering_unref(q->g);
    free(q);
}

static struct gathering *gathering_of(struct doctor *d, const struct gathering *which)
{
    struct gathering *g = d->gatherings;
    while (g && g != which)
        g = g->next;
    return g;
}

/* One reply: which plugin it is of. */
struct asked {
    struct doctor *d;
    struct gathering *g;
};

static void plugin_answered(void *args, const struct bp_err *err, void *arg)
{
    struct asked *a = arg;
    struct gathering *g = a->d->call ? gathering_of(a->d, a->g) : NULL;
    (void)args;
    if (g && err->rc != BP_TIMEOUT) {
        g->answered = 1;
        g->err = *err;
    }
    doctor_heard(a->d);
    free(a);
}

static struct gathering *gathering_new(struct doctor *d, const char *plugin)
{
    struct gathering *g = calloc(1, sizeof *g);
    assert(g);
    atomic_init(&g->refs, 1);
    pthread_mutex_init(&g->mutex, NULL);
    snprintf(g->plugin, sizeof g->plugin, "%s", plugin);
    struct gathering **at = &d->gatherings;
    while (*at)
        at = &(*at)->next;
    *at = g;
    return g;
}

static void ask(const struct offered *o, void *arg)
{
    struct doctor *d = arg;
    struct checkup *c = d->call->conn->admin->checkup;
    struct bp_err err = {0};
    if (is_asked(c, o->plugin) || c->n == sizeof c->names / sizeof c->names[0]) {
        char name[80];
        snprintf(name, sizeof name, "%.64s.checks", o->plugin);
        doctor_say(d, name, BP_CHECK_FAIL, "what it waits for does not answer: see the log, or run doctor again later",
                   "plugin %s is still at the checks of an earlier run", o->plugin);
        return;
    }
    struct gathering *g = gathering_new(d, o->plugin);
    struct question *q = calloc(1, sizeof *q);
    struct asked *a = calloc(1, sizeof *a);
    assert(q && a);
    *q = (struct question){o->table, o->inst, d->budget_ms - SPARE_MS, g, c};
    *a = (struct asked){d, g};
    atomic_fetch_add(&g->refs, 1);
    c->refs++;
    snprintf(c->names[c->n++], sizeof c->names[0], "%s", o->plugin);
    struct request_spec spec = {.name = "doctor.check",
                                .run = ask_plugin,
                                .args = q,
                                .args_free = question_free,
                                .reply = plugin_answered,
                                .arg = a,
                                .timeout_ms = d->budget_ms};
    d->refs++;
    d->open++;
    if (actor_call(o->actor, &spec, &err) < 0)
        plugin_answered(NULL, &err, a);
}

/* ---- the run ---- */

static void doctor_unref(struct doctor *d)
{
    if (--d->refs > 0)
        return;
    while (d->gatherings) {
        struct gathering *g = d->gatherings;
        d->gatherings = g->next;
        gathering_unref(g);
    }
    loop_timer_free(d->limit);
    json_object_put(d->rows);
    free(d);
}

static int count(struct json_object *rows, const char *status)
{
    int n = 0;
    for (size_t i = 0; i < json_object_array_length(rows); i++)
        n += strcmp(json_str(json_object_array_get_idx(rows, i), "status", ""), status) == 0;
    return n;
}

/* Answers. The run's own reference is the caller's to give back. */
static void finish(struct doctor *d)
{
    struct admin_call *c = d->call;
    struct json_object *o = json_object_new_object();
    d->call = NULL;
    loop_timer_cancel(d->limit);
    doctor_self_late(d);
    for (struct gathering *g = d->gatherings; g; g = g->next)
        gathering_close(d, g);
    json_put_int(o, "ok", count(d->rows, "ok"));
    json_put_int(o, "warn", count(d->rows, "warn"));
    json_put_int(o, "fail", count(d->rows, "fail"));
    json_object_object_add(o, "checks", json_object_get(d->rows));
    call_ok(c, o);
}

static void is_late(void *arg)
{
    struct doctor *d = arg;
    finish(d);
    doctor_unref(d);
}

void doctor_heard(struct doctor *d)
{
    if (--d->open == 0 && d->call) {
        finish(d);
        d->refs--;
    }
    doctor_unref(d);
}

void cmd_doctor(struct admin_call *c)
{
    int64_t s = json_int(c->params, "timeout", BUDGET_S);
    if (s < 2 || s > BUDGET_MAX_S) {
        call_fail(c, BP_INVALID, "--timeout takes 2 to 120 seconds", NULL);
        return;
    }
    struct doctor *d = calloc(1, sizeof *d);
    assert(d);
    d->call = c;
    d->app = c->app;
    d->refs = 2; /* the run, and this function */
    d->open = 1;
    d->budget_ms = (int)s * 1000;
    d->rows = json_object_new_array();
    d->limit = loop_timer_new(c->app->loop, "doctor.limit", is_late, d);
    loop_timer_after(d->limit, d->budget_ms + SPARE_MS);
    doctor_check_self(d);
    host_each_offer(c->app->host, BP_CHECK_FACET, ask, d);
    doctor_heard(d);
}

struct checkup *checkup_new(void)
{
    struct checkup *c = calloc(1, sizeof *c);
    assert(c);
    c->refs = 1;
    return c;
}
