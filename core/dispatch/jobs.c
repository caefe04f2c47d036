/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.c - what tenants and operators do with jobs they have: read, list, cancel, retry. */
#include "dispatch/held.h"
#include "dispatch/job_json.h"
#include "dispatch/poll.h"
#include "dispatch/sweep.h"
#include "dispatch/text.h"
#include "dispatch/urls.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct job_ask {
    struct ask ask;
    struct json_object *data;
    int64_t id;
    char who[300];
};

static void drop(struct ask *a)
{
    json_object_put(((struct job_ask *)a)->data);
}

static struct job_ask *job_ask_new(struct dispatch *d, const char *who, dispatch_reply fn, void *arg)
{
    struct job_ask *j = ask_new(d, sizeof *j, fn, arg);
    j->ask.drop = drop;
    snprintf(j->who, sizeof j->who, "%s", who ? who : "");
    return j;
}

/* Not there, in a state that forbids it, or the queue failed. */
static void refuse(struct ask *a, const struct bp_err *err)
{
    char text[64];
    if (err->rc != BP_NOTFOUND) {
        ask_fail(a, err);
        return;
    }
    snprintf(text, sizeof text, "Job %lld not found.", (long long)((const struct job_ask *)a)->id);
    ask_say(a, BP_NOTFOUND, text);
}

/* ---- get ---- */

static void output_signed(const struct bp_err *err, void *arg)
{
    struct job_ask *j = arg;
    struct json_object *data = j->data;
    j->data = NULL;
    j->ask.on_loop = 1;
    if (err->rc != BP_OK) /* the job is told all the same: its output's URL can be asked for again */
        log_warn(LOG_DISPATCH, "no URL for an output: %s", err->text);
    ask_ok(&j->ask, NULL, data);
}

static void got(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct job_ask *j = (struct job_ask *)a;
    if (err->rc != BP_OK) {
        refuse(a, err);
        return;
    }
    const struct bp_op_get *g = &op->u.get;
    j->data = job_json(g->job, NULL, NULL);
    if (g->with_events)
        put_new(j->data, "timeline", timeline_json(g->events, g->n_events));
    struct url_set *urls = url_set_new(a->d);
    url_set_add_output(urls, j->data);
    if (url_set_count(urls) > 0) {
        url_set_sign(urls, output_signed, j);
        return;
    }
    url_set_free(urls);
    struct bp_err ok = {0};
    output_signed(&ok, j);
}

void dispatch_job_get(struct dispatch *d, const char *tenant, int64_t id, int with_timeline, dispatch_reply fn,
                      void *arg)
{
    struct job_ask *j = job_ask_new(d, NULL, fn, arg);
    j->id = id;
    struct queue_call *q = queue_call_new(BP_OP_GET, dispatch_now(d));
    struct bp_op_get *g = &queue_call_op(q)->u.get;
    g->id = id;
    g->tenant = queue_call_str(q, tenant);
    g->with_events = with_timeline != 0;
    ask_queue(&j->ask, q, got);
}

/* ---- list ---- */

static void listed(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    const struct bp_op_list *l = &op->u.list;
    struct json_object *data = json_object_new_object(), *jobs = json_object_new_array_ext((int)l->count + 1);
    for (uint32_t i = 0; i < l->count; i++)
        json_object_array_add(jobs, job_json(&l->jobs[i], NULL, NULL));
    int more = l->count > 0 && l->count == l->limit;
    put_new(data, "jobs", jobs);
    put_new(data, "next_before_id", more ? json_object_new_int64(l->jobs[l->count - 1].id) : NULL);
    ask_ok(a, NULL, data);
}

void dispatch_job_list(struct dispatch *d, const struct dispatch_list *query, dispatch_reply fn, void *arg)
{
    struct ask *a = ask_new(d, sizeof *a, fn, arg);
    struct queue_call *q = queue_call_new(BP_OP_LIST, dispatch_now(d));
    struct bp_op_list *l = &queue_call_op(q)->u.list;
    l->tenant = queue_call_str(q, query->tenant);
    l->workflow = queue_call_str(q, query->workflow);
    l->status = query->status;
    l->limit = query->limit == 0 ? 50 : query->limit > 1000 ? 1000 : query->limit;
    l->before_id = query->before_id;
    ask_queue(a, q, listed);
}

