/* SPDX-License-Identifier: Apache-2.0 */
#include "depend.h"

#include <stdio.h>
#include <string.h>

#include "timeline.h"

static int32_t no_memory(struct store *s)
{
    return store_fail(s, BP_NOMEM, "out of memory while looking at dependencies");
}

static int32_t refuse(struct bp_op *op, int32_t rc, int64_t id, const char *why)
{
    struct bp_op_submit *u = &op->u.submit;
    u->outcome = BP_SUBMIT_AFTER;
    u->after_id = id;
    return op_error(op, rc, "after: job %lld %s", (long long)id, why);
}

int32_t depend_check(struct store *s, struct bp_op *op, int32_t *pending, bool *refused)
{
    const struct bp_op_submit *u = &op->u.submit;
    *pending = 0;
    for (uint32_t i = 0; i < u->n_after; i++) {
        struct job j;
        int32_t rc = job_load(s, u->after[i], JOB_DISPATCH, &j);
        if (rc < 0)
            return rc;
        *refused = true;
        if (rc == 0 || strcmp(j.row.tenant, u->tenant) != 0)
            return refuse(op, BP_NOTFOUND, u->after[i], "is none of this tenant's; name jobs that it submitted before");
        if (j.row.status > BP_JOB_COMPLETED)
            return refuse(op, BP_CONFLICT, u->after[i],
                          j.row.status == BP_JOB_CANCELLED ? "was cancelled; retry it first, or leave it out"
                                                           : "failed; retry it first, or leave it out");
        *refused = false;
        *pending += j.row.status < BP_JOB_COMPLETED;
    }
    return BP_OK;
}

int32_t depend_add(struct store *s, const struct bp_op *op, int64_t id)
{
    const struct bp_op_submit *u = &op->u.submit;
    for (uint32_t i = 0; i < u->n_after; i++) {
        struct job j;
        int32_t rc = job_load(s, u->after[i], JOB_DISPATCH, &j);
        int32_t done = rc > 0 && j.row.status == BP_JOB_COMPLETED;
        rc = rc < 0 ? rc : statement_run(s, ST_AFTER_INSERT, "lli", id, u->after[i], done);
        if (!rc && !done && !(j.flags & JOB_HAS_DEPENDENTS))
            rc = statement_run(s, ST_PARENT_MARK, "l", u->after[i]);
        if (rc)
            return rc;
    }
    return BP_OK;
}

/* The numbers with `between` between them, `before` before and `behind` behind. */
static char *join(struct store *s, const int64_t *ids, uint32_t n, const char *before, const char *behind)
{
    size_t room = strlen(before) + strlen(behind) + 24 * (size_t)n + 1, used;
    char *text = mem_alloc(&s->mem, room);
    if (!text)
        return NULL;
    used = (size_t)snprintf(text, room, "%s", before);
    for (uint32_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%lld", i ? ", " : "", (long long)ids[i]);
    snprintf(text + used, room - used, "%s", behind);
    return text;
}

int32_t depend_words(struct store *s, const struct bp_op *op, const char **words)
{
    const struct bp_op_submit *u = &op->u.submit;
    *words =
        u->n_after ? join(s, u->after, u->n_after, u->n_after > 1 ? "waits for jobs " : "waits for job ", "") : NULL;
    return u->n_after && !*words ? no_memory(s) : BP_OK;
}

static int32_t wake(struct store *s, struct job *j, int64_t now_ms)
{
    int32_t rc = statement_run(s, ST_AFTER_DONE, "l", j->row.id);
    if (rc)
        return rc;
    sqlite3_stmt *q = statement_query(s, ST_WAITING_LESS, "ll", j->row.id, now_ms);
    while ((rc = statement_next(s, q)) > 0)
        j->dependents += sqlite3_column_int64(q, 0) <= now_ms;
    statement_done(q);
    return rc;
}

int32_t depend_ended(struct store *s, struct job *j, int64_t now_ms)
{
    if (j->row.status == BP_JOB_COMPLETED)
        return wake(s, j, now_ms);
    int32_t rc = statement_run(s, ST_WAITING_DOOM, "lll", j->row.id, now_ms,
                               j->row.status == BP_JOB_CANCELLED ? -j->row.id : j->row.id);
    if (!rc)
        j->dependents += sqlite3_changes(s->db);
    return rc;
}

/* The ids a query by job gives, at most BP_AFTER_MAX. */
static int32_t ids_of(struct store *s, int statement, int64_t job_id, int64_t *ids, uint32_t *n)
{
    sqlite3_stmt *q = statement_query(s, statement, "l", job_id);
    int32_t rc;
    *n = 0;
    while ((rc = statement_next(s, q)) > 0 && *n < BP_AFTER_MAX)
        ids[(*n)++] = sqlite3_column_int64(q, 0);
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

int32_t depend_check_again(struct store *s, struct bp_op *op, const struct job *j, int32_t *pending, bool *refused)
{
    int64_t ids[BP_AFTER_MAX];
    uint32_t n;
    *pending = 0;
    int32_t rc = ids_of(s, ST_AFTER_OPEN, j->row.id, ids, &n);
    for (uint32_t i = 0; !rc && i < n; i++) {
        struct job parent;
        rc = job_load(s, ids[i], JOB_DISPATCH, &parent);
        if (rc < 0)
            return rc;
        *refused = rc == 0 || parent.row.status > BP_JOB_COMPLETED;
        if (*refused)
            return op_error(op, BP_CONFLICT, "job %lld waits for job %lld, which %s", (long long)j->row.id,
                            (long long)ids[i],
                            rc == 0 ? "did not complete and is pruned; submit the work anew"
                            : parent.row.status == BP_JOB_CANCELLED ? "was cancelled; retry that one first"
                                                                    : "failed; retry that one first");
        ++*pending;
        rc = BP_OK;
    }
    return rc;
}

int32_t depend_cancel(struct store *s, struct job *j, int64_t now_ms)
{
    bool cancelled = j->doomed_by < 0;
    char text[96];
    int n = snprintf(text, sizeof text, "job %lld, which it waits for, %s",
                     (long long)(cancelled ? -j->doomed_by : j->doomed_by), cancelled ? "was cancelled" : "failed");
    const char *error = mem_text(&s->mem, text, (size_t)n);
    if (!error)
        return no_memory(s);
    job_to_end(j, now_ms, BP_JOB_CANCELLED, error);
    return job_event(s, j, now_ms, EVENT_CANCELLED, "sweeper", error);
}

int32_t depend_list(struct store *s, struct job *j)
{
    int64_t ids[BP_AFTER_MAX];
    uint32_t n;
    if (!(j->flags & JOB_HAS_AFTER))
        return BP_OK;
    int32_t rc = ids_of(s, ST_AFTER_OF, j->row.id, ids, &n);
    if (rc)
        return rc;
    j->row.after = join(s, ids, n, "[", "]");
    return j->row.after ? BP_OK : no_memory(s);
}
