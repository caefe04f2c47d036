/* SPDX-License-Identifier: Apache-2.0 */
/* finish.c - complete, fail, requeue: the three ways a worker ends a lease. */
#include "dispatch/finish.h"

#include "dispatch/auth.h"
#include "dispatch/held.h"
#include "dispatch/input.h"
#include "dispatch/job_json.h"
#include "dispatch/output.h"
#include "dispatch/poll.h"
#include "dispatch/sweep.h"
#include "dispatch/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ending_kind { END_COMPLETE = 1, END_FAIL, END_REQUEUE };

/* One such request. The strings are ours. */
struct finish {
    struct ask ask;
    enum ending_kind kind;
    int64_t id;
    char *token, *worker, *text, *provider_job_id, *checkpoint_key; /* text: error or reason */
    char *tenant, *workflow, *output_key;                           /* of the job, once known */
    char *fault_sha;                                                /* the code that ended the runner, or NULL */
    struct json_object *output;                                     /* as it will be stored */
    int retryable, produces;
    int live;                 /* the job was leased when we looked */
    struct poll *poll;        /* takes the worker's next job in the same transaction, or NULL */
    struct json_object *said; /* what that was answered, or NULL */
    struct json_object *data; /* the answer while the poll goes on */
    const char *message;
    const struct finish_group *with; /* others it goes to the store with, or NULL */
    void *with_arg;
};

static char *copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

static void drop(struct ask *a)
{
    struct finish *f = (struct finish *)a;
    char *all[] = {f->token,  f->worker,   f->text,       f->provider_job_id, f->checkpoint_key,
                   f->tenant, f->workflow, f->output_key, f->fault_sha};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    json_object_put(f->output);
    json_object_put(f->said);
    json_object_put(f->data);
    if (f->poll)
        poll_taking_drop(f->poll);
    if (f->with)
        f->with->over(f->with_arg);
}

/* ---- what everybody is told ---- */

static void tell_failed(struct dispatch *d, const struct ending *e)
{
    d->counters.failed++;
    bus_publish(d->bus, EVENT_JOB_FAILED, e->id, e->tenant, e->workflow, e->worker, e->why ? e->why : "");
}

/* Publishes and counts it, forgets the lease, and lets the worker's waiting poll ask again. */
static void lease_ended(struct dispatch *d, const struct ending *e)
{
    held_drop(d, e->id);
    switch (e->status) {
    case BP_JOB_COMPLETED:
        d->counters.completed++;
        lane_ran(lane_get(d, e->workflow), e->run_ms);
        bus_publish(d->bus, EVENT_JOB_COMPLETED, e->id, e->tenant, e->workflow, e->worker, e->wait_ms, e->run_ms);
        break;
    case BP_JOB_SCHEDULED:
        d->counters.retried++;
        bus_publish(d->bus, EVENT_JOB_RETRY, e->id, e->tenant, e->workflow, (int64_t)e->attempts, e->retry_at_ms,
                    e->why);
        sweeper_expect(d->sweeper, e->retry_at_ms);
        break;
    case BP_JOB_QUEUED:
        d->counters.requeued++;
        bus_publish(d->bus, EVENT_JOB_REQUEUED, e->id, e->tenant, e->workflow, e->worker, e->why);
        poll_arrived(d, lane_get(d, e->workflow), 1);
        break;
    case BP_JOB_CANCELLED:
        d->counters.cancelled++;
        bus_publish(d->bus, EVENT_JOB_CANCELLED, e->id, e->tenant, e->workflow, e->worker);
        break;
    default:
        tell_failed(d, e);
        break;
    }
    if (e->worker)
        poll_worker_freed(d, e->worker);
    if (d->running_limits) /* its tenant may run another, perhaps of another workflow */
        polls_probe(d);
}

/* ---- the store's answers ---- */

static void stale(struct finish *f)
{
    f->ask.d->counters.stale++;
    ask_say(&f->ask, BP_NOTFOUND, f->kind == END_REQUEUE ? "Invalid dispatch or lease token." : "Lease not found.");
}

static void answer(struct finish *f)
{
    struct json_object *data = f->data;
    if (f->said)
        put_new(data, "poll", f->said);
    f->said = f->data = NULL;
    ask_ok(&f->ask, f->message, data);
}

/* It ended: answered with what its worker takes next. */
static void accepted(struct finish *f, const char *message, struct json_object *data)
{
    f->message = message;
    f->data = data;
    if (!f->poll)
        answer(f);
}

static void taken(struct json_object *said, void *arg)
{
    struct finish *f = arg;
    f->poll = NULL;
    f->said = said;
    if (f->data && f->ask.d->dead)
        ask_forget(&f->ask);
    else if (f->data)
        answer(f);
}

