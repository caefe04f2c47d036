/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - what the queue knows that says why a job is where it is: the job, its place, its tenant, what it awaits. */
#include "dispatch/engine.h"
#include "dispatch/job_json.h"

#include <stdio.h>

struct facts_ask {
    struct ask ask;
    struct json_object *data;
    int64_t id;
    size_t after; /* the next job of `after` to be looked at */
};

static void drop(struct ask *a)
{
    json_object_put(((struct facts_ask *)a)->data);
}

static void finish(struct facts_ask *f)
{
    struct json_object *data = f->data;
    f->data = NULL;
    ask_ok(&f->ask, NULL, data);
}

static void refuse(struct facts_ask *f, const struct bp_err *err)
{
    char text[64];
    if (err->rc != BP_NOTFOUND) {
        ask_fail(&f->ask, err);
        return;
    }
    snprintf(text, sizeof text, "Job %lld not found.", (long long)f->id);
    ask_say(&f->ask, BP_NOTFOUND, text);
}

/* ---- the jobs it waits for, one after the other ---- */

static void look_at_after(struct facts_ask *f);

static void got_after(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct facts_ask *f = (struct facts_ask *)a;
    if (err->rc != BP_OK && err->rc != BP_NOTFOUND) {
        ask_fail(a, err);
        return;
    }
    if (err->rc == BP_OK) { /* one that is pruned has completed */
        struct json_object *one = json_object_new_object();
        put_int(one, "id", op->u.get.job->id);
        put_text(one, "status", job_status_name(op->u.get.job->status));
        json_object_array_add(json_member(f->data, "after"), one);
    }
    look_at_after(f);
}

static void look_at_after(struct facts_ask *f)
{
    struct json_object *ids = json_member(json_member(f->data, "job"), "after");
    if (f->after >= json_object_array_length(ids)) {
        finish(f);
        return;
    }
    struct queue_call *q = queue_call_new(BP_OP_GET, dispatch_now(f->ask.d));
    queue_call_op(q)->u.get.id = json_object_get_int64(json_object_array_get_idx(ids, f->after++));
    ask_queue(&f->ask, q, got_after);
}

/* ---- place and tenant of a queued job ---- */

static void got_tenant(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct facts_ask *f = (struct facts_ask *)a;
    if (err->rc != BP_OK) {
        ask_fail(a, err);
        return;
    }
    if (op->u.tenant_list.count > 0) {
        put_int(f->data, "tenant_running", op->u.tenant_list.tenants[0].leased);
        put_int(f->data, "tenant_max_running", op->u.tenant_list.tenants[0].max_running);
    }
    finish(f);
}

static void ask_tenant(struct facts_ask *f)
{
    struct queue_call *q = queue_call_new(BP_OP_TENANT_LIST, dispatch_now(f->ask.d));
    queue_call_op(q)->u.tenant_list.name = queue_call_str(q, json_str(json_member(f->data, "job"), "tenant", ""));
    ask_queue(&f->ask, q, got_tenant);
}

/* A store that cannot count, or a job that was leased meanwhile: it has no place. */
static void got_place(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct facts_ask *f = (struct facts_ask *)a;
    if (err->rc != BP_OK && err->rc != BP_UNSUPPORTED && err->rc != BP_CONFLICT && err->rc != BP_NOTFOUND) {
        ask_fail(a, err);
        return;
    }
    if (err->rc == BP_OK)
        put_int(f->data, "ahead", op->u.place.ahead);
    ask_tenant(f);
}

static void ask_place(struct facts_ask *f)
{
    struct queue_call *q = queue_call_new(BP_OP_PLACE, dispatch_now(f->ask.d));
    queue_call_op(q)->u.place.id = f->id;
    ask_queue(&f->ask, q, got_place);
}

/* ---- the job ---- */

static void got_job(struct ask *a, struct bp_op *op, const struct bp_err *err)
{
    struct facts_ask *f = (struct facts_ask *)a;
    if (err->rc != BP_OK) {
        refuse(f, err);
        return;
    }
    const struct bp_job_row *job = op->u.get.job;
    f->data = json_object_new_object();
    put_new(f->data, "job", job_json(job, NULL, NULL));
    put_int(f->data, "created_ms", job->created_ms);
    put_int(f->data, "not_before_ms", job->not_before_ms);
    put_int(f->data, "leased_ms", job->leased_ms);
    put_int(f->data, "lease_expires_ms", job->lease_expires_ms);
    put_int(f->data, "finished_ms", job->finished_ms);
    put_new(f->data, "after", json_object_new_array_ext(4));
    if (job->status == BP_JOB_SCHEDULED && job->waits_for > 0 && job->after)
        look_at_after(f);
    else if (job->status == BP_JOB_QUEUED)
        ask_place(f);
    else
        finish(f);
}

void dispatch_job_facts(struct dispatch *d, const char *tenant, int64_t id, dispatch_reply fn, void *arg)
{
    struct facts_ask *f = ask_new(d, sizeof *f, fn, arg);
    f->ask.drop = drop;
    f->id = id;
    struct queue_call *q = queue_call_new(BP_OP_GET, dispatch_now(d));
    queue_call_op(q)->u.get.id = id;
    queue_call_op(q)->u.get.tenant = queue_call_str(q, tenant);
    ask_queue(&f->ask, q, got_job);
}
