/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what is old: jobs that ended, with all that belongs to them, and audit lines. */
#include "counters.h"
#include "lead.h"
#include "ops.h"
#include "timeline.h"

#define PRUNE_MAX 10000

static int32_t prune_job(struct store *s, const struct job *j)
{
    int64_t id = j->row.id;
    int32_t rc = timeline_delete(s, j->last_event);
    if (!rc && j->row.idempotency_key)
        rc = statement_run(s, ST_KEY_DELETE, "lsl", j->tenant_id, j->row.idempotency_key, id);
    if (!rc && j->flags & JOB_HAS_AFTER)
        rc = statement_run(s, ST_AFTER_DELETE, "l", id);
    rc = rc ? rc : statement_run(s, ST_HOOK_DELETE, "l", id);
    rc = rc ? rc : statement_run(s, ST_JOB_DELETE, "l", id);
    rc = rc ? rc : statement_run(s, ST_DISPATCH_DELETE, "l", id);
    if (!rc)
        counter_move(s, j->workflow_id, j->row.status, 0);
    return rc;
}

/* Ids are never given twice, not even when the newest rows are gone at the next start. */
static int32_t keep_ids(struct store *s)
{
    int32_t rc = statement_run(s, ST_COUNTER_PUT, "sl", "next_id", s->next_id);
    return rc ? rc : statement_run(s, ST_COUNTER_PUT, "sl", "next_seq", s->next_seq);
}

/* The ids of the oldest jobs that may go. */
static int32_t find(struct store *s, int64_t before_ms, uint32_t limit, int64_t *ids, uint32_t *n)
{
    *n = 0;
    sqlite3_stmt *q = statement_query(s, ST_PRUNE_FIND, "ll", before_ms, (int64_t)limit);
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0 && *n < limit)
        ids[(*n)++] = sqlite3_column_int64(q, 0);
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

static int32_t prune_jobs(struct store *s, struct bp_op_prune *p, uint32_t limit)
{
    uint32_t n = 0;
    int64_t *ids = mem_alloc(&s->mem, (limit + 1) * sizeof *ids);
    if (!ids)
        return store_fail(s, BP_NOMEM, "out of memory while pruning");
    int32_t rc = find(s, p->before_ms, limit, ids, &n);
    struct job *jobs = mem_alloc(&s->mem, (n + 1) * sizeof *jobs);
    if (!jobs)
        return store_fail(s, BP_NOMEM, "out of memory while pruning");
    rc = rc || !n ? rc : keep_ids(s);
    for (uint32_t i = 0; !rc && i < n; i++) {
        rc = job_load(s, ids[i], JOB_WHOLE, &jobs[i]);
        if (rc == 0)
            rc = store_fail(s, BP_IO, "job %lld has no row; the file is damaged", (long long)ids[i]);
        rc = rc < 0 ? rc : prune_job(s, &jobs[i]);
    }
    rc = rc ? rc : jobs_pack(s, jobs, n, &p->jobs, &p->memory);
    p->removed = rc ? 0 : n;
    return rc;
}

int32_t op_prune(struct store *s, struct bp_op *op)
{
    struct bp_op_prune *p = &op->u.prune;
    uint32_t limit = p->limit < PRUNE_MAX ? p->limit : PRUNE_MAX;
    p->removed = p->audit_removed = p->other_removed = 0;
    p->jobs = NULL;
    p->memory = NULL;
    int32_t rc = lead_check(s, op, p->epoch);
    if (rc || op->err.rc)
        return rc;
    if (p->before_ms > 0)
        rc = prune_jobs(s, p, limit);
    if (!rc && p->audit_before_ms > 0) {
        rc = statement_run(s, ST_AUDIT_PRUNE, "ll", p->audit_before_ms, (int64_t)limit);
        p->audit_removed = rc ? 0 : (uint32_t)sqlite3_changes(s->db);
    }
    return rc ? rc : counters_clean(s, op->now_ms, limit, &p->other_removed);
}
