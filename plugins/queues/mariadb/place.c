/* SPDX-License-Identifier: Apache-2.0 */
/* Where a queued job stands. */
#include <string.h>

#include "counters.h"
#include "job.h"
#include "ops.h"
#include "pool.h"

/* The jobs before `j` that somebody may have now. Its own tenant's come before it, whatever the tenant's limit. */
static void count_text(struct store *s, const struct job *j)
{
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT COUNT(*) FROM (SELECT 1 FROM ai_job_dispatches d FORCE INDEX (dispatches_queue) "
            "WHERE d.workflow_id=%l AND d.status=2 AND (d.queue_order < %i OR (d.queue_order = %i AND "
            "(d.sort_key < %i OR (d.sort_key = %i AND (d.share_tag < %d OR (d.share_tag = %d AND d.id < %l)))))) "
            "AND (d.tenant_id=%l OR (1",
            j->workflow_id, -j->row.priority, -j->row.priority, j->sort_key, j->sort_key, j->share_tag, j->share_tag,
            j->row.id, j->tenant_id);
    if (s->rules.limits)
        sql_add(&s->q,
                " AND d.tenant_id NOT IN (SELECT t.id FROM tenants t WHERE t.special=1 AND t.max_running > 0 AND "
                "t.max_running <= (SELECT COALESCE(SUM(c.leased),0) FROM dispatch_counters c WHERE c.owner=%i AND "
                "c.owner_id=t.id))",
                COUNTER_TENANT);
    pools_only_up(s, &s->q, "d.tenant_id");
    sql_add(&s->q, ")) LIMIT %i) ahead", BP_PLACE_MAX);
}

int32_t op_place(struct store *s, struct bp_op *op)
{
    struct bp_op_place *p = &op->u.place;
    struct reply r;
    p->ahead = 0;
    int32_t rc = batch_load_jobs(s, &p->id, 1);
    if (rc)
        return rc;
    const struct job *j = batch_job(s, p->id);
    if (!j || (p->tenant && strcmp(p->tenant, j->row.tenant) != 0))
        return op_error(op, BP_NOTFOUND, "no job %lld", (long long)p->id);
    if (j->row.status != BP_JOB_QUEUED)
        return op_error(op, BP_CONFLICT, "job %lld is not queued", (long long)p->id);
    count_text(s, j);
    rc = query_one(s, &s->q, &r);
    if (!rc && reply_next(&r))
        p->ahead = column_int(&r, 0);
    reply_done(&r);
    return rc;
}
