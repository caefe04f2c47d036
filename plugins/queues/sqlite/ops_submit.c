/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "counters.h"
#include "ops.h"
#include "timeline.h"

#define DEFAULT_MAX_ATTEMPTS 3

static const char *wrong(const struct bp_op_submit *u)
{
    if (!u->tenant || !*u->tenant)
        return "a submit needs a tenant";
    if (!u->workflow || !*u->workflow || strlen(u->workflow) >= sizeof((struct bp_queue_stats_row *)0)->workflow)
        return "a submit needs a workflow with a name of 1 to 127 bytes";
    if (u->priority < -1000 || u->priority > 1000)
        return "the priority must be from -1000 to 1000";
    if (u->max_attempts < 0)
        return "max_attempts must be 1 or more";
    return NULL;
}

static int32_t status_of(struct store *s, int64_t id, int32_t *status)
{
    struct job j;
    int32_t rc = job_load(s, id, JOB_DISPATCH, &j);
    *status = rc > 0 ? j.row.status : 0;
    return rc < 0 ? rc : BP_OK;
}

/* Has this tenant used the key? Then the operation is answered here and *answered is set. */
static int32_t replay(struct store *s, struct bp_op *op, bool *answered)
{
    struct bp_op_submit *u = &op->u.submit;
    int64_t tenant, id = 0;
    bool same = false;
    int32_t rc = names_find(s, &s->tenants, u->tenant, &tenant);
    if (rc || !tenant)
        return rc;
    sqlite3_stmt *q = statement_query(s, ST_KEY_FIND, "ls", tenant, u->idempotency_key);
    rc = statement_next(s, q);
    if (rc > 0) {
        id = sqlite3_column_int64(q, 0);
        same = strcmp((const char *)sqlite3_column_text(q, 1), u->request_hash ? u->request_hash : "") == 0;
    }
    statement_done(q);
    if (rc <= 0)
        return rc;
    *answered = true;
    u->id = id;
    if (!same)
        return op_error(op, BP_CONFLICT, "the idempotency key '%.100s' was used for another request (job %lld)",
                        u->idempotency_key, (long long)id);
    u->existed = 1;
    return status_of(s, id, &u->status);
}

static int32_t insert(struct store *s, struct bp_op *op)
{
    struct bp_op_submit *u = &op->u.submit;
    int64_t now = op->now_ms, tenant, workflow, effect = 0, event;
    int64_t not_before = u->not_before_ms > now ? u->not_before_ms : 0, id = s->next_id;
    int32_t rc = names_get(s, &s->tenants, u->tenant, &tenant);
    rc = rc ? rc : workflow_get(s, u->workflow, &workflow);
    if (!rc && u->effect)
        rc = names_get(s, &s->effects, u->effect, &effect);
    rc = rc ? rc : job_event_first(s, id, now, u->who, &event);
    if (rc)
        return rc;
    u->status = not_before ? BP_JOB_SCHEDULED : BP_JOB_QUEUED;
    rc = statement_run(s, ST_DISPATCH_INSERT, "lllziiilllll", id, tenant, workflow, effect, u->status, u->priority,
                       u->max_attempts ? u->max_attempts : DEFAULT_MAX_ATTEMPTS, now, not_before ? not_before : now,
                       not_before, now, event);
    rc = rc ? rc
            : statement_run(s, ST_JOB_INSERT, "lsss", id, u->params ? u->params : "{}", u->inputs ? u->inputs : "[]",
                            u->idempotency_key);
    if (!rc && u->idempotency_key)
        rc = statement_run(s, ST_KEY_INSERT, "lsls", tenant, u->idempotency_key, id,
                           u->request_hash ? u->request_hash : "");
    if (rc)
        return rc;
    u->id = id;
    s->next_id++;
    counter_move(s, workflow, 0, u->status);
    return counter_add(s, workflow, now, COUNT_SUBMITTED);
}

int32_t op_submit(struct store *s, struct bp_op *op)
{
    struct bp_op_submit *u = &op->u.submit;
    const char *why = wrong(u);
    u->id = 0;
    u->existed = 0;
    u->status = 0;
    if (why)
        return op_error(op, BP_INVALID, "%s", why);
    bool answered = false;
    int32_t rc = u->idempotency_key ? replay(s, op, &answered) : BP_OK;
    return rc || answered ? rc : insert(s, op);
}
