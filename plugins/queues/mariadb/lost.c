/* SPDX-License-Identifier: Apache-2.0 */
#include "lost.h"

#include "content.h"
#include "counters.h"
#include "timeline.h"

#define WHO "queue"

static void note(struct store *s, int64_t id, int64_t now_ms)
{
    struct lost *l = &s->lost;
    if (l->n < LOST_MAX)
        l->ids[l->n++] = id;
    l->now_ms = now_ms;
}

int32_t lost_look(struct store *s)
{
    for (const struct pending *p = s->batch.first; p; p = p->next)
        for (uint32_t i = 0; i < p->n && p->op->kind == BP_OP_LEASE; i++)
            if (p->jobs[i].lost)
                note(s, p->jobs[i].row.id, p->op->now_ms);
    if (!s->lost.n)
        return BP_OK;
    (void)store_fail(s, BP_LATER, "job %lld: its content is missing", (long long)s->lost.ids[0]);
    s->fault = FAULT_RETRY;
    return BP_LATER;
}

/* One that somebody cancelled or leased meanwhile is not ours to end. */
static int32_t fail_one(struct store *s, struct job *j)
{
    int64_t now_ms = s->lost.now_ms;
    const char *error = content_lost_text(s, j);
    if (!error)
        return store_nomem(s);
    s->host->log(s->self, BP_LOG_ERROR, "job %lld of tenant %s failed: %s", (long long)j->row.id, j->row.tenant, error);
    job_to_end(j, now_ms, BP_JOB_FAILED, error);
    int32_t rc = counter_add(s, j->workflow_id, now_ms, COUNT_FAILED);
    rc = rc ? rc : job_event(s, j, now_ms, EVENT_FAILED, WHO, error);
    return rc ? rc : job_save(s, j, now_ms);
}

static int32_t fail_all(struct store *s, const struct lost *l)
{
    int32_t rc = batch_begin(s);
    rc = rc ? rc : batch_load_jobs(s, l->ids, l->n);
    for (uint32_t i = 0; !rc && i < l->n; i++) {
        struct job *j = batch_job(s, l->ids[i]);
        if (j && j->row.status == BP_JOB_QUEUED && pool_up(j->pool))
            rc = fail_one(s, j);
    }
    rc = rc ? rc : batch_flush(s, true);
    return rc || !s->batch.begun ? rc : query_text(s, batch_end_text(s));
}

int32_t lost_fail(struct store *s)
{
    const struct lost noted = s->lost;
    if (!noted.n)
        return BP_OK;
    s->lost.n = 0;
    if (!s->db)
        return BP_OK; /* they are met again */
    batch_reset(s);
    s->fault = FAULT_NONE;
    s->batch_no++;
    int32_t rc = fail_all(s, &noted);
    if (rc) {
        store_roll_back(s);
        return rc;
    }
    windows_committed(s);
    counters_committed(s);
    s->fault = FAULT_RETRY; /* of the batch that met them */
    return BP_OK;
}