/* Returns 1 when the request ends here. */
static int did_fail(struct finish *f, const struct bp_err *err)
{
    if (err->rc == BP_OK)
        return 0;
    if (err->rc == BP_STALE || err->rc == BP_NOTFOUND)
        stale(f);
    else
        ask_fail(&f->ask, err);
    return 1;
}

/* Jobs that waited for this one are due or doomed, which the next sweep finds. */
static void tell_dependents(struct dispatch *d, int32_t dependents)
{
    if (dependents > 0)
        sweeper_expect(d->sweeper, dispatch_now(d));
}

static struct ending ending_of(const struct finish *f, int status)
{
    return (struct ending){.id = f->id,
                           .status = status,
                           .tenant = f->tenant ? f->tenant : "",
                           .workflow = f->workflow ? f->workflow : "",
                           .worker = f->worker,
                           .why = f->text};
}

static void completed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct finish *f = (struct finish *)a;
    if (did_fail(f, err))
        return;
    const struct bp_op_complete *c = &op->u.complete;
    if (!c->replay) {
        struct ending e = ending_of(f, c->status);
        e.wait_ms = c->wait_ms;
        e.run_ms = c->run_ms;
        lease_ended(a->d, &e);
        tell_dependents(a->d, c->dependents);
    }
    struct json_object *data = json_object_new_object();
    put_int(data, "job_id", f->id);
    accepted(f, "Job completed", data);
}

static void failed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct finish *f = (struct finish *)a;
    if (did_fail(f, err))
        return;
    const struct bp_op_fail *x = &op->u.fail;
    if (!x->replay) {
        struct ending e = ending_of(f, x->status);
        e.attempts = x->attempts;
        e.retry_at_ms = x->retry_at_ms;
        lease_ended(a->d, &e);
        tell_dependents(a->d, x->dependents);
        if (f->fault_sha)
            host_workflow_fault(a->d->host, f->workflow, f->fault_sha, f->id, f->text);
    }
    struct json_object *data = json_object_new_object();
    put_int(data, "dispatch_id", f->id);
    put_text(data, "status", job_status_name(x->status));
    put_time(data, "retry_at", x->status == BP_JOB_SCHEDULED ? x->retry_at_ms : 0);
    accepted(f, "Job failed", data);
}

static void requeued(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct finish *f = (struct finish *)a;
    if (did_fail(f, err))
        return;
    struct ending e = ending_of(f, op->u.requeue.status);
    lease_ended(a->d, &e);
    tell_dependents(a->d, op->u.requeue.dependents);
    ask_ok(a, "Job requeued", NULL);
}

/* ---- asking the store ---- */

static void ask_store(struct finish *f, struct queue_call *q, ask_step step)
{
    if (f->poll)
        poll_take(f->poll, q, taken, f);
    ask_queue(&f->ask, q, step);
}

void finish_send(struct finish *f)
{
    struct queue_call *q = queue_call_new(BP_OP_COMPLETE, dispatch_now(f->ask.d));
    struct bp_op_complete *c = &queue_call_op(q)->u.complete;
    c->id = f->id;
    c->token = queue_call_str(q, f->token);
    c->worker_id = queue_call_str(q, f->worker);
    c->output = queue_call_str(q, json_text(f->output));
    c->provider_job_id = queue_call_str(q, f->provider_job_id);
    ask_store(f, q, completed);
}

static void send_complete(struct finish *f)
{
    if (f->with)
        f->with->ready(f, f->with_arg);
    else
        finish_send(f);
}

static void send_fail(struct finish *f)
{
    const struct dispatch_settings *set = &f->ask.d->set;
    struct queue_call *q = queue_call_new(BP_OP_FAIL, dispatch_now(f->ask.d));
    struct bp_op_fail *x = &queue_call_op(q)->u.fail;
    x->id = f->id;
    x->token = queue_call_str(q, f->token);
    x->worker_id = queue_call_str(q, f->worker);
    x->error = queue_call_str(q, f->text);
    x->retryable = f->retryable;
    x->retry_base_ms = set->retry_base_ms;
    x->retry_cap_ms = set->retry_cap_ms;
    x->jitter = random_fraction();
    ask_store(f, q, failed);
}

static void send_requeue(struct finish *f)
{
    struct queue_call *q = queue_call_new(BP_OP_REQUEUE, dispatch_now(f->ask.d));
    struct bp_op_requeue *r = &queue_call_op(q)->u.requeue;
    r->id = f->id;
    r->token = queue_call_str(q, f->token);
    r->worker_id = queue_call_str(q, f->worker);
    r->reason = queue_call_str(q, f->text);
    r->checkpoint_key = queue_call_str(q, f->checkpoint_key);
    r->max_requeues = f->ask.d->set.max_requeues;
    ask_queue(&f->ask, q, requeued);
}

