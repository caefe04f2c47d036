/* SPDX-License-Identifier: Apache-2.0 */
#include "depend.h"

#include <stdio.h>
#include <string.h>

const char *depend_wrong(const struct bp_op_submit *u)
{
    if (u->n_after > BP_AFTER_MAX)
        return "a job waits for at most 32 others";
    if (u->n_after && !u->after)
        return "the ids of the jobs to wait for are missing";
    for (uint32_t i = 0; i < u->n_after; i++)
        for (uint32_t k = 0; k < i; k++)
            if (u->after[i] == u->after[k])
                return "a job is named twice among those to wait for";
    return NULL;
}

static bool refuse(struct bp_op *op, int64_t id, int32_t rc, const char *why)
{
    op->u.submit.outcome = BP_SUBMIT_AFTER;
    op->u.submit.after_id = id;
    op_error(op, rc, "the job cannot wait for job %lld: %s", (long long)id, why);
    return false;
}

static bool bad_end(const struct job *j)
{
    return j->row.status == BP_JOB_FAILED || j->row.status == BP_JOB_CANCELLED;
}

bool depend_check(struct store *s, struct bp_op *op, const struct job *j)
{
    const struct bp_op_submit *u = &op->u.submit;
    for (uint32_t i = 0; i < u->n_after; i++) {
        const struct job *parent = batch_job(s, u->after[i]);
        if (!parent || parent->tenant_id != j->tenant_id)
            return refuse(op, u->after[i], BP_NOTFOUND, "there is none");
        if (bad_end(parent))
            return refuse(op, u->after[i], BP_CONFLICT,
                          parent->row.status == BP_JOB_FAILED ? "it failed" : "it was cancelled");
    }
    return true;
}

static int32_t edge_add(struct store *s, struct job *child, int64_t parent)
{
    struct edge *e = mem_alloc(&s->mem, sizeof *e);
    if (!e)
        return store_nomem(s);
    *e = (struct edge){.child = child, .parent = parent, .next = s->batch.edges};
    s->batch.edges = e;
    sql_comma(&s->batch.dependencies);
    sql_add(&s->batch.dependencies, "(%l,%l)", child->row.id, parent);
    return BP_OK;
}

int32_t depend_take(struct store *s, const struct bp_op *op, struct job *j)
{
    const struct bp_op_submit *u = &op->u.submit;
    int32_t rc = BP_OK;
    for (uint32_t i = 0; !rc && i < u->n_after; i++) {
        struct job *parent = batch_job(s, u->after[i]);
        rc = edge_add(s, j, u->after[i]);
        if (rc || parent->row.status == BP_JOB_COMPLETED)
            continue;
        j->row.waits_for++;
        if (!(parent->flags & FLAG_PARENT)) {
            parent->flags |= FLAG_PARENT;
            rc = batch_rare(s, parent);
        }
    }
    if (u->n_after == 0 || rc)
        return rc;
    j->flags |= FLAG_CHILD;
    if (j->row.waits_for)
        j->row.status = BP_JOB_SCHEDULED;
    rc = batch_rare(s, j);
    return rc ? rc : batch_dirty(s, j);
}

/* ---- the end of one that others wait for ---- */

/* Those that wait for it and are not in the map yet are locked and brought there; their ids in *ids. */
static int32_t children(struct store *s, const struct job *j, int64_t **ids, size_t *n)
{
    struct reply r;
    size_t own = 0;
    *n = 0;
    for (struct edge *e = s->batch.edges; e; e = e->next)
        own += e->parent == j->row.id;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT job_id FROM job_dependencies WHERE after_id=%l ORDER BY job_id", j->row.id);
    int32_t rc = query_one(s, &s->q, &r);
    *ids = rc ? NULL : mem_alloc(&s->mem, ((size_t)mysql_num_rows(r.result) + own) * sizeof **ids + 1);
    if (!rc && !*ids)
        rc = store_nomem(s);
    while (!rc && reply_next(&r))
        (*ids)[(*n)++] = column_int(&r, 0);
    reply_done(&r);
    rc = rc ? rc : batch_load_jobs(s, *ids, *n);
    for (struct edge *e = s->batch.edges; !rc && e; e = e->next)
        if (e->parent == j->row.id)
            (*ids)[(*n)++] = e->child->row.id;
    return rc;
}

