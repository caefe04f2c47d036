/* SPDX-License-Identifier: Apache-2.0 */
/* simulation_source.c - a trace, and with --live the model, from a running daemon. */
#include "client.h"
#include "log/err.h"
#include "log/json.h"
#include "policy/history.h"
#include "simulation.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE     1000
#define JOBS_MAX 200000

struct past_job {
    int64_t arrival_ms, duration_ms;
};

struct past {
    struct past_job *jobs;
    size_t n, room;
};

/* "2026-01-31T12:00:00.123Z" as milliseconds since 1970, 0: it is no time. */
static int64_t time_of(struct json_object *job, const char *member)
{
    struct tm tm = {0};
    const char *text = json_str(job, member, "");
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    double fraction = rest && *rest == '.' ? strtod(rest, NULL) : 0;
    return rest ? (int64_t)timegm(&tm) * 1000 + (int64_t)(fraction * 1000 + 0.5) : 0;
}

/* One that completed counts: from when it was due to its last lease's end. */
static int keep(struct past *p, struct json_object *job)
{
    int64_t created = time_of(job, "created_at"), due = time_of(job, "not_before"), leased = time_of(job, "leased_at"),
            finished = time_of(job, "finished_at");
    if (!created || !leased || finished < leased)
        return 1;
    if (p->n == p->room) {
        size_t room = p->room ? p->room * 2 : PAGE;
        struct past_job *more = realloc(p->jobs, room * sizeof *more);
        if (!more)
            return 0;
        p->jobs = more;
        p->room = room;
    }
    p->jobs[p->n++] = (struct past_job){due > created && due <= leased ? due : created, finished - leased};
    return 1;
}

static struct json_object *ask(struct client *c, const char *const *words, struct bp_err *err)
{
    struct json_object *params = json_object_new_object(), *argv = json_object_new_array();
    for (; *words; words++)
        json_object_array_add(argv, json_object_new_string(*words));
    json_object_object_add(params, "argv", argv);
    json_put_bool(params, "text", 0);
    return client_call(c, "run", params, NULL, err);
}

/* A page of jobs, the newest first; *before is 0 after the last one. */
static int take_page(struct client *c, const char *workflow, struct past *p, int64_t *before, struct bp_err *err)
{
    char before_text[24];
    snprintf(before_text, sizeof before_text, "%lld", (long long)*before);
    const char *words[] = {"jobs",      "--workflow", workflow, "--status",
                           "completed", "--limit",    "1000",   *before ? "--before" : NULL,
                           before_text, NULL};
    struct json_object *page = ask(c, words, err), *jobs = json_member(page, "jobs");
    int good = 1;
    if (!page)
        return err->rc;
    for (size_t i = 0; good && jobs && i < json_object_array_length(jobs); i++)
        good = keep(p, json_object_array_get_idx(jobs, i));
    *before = json_int(page, "next_before_id", 0);
    json_object_put(page);
    return good ? BP_OK : err_set(err, BP_NOMEM, "no memory for the history of %s", workflow);
}

static int by_arrival(const void *a, const void *b)
{
    const struct past_job *x = a, *y = b;
    return (x->arrival_ms > y->arrival_ms) - (x->arrival_ms < y->arrival_ms);
}

static int make_trace(struct trace *t, const char *workflow, struct past *p, struct bp_err *err)
{
    int rc = BP_OK;
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", workflow);
    if (p->n == 0)
        return err_set(err, BP_NOTFOUND, "the queue remembers no completed job of %s; give a trace with --trace",
                       workflow);
    qsort(p->jobs, p->n, sizeof *p->jobs, by_arrival);
    t->begin_ms = p->jobs[0].arrival_ms;
    for (size_t i = 0; rc == BP_OK && i < p->n; i++)
        rc = trace_add(t, p->jobs[i].arrival_ms - p->jobs[0].arrival_ms, p->jobs[i].duration_ms, err);
    if (rc < 0)
        trace_free(t);
    return rc;
}

static int take_history(struct client *c, const char *workflow, struct trace *t, struct bp_err *err)
{
    struct past p = {0};
    int64_t before = 0;
    int rc;
    do
        rc = take_page(c, workflow, &p, &before, err);
    while (rc == BP_OK && before && p.n < JOBS_MAX);
    if (rc == BP_OK)
        rc = make_trace(t, workflow, &p, err);
    free(p.jobs);
    return rc;
}

/* ---- the model as the daemon has it ---- */

