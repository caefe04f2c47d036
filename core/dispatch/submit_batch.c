/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit_batch.c - many jobs with one request: all are checked before any is accepted, and all go into one transaction,
 * in which each is answered by itself.
 */
#include "dispatch/submit.h"

#include "dispatch/job_json.h"
#include "dispatch/lane.h"
#include "dispatch/poll.h"
#include "dispatch/uploaded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct batch;

struct item {
    struct batch *batch;
    uint32_t index;
    struct queue_call *call; /* until it is sent */
    struct lane *lane;
    int due, woken;
    struct json_object *result;
};

struct batch {
    struct ask ask;
    uint32_t n, left; /* left: answers of the object store, then of the queue, to come */
    uint32_t accepted, existing, refused, failed;
    struct bp_err err;          /* why the object store could not say, or the queue failed */
    struct json_object *fields; /* what is wrong, NULL while nothing is */
    struct item items[];
};

static void drop(struct ask *a)
{
    struct batch *b = (struct batch *)a;
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->items[i].call)
            queue_call_free(b->items[i].call);
        json_object_put(b->items[i].result);
    }
    json_object_put(b->fields);
}

/* ---- the answer ---- */

static struct json_object *refusal_json(const struct submit_refusal *r)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "status", "refused");
    put_text(o, "reason", r->reason);
    put_text(o, "message", r->message);
    if (r->answer.fields)
        put_new(o, "fields", r->answer.fields);
    return o;
}

static struct json_object *failure_json(const struct bp_err *err)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "status", "refused");
    put_text(o, "reason", "failed");
    put_text(o, "message", err->text[0] ? err->text : "the queue failed");
    return o;
}

static struct json_object *taken_json(const struct bp_op_submit *sub)
{
    struct json_object *o = json_object_new_object();
    put_int(o, "id", sub->id);
    put_text(o, "status", job_status_name(sub->status));
    put_existed(o, sub);
    return o;
}

/* All failed alike: the batch did. Otherwise each has its own answer. */
static void batch_answer(struct batch *b)
{
    if (b->failed == b->n) {
        ask_fail(&b->ask, &b->err);
        return;
    }
    struct json_object *data = json_object_new_object(), *list = json_object_new_array_ext((int)b->n);
    for (uint32_t i = 0; i < b->n; i++) {
        json_object_array_add(list, b->items[i].result);
        b->items[i].result = NULL;
    }
    put_new(data, "jobs", list);
    put_int(data, "accepted", b->accepted);
    put_int(data, "existing", b->existing);
    put_int(data, "refused", b->refused + b->failed);
    ask_ok(&b->ask, b->accepted == b->n ? "Jobs accepted" : "See each job", data);
}

static void note_taken(struct item *it, const struct bp_op_submit *sub)
{
    struct batch *b = it->batch;
    it->result = taken_json(sub);
    if (sub->existed) {
        b->existing++;
        return;
    }
    b->accepted++;
    submit_accepted(b->ask.d, sub, it->woken);
}

static void note(struct item *it, const struct bp_op *op, const struct bp_err *err)
{
    struct submit_refusal refusal;
    if (err->rc == BP_OK) {
        note_taken(it, &op->u.submit);
    } else if (submit_refused(op, err, &refusal)) {
        it->batch->refused++;
        it->result = refusal_json(&refusal);
    } else {
        it->batch->failed++;
        it->batch->err = *err;
        it->result = failure_json(err);
    }
}

static void item_replied(struct bp_op *op, const struct bp_err *err, void *arg)
{
    struct item *it = arg;
    struct batch *b = it->batch;
    int dead = b->ask.d->dead;
    if (!dead)
        note(it, op, err);
    if (--b->left > 0)
        return;
    b->ask.on_loop = 1;
    if (dead)
        ask_forget(&b->ask);
    else
        batch_answer(b);
}

/* ---- sending ---- */

static void item_send(struct item *it)
{
    struct batch *b = it->batch;
    struct dispatch *d = b->ask.d;
    struct queue_call *q = it->call;
    struct bp_err err = {0};
    struct bp_op *op = queue_call_op(q);
    it->call = NULL;
    op->now_ms = dispatch_now(d);
    it->due = submit_is_due(d, &op->u.submit);
    if (queue_call_send(d->bus, q, QUEUE_TIMEOUT_MS, item_replied, it, &err) == BP_OK)
        return;
    it->due = 0;
    b->left--;
    send_error(&err, "queue");
    note(it, NULL, &err);
}

static void refuse_too_large(struct batch *b, const struct bp_err *err)
{
    char text[400];
    struct json_object *fields = json_object_new_object();
    snprintf(text, sizeof text, "Too many jobs for one transaction: %s (its batchMax). Nothing was accepted.",
             err->text);
    fields_add(fields, "jobs", text);
    ask_invalid(&b->ask, fields);
}

/* Submits first, side by side, then the leases of workers that wait for them. */
static void batch_send(struct batch *b)
{
    struct dispatch *d = b->ask.d;
    struct bp_err err = {0};
    bus_cork(d->bus);
    int rc = bus_group(d->bus, "queue", b->n, &err);
    b->left = rc == BP_OK ? b->n + 1 : 0; /* one for us, so that no answer comes while we are here */
    for (uint32_t i = 0; rc == BP_OK && i < b->n; i++)
        item_send(&b->items[i]);
    for (uint32_t i = 0; rc == BP_OK && i < b->n; i++)
        b->items[i].woken = b->items[i].due && poll_arrived(d, b->items[i].lane, 1) > 0;
    bus_uncork(d->bus);
    if (rc == BP_INVALID) {
        refuse_too_large(b, &err);
    } else if (rc != BP_OK) {
        send_error(&err, "queue");
        ask_fail(&b->ask, &err);
    } else if (--b->left == 0) {
        batch_answer(b);
    }
}

