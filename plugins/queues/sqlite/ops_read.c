/* SPDX-License-Identifier: Apache-2.0 */
/* Reading jobs and timelines. */
#include <string.h>

#include "depend.h"
#include "ops.h"
#include "timeline.h"

#define LIST_MAX     1000
#define EVENTS_MAX   10000
#define TIMELINE_MAX 100000

/* The job row and its timeline in one block. */
static int32_t get_pack(struct store *s, struct bp_op_get *g, const struct job *j, const struct bp_job_event *events,
                        uint32_t n)
{
    size_t bytes = sizeof *g->job + n * sizeof *events + job_text_bytes(&j->row);
    for (uint32_t i = 0; i < n; i++)
        bytes += event_text_bytes(&events[i]);
    char *block = s->host->alloc(bytes);
    if (!block)
        return store_fail(s, BP_NOMEM, "out of memory for job %lld", (long long)g->id);
    g->memory = block;
    g->job = (struct bp_job_row *)(void *)block;
    g->events = n ? (struct bp_job_event *)(void *)(block + sizeof *g->job) : NULL;
    g->n_events = n;
    char *text = job_copy(g->job, &j->row, block + sizeof *g->job + n * sizeof *events);
    for (uint32_t i = 0; i < n; i++)
        text = event_copy(&g->events[i], &events[i], text);
    return BP_OK;
}

int32_t op_get(struct store *s, struct bp_op *op)
{
    struct bp_op_get *g = &op->u.get;
    struct job j;
    g->job = NULL;
    g->events = NULL;
    g->n_events = 0;
    g->memory = NULL;
    int32_t rc = job_load(s, g->id, JOB_WHOLE, &j);
    if (rc < 0)
        return rc;
    if (rc == 0 || (g->tenant && strcmp(g->tenant, j.row.tenant) != 0))
        return op_error(op, BP_NOTFOUND, "no job %lld", (long long)g->id);
    struct bp_job_event *events = NULL;
    uint32_t n = 0;
    rc = depend_list(s, &j);
    if (rc)
        return rc;
    rc = g->with_events ? timeline_read(s, j.last_event, 0, TIMELINE_MAX, &events, &n) : BP_OK;
    return rc ? rc : get_pack(s, g, &j, events, n);
}

/* The statement whose index reaches the wanted rows without passing over the others. */
static int list_statement(const struct bp_op_list *l)
{
    if (l->status == BP_JOB_FAILED || l->status == BP_JOB_CANCELLED)
        return ST_LIST_UNSUCCESSFUL;
    if (l->status == BP_JOB_LEASED)
        return ST_LIST_LEASED;
    if (l->status == BP_JOB_SCHEDULED)
        return ST_LIST_SCHEDULED;
    return l->tenant ? ST_LIST_TENANT : ST_LIST_ALL;
}

static int32_t list_read(struct store *s, struct bp_op_list *l, int64_t tenant, int64_t workflow)
{
    uint32_t limit = l->limit < 1 ? 1 : l->limit > LIST_MAX ? LIST_MAX : l->limit, n = 0;
    struct job *jobs = mem_alloc(&s->mem, limit * sizeof *jobs);
    if (!jobs)
        return store_fail(s, BP_NOMEM, "out of memory while listing");
    sqlite3_stmt *q = statement_query(s, list_statement(l), "lllil", tenant,
                                      l->before_id > 0 ? l->before_id : INT64_MAX, workflow, l->status, (int64_t)limit);
    int32_t rc;
    while ((rc = statement_next(s, q)) > 0 && n < limit) {
        rc = job_read(s, q, JOB_WHOLE, &jobs[n++]);
        if (rc)
            break;
    }
    statement_done(q);
    rc = rc < 0 ? rc : jobs_pack(s, jobs, n, &l->jobs, &l->memory);
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
        rc = names_find(s, &s->workflow_names, l->workflow, &workflow);
    if (rc || (l->tenant && !tenant) || (l->workflow && !workflow))
        return rc;
    return list_read(s, l, tenant, workflow);
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
        return store_fail(s, BP_NOMEM, "out of memory for %u timeline lines", n);
    char *text = (char *)(e->events + n);
    for (uint32_t i = 0; i < n; i++)
        text = event_copy(&e->events[i], &events[i], text);
    e->count = n;
    return BP_OK;
}

int32_t op_events(struct store *s, struct bp_op *op)
{
    struct bp_op_events *e = &op->u.events;
    struct bp_job_event *events = NULL;
    uint32_t n = 0, limit = e->limit < 1 ? 1 : e->limit > EVENTS_MAX ? EVENTS_MAX : e->limit;
    struct job j;
    e->count = 0;
    e->events = NULL;
    e->memory = NULL;
    int32_t rc = e->job_id ? job_load(s, e->job_id, JOB_DISPATCH, &j) : 1;
    if (rc <= 0)
        return rc ? rc : op_error(op, BP_NOTFOUND, "no job %lld", (long long)e->job_id);
    rc = e->job_id ? timeline_read(s, j.last_event, e->after_seq, limit, &events, &n)
                   : timeline_read_all(s, e->after_seq, limit, &events, &n);
    return rc ? rc : events_pack(s, e, events, n);
}