/* ---- cancel and retry: the change, then the job as it is now ---- */

static void changed_job(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct job_ask *j = (struct job_ask *)a;
    struct dispatch *d = a->d;
    if (err->rc != BP_OK) {
        refuse(a, err);
        return;
    }
    const struct bp_job_row *job = op->u.get.job;
    if (job->status == BP_JOB_CANCELLED) {
        d->counters.cancelled++;
        bus_publish(d->bus, EVENT_JOB_CANCELLED, job->id, job->tenant, job->workflow, j->who);
        ask_ok(a, "Job cancelled", job_json(job, NULL, NULL));
    } else if (job->status == BP_JOB_SCHEDULED) { /* it waits for others anew */
        bus_publish(d->bus, EVENT_JOB_SUBMITTED, job->id, job->tenant, job->workflow, (int64_t)job->priority);
        ask_ok(a, "Job scheduled again", job_json(job, NULL, NULL));
    } else if (job->status == BP_JOB_QUEUED) {
        bus_publish(d->bus, EVENT_JOB_SUBMITTED, job->id, job->tenant, job->workflow, (int64_t)job->priority);
        poll_arrived(d, lane_get(d, job->workflow), 1);
        ask_ok(a, "Job queued again", job_json(job, NULL, NULL));
    } else {
        ask_ok(a, "Cancellation requested; the worker is told with its next heartbeat", job_json(job, NULL, NULL));
    }
}

static void reread(struct ask *a, int64_t id)
{
    struct queue_call *q = queue_call_new(BP_OP_GET, dispatch_now(a->d));
    queue_call_op(q)->u.get.id = id;
    ask_queue(a, q, changed_job);
}

static void cancelled(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    if (err->rc == BP_CONFLICT) {
        ask_say(a, BP_CONFLICT, "The job is finished already and cannot be cancelled.");
        return;
    }
    if (err->rc != BP_OK) {
        refuse(a, err);
        return;
    }
    struct held *h = held_find(a->d, op->u.cancel.id);
    if (h)
        h->cancel = 1;
    if (op->u.cancel.dependents > 0)
        sweeper_expect(a->d->sweeper, dispatch_now(a->d));
    reread(a, op->u.cancel.id);
}

void dispatch_job_cancel(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                         void *arg)
{
    struct job_ask *j = job_ask_new(d, who, fn, arg);
    j->id = id;
    struct queue_call *q = queue_call_new(BP_OP_CANCEL, dispatch_now(d));
    struct bp_op_cancel *c = &queue_call_op(q)->u.cancel;
    c->id = id;
    c->tenant = queue_call_str(q, tenant);
    c->who = queue_call_str(q, who);
    ask_queue(&j->ask, q, cancelled);
}

static void retried(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    if (err->rc == BP_CONFLICT) {
        char text[400];
        snprintf(text, sizeof text, "%s.", err->text[0] ? err->text : "Only a failed or cancelled job can be retried");
        text[0] = (char)toupper((unsigned char)text[0]);
        text_repair(text);
        ask_say(a, BP_CONFLICT, text);
    } else if (err->rc != BP_OK) {
        refuse(a, err);
    } else {
        a->d->counters.retried++;
        reread(a, op->u.retry.id);
    }
}

void dispatch_job_retry(struct dispatch *d, const char *tenant, const char *who, int64_t id, dispatch_reply fn,
                        void *arg)
{
    struct job_ask *j = job_ask_new(d, who, fn, arg);
    j->id = id;
    struct queue_call *q = queue_call_new(BP_OP_RETRY, dispatch_now(d));
    struct bp_op_retry *r = &queue_call_op(q)->u.retry;
    r->id = id;
    r->tenant = queue_call_str(q, tenant);
    r->who = queue_call_str(q, who);
    ask_queue(&j->ask, q, retried);
}