static void output_checked(const struct output_check *check, void *arg)
{
    struct finish *f = arg;
    f->ask.on_loop = 1;
    if (f->ask.d->dead) {
        ask_forget(&f->ask);
        return;
    }
    if (check->missing) {
        struct json_object *fields = json_object_new_object();
        fields_add(fields, "output", "The output was not uploaded: PUT it to output_url, then complete.");
        ask_invalid(&f->ask, fields);
        return;
    }
    if (check->bytes >= 0)
        json_object_object_add(f->output, "size", json_object_new_int64(check->bytes));
    send_complete(f);
}

/* The job is known: go on with what was asked. */
static void proceed(struct finish *f)
{
    if (f->kind == END_FAIL) {
        send_fail(f);
    } else if (f->kind == END_REQUEUE) {
        send_requeue(f);
    } else {
        json_object_object_add(f->output, "key", f->output_key ? json_object_new_string(f->output_key) : NULL);
        if (f->live && f->produces && f->output_key && bus_has_service(f->ask.d->bus, "objects"))
            output_check(f->ask.d, f->output_key, output_checked, f);
        else
            send_complete(f);
    }
}

/* ---- which job is it ---- */

static void note_job(struct finish *f, const char *tenant, const char *workflow, const char *output_key)
{
    const struct workflow *w = host_workflow(f->ask.d->host, workflow);
    f->tenant = copy(tenant);
    f->workflow = copy(workflow);
    f->output_key = copy(output_key);
    f->produces = w && json_str(w->manifest, "produces", NULL) != NULL;
}

static void lease_read(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct finish *f = (struct finish *)a;
    if (did_fail(f, err))
        return;
    const struct bp_op_extend *e = &op->u.extend;
    note_job(f, e->tenant, e->workflow, e->output_key);
    f->live = 1;
    proceed(f);
}

/* Its submit may be on the way to the disk at another controller, which handed the lease over before: what only reads
 * does not see the job then, what writes waits for it. */
static void look_for_lease(struct finish *f)
{
    struct queue_call *q = queue_call_new(BP_OP_EXTEND, dispatch_now(f->ask.d));
    struct bp_op_extend *e = &queue_call_op(q)->u.extend;
    e->id = f->id;
    e->token = queue_call_str(q, f->token);
    e->worker_id = queue_call_str(q, f->worker);
    e->ttl_ms = f->ask.d->set.ttl_ms;
    e->progress = -1;
    ask_queue(&f->ask, q, lease_read);
}

static void job_read(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct finish *f = (struct finish *)a;
    if (err->rc == BP_NOTFOUND) {
        look_for_lease(f);
        return;
    }
    if (did_fail(f, err))
        return;
    const struct bp_job_row *job = op->u.get.job;
    note_job(f, job->tenant, job->workflow, job->output_key);
    /* only the holder learns whether an object is there */
    f->live = job->status == BP_JOB_LEASED && job->lease_token && strcmp(job->lease_token, f->token) == 0 &&
              job->worker && strcmp(job->worker, f->worker) == 0;
    proceed(f);
}

static void begin(struct finish *f)
{
    struct held *h = held_match(f->ask.d, f->id, f->token, f->worker);
    if (!h) {
        struct queue_call *q = queue_call_new(BP_OP_GET, dispatch_now(f->ask.d));
        queue_call_op(q)->u.get.id = f->id;
        ask_queue(&f->ask, q, job_read);
        return;
    }
    f->tenant = copy(h->tenant);
    f->workflow = copy(h->lane->slug);
    f->output_key = copy(h->output_key);
    f->produces = h->produces;
    f->live = 1;
    proceed(f);
}

/* ---- the doors ---- */

enum { F_ID, F_TOKEN, F_WORKER, F_COMMON };
#define COMMON_RULES                                                                                                   \
    [F_ID] = {"dispatch_id", INPUT_INTEGER, INPUT_REQUIRED, 0, 0},                                                     \
    [F_TOKEN] = {"lease_token", INPUT_TEXT, INPUT_REQUIRED, 0, 64}, [F_WORKER] = {"worker_id", INPUT_TEXT, 0, 0, 255}

enum { C_JOB = F_COMMON, C_OUTPUT, C_SIZE, C_MIME, C_METADATA, C_N };
static const struct input_rule complete_rules[C_N] = {
    COMMON_RULES,
    [C_JOB] = {"provider_job_id", INPUT_TEXT, 0, 0, 255},
    [C_OUTPUT] = {"output", INPUT_TREE, 0, 0, 0},
    [C_SIZE] = {"output.size", INPUT_INTEGER, 0, 0, 9e15},
    [C_MIME] = {"output.mime_type", INPUT_TEXT, 0, 0, 255},
    [C_METADATA] = {"output.metadata", INPUT_TREE, 0, 0, 0},
};

