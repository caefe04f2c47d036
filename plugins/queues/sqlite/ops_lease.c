/* SPDX-License-Identifier: Apache-2.0 */
/* Giving leases out and keeping them alive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "ops.h"
#include "tenant.h"
#include "timeline.h"
#include "worker.h"

#define LEASE_MAX 64

struct candidate {
    int64_t id, share_key, lane;
    int32_t priority;
};

struct candidates {
    struct candidate *at;
    uint32_t n, room;
    uint32_t fronts; /* queues they come from */
};

static int by_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    if (x->share_key != y->share_key)
        return x->share_key < y->share_key ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Room for `more` behind those there. */
static int32_t reserve(struct store *s, struct candidates *c, uint32_t more)
{
    if (c->room - c->n >= more)
        return BP_OK;
    uint32_t room = 2 * c->room + more;
    struct candidate *at = mem_alloc(&s->mem, room * sizeof *at);
    if (!at)
        return store_fail(s, BP_NOMEM, "out of memory while leasing");
    if (c->n)
        memcpy(at, c->at, c->n * sizeof *at);
    c->at = at;
    c->room = room;
    return BP_OK;
}

/* The first `want` of a lane of a workflow's queue, appended to `c`. */
static int32_t front_of(struct store *s, int64_t workflow_id, int64_t lane, uint32_t want, struct candidates *c)
{
    int32_t rc = reserve(s, c, want);
    if (rc)
        return rc;
    sqlite3_stmt *q = statement_query(s, ST_QUEUE_FRONT, "lll", workflow_id, lane, (int64_t)want);
    while ((rc = statement_next(s, q)) > 0)
        c->at[c->n++] =
            (struct candidate){sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 2), lane, sqlite3_column_int(q, 1)};
    statement_done(q);
    c->fronts++;
    return rc;
}

/* The same of every lane whose tenant may have more. Tenants without max_running share lane 0. */
static int32_t fronts_of(struct store *s, int64_t workflow_id, uint32_t want, struct candidates *c)
{
    int32_t rc = front_of(s, workflow_id, 0, want, c);
    for (size_t i = 0; !rc && i < s->n_lanes; i++) {
        struct tenant *t;
        rc = tenant_of(s, s->lanes[i], &t);
        if (rc)
            break;
        t->chosen = 0;
        int64_t room = tenant_room(t);
        if (room > 0 && t->count[BP_JOB_QUEUED] > 0)
            rc = front_of(s, workflow_id, t->id, room < want ? (uint32_t)room : want, c);
    }
    return rc;
}

static bool seen_before(const int64_t *ids, uint32_t n, int64_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* The numbers of the named workflows that have something queued, each once. */
static int32_t workflows_waiting(struct store *s, const struct bp_op_lease *l, int64_t *ids, uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < l->n_workflows; i++) {
        int64_t id;
        int32_t rc = names_find(s, &s->workflow_names, l->workflows[i], &id);
        if (rc)
            return rc;
        const struct workflow *w = workflow_of(s, id);
        if (w && w->count[BP_JOB_QUEUED] > 0 && !seen_before(ids, *n, id))
            ids[(*n)++] = id;
    }
    return BP_OK;
}

/* Keeps the first `want` whose tenants may have them. */
static void pick(struct store *s, struct candidates *c, uint32_t want)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n && n < want; i++) {
        struct tenant *t = c->at[i].lane ? s->tenant[c->at[i].lane] : NULL;
        if (t && tenant_room(t) <= 0)
            continue;
        if (t)
            t->chosen++;
        c->at[n++] = c->at[i];
    }
    c->n = n;
    for (size_t i = 0; i < s->n_lanes; i++)
        s->tenant[s->lanes[i]]->chosen = 0;
}

/* The jobs to lease, in order: a merge of the fronts of the worker's workflows. */
static int32_t choose(struct store *s, const struct bp_op_lease *l, uint32_t want, struct candidates *c)
{
    uint32_t n_ids = 0;
    int64_t *ids = mem_alloc(&s->mem, (l->n_workflows + 1) * sizeof *ids);
    if (!ids)
        return store_fail(s, BP_NOMEM, "out of memory while leasing");
    int32_t rc = workflows_waiting(s, l, ids, &n_ids);
    if (!rc && s->n_lanes)
        rc = tenants_count(s);
    for (uint32_t i = 0; !rc && i < n_ids; i++)
        rc = fronts_of(s, ids[i], want, c);
    if (rc)
        return rc;
    if (c->fronts > 1)
        qsort(c->at, c->n, sizeof *c->at, by_order);
    if (c->n)
        pick(s, c, want);
    return BP_OK;
}

