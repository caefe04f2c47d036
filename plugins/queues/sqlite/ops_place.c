/* SPDX-License-Identifier: Apache-2.0 */
/* Where a queued job stands. */
#include <string.h>

#include "job.h"
#include "ops.h"
#include "tenant.h"

/* Jobs of a lane before `j`, of which no more than `most` can be leased. */
static int32_t count_lane(struct store *s, const struct job *j, int64_t lane, int64_t most, int64_t *ahead)
{
    if (most <= 0)
        return BP_OK;
    sqlite3_stmt *q = statement_query(s, ST_QUEUE_BEFORE, "llilll", j->workflow_id, lane, j->row.priority, j->share_key,
                                      j->row.id, most);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        *ahead += sqlite3_column_int64(q, 0);
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

/* Its own tenant's jobs come before it, whatever the tenant's limit; others' only as far as theirs let them. */
static int32_t count(struct store *s, const struct job *j, int64_t *ahead)
{
    int32_t rc = tenants_count(s);
    rc = rc ? rc : count_lane(s, j, 0, BP_PLACE_MAX, ahead);
    for (size_t i = 0; !rc && i < s->n_lanes && *ahead < BP_PLACE_MAX; i++) {
        struct tenant *t;
        int64_t most = BP_PLACE_MAX - *ahead;
        rc = tenant_of(s, s->lanes[i], &t);
        if (rc)
            break;
        t->chosen = 0;
        if (t->id != j->tenant_id && tenant_room(t) < most)
            most = tenant_room(t);
        rc = count_lane(s, j, t->id, most, ahead);
    }
    return rc;
}

int32_t op_place(struct store *s, struct bp_op *op)
{
    struct bp_op_place *p = &op->u.place;
    struct job j;
    p->ahead = 0;
    int32_t rc = job_load(s, p->id, JOB_DISPATCH, &j);
    if (rc < 0)
        return rc;
    if (rc == 0 || (p->tenant && strcmp(p->tenant, j.row.tenant) != 0))
        return op_error(op, BP_NOTFOUND, "no job %lld", (long long)p->id);
    if (j.row.status != BP_JOB_QUEUED)
        return op_error(op, BP_CONFLICT, "job %lld is not queued", (long long)p->id);
    return count(s, &j, &p->ahead);
}