/* ---- checking ---- */

/* Adds what is wrong with job i; from is taken over. */
static void add_fields(struct batch *b, uint32_t i, struct json_object *from)
{
    if (!b->fields)
        b->fields = json_object_new_object();
    struct json_object_iterator it = json_object_iter_begin(from), end = json_object_iter_end(from);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
        char name[400];
        snprintf(name, sizeof name, "jobs.%u.%.380s", i, json_object_iter_peek_name(&it));
        json_object_object_add(b->fields, name, json_object_get(json_object_iter_peek_value(&it)));
    }
    json_object_put(from);
}

static void add_message(struct batch *b, uint32_t i, const char *field, const char *message)
{
    char name[64];
    if (!b->fields)
        b->fields = json_object_new_object();
    snprintf(name, sizeof name, "jobs.%u%s%s", i, *field ? "." : "", field);
    fields_add(b->fields, name, message);
}

static void checked(struct batch *b)
{
    b->ask.on_loop = 1;
    if (b->ask.d->dead) {
        ask_forget(&b->ask);
    } else if (b->err.rc != BP_OK) {
        ask_fail(&b->ask, &b->err);
    } else if (b->fields) {
        struct json_object *fields = b->fields;
        b->fields = NULL;
        ask_invalid(&b->ask, fields);
    } else {
        batch_send(b);
    }
}

static void uploads_checked(const struct bp_err *err, struct json_object *fields, void *arg)
{
    struct item *it = arg;
    struct batch *b = it->batch;
    if (err->rc != BP_OK)
        b->err = *err;
    if (fields)
        add_fields(b, it->index, fields);
    if (--b->left == 0)
        checked(b);
}

/* Of a good order; its inputs are looked for once all orders are known to be good. */
static void keep(struct batch *b, struct item *it, const struct order *o, const char *tenant, const char *who)
{
    it->call = submit_call(b->ask.d, o, tenant, who);
    it->lane = lane_get(b->ask.d, o->workflow);
}

static void read_one(struct batch *b, uint32_t i, const char *tenant, const char *who, struct json_object *body)
{
    struct order o;
    if (!json_object_is_type(body, json_type_object)) {
        add_message(b, i, "", "Each job must be an object, as for a single submit.");
        return;
    }
    switch (order_read(&o, b->ask.d, tenant, body)) {
    case BP_OK:
        keep(b, &b->items[i], &o, tenant, who);
        break;
    case BP_INVALID:
        add_fields(b, i, input_fields(&o.in));
        break;
    default: /* no such workflow, or it takes none now */
        add_message(b, i, json_member(body, "effect") ? "effect" : "workflow", o.message);
        break;
    }
    order_close(&o);
}

/* The inputs of all jobs, one question a job, side by side. */
static void look_for_inputs(struct batch *b, struct json_object *jobs)
{
    b->left = 1;
    for (uint32_t i = 0; i < b->n; i++) {
        struct json_object *inputs = list_of(queue_call_op(b->items[i].call)->u.submit.inputs);
        int single = json_member(json_object_array_get_idx(jobs, i), "input") != NULL;
        if (json_object_array_length(inputs) > 0) {
            b->left++;
            uploaded_check(b->ask.d, inputs, single ? "input" : "inputs", uploads_checked, &b->items[i]);
        }
        json_object_put(inputs);
    }
    if (--b->left == 0)
        batch_send(b);
}

static struct json_object *read_list(struct dispatch *d, struct json_object *body, struct json_object **fields)
{
    char text[160];
    struct json_object *jobs = json_member(body, "jobs");
    size_t n = json_object_is_type(jobs, json_type_array) ? json_object_array_length(jobs) : 0;
    if (json_object_object_length(body) > 1)
        snprintf(text, sizeof text, "A batch has jobs and nothing beside it: each job has its own members.");
    else if (n == 0)
        snprintf(text, sizeof text, "The jobs field must be a list of at least one job.");
    else if (n > (size_t)d->set.max_batch)
        snprintf(text, sizeof text, "The jobs field must not have more than %d items (dispatch.maxBatch).",
                 d->set.max_batch);
    else
        return jobs;
    *fields = json_object_new_object();
    fields_add(*fields, "jobs", text);
    return NULL;
}

void dispatch_submit_batch(struct dispatch *d, const char *tenant, const char *who, struct json_object *body,
                           dispatch_reply fn, void *arg)
{
    struct json_object *fields = NULL, *jobs = read_list(d, body, &fields);
    uint32_t n = jobs ? (uint32_t)json_object_array_length(jobs) : 0;
    struct batch *b = ask_new(d, sizeof *b + n * sizeof b->items[0], fn, arg);
    b->ask.drop = drop;
    b->n = n;
    if (d->draining) {
        json_object_put(fields);
        ask_say(&b->ask, BP_STOPPED, "The controller is draining; submit again later.");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        b->items[i].batch = b;
        b->items[i].index = i;
        read_one(b, i, tenant, who, json_object_array_get_idx(jobs, i));
    }
    if (fields || b->fields) {
        struct json_object *wrong = fields ? fields : b->fields;
        b->fields = fields ? b->fields : NULL;
        ask_invalid(&b->ask, wrong);
        return;
    }
    look_for_inputs(b, jobs);
}
