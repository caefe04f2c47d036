/* SPDX-License-Identifier: Apache-2.0 */
/* poll_door.c - a poll as a worker sends it: read, checked, and begun. */
#include "dispatch/canary.h"
#include "dispatch/health.h"
#include "dispatch/input.h"
#include "dispatch/job_json.h"
#include "dispatch/lacking.h"
#include "dispatch/poll_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_S 60
#define JOBS_MAX   64

enum {
    F_WORKER,
    F_NAME,
    F_CAPABILITIES,
    F_PROVIDERS,
    F_LOAD,
    F_CONCURRENCY,
    F_WAIT,
    F_JOBS,
    F_RISK,
    F_EXCEPT,
    N_FIELDS
};
static const struct input_rule rules[N_FIELDS] = {
    [F_WORKER] = {"worker_id", INPUT_TEXT, INPUT_REQUIRED, 0, 255},
    [F_NAME] = {"display_name", INPUT_TEXT, 0, 0, 255},
    [F_CAPABILITIES] = {"capabilities", INPUT_TREE, 0, 0, 0},
    [F_PROVIDERS] = {"providers", INPUT_LIST, 0, 0, 0},
    [F_LOAD] = {"current_load", INPUT_INTEGER, 0, 0, 1000000},
    [F_CONCURRENCY] = {"max_concurrency", INPUT_INTEGER, 0, 0, 1000000},
    [F_WAIT] = {"wait_seconds", INPUT_NUMBER, 0, 0, WAIT_MAX_S},
    [F_JOBS] = {"max_jobs", INPUT_INTEGER, 0, 1, JOBS_MAX},
    [F_RISK] = {"at_risk", INPUT_TRUTH, 0, 0, 0},
    [F_EXCEPT] = {"except", INPUT_LIST, 0, 0, 0},
};

/* Which provider the jobs are said to be for: ours, unless the worker takes only others; jobs go by workflow alone. */
static void read_providers(struct poll *p, struct input *in)
{
    struct json_object *list = in->value[F_PROVIDERS].given ? in->value[F_PROVIDERS].json : NULL;
    size_t n = list ? json_object_array_length(list) : 0;
    const char *first = NULL, *ours = NULL;
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
        char field[48];
        snprintf(field, sizeof field, "providers.%zu", i);
        if (!s)
            input_wrong(in, field, "The %s field must be a string.", field);
        else if (strlen(s) > 50)
            input_wrong(in, field, "The %s field must not be greater than 50 characters.", field);
        else if (!first)
            first = s;
        if (s && strcmp(s, "self_hosted") == 0)
            ours = s;
    }
    snprintf(p->provider, sizeof p->provider, "%s", ours || !first ? "self_hosted" : first);
}

/* Writes what the worker says about itself, when it says something new. */
static void note_changes(struct poll *p, const struct input *in, const char *ip)
{
    struct dispatch *d = p->ask.d;
    const struct worker_auth *w = p->worker;
    const char *name = input_text(in, F_NAME, w->display_name);
    const char *caps = in->value[F_CAPABILITIES].given ? json_text(in->value[F_CAPABILITIES].json) : w->capabilities;
    int64_t cap = input_integer(in, F_CONCURRENCY, w->max_concurrency);
    lacking_note(d, w->worker_id, caps);
    if (strcmp(name, w->display_name) == 0 && strcmp(caps, w->capabilities) == 0 &&
        (cap == w->max_concurrency || cap == 0))
        return;
    struct queue_call *q = queue_call_new(BP_OP_WORKER_SET, dispatch_now(d));
    struct bp_op_worker_set *set = &queue_call_op(q)->u.worker_set;
    set->worker_id = queue_call_str(q, w->worker_id);
    set->approved = set->draining = -1;
    set->max_concurrency = cap > 0 ? (int32_t)cap : -1;
    set->touch = 1;
    set->display_name = queue_call_str(q, *name ? name : NULL);
    set->capabilities = queue_call_str(q, *caps ? caps : NULL);
    set->last_ip = queue_call_str(q, ip);
    health_tell(d->bus, w->worker_id, w->capabilities, caps);
    queue_tell(d, q);
    auth_forget(d, w->worker_id);
}

static struct poll *poll_make(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    const struct worker_auth *w = c->worker;
    struct poll *p = ask_new(d, sizeof *p + w->n_workflows * sizeof p->link[0], fn, arg);
    p->ask.drop = poll_drop;
    p->state = POLL_NEW;
    p->worker = worker_auth_ref(w);
    p->n = w->n_workflows;
    p->seen_ms = dispatch_now(d);
    for (uint32_t i = 0; i < p->n; i++) {
        p->link[i].poll = p;
        p->link[i].lane = lane_get(d, w->workflows[i]);
    }
    TAILQ_INSERT_TAIL(&d->polls->all, p, in_all);
    return p;
}

