/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubles.c - the engines as the door sees them. Each call is echoed as its answer: {"call","body","worker","ip"}; a
 * body with "answer": {"rc","message","fields","retry_after"} is answered with that. All on the door's thread.
 */
#include "explain/explain.h"
#include "http/rig.h"
#include "log/err.h"
#include "log/json.h"

#include <stdio.h>

struct worker_auth {
    char id[32];
};

struct answered {
    struct dispatch_answer answer;
    struct json_object *all;
    char message[256];
    dispatch_reply fn;
    void *arg;
};

static struct json_object *list_of(const char *text)
{
    return json_parse(text, strlen(text), NULL);
}

static void deliver(void *arg)
{
    struct answered *a = arg;

    a->answer.message = a->message;
    a->fn(&a->answer, a->arg);
    json_object_put(a->all);
    free(a);
}

/* data becomes the answer's. */
static void reply_later(struct json_object *body, struct json_object *data, dispatch_reply fn, void *arg)
{
    struct json_object *wish = json_member(body, "answer");
    struct answered *a = calloc(1, sizeof(*a));

    a->all = data;
    a->answer.data = data;
    a->answer.rc = (int)json_int(wish, "rc", 0);
    a->answer.retry_after_s = (int)json_int(wish, "retry_after", 0);
    a->answer.over_limit = json_truth(wish, "over_limit", 0);
    snprintf(a->message, sizeof(a->message), "%s", json_str(wish, "message", a->answer.rc ? "" : "done"));
    if (json_member(wish, "fields")) {
        a->answer.fields = json_object_get(json_member(wish, "fields"));
        json_object_object_add(data, "fields", a->answer.fields);
    }
    a->fn = fn;
    a->arg = arg;
    loop_post(rig_now->app.loop, "double", deliver, a);
}

static struct json_object *echo(const char *call, struct json_object *body)
{
    struct json_object *data = json_object_new_object();

    json_put_str(data, "call", call);
    if (body)
        json_put_raw(data, "body", json_text(body));
    return data;
}

/* Calls that wait: polls with wait_seconds, submits with "hold", and what is asked of job HELD_JOB. */
#define MAX_HELD 64
static struct held {
    dispatch_reply fn;
    void *arg;
} held[MAX_HELD];
static size_t n_held;

static int hold(dispatch_reply fn, void *arg)
{
    if (n_held == MAX_HELD)
        return -1;
    held[n_held++] = (struct held){fn, arg};
    atomic_fetch_add(&rig_now->held, 1);
    return 0;
}

/* ---- workers ---- */

void dispatch_authenticate(struct dispatch *d, const char *token, worker_auth_reply fn, void *arg)
{
    struct dispatch_answer a = {.rc = BP_DENIED, .message = "Unauthorized."};
    struct worker_auth *w = NULL;

    (void)d;
    if (strcmp(token, "unapproved") == 0)
        a.message = "Worker not approved.";
    if (strcmp(token, "good-worker") == 0) {
        a = (struct dispatch_answer){.rc = BP_OK};
        w = calloc(1, sizeof(*w));
        snprintf(w->id, sizeof(w->id), "w-1");
    }
    fn(&a, w, arg);
}

void worker_auth_free(struct worker_auth *w)
{
    free(w);
}

/* The store's tenants: one is known, one disabled; one token finds the store busy. */
void dispatch_tenant_authenticate(struct dispatch *d, const char *token, tenant_auth_reply fn, void *arg)
{
    struct dispatch_answer a = {.rc = BP_DENIED, .message = TENANT_UNKNOWN};
    int good = strcmp(token, "stored-token") == 0;

    (void)d;
    if (good)
        a = (struct dispatch_answer){.rc = BP_OK};
    else if (strcmp(token, "disabled-token") == 0)
        a.message = "This tenant is disabled.";
    else if (strcmp(token, "busy-token") == 0)
        a = (struct dispatch_answer){.rc = BP_LATER, .message = "Busy", .retry_after_s = 1};
    fn(&a, good ? "stored" : NULL, arg);
}

static void worker_echo(const char *name, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct json_object *data = echo(name, c->body);

    json_put_str(data, "worker", c->worker ? c->worker->id : NULL);
    json_put_str(data, "ip", c->ip);
    reply_later(c->body, data, fn, arg);
}