static int32_t doom(struct store *s, struct job *child, const struct job *parent, int64_t now_ms)
{
    char text[96];
    snprintf(text, sizeof text, "job %lld, which it waits for, %s", (long long)parent->row.id,
             parent->row.status == BP_JOB_FAILED ? "failed" : "was cancelled");
    child->row.error = mem_text(&s->mem, text, strlen(text));
    if (!child->row.error)
        return store_nomem(s);
    child->flags |= FLAG_DOOMED;
    child->queued_ms = now_ms;
    return BP_OK;
}

static int32_t tell(struct store *s, struct job *child, struct job *parent, int64_t now_ms)
{
    int32_t rc = BP_OK;
    if (child->row.status != BP_JOB_SCHEDULED || !child->row.waits_for || child->flags & FLAG_DOOMED)
        return BP_OK;
    if (parent->row.status != BP_JOB_COMPLETED) {
        rc = doom(s, child, parent, now_ms);
        parent->dependents++;
    } else if (--child->row.waits_for == 0) {
        child->queued_ms = child->row.not_before_ms > now_ms ? child->row.not_before_ms : now_ms;
        parent->dependents += child->queued_ms <= now_ms;
    }
    rc = rc ? rc : batch_rare(s, child);
    return rc ? rc : job_save(s, child, now_ms);
}

int32_t depend_end(struct store *s, struct job *j, int64_t now_ms)
{
    int64_t *ids;
    size_t n;
    j->dependents = 0;
    if (!(j->flags & FLAG_PARENT))
        return BP_OK;
    int32_t rc = children(s, j, &ids, &n);
    for (size_t i = 0; !rc && i < n; i++) {
        struct job *child = batch_job(s, ids[i]);
        rc = child ? tell(s, child, j, now_ms) : BP_OK;
    }
    return rc;
}

/* ---- again ---- */

int32_t depend_retry(struct store *s, struct job *j, int64_t *bad)
{
    struct reply r;
    size_t n = 0;
    *bad = 0;
    if (!(j->flags & FLAG_CHILD))
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT after_id FROM job_dependencies WHERE job_id=%l ORDER BY after_id", j->row.id);
    int32_t rc = query_one(s, &s->q, &r);
    int64_t *ids = mem_alloc(&s->mem, BP_AFTER_MAX * sizeof *ids);
    while (!rc && ids && n < BP_AFTER_MAX && reply_next(&r))
        ids[n++] = column_int(&r, 0);
    reply_done(&r);
    if (rc || !ids)
        return rc ? rc : store_nomem(s);
    for (struct edge *e = s->batch.edges; e && n < BP_AFTER_MAX; e = e->next)
        if (e->child == j)
            ids[n++] = e->parent;
    rc = batch_load_jobs(s, ids, n);
    int32_t waits = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        const struct job *parent = batch_job(s, ids[i]);
        if (parent && bad_end(parent) && !*bad)
            *bad = ids[i];
        waits += parent && parent->row.status < BP_JOB_COMPLETED;
    }
    if (rc || *bad)
        return rc;
    j->row.waits_for = waits;
    j->flags &= ~FLAG_DOOMED;
    return batch_rare(s, j);
}

/* ---- telling ---- */

int32_t depend_tell(struct store *s, struct job *j)
{
    struct reply r;
    struct sql text = {0};
    if (!(j->flags & FLAG_CHILD))
        return BP_OK;
    sql_clear(&s->q);
    sql_add(&s->q, "SELECT after_id FROM job_dependencies WHERE job_id=%l ORDER BY after_id", j->row.id);
    int32_t rc = query_one(s, &s->q, &r);
    while (!rc && reply_next(&r))
        sql_add(&text, text.n ? ",%l" : "[%l", column_int(&r, 0));
    reply_done(&r);
    sql_add(&text, text.n ? "]" : "[]");
    if (!rc && !text.failed)
        j->row.after = mem_text(&s->mem, text.text, text.n);
    if (!rc && !j->row.after)
        rc = store_nomem(s);
    sql_free(&text);
    return rc;
}

const char *depend_detail(struct store *s, const struct bp_op_submit *u)
{
    size_t room = 8 + (size_t)u->n_after * 24, n = 0;
    char *text = u->n_after ? mem_alloc(&s->mem, room) : NULL;
    for (uint32_t i = 0; text && i < u->n_after; i++)
        n += (size_t)snprintf(text + n, room - n, i ? ", %lld" : "after %lld", (long long)u->after[i]);
    return text;
}
