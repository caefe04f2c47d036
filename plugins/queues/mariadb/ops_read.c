/* SPDX-License-Identifier: Apache-2.0 */
/* Reading jobs and timelines. */
#include <string.h>

#include "content.h"
#include "depend.h"
#include "ops.h"
#include "timeline.h"

#define LIST_MAX     1000
#define EVENTS_MAX   10000
#define TIMELINE_MAX 100000

/* The job row and its timeline in one block. */
static int32_t get_block(struct store *s, struct bp_op_get *g, const struct job *j, const struct bp_job_event *events,
                         uint32_t n)
{
    size_t bytes = sizeof *g->job + n * sizeof *events + job_text_bytes(&j->row);
    for (uint32_t i = 0; i < n; i++)
        bytes += event_text_bytes(&events[i]);
    char *block = s->host->alloc(bytes);
    if (!block)
        return store_nomem(s);
    g->memory = block;
    g->job = (struct bp_job_row *)(void *)block;
    g->events = n ? (struct bp_job_event *)(void *)(block + sizeof *g->job) : NULL;
    g->n_events = n;
    char *text = job_copy(g->job, &j->row, block + sizeof *g->job + n * sizeof *events);
    for (uint32_t i = 0; i < n; i++)
        text = event_copy(&g->events[i], &events[i], text);
    return BP_OK;
}

int32_t get_pack(struct store *s, struct bp_op *op, struct job *j)
{
    struct bp_op_get *g = &op->u.get;
    struct bp_job_event *events = NULL;
    uint32_t n = 0;
    int32_t rc = depend_tell(s, j);
    if (!rc && g->with_events)
        rc = timeline_read(s, g->id, 0, TIMELINE_MAX, &events, &n);
    return rc ? rc : get_block(s, g, j, events, n);
}

int32_t op_get(struct store *s, struct bp_op *op)
{
    struct bp_op_get *g = &op->u.get;
    struct job *j = batch_job(s, g->id);
    g->job = NULL;
    g->events = NULL;
    g->n_events = 0;
    g->memory = NULL;
    if (!j || (g->tenant && strcmp(g->tenant, j->row.tenant) != 0))
        return op_error(op, BP_NOTFOUND, "no job %lld", (long long)g->id);
    if (g->tenant && !j->content && !pool_up(j->pool)) /* a completed job without output would be misread */
        return op_pool_down(op, j->pool);
    if (g->with_events) {
        int32_t rc = j->content ? BP_OK : contents_fill(s, &j, 1);
        return rc ? rc : get_pack(s, op, j);
    }
    struct job *copy = mem_alloc(&s->mem, sizeof *copy);
    if (!copy)
        return store_nomem(s);
    *copy = *j;
    return batch_pend(s, op, copy, 1);
}

static void list_text(struct store *s, const struct bp_op_list *l, int64_t tenant, int64_t workflow)
{
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT " DISPATCH_COLUMNS " FROM ai_job_dispatches d WHERE 1");
    if (tenant)
        sql_add(&s->q, " AND d.tenant_id=%l", tenant);
    if (workflow)
        sql_add(&s->q, " AND d.workflow_id=%l", workflow);
    if (l->status)
        sql_add(&s->q, " AND d.status=%i", l->status);
    if (l->before_id > 0)
        sql_add(&s->q, " AND d.id < %l", l->before_id);
    sql_add(&s->q, " ORDER BY d.id DESC LIMIT %l",
            (int64_t)(l->limit < 1          ? 1
                      : l->limit > LIST_MAX ? LIST_MAX
                                            : l->limit));
}

/* Newest first, as the rows came; contents_fill wants them by id. */
static int32_t list_pack(struct store *s, struct bp_op_list *l, struct job **jobs, uint32_t n)
{
    struct job *rows = mem_alloc(&s->mem, n * sizeof *rows + 1);
    if (!rows)
        return store_nomem(s);
    int32_t rc = contents_fill(s, jobs, n);
    for (uint32_t i = 0; !rc && i < n; i++)
        rows[i] = *jobs[n - 1 - i];
    return rc ? rc : jobs_pack(s, rows, n, &l->jobs, &l->memory);
}

static int32_t list_read(struct store *s, struct bp_op_list *l)
{
    struct reply r;
    uint32_t n = 0;
    int32_t rc = query_one(s, &s->q, &r);
    struct job **jobs = rc ? NULL : mem_alloc(&s->mem, (size_t)mysql_num_rows(r.result) * sizeof *jobs + 1);
    if (!rc && !jobs)
        rc = store_nomem(s);
    while (!rc && reply_next(&r))
        rc = job_read(s, &r, &jobs[n++]);
    reply_done(&r);
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = job_names(s, jobs[i]);
    rc = rc ? rc : list_pack(s, l, jobs, n);
    l->count = rc ? 0 : n;
    return rc;
}

int32_t op_list(struct store *s, struct bp_op *op)
{
    struct bp_op_list *l = &op->u.list;
    int64_t tenant = 0, workflow = 0;
    l->count = 0;
    l->jobs = NULL;
    l->memory = NULL;
    int32_t rc = l->tenant ? names_find(s, &s->tenants, l->tenant, &tenant) : BP_OK;
    if (!rc && l->workflow)
        rc = names_find(s, &s->workflows, l->workflow, &workflow);
    if (rc || (l->tenant && !tenant) || (l->workflow && !workflow))
        return rc;
    list_text(s, l, tenant, workflow);
    return list_read(s, l);
}

static int32_t events_pack(struct store *s, struct bp_op_events *e, const struct bp_job_event *events, uint32_t n)
{
    size_t bytes = n * sizeof *events;
    for (uint32_t i = 0; i < n; i++)
        bytes += event_text_bytes(&events[i]);
    if (n == 0)
        return BP_OK;
    e->events = e->memory = s->host->alloc(bytes);
    if (!e->events)
        return store_nomem(s);
    char *text = (char *)(e->events + n);
    for (uint32_t i = 0; i < n; i++)
        text = event_copy(&e->events[i], &events[i], text);
    e->count = n;
    return BP_OK;
}

static int32_t job_exists(struct store *s, int64_t id, bool *exists)
{
    int64_t found;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT id FROM ai_job_dispatches WHERE id=%l", id);
    int32_t rc = query_int(s, &s->q, &found);
    *exists = found != 0;
    return rc;
}

int32_t op_events(struct store *s, struct bp_op *op)
{
    struct bp_op_events *e = &op->u.events;
    struct bp_job_event *events = NULL;
    uint32_t n = 0, limit = e->limit < 1 ? 1 : e->limit > EVENTS_MAX ? EVENTS_MAX : e->limit;
    bool exists = true;
    e->count = 0;
    e->events = NULL;
    e->memory = NULL;
    int32_t rc = e->job_id ? job_exists(s, e->job_id, &exists) : BP_OK;
    if (!rc && !exists)
        return op_error(op, BP_NOTFOUND, "no job %lld", (long long)e->job_id);
    rc = rc ? rc : timeline_read(s, e->job_id, e->after_seq, limit, &events, &n);
    return rc ? rc : events_pack(s, e, events, n);
}
