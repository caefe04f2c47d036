/* What can be read of jobs, and what pruning takes away. */
#include "my_queue.h"

static struct list room_for(struct my_queue_plugin *q, size_t n)
{
    struct list rows = {calloc(n + 1, sizeof(void *)), 0, n};
    q->no_memory |= !rows.at;
    return rows;
}

static void events_of(const struct my_queue_plugin *q, int64_t job, int64_t after, size_t limit, struct list *rows)
{
    for (size_t i = 0; rows->at && i < q->events.n && rows->n < limit; i++) {
        struct bp_job_event *e = q->events.at[i];
        if (e->seq > after && (job == 0 || e->job_id == job))
            rows->at[rows->n++] = e;
    }
}

int32_t op_get(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_get *g = &op->u.get;
    struct job *j = job_find(q, g->id, g->tenant);
    g->job = NULL;
    g->events = NULL;
    g->n_events = 0;
    if (!j)
        return refuse(op, BP_NOTFOUND, "no job %lld", (long long)g->id);
    void *one[] = {j};
    struct list rows = room_for(q, q->events.n);
    if (g->with_events)
        events_of(q, g->id, 0, q->events.n, &rows);
    struct part parts[] = {{&(struct list){one, 1, 1}, &job_shape, NULL}, {&rows, &event_shape, NULL}};
    pack(q, parts, 2, &g->memory);
    g->job = parts[0].out;
    g->events = parts[1].out;
    g->n_events = (uint32_t)rows.n;
    free(rows.at);
    return BP_OK;
}

int32_t op_list(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_list *l = &op->u.list;
    struct list rows = room_for(q, l->limit);
    for (size_t i = q->jobs.n; rows.at && i-- > 0 && rows.n < l->limit;) {
        struct job *j = q->jobs.at[i];
        if (!j->gone && (!l->before_id || j->row.id < l->before_id) && (!l->status || j->row.status == l->status) &&
            (!l->tenant || strcmp(l->tenant, j->row.tenant) == 0) &&
            (!l->workflow || strcmp(l->workflow, j->row.workflow) == 0))
            rows.at[rows.n++] = j;
    }
    struct part part = {&rows, &job_shape, NULL};
    pack(q, &part, 1, &l->memory);
    l->count = (uint32_t)rows.n;
    l->jobs = part.out;
    free(rows.at);
    return BP_OK;
}

int32_t op_events(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_events *e = &op->u.events;
    struct list rows = room_for(q, e->limit);
    events_of(q, e->job_id, e->after_seq, e->limit, &rows);
    struct part part = {&rows, &event_shape, NULL};
    pack(q, &part, 1, &e->memory);
    e->count = (uint32_t)rows.n;
    e->events = part.out;
    free(rows.at);
    return BP_OK;
}

/* Audit lines of before before_ms, at most `limit`; how many there were. */
static uint32_t prune_audit(struct my_queue_plugin *q, int64_t before_ms, uint32_t limit)
{
    uint32_t removed = 0;
    for (size_t i = 0; i < q->notes.n && removed < limit; i++) {
        struct note *n = q->notes.at[i];
        if (n->kind != NOTE_AUDIT || n->at_ms >= before_ms)
            continue;
        touch(q, n, sizeof *n);
        n->kind = 0; /* counts for nothing any more, and goes with its time */
        removed++;
    }
    return removed;
}

int32_t op_prune(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_prune *p = &op->u.prune;
    struct list rows = room_for(q, p->limit);
    p->removed = p->audit_removed = p->other_removed = 0;
    p->jobs = NULL;
    if (p->epoch)
        refuse(op, BP_STALE, "nobody leads: this queue has one controller");
    for (size_t i = 0; rows.at && op->err.rc == BP_OK && i < q->jobs.n && rows.n < p->limit; i++) {
        struct job *j = q->jobs.at[i];
        if (j->gone || j->row.status < BP_JOB_COMPLETED || j->row.finished_ms >= p->before_ms)
            continue;
        job_touch(q, j, op->now_ms);
        j->gone = q->any_gone = 1;
        rows.at[rows.n++] = j;
    }
    struct part part = {&rows, &job_shape, NULL};
    pack(q, &part, 1, &p->memory);
    p->removed = (uint32_t)rows.n;
    p->jobs = part.out;
    free(rows.at);
    if (op->err.rc == BP_OK)
        p->audit_removed = prune_audit(q, p->audit_before_ms, p->limit);
    return op->err.rc;
}