/* A worker at risk stands in the lines of short workflows only. Not to be drained for good: most such machines stay. */
static void leave_long_lines(struct poll *p)
{
    uint32_t n = 0;
    p->at_risk = 1;
    for (uint32_t i = 0; i < p->n; i++) {
        if (!lane_is_long(p->ask.d, p->link[i].lane))
            p->link[n++] = p->link[i];
    }
    p->n = n;
}

static void poll_begin(struct poll *p, const struct input *in)
{
    double wait_s = in->value[F_WAIT].given ? in->value[F_WAIT].number : 0;
    p->want_list = in->value[F_JOBS].given;
    p->max = (uint32_t)input_integer(in, F_JOBS, 1);
    p->max_concurrency = (int32_t)input_integer(in, F_CONCURRENCY, 0);
    if (in->value[F_EXCEPT].given)
        p->except = json_object_get(in->value[F_EXCEPT].json);
    if (input_integer(in, F_RISK, 0))
        leave_long_lines(p);
    p->deadline_ms = wait_s > 0 && !p->taking ? mono_ms() + (int64_t)(wait_s * 1000) : 0;
    if (p->ask.d->draining)
        ask_say(&p->ask, BP_STOPPED, "The controller is draining; no jobs are handed out.");
    else if (p->worker->draining)
        poll_answer_none(p, "Worker draining");
    else if (health_is_broken(in->value[F_CAPABILITIES].json, p->worker->capabilities))
        poll_answer_none(p, "Worker unhealthy");
    else if (in->value[F_CONCURRENCY].given && p->max_concurrency == 0)
        poll_answer_none(p, "Worker at capacity");
    else if (p->n == 0)
        poll_answer_none(p, p->at_risk && p->worker->n_workflows ? "Worker at risk" : "No jobs available");
    else if (p->deadline_ms && poll_lines_are_empty(p))
        poll_wait(p);
    else if (p->taking && poll_lines_are_empty(p) && !p->ask.d->running_limits)
        poll_answer_none(p, "No jobs available");
    else
        poll_lease(p);
}

static void poll_read(struct poll *p, struct json_object *body, const char *ip)
{
    struct input in;
    input_read(&in, rules, N_FIELDS, body);
    read_providers(p, &in);
    if (in.fields) {
        ask_invalid(&p->ask, input_fields(&in));
    } else {
        note_changes(p, &in, ip);
        canary_heard(p->ask.d, p->worker->worker_id, json_member(body, "canary"));
        poll_begin(p, &in);
    }
    input_close(&in);
}

void dispatch_worker_poll(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    poll_read(poll_make(d, c, fn, arg), c->body, c->ip);
}

/* ---- with the end of a lease ---- */

static void say(const struct dispatch_answer *a, void *arg)
{
    struct json_object *o = json_object_new_object();
    json_put_bool(o, "success", a->rc == BP_OK);
    put_text(o, "message", a->message);
    put_new(o, "data", json_object_get(a->rc == BP_OK ? a->data : a->fields));
    ((struct poll_taking *)arg)->said = o;
}

struct poll *poll_taking_new(struct dispatch *d, const struct worker_call *c, struct json_object *body,
                             const void *client)
{
    struct poll_taking *t = calloc(1, sizeof *t);
    assert(t);
    t->body = json_object_get(body);
    t->ip = c->ip ? strdup(c->ip) : NULL;
    t->client = client;
    struct poll *p = poll_make(d, c, say, t);
    p->taking = t;
    p->ask.on_loop = 1; /* the call it belongs to waits for the store */
    return p;
}

void poll_take(struct poll *p, struct queue_call *end, poll_over over, void *arg)
{
    struct poll_taking *t = p->taking;
    struct json_object *body = t->body;
    t->body = NULL;
    t->end = end;
    t->over = over;
    t->arg = arg;
    if (p->gone)
        ask_forget(&p->ask);
    else
        poll_read(p, body, t->ip);
    json_object_put(body);
}

void poll_taking_drop(struct poll *p)
{
    p->taking->over = NULL;
    p->ask.fn = NULL;
    if (p->state == POLL_NEW)
        ask_forget(&p->ask);
    else
        p->gone = 1;
}

void poll_taking_over(struct poll_taking *t)
{
    struct json_object *said = t->said;
    poll_over over = t->over;
    void *arg = t->arg;
    json_object_put(t->body);
    free(t->ip);
    free(t);
    if (over)
        over(said, arg);
    else
        json_object_put(said);
}