static int32_t give(struct store *s, struct bp_op *op, struct job *j, uint32_t i, int64_t worker_no)
{
    const struct bp_op_lease *l = &op->u.lease;
    struct bp_job_row *r = &j->row;
    int64_t now = op->now_ms;
    r->status = BP_JOB_LEASED;
    r->attempts++;
    r->lease_token = l->tokens[i];
    r->worker = l->worker_id;
    r->lease_expires_ms = now + l->ttl_ms;
    r->leased_ms = now;
    r->progress = 0;
    j->worker_no = worker_no;
    j->suffix = l->output_keys[i];
    j->ended_by = ENDED_NOT;
    int32_t rc = job_output_key(s, j);
    if (!rc && !r->first_leased_ms) {
        r->first_leased_ms = now;
        j->wait_ms = now > j->queued_ms ? now - j->queued_ms : 0;
        rc = counter_sample(s, &(struct workflow_sample){j->workflow_id, r->id, now, j->wait_ms, SAMPLE_WAIT});
    }
    counter_tag(s, j->workflow_id, job_tag(j));
    char attempt[64];
    snprintf(attempt, sizeof attempt, "attempt %d of %d", r->attempts, r->max_attempts);
    rc = rc ? rc : job_event(s, j, now, EVENT_LEASED, who_worker(s, l->worker_id), attempt);
    return rc ? rc : job_save_leased(s, j, now);
}

static bool all_empty(struct store *s, const struct bp_op_lease *l)
{
    uint32_t n = 0;
    int64_t *ids = mem_alloc(&s->mem, (l->n_workflows + 1) * sizeof *ids);
    return ids && workflows_waiting(s, l, ids, &n) == BP_OK && n == 0;
}

static int32_t lease_jobs(struct store *s, struct bp_op *op, int64_t worker_no, uint32_t want)
{
    struct bp_op_lease *l = &op->u.lease;
    struct candidates c = {0};
    int32_t rc = choose(s, l, want, &c);
    if (rc || c.n == 0)
        return rc;
    struct job *jobs = mem_alloc(&s->mem, c.n * sizeof *jobs);
    if (!jobs)
        return store_fail(s, BP_NOMEM, "out of memory while leasing");
    for (uint32_t i = 0; i < c.n; i++) {
        rc = job_load(s, c.at[i].id, JOB_WHOLE, &jobs[i]);
        if (rc == 0)
            rc = store_fail(s, BP_IO, "job %lld is in the queue but has no row; the file is damaged",
                            (long long)c.at[i].id);
        if (rc < 0 || (rc = give(s, op, &jobs[i], i, worker_no)) != BP_OK)
            return rc;
    }
    rc = jobs_pack(s, jobs, c.n, &l->jobs, &l->memory);
    l->count = rc ? 0 : c.n;
    l->emptied = l->count && all_empty(s, l);
    return rc;
}

static const char *wrong(const struct bp_op_lease *l)
{
    if (!l->worker_id)
        return "a lease needs a worker";
    if (l->max < 1 || l->max > LEASE_MAX)
        return "a lease asks for 1 to 64 jobs";
    if (!l->tokens || !l->output_keys || (l->n_workflows && !l->workflows))
        return "a lease needs tokens, output keys and workflows";
    return NULL;
}

