/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the queues stand, asked ten times a second: counters, and one look per workflow for rows that other
 * applications put into the queue and nobody has adopted yet. Those count as queued and as arrived; when one is
 * adopted, it moves into the counters.
 */
#include <string.h>

#include "counters.h"
#include "ops.h"

/* One row per workflow that ever had a job. */
static int32_t rows_take(struct store *s, struct bp_op_watch *o, struct reply *r)
{
    size_t rows = (size_t)mysql_num_rows(r->result);
    o->rows = o->memory = rows ? s->host->alloc(rows * sizeof *o->rows) : NULL;
    if (rows && !o->rows)
        return store_nomem(s);
    while (o->count < rows && reply_next(r)) {
        int64_t foreign = column_int(r, 4);
        if (column_int(r, 3) == 0 && foreign == 0)
            continue;
        struct bp_watch_row *row = &o->rows[o->count++];
        memset(row, 0, sizeof *row);
        strncpy(row->workflow, r->row[0], sizeof row->workflow - 1);
        row->queued = column_int(r, 1) + foreign;
        row->arrivals = column_int(r, 2) + foreign;
    }
    return BP_OK;
}

int32_t op_watch(struct store *s, struct bp_op *op)
{
    struct bp_op_watch *o = &op->u.watch;
    struct reply r;
    o->count = 0;
    o->rows = NULL;
    o->memory = NULL;
    sql_clear(&s->q);
    sql_add(
        &s->q,
        "SELECT w.name, COALESCE(SUM(c.queued),0), COALESCE(SUM(c.arrivals),0), COUNT(c.owner_id), (SELECT COUNT(*) "
        "FROM ai_job_dispatches d FORCE INDEX (dispatches_due) WHERE d.status=2 AND d.due_of = w.id AND "
        "d.due_ms = 0) FROM workflows w LEFT JOIN dispatch_counters c ON c.owner=%i AND c.owner_id = w.id "
        "GROUP BY w.id ORDER BY w.id",
        COUNTER_WORKFLOW);
    int32_t rc = query_one(s, &s->q, &r);
    rc = rc ? rc : rows_take(s, o, &r);
    reply_done(&r);
    return rc;
}
