/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what is old, in transactions as short as the caller asks, past rows that others hold. */
#include "content.h"
#include "counters.h"
#include "job.h"
#include "lead.h"
#include "ops.h"

#define PRUNE_MAX 1000

/* Finished rows nobody holds. */
static int32_t prune_find(struct store *s, const struct bp_op_prune *p, int64_t *ids, uint32_t limit, uint32_t *n)
{
    struct reply r;
    int32_t rc = workflow_list(s);
    if (rc || !s->workflow_list.n)
        return rc;
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT d.id FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status IN (4,5,6) AND "
            "d.due_of IN (%r) AND d.due_ms < %l",
            s->workflow_list.text, p->before_ms);
    pools_only_up(s, &s->q, "d.tenant_id"); /* the caller is to see what was in them */
    sql_add(&s->q, " LIMIT %l FOR UPDATE SKIP LOCKED", (int64_t)limit);
    rc = query_one(s, &s->q, &r);
    while (!rc && *n < limit && reply_next(&r))
        ids[(*n)++] = column_int(&r, 0);
    reply_done(&r);
    return rc;
}

/* What goes with the dispatches of a list of ids, each found by an index. */
static const struct {
    const char *before, *after;
} REMOVED[] = {
    {"DELETE FROM job_events WHERE job_id IN (", ");"},
    {"DELETE FROM job_dependencies WHERE job_id IN (", ");"},
    {"DELETE FROM job_dependencies WHERE after_id IN (", ");"},
    {"DELETE FROM unique_keys WHERE dispatch_id IN (", ");"},
    {"DELETE FROM webhook_deliveries WHERE job_id IN (", ");"},
    {"DELETE FROM idempotency_keys WHERE dispatch_id IN (", ");"},
    {"DELETE FROM ai_job_dispatches WHERE id IN (", ");"},
};

static int32_t prune_jobs(struct store *s, const struct job *jobs, uint32_t n)
{
    sql_clear(&s->q);
    for (size_t k = 0; k < sizeof REMOVED / sizeof REMOVED[0]; k++) {
        sql_add(&s->q, "%r", REMOVED[k].before);
        for (uint32_t i = 0; i < n; i++)
            sql_add(&s->q, i ? ",%l" : "%l", jobs[i].row.id);
        sql_add(&s->q, "%r", REMOVED[k].after);
    }
    for (uint32_t i = 0; i < n; i++)
        content_remove(s, &jobs[i]);
    content_remove_text(s, &s->q);
    return query_run(s, &s->q);
}

/* Reads the rows, counts them out of their workflows and hands them over; then they go. */
static int32_t prune_all(struct store *s, struct bp_op_prune *p, const int64_t *ids, uint32_t n)
{
    struct job *jobs = mem_alloc(&s->mem, n * sizeof *jobs + 1);
    if (!jobs)
        return store_nomem(s);
    int32_t rc = batch_load_jobs(s, ids, n);
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct job *j = batch_job(s, ids[i]);
        if (!j)
            return store_fail(s, BP_FAIL, "job %lld was locked and is gone", (long long)ids[i]);
        rc = counter_move(s, j->workflow_id, j->row.status, 0);
        jobs[i] = *j;
    }
    rc = rc ? rc : contents_of(s, jobs, n);
    rc = rc ? rc : jobs_pack(s, jobs, n, &p->jobs, &p->memory);
    rc = rc ? rc : prune_jobs(s, jobs, n);
    p->removed = rc ? 0 : n;
    return rc;
}

static int32_t prune_audit(struct store *s, struct bp_op_prune *p, uint32_t limit)
{
    if (p->audit_before_ms <= 0)
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "DELETE FROM worker_audit_logs WHERE at_ms < %l ORDER BY at_ms LIMIT %l", p->audit_before_ms,
            (int64_t)limit);
    int32_t rc = query_run(s, &s->q);
    p->audit_removed = rc ? 0 : (uint32_t)s->affected;
    return rc;
}

/* Names of workers that were removed before the oldest job that is kept. Other controllers learn of it by the number by
 * which they learn of changes of tenants. */
static int32_t prune_names(struct store *s, struct bp_op_prune *p, uint32_t limit)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "DELETE FROM worker_names WHERE gone_ms BETWEEN 1 AND %l AND id NOT IN (SELECT id FROM workers) "
            "ORDER BY gone_ms LIMIT %l",
            p->before_ms - 1, (int64_t)limit);
    int32_t rc = query_run(s, &s->q);
    if (rc || !s->affected)
        return rc;
    if (s->affected > p->other_removed)
        p->other_removed = (uint32_t)s->affected;
    s->workers.stale = true;
    return query_text(s, "UPDATE tenants_version SET version=version+1 WHERE id=1");
}

/* What is old beside jobs. */
static int32_t prune_rest(struct store *s, const struct bp_op *op, struct bp_op_prune *p, uint32_t limit)
{
    int32_t rc = prune_audit(s, p, limit);
    rc = rc ? rc : counters_clean(s, op->now_ms, limit, &p->other_removed);
    return rc || p->before_ms <= 0 || p->removed >= limit ? rc : prune_names(s, p, limit);
}

int32_t op_prune(struct store *s, struct bp_op *op)
{
    struct bp_op_prune *p = &op->u.prune;
    uint32_t limit = p->limit < PRUNE_MAX ? p->limit : PRUNE_MAX, n = 0;
    bool leads;
    p->removed = p->audit_removed = p->other_removed = 0;
    p->jobs = NULL;
    p->memory = NULL;
    int32_t rc = lead_check(s, op, p->epoch, &leads);
    if (rc || !leads || !limit)
        return rc;
    int64_t *ids = mem_alloc(&s->mem, limit * sizeof *ids);
    if (!ids)
        return store_nomem(s);
    if (p->before_ms > 0)
        rc = prune_find(s, p, ids, limit, &n);
    if (!rc && n)
        rc = prune_all(s, p, ids, n);
    return rc ? rc : prune_rest(s, op, p, limit);
}
