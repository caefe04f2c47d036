/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "job.h"

#define SEEN_EVERY_MS 10000

int32_t worker_state_load(struct store *s, const char *worker_id, struct worker_state *w)
{
    *w = (struct worker_state){0};
    int32_t rc = names_find(s, &s->workers, worker_id, &w->no);
    if (rc || !w->no)
        return rc;
    sqlite3_stmt *q = statement_query(s, ST_WORKER_STATE, "l", w->no);
    rc = statement_next(s, q);
    if (rc > 0) {
        w->approved = sqlite3_column_int(q, 0);
        w->draining = sqlite3_column_int(q, 1);
        w->max_concurrency = sqlite3_column_int(q, 2);
        w->last_seen_ms = sqlite3_column_int64(q, 3);
        w->registered_ms = sqlite3_column_int64(q, 4);
    }
    statement_done(q);
    return rc;
}

int32_t worker_live(struct store *s, int64_t no, int64_t *live)
{
    sqlite3_stmt *q = statement_query(s, ST_WORKER_LIVE, "l", no);
    int32_t rc = statement_next(s, q);
    *live = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
    statement_done(q);
    return rc < 0 ? rc : BP_OK;
}

int32_t worker_seen(struct store *s, const struct worker_state *w, int64_t now_ms)
{
    if (now_ms < w->last_seen_ms + SEEN_EVERY_MS)
        return BP_OK;
    return statement_run(s, ST_WORKER_SEEN, "ll", now_ms, w->no);
}

int32_t worker_release(struct store *s, const char *worker_id, int64_t now_ms, const char *reason, int32_t *released)
{
    int64_t no, live, id;
    *released = 0;
    int32_t rc = names_find(s, &s->workers, worker_id, &no);
    rc = rc ? rc : worker_live(s, no, &live);
    for (; !rc && live > 0; live--) {
        sqlite3_stmt *q = statement_query(s, ST_WORKER_LEASES, "l", no);
        rc = statement_next(s, q);
        id = rc > 0 ? sqlite3_column_int64(q, 0) : 0;
        statement_done(q);
        struct job j;
        rc = rc <= 0 ? rc : job_load(s, id, JOB_DISPATCH, &j);
        if (rc <= 0)
            return rc;
        rc = job_interrupt(s, &j, now_ms, "queue", reason, RELEASE_MAX_REQUEUES);
        ++*released;
    }
    return rc;
}

int32_t worker_audit(struct store *s, const char *worker_id, int64_t now_ms, const char *what, const char *who,
                     const char *detail)
{
    return statement_run(s, ST_AUDIT_INSERT, "slsss", worker_id, now_ms, what, who ? who : "queue", detail);
}
