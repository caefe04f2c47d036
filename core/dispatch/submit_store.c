/* SPDX-License-Identifier: Apache-2.0 */
/* submit_store.c - a submit as the store is asked for it, and what its answers mean. */
#include "dispatch/submit.h"

#include "dispatch/job_json.h"
#include "dispatch/poll.h"
#include "dispatch/sweep.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_RETRY_S 5 /* a tenant at its limit waits for jobs of its own to end */

static const int64_t *copy_ids(struct queue_call *q, const int64_t *ids, uint32_t n)
{
    if (n == 0)
        return NULL;
    return memcpy(queue_call_mem(q, n * sizeof *ids), ids, n * sizeof *ids);
}

struct queue_call *submit_call(struct dispatch *d, const struct order *o, const char *tenant, const char *who)
{
    struct queue_call *q = queue_call_new(BP_OP_SUBMIT, dispatch_now(d));
    struct bp_op_submit *sub = &queue_call_op(q)->u.submit;
    sub->tenant = queue_call_str(q, tenant);
    sub->workflow = queue_call_str(q, o->workflow);
    sub->effect = queue_call_str(q, o->effect[0] ? o->effect : NULL);
    sub->params = queue_call_str(q, json_text(o->params));
    sub->inputs = queue_call_str(q, json_text(o->inputs));
    sub->idempotency_key = queue_call_str(q, o->idempotency_key);
    sub->request_hash = queue_call_str(q, o->request_hash);
    sub->who = queue_call_str(q, who);
    sub->priority = o->priority;
    sub->max_attempts = o->max_attempts;
    sub->not_before_ms = o->not_before_ms;
    sub->unique_key = queue_call_str(q, o->unique_key);
    sub->after = copy_ids(q, o->after, o->n_after);
    sub->n_after = o->n_after;
    sub->fair = d->set.fair;
    return q;
}

int submit_is_due(struct dispatch *d, const struct bp_op_submit *sub)
{
    return sub->n_after == 0 && sub->not_before_ms <= dispatch_now(d);
}

void submit_accepted(struct dispatch *d, const struct bp_op_submit *sub, int woken)
{
    d->counters.submitted++;
    bus_publish(d->bus, EVENT_JOB_SUBMITTED, sub->id, sub->tenant, sub->workflow, (int64_t)sub->priority);
    /* A poll that was woken asked behind the submit: what it found says whether the queue is empty. */
    if (sub->status == BP_JOB_QUEUED && !woken)
        poll_arrived(d, lane_get(d, sub->workflow), 1);
    else if (sub->status != BP_JOB_QUEUED)
        sweeper_expect(d->sweeper, sub->not_before_ms);
}

void put_existed(struct json_object *o, const struct bp_op_submit *sub)
{
    if (sub->existed)
        put_new(o, sub->outcome == BP_SUBMIT_PENDING ? "duplicate" : "replayed", json_object_new_boolean(1));
}

/* ---- refusals ---- */

static void say_key(const struct bp_op_submit *sub, const struct bp_err *err, struct submit_refusal *out)
{
    (void)err;
    snprintf(out->message, sizeof out->message,
             "The idempotency_key was used before for a different request (job %lld); use a new one.",
             (long long)sub->id);
}

/* The job waited for is not the tenant's, or will never complete. */
static void say_after(const struct bp_op_submit *sub, const struct bp_err *err, struct submit_refusal *out)
{
    char text[400];
    if (err->rc == BP_NOTFOUND)
        snprintf(text, sizeof text, "Job %lld cannot be waited for: you have no such job.", (long long)sub->after_id);
    else
        snprintf(text, sizeof text, "Job %lld cannot be waited for: %s.", (long long)sub->after_id,
                 err->text[0] ? err->text : "it failed or was cancelled");
    text_repair(text);
    out->answer.rc = BP_INVALID;
    out->answer.fields = json_object_new_object();
    fields_add(out->answer.fields, "after", text);
    snprintf(out->message, sizeof out->message, "Validation error.");
}

static void say_limit(const struct bp_op_submit *sub, const struct bp_err *err, struct submit_refusal *out)
{
    (void)sub;
    out->answer.rc = BP_LATER;
    out->answer.over_limit = 1;
    out->answer.retry_after_s = LIMIT_RETRY_S;
    snprintf(out->message, sizeof out->message,
             "Your limit of pending jobs is reached (%s). Nothing was accepted; submit again when some have ended.",
             err->text[0] ? err->text : "maxPending");
    text_repair(out->message);
}

static void say_disabled(const struct bp_op_submit *sub, const struct bp_err *err, struct submit_refusal *out)
{
    (void)err;
    snprintf(out->message, sizeof out->message, "Tenant %.255s is disabled; its operator can enable it again.",
             sub->tenant);
    text_repair(out->message);
}

static const struct refusal {
    int32_t outcome, rc, or_rc; /* with another rc the whole batch failed, and its outcome means nothing */
    const char *reason;
    void (*say)(const struct bp_op_submit *sub, const struct bp_err *err, struct submit_refusal *out);
} refusals[] = {
    {BP_SUBMIT_KEY, BP_CONFLICT, BP_CONFLICT, "idempotency_key", say_key},
    {BP_SUBMIT_AFTER, BP_NOTFOUND, BP_CONFLICT, "after", say_after},
    {BP_SUBMIT_LIMIT, BP_LATER, BP_LATER, "limit", say_limit},
    {BP_SUBMIT_DISABLED, BP_DENIED, BP_DENIED, "disabled", say_disabled},
};

/* A store that does not tell the outcome knows one conflict only: the key's. */
static int32_t outcome_of(const struct bp_op_submit *sub, const struct bp_err *err)
{
    return sub->outcome == 0 && err->rc == BP_CONFLICT ? BP_SUBMIT_KEY : sub->outcome;
}

int submit_refused(const struct bp_op *op, const struct bp_err *err, struct submit_refusal *out)
{
    const struct bp_op_submit *sub = op ? &op->u.submit : NULL;
    *out = (struct submit_refusal){.answer = {.rc = err->rc}};
    for (size_t i = 0; sub && err->rc != BP_OK && i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        if (r->outcome != outcome_of(sub, err) || (err->rc != r->rc && err->rc != r->or_rc))
            continue;
        out->reason = r->reason;
        r->say(sub, err, out);
        out->answer.message = out->message;
        return 1;
    }
    return 0;
}