enum { X_ERROR = F_COMMON, X_RETRYABLE, X_FAULT, X_SHA, X_N };
static const struct input_rule fail_rules[X_N] = {
    COMMON_RULES,
    [X_ERROR] = {"error_message", INPUT_TEXT, 0, 0, 0},
    [X_RETRYABLE] = {"retryable", INPUT_TRUTH, 0, 0, 0},
    [X_FAULT] = {"fault", INPUT_TRUTH, 0, 0, 0},
    [X_SHA] = {"plugin_sha256", INPUT_TEXT, 0, 0, 64},
};

enum { R_REASON = F_COMMON, R_CHECKPOINT, R_N };
static const struct input_rule requeue_rules[R_N] = {
    COMMON_RULES,
    [R_REASON] = {"reason", INPUT_TEXT, INPUT_REQUIRED, 0, 255},
    [R_CHECKPOINT] = {"checkpoint_key", INPUT_TEXT, 0, 0, 1024},
};

static struct finish *finish_new(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct finish *f = ask_new(d, sizeof *f, fn, arg);
    f->ask.drop = drop;
    f->worker = copy(worker_auth_id(c->worker));
    return f;
}

/* "poll": the worker's next, behind this end. */
static void read_poll(struct finish *f, const struct worker_call *c)
{
    struct json_object *body = json_member(c->body, "poll");
    if (body)
        f->poll = poll_taking_new(f->ask.d, c, body, f->ask.arg);
}

/* Answers 422, or takes over what every ending has and begins. */
static void finish_start(struct finish *f, struct input *in)
{
    if (in->fields) {
        ask_invalid(&f->ask, input_fields(in));
        return;
    }
    f->id = in->value[F_ID].integer;
    f->token = copy(in->value[F_TOKEN].text);
    begin(f);
}

static struct json_object *read_output(const struct input *in)
{
    struct json_object *o = json_object_new_object();
    const struct input_value *v = in->value;
    put_new(o, "key", NULL);
    put_new(o, "size", v[C_SIZE].given ? json_object_new_int64(v[C_SIZE].integer) : NULL);
    put_text(o, "mime_type", input_text(in, C_MIME, NULL));
    if (v[C_METADATA].given)
        put_new(o, "metadata", json_object_get(v[C_METADATA].json));
    return o;
}

void finish_complete(struct dispatch *d, const struct worker_call *c, const struct finish_group *with,
                     dispatch_reply fn, void *arg)
{
    struct finish *f = finish_new(d, c, fn, arg);
    struct input in;
    f->with = with;
    f->with_arg = arg;
    input_read(&in, complete_rules, C_N, c->body);
    f->kind = END_COMPLETE;
    f->output = read_output(&in);
    f->provider_job_id = copy(input_text(&in, C_JOB, NULL));
    if (!with)
        read_poll(f, c);
    finish_start(f, &in);
    input_close(&in);
}

void dispatch_worker_complete(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    if (c->body && json_object_object_get_ex(c->body, "results", NULL))
        finish_batch(d, c, fn, arg);
    else
        finish_complete(d, c, NULL, fn, arg);
}

void finish_forget(struct finish *f)
{
    ask_forget(&f->ask);
}

void dispatch_worker_fail(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct finish *f = finish_new(d, c, fn, arg);
    struct input in;
    char text[1024];
    input_read(&in, fail_rules, X_N, c->body);
    error_text(in.value[X_ERROR].json ? input_text(&in, X_ERROR, "") : NULL, text);
    f->kind = END_FAIL;
    f->text = copy(text);
    f->retryable = input_integer(&in, X_RETRYABLE, 0) != 0;
    if (input_integer(&in, X_FAULT, 0))
        f->fault_sha = copy(input_text(&in, X_SHA, ""));
    read_poll(f, c);
    finish_start(f, &in);
    input_close(&in);
}

void dispatch_worker_requeue(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg)
{
    struct finish *f = finish_new(d, c, fn, arg);
    struct input in;
    input_read(&in, requeue_rules, R_N, c->body);
    const char *key = input_text(&in, R_CHECKPOINT, NULL);
    if (key && !checkpoint_key_ok(key, input_integer(&in, F_ID, 0)))
        input_wrong(&in, "checkpoint_key", "The selected checkpoint key is invalid.");
    f->kind = END_REQUEUE;
    f->text = copy(input_text(&in, R_REASON, NULL));
    f->checkpoint_key = copy(key);
    finish_start(f, &in);
    input_close(&in);
}