int32_t op_lease(struct store *s, struct bp_op *op)
{
    struct bp_op_lease *l = &op->u.lease;
    l->count = 0;
    l->live_leases = 0;
    l->emptied = 0;
    l->jobs = NULL;
    l->memory = NULL;
    const char *why = wrong(l);
    if (why)
        return op_error(op, BP_INVALID, "%s", why);
    if (l->after && l->after->err.rc != BP_OK)
        return op_error(op, BP_STALE, "what this lease was to follow was refused");
    struct worker_state w;
    int32_t rc = worker_state_load(s, l->worker_id, &w);
    if (rc < 0)
        return rc;
    if (rc == 0 || !w.approved || w.draining)
        return op_error(op, BP_DENIED, "worker '%.100s' %s", l->worker_id,
                        rc == 0      ? "is not registered"
                        : w.approved ? "is draining and gets no more jobs"
                                     : "is not approved");
    int64_t live;
    rc = worker_live(s, w.no, &live);
    int64_t room = (l->max_concurrency > 0 ? l->max_concurrency : w.max_concurrency) - live;
    if (!rc && room > 0)
        rc = lease_jobs(s, op, w.no, room < l->max ? (uint32_t)room : l->max);
    l->live_leases = (int32_t)live + (int32_t)l->count;
    return rc ? rc : worker_seen(s, &w, op->now_ms);
}

/* ---- extend ---- */

/* A timeline line for each tenth of the way and each new checkpoint, not for every heartbeat. */
static int32_t note_progress(struct store *s, struct job *j, int64_t now_ms, const struct bp_op_extend *x)
{
    struct bp_job_row *r = &j->row;
    const char *who = who_worker(s, x->worker_id);
    int32_t rc = BP_OK;
    double progress = x->progress > 1 ? 1 : x->progress;
    if (progress >= 0 && (int)(progress * 10) > (int)(r->progress * 10)) {
        char detail[128];
        snprintf(detail, sizeof detail, "%d %%%s%.100s", (int)(progress * 100), x->progress_text ? " " : "",
                 x->progress_text ? x->progress_text : "");
        rc = job_event(s, j, now_ms, EVENT_PROGRESS, who, detail);
    }
    if (!rc && x->checkpoint_key && (!r->checkpoint_key || strcmp(x->checkpoint_key, r->checkpoint_key) != 0))
        rc = job_event(s, j, now_ms, EVENT_CHECKPOINT, who, x->checkpoint_key);
    if (progress >= 0)
        r->progress = progress;
    if (x->progress_text)
        r->progress_text = x->progress_text;
    if (x->checkpoint_key)
        r->checkpoint_key = x->checkpoint_key;
    return rc;
}

/* What the worker needs to sign fresh URLs. */
static int32_t extend_pack(struct store *s, struct bp_op_extend *x, const struct job *j)
{
    struct job out = {0};
    sqlite3_stmt *q = statement_query(s, ST_JOB_INPUTS, "l", j->row.id);
    int32_t rc = statement_next(s, q);
    if (rc > 0)
        out.row.inputs = mem_text(&s->mem, sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    statement_done(q);
    if (rc < 0)
        return rc;
    out.row.output_key = j->row.output_key;
    out.row.tenant = j->row.tenant;
    out.row.workflow = j->row.workflow;
    struct bp_job_row *row;
    rc = jobs_pack(s, &out, 1, &row, &x->memory);
    if (rc)
        return rc;
    x->output_key = row->output_key;
    x->inputs = row->inputs;
    x->tenant = row->tenant;
    x->workflow = row->workflow;
    return BP_OK;
}

int32_t op_extend(struct store *s, struct bp_op *op)
{
    struct bp_op_extend *x = &op->u.extend;
    struct job j;
    x->memory = NULL;
    x->output_key = x->inputs = x->tenant = x->workflow = NULL;
    int32_t rc = job_load(s, x->id, JOB_DISPATCH, &j);
    if (rc < 0)
        return rc;
    if (rc == 0 || j.row.status != BP_JOB_LEASED || !job_leased_by(&j, x->token, x->worker_id))
        return op_error(op, BP_STALE, "the lease of job %lld is over", (long long)x->id);
    rc = note_progress(s, &j, op->now_ms, x);
    x->lease_expires_ms = op->now_ms + x->ttl_ms;
    x->cancel_requested = j.row.cancel_requested;
    rc = rc ? rc
            : statement_run(s, ST_DISPATCH_EXTEND, "ldssllls", x->lease_expires_ms, j.row.progress, j.row.progress_text,
                            j.row.checkpoint_key, op->now_ms, j.last_event, j.row.id, j.loaded_token);
    struct worker_state w = {0};
    if (!rc && (rc = worker_state_load(s, x->worker_id, &w)) > 0)
        rc = worker_seen(s, &w, op->now_ms);
    x->worker_draining = w.draining;
    return rc ? rc : extend_pack(s, x, &j);
}
