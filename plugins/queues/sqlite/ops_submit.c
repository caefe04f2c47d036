/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "counters.h"
#include "depend.h"
#include "ops.h"
#include "tenant.h"
#include "timeline.h"

#define DEFAULT_MAX_ATTEMPTS 3

/* What a submit comes to once all checks have passed. */
struct plan {
    int64_t tenant; /* 0: not there yet */
    int32_t waits_for;
    bool answered; /* there is nothing left to do */
};

static bool after_repeats(const struct bp_op_submit *u)
{
    for (uint32_t i = 1; i < u->n_after; i++)
        for (uint32_t k = 0; k < i; k++)
            if (u->after[i] == u->after[k])
                return true;
    return false;
}

static const char *wrong_after(const struct bp_op_submit *u)
{
    if (u->n_after > BP_AFTER_MAX)
        return "after names more than 32 jobs; let one of them wait for the others";
    if (u->n_after && !u->after)
        return "after is missing";
    return after_repeats(u) ? "after names a job twice" : NULL;
}

static const char *wrong(const struct bp_op_submit *u)
{
    if (!u->tenant || !*u->tenant || strlen(u->tenant) > NAME_MAX_BYTES)
        return "a submit needs a tenant with a name of 1 to 255 bytes";
    if (!u->workflow || !*u->workflow || strlen(u->workflow) >= sizeof((struct bp_queue_stats_row *)0)->workflow)
        return "a submit needs a workflow with a name of 1 to 127 bytes";
    if (u->priority < -1000 || u->priority > 1000)
        return "the priority must be from -1000 to 1000";
    if (u->max_attempts < 0)
        return "max_attempts must be 1 or more";
    if (u->idempotency_key && strlen(u->idempotency_key) > NAME_MAX_BYTES)
        return "the idempotency key must have at most 255 bytes; use a digest";
    if (u->unique_key && (!*u->unique_key || strlen(u->unique_key) > NAME_MAX_BYTES))
        return "unique_key must have 1 to 255 bytes; use a digest";
    if (u->fair != 0 && u->fair != 1)
        return "fair must be 0 or 1";
    return wrong_after(u);
}

static int32_t status_of(struct store *s, int64_t id, int32_t *status)
{
    struct job j;
    int32_t rc = job_load(s, id, JOB_DISPATCH, &j);
    *status = rc > 0 ? j.row.status : 0;
    return rc < 0 ? rc : BP_OK;
}

/* Has this tenant used the key? Then the operation is answered here. */
static int32_t replay(struct store *s, struct bp_op *op, struct plan *plan)
{
    struct bp_op_submit *u = &op->u.submit;
    int64_t id = 0;
    bool same = false;
    if (!u->idempotency_key)
        return BP_OK;
    sqlite3_stmt *q = statement_query(s, ST_KEY_FIND, "ls", plan->tenant, u->idempotency_key);
    int32_t rc = statement_next(s, q);
    if (rc > 0) {
        id = sqlite3_column_int64(q, 0);
        same = strcmp((const char *)sqlite3_column_text(q, 1), u->request_hash ? u->request_hash : "") == 0;
    }
    statement_done(q);
    if (rc <= 0)
        return rc;
    plan->answered = true;
    u->id = id;
    u->outcome = same ? BP_SUBMIT_REPLAY : BP_SUBMIT_KEY;
    if (!same)
        return op_error(op, BP_CONFLICT, "the idempotency key '%.100s' was used for another request (job %lld)",
                        u->idempotency_key, (long long)id);
    u->existed = 1;
    return status_of(s, id, &u->status);
}

/* Is another job with the unique key pending? Then the operation is answered with it. */
static int32_t pending(struct store *s, struct bp_op *op, struct plan *plan)
{
    struct bp_op_submit *u = &op->u.submit;
    if (!u->unique_key)
        return BP_OK;
    sqlite3_stmt *q = statement_query(s, ST_UNIQUE_FIND, "ls", plan->tenant, u->unique_key);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        u->id = sqlite3_column_int64(q, 0);
    statement_done(q);
    if (rc <= 0)
        return rc;
    plan->answered = true;
    u->outcome = BP_SUBMIT_PENDING;
    u->existed = 1;
    return status_of(s, u->id, &u->status);
}

/* The checks that concern a tenant that is there, in their order. */
static int32_t checks(struct store *s, struct bp_op *op, struct plan *plan)
{
    struct bp_op_submit *u = &op->u.submit;
    struct tenant *t;
    int32_t rc = tenant_of(s, plan->tenant, &t);
    rc = rc ? rc : replay(s, op, plan);
    if (rc || plan->answered)
        return rc;
    plan->answered = t->disabled;
    u->outcome = BP_SUBMIT_DISABLED;
    if (t->disabled)
        return op_error(op, BP_DENIED, "tenant '%.100s' is disabled; an operator can enable it", u->tenant);
    u->outcome = 0;
    rc = pending(s, op, plan);
    if (rc || plan->answered)
        return rc;
    rc = depend_check(s, op, &plan->waits_for, &plan->answered);
    if (rc || plan->answered || t->max_pending == 0)
        return rc;
    rc = tenants_count(s);
    if (rc || tenant_pending(t) < t->max_pending)
        return rc;
    plan->answered = true;
    u->outcome = BP_SUBMIT_LIMIT;
    return op_error(op, BP_LATER, "tenant '%.100s' has %lld jobs that have not ended, its limit (max_pending) is %d",
                    u->tenant, (long long)tenant_pending(t), t->max_pending);
}

