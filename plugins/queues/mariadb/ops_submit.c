/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "content.h"
#include "counters.h"
#include "depend.h"
#include "ops.h"
#include "special.h"
#include "timeline.h"
#include "unique.h"

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) : 0;
}

static const char TOO_LARGE[] =
    "params and inputs are larger than the server's max_allowed_packet lets through; raise it or send less";

const char *submit_wrong(const struct store *s, const struct bp_op_submit *u)
{
    if (!u->tenant || !*u->tenant || !text_fits(u->tenant, NAME_MAX_BYTES))
        return "a submit needs a tenant with a name of 1 to 255 bytes of UTF-8";
    if (!u->workflow || !*u->workflow || !text_fits(u->workflow, sizeof((struct bp_queue_stats_row *)0)->workflow - 1))
        return "a submit needs a workflow with a name of 1 to 127 bytes";
    if (!text_fits(u->effect, NAME_MAX_BYTES))
        return "the effect must be at most 255 bytes of UTF-8";
    if (u->priority < -1000 || u->priority > 1000)
        return "the priority must be from -1000 to 1000";
    if (u->max_attempts < 0)
        return "max_attempts must be 1 or more";
    if (!text_fits(u->idempotency_key, KEY_MAX) || !text_fits(u->request_hash, KEY_MAX))
        return "the idempotency key and the request hash must be at most 255 bytes of UTF-8";
    if (!text_fits(u->params, SIZE_MAX) || !text_fits(u->inputs, SIZE_MAX))
        return "params and inputs must be UTF-8";
    if (2 * (bytes_of(u->params) + bytes_of(u->inputs)) > pools_text_max(s))
        return TOO_LARGE;
    if (u->unique_key && (!*u->unique_key || !text_fits(u->unique_key, UNIQUE_KEY_MAX)))
        return "a unique key must be 1 to 255 bytes of UTF-8";
    if (u->fair != 0 && u->fair != 1)
        return "fair must be 0 or 1";
    return depend_wrong(u);
}

static int32_t repeated(struct store *s, struct bp_op *op, const struct key_known *k)
{
    struct bp_op_submit *u = &op->u.submit;
    const struct job *j = batch_job(s, k->id);
    u->id = k->id;
    u->outcome = BP_SUBMIT_KEY;
    if (strcmp(k->hash, u->request_hash ? u->request_hash : "") != 0)
        return op_error(op, BP_CONFLICT, "the idempotency key '%.100s' was used for another request (job %lld)",
                        u->idempotency_key, (long long)k->id);
    u->outcome = BP_SUBMIT_REPLAY;
    u->existed = 1;
    u->status = j ? j->row.status : k->status;
    return BP_OK;
}

/* The row is in the table already; here it becomes visible to the operations behind it. */
static int32_t created(struct store *s, struct bp_op *op, const struct submit_plan *plan)
{
    struct job *j = plan->job;
    struct bp_op_submit *u = &op->u.submit;
    struct batch *b = &s->batch;
    int32_t rc = special_take(s, op, j);
    u->id = j->row.id;
    u->status = j->row.status;
    u->outcome = BP_SUBMIT_NEW;
    rc = rc ? rc : job_event(s, j, op->now_ms, EVENT_SUBMITTED, u->who, depend_detail(s, u));
    if (plan->key) {
        sql_comma(&b->keys);
        sql_add(&b->keys, "(%l,UNHEX(%s),%l,%s)", j->tenant_id, plan->key, u->id,
                u->request_hash ? u->request_hash : "");
    }
    rc = rc ? rc : content_submit(s, j);
    rc = rc ? rc : counter_move(s, j->workflow_id, 0, u->status);
    rc = rc ? rc : tenant_move(s, j->tenant_id, 0, u->status);
    rc = rc ? rc : counter_add(s, j->workflow_id, op->now_ms, COUNT_SUBMITTED);
    struct front *f = u->status == BP_JOB_QUEUED ? batch_front(s, j->workflow_id, false) : NULL;
    j->saved_status = u->status;
    j->visible = true;
    return rc || !f ? rc : front_put(s, f, j, true);
}

/* Its turn has come: is the row that was inserted for it to be? */
static int32_t decided(struct store *s, struct bp_op *op, const struct submit_plan *plan)
{
    const struct bp_op_submit *u = &op->u.submit;
    struct job *j = plan->job;
    struct key_known *k = plan->known;
    bool repetition = k && k->id && (!j || k->id != j->row.id);
    if (!repetition && special_taken(s, op, j)) {
        if (k) {
            k->id = j->row.id;
            k->hash = u->request_hash ? u->request_hash : "";
        }
        return created(s, op, plan);
    }
    if (j)
        batch_withdraw(s, j);
    if (repetition)
        return repeated(s, op, k);
    if (k)
        k->id = 0;
    return BP_OK;
}

int32_t op_submit(struct store *s, struct bp_op *op, const struct submit_plan *plan)
{
    struct bp_op_submit *u = &op->u.submit;
    u->id = u->after_id = 0;
    u->existed = 0;
    u->status = 0;
    u->outcome = 0;
    if (plan->why)
        return op_error(op, plan->why == TOO_LARGE ? BP_TOOLARGE : BP_INVALID, "%s", plan->why);
    if (plan->down)
        return op_pool_down(op, plan->down);
    return decided(s, op, plan);
}