static void set(struct model *m, const char *const *given, const char *name, double value)
{
    char text[32];
    struct bp_err err = {0};
    for (; *given; given++)
        if (strcmp(*given, name) == 0)
            return;
    snprintf(text, sizeof text, "%.3f", value);
    (void)model_set(m, name, text, &err); /* out of the model's range: the standard stays */
}

static double setting(struct client *c, const char *key, double otherwise)
{
    struct bp_err err = {0};
    const char *words[] = {"config", key, NULL};
    struct json_object *list = ask(c, words, &err), *first = NULL;
    if (list && json_object_is_type(list, json_type_array) && json_object_array_length(list))
        first = json_object_array_get_idx(list, 0);
    double v = json_num(first, "value", otherwise);
    json_object_put(list);
    return v;
}

/* What is said of a workflow by a command that lists; NULL: nothing. json_object_put() it. */
static struct json_object *told(struct client *c, const char *command, const char *workflow)
{
    struct bp_err err = {0};
    const char *words[] = {command, workflow, NULL};
    struct json_object *list = ask(c, words, &err), *first = NULL;
    if (list && json_object_is_type(list, json_type_array) && json_object_array_length(list))
        first = json_object_get(json_object_array_get_idx(list, 0));
    json_object_put(list);
    return first;
}

/* Of those kept, as policies take it; 0: none was measured. */
static double measured_boot(struct json_object *scale)
{
    static struct history h;
    struct json_object *list = json_member(json_member(scale, "measured"), "boot_s");
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    h.boots = n < HISTORY_BOOTS ? n : HISTORY_BOOTS;
    for (size_t k = 0; k < h.boots; k++)
        h.boot_s[k] = (float)json_object_get_double(json_object_array_get_idx(list, k));
    return history_boot_s(&h, 0);
}

/* The workflow's windows. An adopted policy goes before theirs, as it does live. */
static int take_windows(struct simulation *s, struct json_object *w, int adopted, struct bp_err *err)
{
    struct json_object *windows = json_member(w, "schedule");
    if (!windows || s->schedule)
        return BP_OK;
    for (size_t k = 0; adopted && k < json_object_array_length(windows); k++)
        json_object_object_del(json_object_array_get_idx(windows, k), "policy");
    s->model.schedule = s->schedule = strdup(json_text(windows));
    return s->schedule ? BP_OK : err_set(err, BP_NOMEM, "no memory for the schedule");
}

/* The policy of the workflow itself is the one that its settings name, or the one that was adopted: what decides at
 * this moment may be a window's. */
static int take_settings(struct client *c, struct simulation *s, struct simulation_source *from, struct bp_err *err)
{
    const char *words[] = {"workflow", from->workflow, NULL};
    struct json_object *w = ask(c, words, err), *m = json_member(w, "manifest");
    if (!w)
        return err->rc;
    struct json_object *scale = told(c, "scale", from->workflow);
    const char *adopted = json_str(scale, "adopted", NULL);
    double boot = measured_boot(scale);
    set(&s->model, from->given, "max", json_num(w, "max_size", s->model.max));
    set(&s->model, from->given, "boot", boot > 0 ? boot : json_num(m, "warmupSeconds", 300));
    set(&s->model, from->given, "backlog", json_num(m, "backlogTarget", 1));
    set(&s->model, from->given, "zero", json_num(m, "scaleToZeroSeconds", json_num(m, "scaleToZeroMinutes", 15) * 60));
    set(&s->model, from->given, "target", json_num(m, "targetP95WaitSeconds", s->model.target));
    set(&s->model, from->given, "price", json_num(m, "waitPrice", s->model.price));
    set(&s->model, from->given, "cooldown", setting(c, "scale.cooldownSeconds", s->model.cooldown));
    set(&s->model, from->given, "tick", setting(c, "scale.tickMilliseconds", 10000) / 1000);
    set(&s->model, from->given, "react", 0.05); /* it decides on events too */
    int rc = take_windows(s, w, adopted != NULL, err);
    snprintf(from->policy, sizeof from->policy, "%s",
             adopted ? adopted : json_str(scale, "configured", json_str(w, "policy", "")));
    json_object_put(scale);
    json_object_put(w);
    return rc;
}

int simulation_take(struct simulation *s, struct simulation_source *from, struct bp_err *err)
{
    struct client *c = client_open(from->socket, err);
    if (!c)
        return err->rc;
    int rc = from->live ? take_settings(c, s, from, err) : BP_OK;
    if (rc == BP_OK)
        rc = take_history(c, from->workflow, &s->traces[s->n_traces], err);
    s->n_traces += rc == BP_OK;
    client_close(c);
    return rc;
}