/* Writes down what comes with a job beside its two rows. */
static int32_t insert_rest(struct store *s, const struct bp_op *op, int64_t tenant, int64_t id)
{
    const struct bp_op_submit *u = &op->u.submit;
    int32_t rc = BP_OK;
    if (u->idempotency_key)
        rc = statement_run(s, ST_KEY_INSERT, "lsls", tenant, u->idempotency_key, id,
                           u->request_hash ? u->request_hash : "");
    if (!rc && u->unique_key)
        rc = statement_run(s, ST_UNIQUE_INSERT, "lsl", tenant, u->unique_key, id);
    return rc || !u->n_after ? rc : depend_add(s, op, id);
}

/* The numbers of a new job's row, before it is written. */
static int32_t place(struct store *s, const struct bp_op *op, const struct plan *plan, struct job *j)
{
    const struct bp_op_submit *u = &op->u.submit;
    struct tenant *t;
    int64_t now = op->now_ms, later = u->not_before_ms > now ? u->not_before_ms : 0;
    int32_t rc = tenant_of(s, j->tenant_id, &t);
    if (!rc && u->fair)
        rc = tenant_tag(s, t, workflow_of(s, j->workflow_id), &j->share_key);
    if (rc)
        return rc;
    j->row.id = s->next_id;
    j->row.status = later || plan->waits_for ? BP_JOB_SCHEDULED : BP_JOB_QUEUED;
    j->row.waits_for = plan->waits_for;
    j->row.not_before_ms = later;
    j->due_ms = plan->waits_for ? DUE_NEVER : later;
    j->queued_ms = later ? later : now;
    j->flags = (u->unique_key ? JOB_HAS_UNIQUE : 0) | (u->n_after ? JOB_HAS_AFTER : 0);
    j->last_event = s->next_seq;
    return BP_OK;
}

static int32_t insert_rows(struct store *s, const struct bp_op *op, const struct job *j)
{
    const struct bp_op_submit *u = &op->u.submit;
    const struct bp_job_row *r = &j->row;
    const struct tenant *t = s->tenant[j->tenant_id];
    int32_t rc = statement_run(s, ST_DISPATCH_INSERT, "lllziilliiillllll", r->id, j->tenant_id, j->workflow_id,
                               j->effect_id, r->status, u->priority, j->share_key, t->lane ? t->id : INT64_C(0),
                               j->flags, r->waits_for, u->max_attempts ? u->max_attempts : DEFAULT_MAX_ATTEMPTS,
                               op->now_ms, j->queued_ms, r->not_before_ms, j->due_ms, op->now_ms, j->last_event);
    return rc ? rc
              : statement_run(s, ST_JOB_INSERT, "lssss", r->id, u->params ? u->params : "{}",
                              u->inputs ? u->inputs : "[]", u->idempotency_key, u->unique_key);
}

static int32_t insert(struct store *s, struct bp_op *op, const struct plan *plan)
{
    struct bp_op_submit *u = &op->u.submit;
    struct job j = {0};
    const char *words;
    int32_t rc = tenant_get(s, u->tenant, op->now_ms, &j.tenant_id);
    rc = rc ? rc : workflow_get(s, u->workflow, &j.workflow_id);
    if (!rc && u->effect)
        rc = names_get(s, &s->effects, u->effect, &j.effect_id);
    rc = rc ? rc : depend_words(s, op, &words);
    rc = rc ? rc : place(s, op, plan, &j);
    rc = rc ? rc : job_event_first(s, j.row.id, op->now_ms, u->who, words);
    rc = rc ? rc : insert_rows(s, op, &j);
    rc = rc ? rc : insert_rest(s, op, j.tenant_id, j.row.id);
    if (rc)
        return rc;
    u->id = s->next_id++;
    u->status = j.row.status;
    u->outcome = BP_SUBMIT_NEW;
    counter_move(s, j.workflow_id, 0, u->status);
    rc = tenant_move(s, j.tenant_id, 0, u->status);
    return rc ? rc : counter_add(s, j.workflow_id, op->now_ms, COUNT_SUBMITTED);
}

int32_t op_submit(struct store *s, struct bp_op *op)
{
    struct bp_op_submit *u = &op->u.submit;
    struct plan plan = {0};
    const char *why = wrong(u);
    u->id = u->after_id = 0;
    u->existed = u->status = u->outcome = 0;
    if (why)
        return op_error(op, BP_INVALID, "%s", why);
    int32_t rc = names_find(s, &s->tenants, u->tenant, &plan.tenant);
    if (!rc && plan.tenant)
        rc = checks(s, op, &plan);
    else if (!rc)
        rc = depend_check(s, op, &plan.waits_for, &plan.answered);
    return rc || plan.answered ? rc : insert(s, op, &plan);
}
