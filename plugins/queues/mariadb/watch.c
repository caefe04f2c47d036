/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the queues stand, asked ten times a second: counters, and one look per workflow for rows that other
 * applications put into the queue and nobody has adopted yet. Those count as queued and as arrived; when one is
 * adopted, it moves into the counters.
 */
#include <string.h>

#include "counters.h"
#include "ops.h"

/* Workflows whose queue has such rows, jumping through the index; how many is counted only where there are some. */
#define FOREIGN                                                                                                        \
    "SELECT f.due_of, (SELECT COUNT(*) FROM ai_job_dispatches c FORCE INDEX (dispatches_due) WHERE c.status=2 AND "    \
    "c.due_of = f.due_of AND c.due_ms=0) AS n FROM (SELECT due_of, MIN(due_ms) AS first FROM ai_job_dispatches FORCE " \
    "INDEX (dispatches_due) WHERE status=2 GROUP BY due_of HAVING first=0) f"

/* Which workflow a row is of, and whether it ever had a job. */
struct seen {
    int64_t id;
    bool used;
};

static int32_t rows_take(struct store *s, struct bp_op_watch *o, struct seen **seen)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    size_t rows = rc ? 0 : (size_t)mysql_num_rows(r.result);
    *seen = mem_alloc(&s->mem, rows * sizeof **seen + 1);
    if (rows)
        o->rows = o->memory = s->host->alloc(rows * sizeof *o->rows);
    if (!rc && (!*seen || (rows && !o->rows)))
        rc = store_nomem(s);
    while (!rc && o->count < rows && reply_next(&r)) {
        (*seen)[o->count] = (struct seen){column_int(&r, 0), column_int(&r, 4) != 0};
        struct bp_watch_row *row = &o->rows[o->count++];
        memset(row, 0, sizeof *row);
        strncpy(row->workflow, r.row[1], sizeof row->workflow - 1);
        row->queued = column_int(&r, 2);
        row->arrivals = column_int(&r, 3);
    }
    reply_done(&r);
    return rc;
}

static int32_t foreign_take(struct store *s, struct bp_op_watch *o, struct seen *seen)
{
    struct reply r;
    int32_t rc = query_rows(s, &r);
    while (!rc && reply_next(&r))
        for (uint32_t i = 0; i < o->count; i++)
            if (seen[i].id == column_int(&r, 0)) {
                seen[i].used = true;
                o->rows[i].queued += column_int(&r, 1);
                o->rows[i].arrivals += column_int(&r, 1);
            }
    reply_done(&r);
    return rc;
}

static void drop_unused(struct bp_op_watch *o, const struct seen *seen)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->count; i++)
        if (seen[i].used)
            o->rows[n++] = o->rows[i];
    o->count = n;
}

int32_t op_watch(struct store *s, struct bp_op *op)
{
    struct bp_op_watch *o = &op->u.watch;
    struct seen *seen;
    o->count = 0;
    o->rows = NULL;
    o->memory = NULL;
    sql_clear(&s->q);
    sql_add(&s->q,
            "SELECT w.id, w.name, COALESCE(SUM(c.queued),0), COALESCE(SUM(c.arrivals),0), COUNT(c.owner_id) FROM "
            "workflows w LEFT JOIN "
            "dispatch_counters c ON c.owner=%i AND c.owner_id = w.id GROUP BY w.id, w.name ORDER BY w.id;" FOREIGN,
            COUNTER_WORKFLOW);
    int32_t rc = query_send(s, &s->q);
    rc = rc ? rc : rows_take(s, o, &seen);
    rc = rc ? rc : foreign_take(s, o, seen);
    rc = rc ? rc : query_end(s);
    if (!rc)
        drop_unused(o, seen);
    return rc;
}
