/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/submit.h"

#include "dispatch/job_json.h"
#include "dispatch/lane.h"
#include "dispatch/poll.h"
#include "dispatch/uploaded.h"

#include <string.h>

struct submit {
    struct ask ask;
    struct json_object *params, *inputs; /* as stored, for the answer */
    struct queue_call *call;             /* the submit, until it is sent */
    struct json_object *after;           /* ids, or NULL */
    struct lane *lane;
    int woken;     /* a waiting poll asked for a lease right behind the submit */
    int duplicate; /* the job that was there before is the pending one of its unique_key */
};

static void drop(struct ask *a)
{
    struct submit *s = (struct submit *)a;
    json_object_put(s->params);
    json_object_put(s->inputs);
    json_object_put(s->after);
    if (s->call)
        queue_call_free(s->call);
}

static void replayed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    struct json_object *data = job_json(op->u.get.job, NULL, NULL);
    int duplicate = ((const struct submit *)a)->duplicate;
    put_new(data, duplicate ? "duplicate" : "replayed", json_object_new_boolean(1));
    ask_ok(a, duplicate ? "A pending job has this unique_key" : "Job accepted before", data);
}

static void replay(struct submit *s, const struct bp_op_submit *sub)
{
    struct queue_call *q = queue_call_new(BP_OP_GET, dispatch_now(s->ask.d));
    s->duplicate = sub->outcome == BP_SUBMIT_PENDING;
    queue_call_op(q)->u.get.id = sub->id;
    queue_call_op(q)->u.get.tenant = queue_call_str(q, sub->tenant);
    ask_queue(&s->ask, q, replayed);
}

/* The row as the store now has it, without asking for it. */
static struct json_object *new_job_json(const struct submit *s, const struct bp_op *op)
{
    const struct bp_op_submit *sub = &op->u.submit;
    struct bp_job_row row = {
        .size = sizeof row,
        .status = sub->status,
        .id = sub->id,
        .priority = sub->priority,
        .max_attempts = sub->max_attempts,
        .created_ms = op->now_ms,
        .not_before_ms = sub->not_before_ms,
        .updated_ms = op->now_ms,
        .tenant = sub->tenant,
        .workflow = sub->workflow,
        .effect = sub->effect,
        .idempotency_key = sub->idempotency_key,
        .unique_key = sub->unique_key,
        .after = s->after ? json_text(s->after) : NULL,
        /* how many of them have completed already is not told */
        .waits_for = s->after && sub->status == BP_JOB_SCHEDULED ? -1 : 0,
    };
    return job_json(&row, s->params, s->inputs);
}

static void submitted(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct submit *s = (struct submit *)a;
    struct submit_refusal refusal;
    if (submit_refused(op, err, &refusal)) {
        ask_answer(a, &refusal.answer);
        return;
    }
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    const struct bp_op_submit *sub = &op->u.submit;
    if (sub->existed) {
        replay(s, sub);
        return;
    }
    submit_accepted(a->d, sub, s->woken);
    ask_ok(a, "Job accepted", new_job_json(s, op));
}

/* The lease of a worker that waits goes right behind, into the same transaction. */
static void submit_send(struct submit *s)
{
    struct dispatch *d = s->ask.d;
    struct queue_call *q = s->call;
    struct bp_op *op = queue_call_op(q);
    struct lane *lane = s->lane;
    int due = submit_is_due(d, &op->u.submit);
    s->call = NULL;
    op->now_ms = dispatch_now(d);
    bus_cork(d->bus);
    if (ask_queue(&s->ask, q, submitted) == BP_OK && due) /* s lives: its reply comes later */
        s->woken = poll_arrived(d, lane, 1) > 0;
    bus_uncork(d->bus);
}

static void uploads_checked(const struct bp_err *err, struct json_object *fields, void *arg)
{
    struct submit *s = arg;
    s->ask.on_loop = 1;
    if (s->ask.d->dead) {
        json_object_put(fields);
        ask_forget(&s->ask);
    } else if (err->rc != BP_OK) {
        ask_fail(&s->ask, err);
    } else if (fields) {
        ask_invalid(&s->ask, fields);
    } else {
        submit_send(s);
    }
}

static struct json_object *ids_of(const struct order *o)
{
    struct json_object *list = o->n_after > 0 ? json_object_new_array_ext((int)o->n_after) : NULL;
    for (uint32_t i = 0; i < o->n_after; i++)
        json_object_array_add(list, json_object_new_int64(o->after[i]));
    return list;
}

/* The order is right. A job with inputs waits for the object store's word that they are there; one without asks nobody.
 */
static void submit_begin(struct submit *s, const struct order *o, const char *tenant, const char *who)
{
    struct dispatch *d = s->ask.d;
    s->params = json_object_get(o->params);
    s->inputs = json_object_get(o->inputs);
    s->after = ids_of(o);
    s->call = submit_call(d, o, tenant, who);
    s->lane = lane_get(d, o->workflow);
    if (json_object_array_length(s->inputs) > 0)
        uploaded_check(d, s->inputs, o->single ? "input" : "inputs", uploads_checked, s);
    else
        submit_send(s);
}

void dispatch_submit(struct dispatch *d, const char *tenant, const char *who, struct json_object *body,
                     dispatch_reply fn, void *arg)
{
    struct submit *s = ask_new(d, sizeof *s, fn, arg);
    struct order o;
    s->ask.drop = drop;
    if (d->draining) {
        ask_say(&s->ask, BP_STOPPED, "The controller is draining; submit again later.");
        return;
    }
    switch (order_read(&o, d, tenant, body)) {
    case BP_OK:
        submit_begin(s, &o, tenant, who);
        break;
    case BP_INVALID:
        ask_invalid(&s->ask, input_fields(&o.in));
        break;
    default:
        ask_say(&s->ask, o.rc, o.message);
        break;
    }
    order_close(&o);
}