#define WORKER_DOUBLE(name)                                                                                            \
    void dispatch_worker_##name(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)         \
    {                                                                                                                  \
        (void)d;                                                                                                       \
        worker_echo(#name, c, fn, arg);                                                                                \
    }

WORKER_DOUBLE(register)
WORKER_DOUBLE(heartbeat)
WORKER_DOUBLE(progress)
WORKER_DOUBLE(complete)
WORKER_DOUBLE(fail)
WORKER_DOUBLE(requeue)
WORKER_DOUBLE(deregister)
WORKER_DOUBLE(assets)

void dispatch_worker_poll(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    (void)d;
    int waits = json_int(c->body, "wait_seconds", 0) > 0 || strcmp(json_str(c->body, "worker_id", ""), "held") == 0;

    if (!waits || hold(fn, arg))
        worker_echo("poll", c, fn, arg);
}

void dispatch_poll_abandon(struct dispatch *d, void *arg)
{
    (void)d;
    for (size_t i = 0; i < n_held; i++) {
        if (held[i].arg == arg) {
            held[i] = held[--n_held];
            atomic_fetch_add(&rig_now->abandoned, 1);
            return;
        }
    }
}

void doubles_release(struct rig *r, void *unused)
{
    (void)r;
    (void)unused;
    while (n_held > 0) {
        struct held one = held[--n_held];
        reply_later(NULL, echo("poll", NULL), one.fn, one.arg);
    }
}

int dispatch_others(const struct dispatch *d)
{
    (void)d;
    return rig_now->others;
}

void dispatch_leadership(const struct dispatch *d, struct leadership *out)
{
    (void)d;
    *out = (struct leadership){.leads = 1, .epoch = 7, .gained = 2, .lost = 1, .controllers = 3};
}

uint32_t dispatch_waiting_polls(const struct dispatch *d)
{
    (void)d;
    return (uint32_t)n_held;
}

void dispatch_worker_list(struct dispatch *d, dispatch_reply fn, void *arg)
{
    struct json_object *data = json_object_new_object();

    (void)d;
    json_put_raw(data, "workers", "[{\"worker_id\":\"w-1\"}]");
    reply_later(NULL, data, fn, arg);
}

/* ---- tenants ---- */

static void tenant_echo(const char *name, const char *tenant, int64_t id, struct json_object *body, dispatch_reply fn,
                        void *arg)
{
    struct json_object *data = echo(name, body);

    json_put_str(data, "tenant", tenant);
    json_put_int(data, "id", id);
    json_put_bool(data, "replayed", json_truth(body, "replayed", 0));
    json_put_bool(data, "duplicate", json_truth(body, "duplicate", 0));
    reply_later(body, data, fn, arg);
}

void dispatch_submit(struct dispatch *d, const char *tenant, const char *who, struct json_object *body,
                     dispatch_reply fn, void *arg)
{
    (void)d;
    (void)who;
    if (!json_truth(body, "hold", 0) || hold(fn, arg))
        tenant_echo("submit", tenant, 41, body, fn, arg);
}

/* Each job of a batch is told to be new; {"existing":1} of one in "answer" makes that many of them old. */
void dispatch_submit_batch(struct dispatch *d, const char *tenant, const char *who, struct json_object *body,
                           dispatch_reply fn, void *arg)
{
    struct json_object *data = echo("submit_batch", body), *wish = json_member(body, "answer");

    (void)d;
    (void)who;
    json_put_str(data, "tenant", tenant);
    json_put_int(data, "existing", json_int(wish, "existing", 0));
    json_put_int(data, "refused", json_int(wish, "refused", 0));
    reply_later(body, data, fn, arg);
}

void dispatch_upload(struct dispatch *d, const char *tenant, struct json_object *body, dispatch_reply fn, void *arg)
{
    (void)d;
    tenant_echo("upload", tenant, 0, body, fn, arg);
}

void dispatch_job_get(struct dispatch *d, const char *tenant, int64_t id, int with_timeline, dispatch_reply fn,
                      void *arg)
{
    struct json_object *data = echo("job", NULL), *wish = NULL;

    (void)d;
    if (id == HELD_JOB && hold(fn, arg) == 0) {
        json_object_put(data);
        return;
    }
    json_put_int(data, "id", id);
    json_put_str(data, "tenant", tenant);
    json_put_bool(data, "timeline", with_timeline);
    json_put_str(data, "status", job_status_name(atomic_load(&rig_now->job_status)));
    if (id == 404)
        wish = list_of("{\"answer\":{\"rc\":-3,\"message\":\"No such job.\"}}");
    reply_later(wish, data, fn, arg);
    json_object_put(wish);
}

void dispatch_job_list(struct dispatch *d, const struct dispatch_list *q, dispatch_reply fn, void *arg)
{
    struct json_object *data = json_object_new_object();

    (void)d;
    json_put_raw(data, "jobs", "[{\"id\":1}]");
    json_put_str(data, "tenant", q->tenant);
    json_put_str(data, "workflow", q->workflow);
    json_put_int(data, "status", q->status);
    json_put_int(data, "limit", q->limit);
    json_put_int(data, "before", q->before_id);
    reply_later(NULL, data, fn, arg);
}

void dispatch_job_cancel(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                         void *arg)
{
    (void)d;
    (void)who;
    tenant_echo("cancel", tenant, id, NULL, fn, arg);
}

void dispatch_job_retry(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                        void *arg)
{
    (void)d;
    (void)who;
    tenant_echo("retry", tenant, id, NULL, fn, arg);
}

void dispatch_job_facts(struct dispatch *d, const char *tenant, int64_t id, dispatch_reply fn, void *arg)
{
    (void)d;
    if (id != HELD_JOB || hold(fn, arg))
        tenant_echo("facts", tenant, id, NULL, fn, arg);
}

struct json_object *explain_job(const struct explain_engines *e, int for_tenant, struct json_object *facts)
{
    struct json_object *o = json_object_new_object();

    (void)e;
    json_put_int(o, "for_tenant", for_tenant);
    json_object_object_add(o, "of", json_object_get(facts));
    return o;
}

static const char *const names[] = {NULL, "scheduled", "queued", "leased", "completed", "failed", "cancelled"};

int job_status_find(const char *name)
{
    for (int i = 1; i <= 6; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

const char *job_status_name(int status)
{
    return names[status];
}

void dispatch_stats(struct dispatch *d, dispatch_reply fn, void *arg)
{
    struct json_object *data = json_object_new_object();

    (void)d;
    json_put_raw(data, "workflows", "[{\"workflow\":\"a-\\\"b\",\"queued\":3},{\"workflow\":\"c\",\"queued\":4}]");
    reply_later(NULL, data, fn, arg);
}

const char *doubles_objects_origin = "";

const char *dispatch_queue_error(const struct dispatch *d)
{
    (void)d;
    return NULL;
}

const char *dispatch_objects_origin(const struct dispatch *d)
{
    (void)d;
    return doubles_objects_origin;
}

void dispatch_counters(const struct dispatch *d, struct dispatch_counters *out)
{
    (void)d;
    *out = (struct dispatch_counters){.submitted = 12, .leased = 11};
}

/* ---- the others ---- */

void host_each_workflow(struct host *h, void (*fn)(const struct workflow *w, void *arg), void *arg)
{
    struct json_object *manifest = list_of("{\"summary\":\"Moves\",\"accepts\":[\"image/png\"],\"secret\":\"x\"}");
    struct workflow w = {.slug = "image-to-video",
                         .display_name = "Image to video",
                         .version = "1.0.0",
                         .manifest = manifest,
                         .max_size = 3};

    (void)h;
    fn(&w, arg);
    json_object_put(manifest);
}

/* What was posted while the fleets were asked, and has had its turn since. */
static uint32_t turns_since_fleets;

static void turn(void *unused)
{
    (void)unused;
    turns_since_fleets++;
}

static void fleets_asked(void)
{
    turns_since_fleets = 0;
    loop_post(rig_now->app.loop, "turn", turn, NULL);
}

void host_each_plugin(struct host *h, host_plugin_fn fn, void *arg)
{
    (void)h;
    fn(&(struct host_plugin){.name = "sqlite",
                             .kind = "queue",
                             .state = "running",
                             .generation = 1,
                             .waiting = turns_since_fleets,
                             .served = 9},
       arg);
}

void fleets_each(struct fleets *f, void (*fn)(const char *slug, const struct fleet_counts *n, void *arg), void *arg)
{
    (void)f;
    fleets_asked();
    fn("image-to-video", &(struct fleet_counts){.desired = 2, .running = 1}, arg);
}

struct json_object *fleets_describe(struct fleets *f, const char *slug)
{
    (void)f;
    (void)slug;
    fleets_asked();
    return list_of("[{\"workflow\":\"image-to-video\",\"desired\":2,\"running\":1}]");
}

struct json_object *host_describe(struct host *h)
{
    struct json_object *list = list_of("[{\"name\":\"sqlite\",\"kind\":\"queue\",\"state\":\"running\"}]");

    (void)h;
    json_put_int(json_object_array_get_idx(list, 0), "waiting", turns_since_fleets);
    return list;
}

double scale_round_s(const struct scale *s)
{
    (void)s;
    return 0.002;
}

struct json_object *scale_describe(struct scale *s, const char *slug)
{
    (void)s;
    (void)slug;
    return list_of("[{\"workflow\":\"image-to-video\",\"reason\":\"no jobs\"}]");
}

struct promises *scale_promises(struct scale *s, const char *slug)
{
    static struct promises p = {.of[PROMISE_END] = {.shift = 1, .kept = 0.925, .judged = 40}};
    (void)s;
    (void)slug;
    return &p;
}

int scale_metrics_read(struct scale *s, const struct scale_samples *q, scale_samples_fn reply, void *arg,
                       struct bp_err *err)
{
    const struct bp_err none = {0}, away = {BP_LATER, "CloudWatch is away"};
    (void)s;
    if (strcmp(q->workflow, "image-to-video") != 0)
        return err_set(err, BP_NOTFOUND, "there is no workflow %s", q->workflow);
    struct json_object *list = list_of("[{\"at_ms\":60000,\"value\":7.5}]");
    int is_away = strcmp(q->name, "QueueDepth") != 0;
    reply(is_away ? NULL : list, is_away ? &away : &none, arg);
    json_object_put(list);
    return 0;
}

void scale_each_metric(struct scale *s, void (*fn)(const char *slug, const struct bp_metric *m, void *arg), void *arg)
{
    static const struct bp_metric depth = {.name = "QueueDepth", .value = 7};
    (void)s;
    fn("image-to-video", &depth, arg);
}
