/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <stdio.h>
#include <string.h>

#include "adopt.h"
#include "content.h"
#include "counters.h"
#include "depend.h"
#include "timeline.h"
#include "unique.h"
#include "webhooks.h"

static const char *text_column(struct store *s, const struct reply *r, int column, int32_t *rc)
{
    const char *t = r->row[column];
    const char *copy = t ? mem_text(&s->mem, t, strlen(t)) : NULL;
    if (t && !copy)
        *rc = store_nomem(s);
    return copy;
}

static void read_numbers(const struct reply *q, struct job *j)
{
    struct bp_job_row *r = &j->row;
    r->size = sizeof *r;
    r->id = column_int(q, 0);
    j->tenant_id = column_int(q, 1);
    j->workflow_id = column_int(q, 2);
    j->effect_id = column_int(q, 3);
    r->status = j->saved_status = (int32_t)column_int(q, 4);
    r->priority = (int32_t)column_int(q, 5);
    j->sort_key = (int32_t)column_int(q, 6);
    r->attempts = (int32_t)column_int(q, 7);
    r->max_attempts = (int32_t)column_int(q, 8);
    r->requeues = (int32_t)column_int(q, 9);
    r->cancel_requested = (int32_t)column_int(q, 10);
    j->ended_by = (int32_t)column_int(q, 11);
    j->worker_no = j->saved_worker = column_int(q, 12);
    r->lease_expires_ms = r->status == BP_JOB_LEASED ? column_int(q, 15) : 0;
    r->created_ms = column_int(q, 16);
    j->queued_ms = column_int(q, 17);
    r->not_before_ms = column_int(q, 18);
    r->leased_ms = column_int(q, 19);
    r->first_leased_ms = column_int(q, 20);
    j->wait_ms = column_int(q, 21);
    r->finished_ms = column_int(q, 22);
    r->updated_ms = column_int(q, 23);
    r->progress = column_double(q, 24);
    j->duration_s = column_double(q, 25);
    j->share_tag = column_double(q, 29);
    j->flags = (int32_t)column_int(q, 30);
    r->waits_for = (int32_t)column_int(q, 31);
    j->foreign = (r->created_ms == 0 || column_int(q, 15) == 0) && r->status <= BP_JOB_LEASED; /* 0: none */
}

int32_t job_read_content(struct store *s, const struct reply *q, int at, struct job *j)
{
    struct bp_job_row *r = &j->row;
    int32_t rc = BP_OK;
    r->params = text_column(s, q, at, &rc);
    r->inputs = text_column(s, q, at + 1, &rc);
    r->output = text_column(s, q, at + 2, &rc);
    r->idempotency_key = text_column(s, q, at + 3, &rc);
    r->provider_job_id = text_column(s, q, at + 4, &rc);
    r->unique_key = text_column(s, q, at + 5, &rc);
    r->params = r->params ? r->params : "{}";
    r->inputs = r->inputs ? r->inputs : "[]";
    j->content = true;
    return rc;
}

int32_t job_read(struct store *s, const struct reply *q, struct job **out)
{
    struct job *j = *out = mem_alloc(&s->mem, sizeof *j);
    int32_t rc = BP_OK;
    if (!j)
        return store_nomem(s);
    read_numbers(q, j);
    j->row.lease_token = text_column(s, q, 13, &rc);
    j->suffix = text_column(s, q, 14, &rc);
    j->row.error = text_column(s, q, 26, &rc);
    j->row.progress_text = text_column(s, q, 27, &rc);
    j->row.checkpoint_key = text_column(s, q, 28, &rc);
    return rc;
}

int32_t job_names(struct store *s, struct job *j)
{
    struct bp_job_row *r = &j->row;
    int32_t rc = names_text(s, &s->tenants, j->tenant_id, &r->tenant);
    rc = rc ? rc : names_text(s, &s->workflows, j->workflow_id, &r->workflow);
    rc = rc ? rc : names_text(s, &s->effects, j->effect_id, &r->effect);
    rc = rc ? rc : names_text(s, &s->workers, j->worker_no, &r->worker);
    rc = rc ? rc : pool_find(s, j->tenant_id, &j->pool);
    if (rc)
        return rc;
    r->tenant = r->tenant ? r->tenant : "";
    r->workflow = r->workflow ? r->workflow : "";
    return job_output_key(s, j);
}

int32_t job_output_key(struct store *s, struct job *j)
{
    struct bp_job_row *r = &j->row;
    r->output_key = NULL;
    if (!j->suffix)
        return BP_OK;
    size_t room = strlen(r->tenant) + strlen(j->suffix) + 48;
    char *key = mem_alloc(&s->mem, room);
    if (!key)
        return store_nomem(s);
    snprintf(key, room, "tenants/%s/jobs/%lld/%s", r->tenant, (long long)r->id, j->suffix);
    r->output_key = key;
    return BP_OK;
}

/* A worker's live leases as this transaction will leave them. */
static void count_live(struct store *s, const struct job *j)
{
    struct worker_state *before = j->saved_status == BP_JOB_LEASED ? batch_worker(s, j->saved_worker) : NULL;
    struct worker_state *after = j->row.status == BP_JOB_LEASED ? batch_worker(s, j->worker_no) : NULL;
    if (before)
        before->live--;
    else if (j->saved_status == BP_JOB_LEASED)
        recall_moved(s, j->saved_worker, -1);
    if (after)
        after->live++;
    else if (j->row.status == BP_JOB_LEASED)
        recall_moved(s, j->worker_no, 1);
}

/* What hangs on a job's being pending. */
static int32_t job_ended(struct store *s, struct job *j, int64_t now_ms)
{
    webhook_note(s, j, now_ms);
    int32_t rc = unique_touch(s, j);
    return rc ? rc : depend_end(s, j, now_ms);
}

int32_t job_save(struct store *s, struct job *j, int64_t now_ms)
{
    return job_save_as(s, j, now_ms, CHANGE_ALL);
}

int32_t job_save_as(struct store *s, struct job *j, int64_t now_ms, int change)
{
    bool ends = j->row.status >= BP_JOB_COMPLETED && j->saved_status < BP_JOB_COMPLETED;
    j->row.updated_ms = now_ms;
    j->change = j->dirty ? CHANGE_ALL : change;
    count_live(s, j);
    int32_t rc = counter_move(s, j->workflow_id, j->saved_status, j->row.status);
    rc = rc ? rc : tenant_move(s, j->tenant_id, j->saved_status, j->row.status);
    rc = rc ? rc : content_state(s, j);
    if (!rc && j->row.status == BP_JOB_QUEUED && j->saved_status != BP_JOB_QUEUED) {
        struct front *f = batch_front(s, j->workflow_id, false);
        rc = f ? front_put(s, f, j, true) : BP_OK;
    }
    j->saved_status = j->row.status;
    j->saved_worker = j->worker_no;
    rc = rc ? rc : batch_dirty(s, j);
    return rc || !ends ? rc : job_ended(s, j, now_ms);
}

int job_order(const struct job *x, const struct job *y)
{
    if (x->row.priority != y->row.priority)
        return x->row.priority > y->row.priority ? -1 : 1;
    if (x->sort_key != y->sort_key)
        return x->sort_key < y->sort_key ? -1 : 1;
    if (x->share_tag < y->share_tag || x->share_tag > y->share_tag)
        return x->share_tag < y->share_tag ? -1 : 1;
    return x->row.id < y->row.id ? -1 : x->row.id > y->row.id;
}

bool job_leased_by(const struct job *j, const char *token, const char *worker_id)
{
    const struct bp_job_row *r = &j->row;
    return token && worker_id && r->lease_token && r->worker && strcmp(r->lease_token, token) == 0 &&
           strcmp(r->worker, worker_id) == 0;
}

int64_t job_due_ms(const struct job *j)
{
    switch (j->row.status) {
    case BP_JOB_SCHEDULED:
        if (j->flags & FLAG_DOOMED)
            return j->queued_ms;
        if (j->row.waits_for)
            return DUE_NEVER;
        return j->row.not_before_ms > j->queued_ms ? j->row.not_before_ms : j->queued_ms;
    case BP_JOB_QUEUED:
        return j->queued_ms;
    case BP_JOB_LEASED:
        return j->row.lease_expires_ms;
    default:
        return j->row.finished_ms;
    }
}

void job_drop_lease(struct job *j)
{
    j->row.lease_token = NULL;
    j->row.lease_expires_ms = 0;
    j->ended_by = ENDED_NOT;
}

void job_to_queue(struct job *j, int64_t now_ms, bool front)
{
    j->row.status = BP_JOB_QUEUED;
    j->row.lease_expires_ms = 0;
    j->queued_ms = now_ms;
    j->sort_key = front ? -1 : 0;
}

void job_to_end(struct job *j, int64_t now_ms, int32_t status, const char *error)
{
    j->row.status = status;
    j->row.finished_ms = now_ms;
    j->row.lease_expires_ms = 0;
    j->row.cancel_requested = 0;
    if (error)
        j->row.error = error;
    j->duration_s = j->row.leased_ms ? (double)(now_ms - j->row.leased_ms) / 1000 : 0;
}

static int32_t interrupt_to_end(struct store *s, struct job *j, int64_t now_ms, const char *reason)
{
    if (j->row.cancel_requested) {
        job_to_end(j, now_ms, BP_JOB_CANCELLED, NULL);
        return job_event(s, j, now_ms, EVENT_CANCELLED, "queue", "its worker stopped");
    }
    char *error = mem_alloc(&s->mem, strlen(reason) + 96);
    if (!error)
        return store_nomem(s);
    sprintf(error, "interrupted %d times, the last time: %s", j->row.requeues, reason);
    job_to_end(j, now_ms, BP_JOB_FAILED, error);
    int32_t rc = counter_add(s, j->workflow_id, now_ms, COUNT_FAILED);
    return rc ? rc : job_event(s, j, now_ms, EVENT_FAILED, "queue", error);
}

int32_t job_interrupt(struct store *s, struct job *j, int64_t now_ms, const char *who, const char *reason,
                      int32_t max_requeues)
{
    if (j->foreign)
        return job_adopt(s, j, now_ms);
    reason = text_clean(&s->mem, reason ? reason : "interrupted", DETAIL_MAX);
    bool counts = max_requeues >= 0;
    j->row.requeues += counts;
    if (j->row.attempts > 0)
        j->row.attempts--;
    int32_t rc = job_event(s, j, now_ms, EVENT_REQUEUED, who, reason);
    if (counts)
        counter_interruption(s, j->workflow_id, now_ms, j->row.id);
    job_drop_lease(j);
    if (rc)
        return rc;
    if (j->row.cancel_requested || (counts && j->row.requeues > max_requeues))
        rc = interrupt_to_end(s, j, now_ms, reason);
    else
        job_to_queue(j, now_ms, true);
    return rc ? rc : job_save(s, j, now_ms);
}

int32_t jobs_pack(struct store *s, const struct job *jobs, uint32_t n, struct bp_job_row **out, void **memory)
{
    const struct pack_list l = {n ? &jobs->row : NULL, sizeof *jobs, n};
    return pack_rows(s->host, &l, out, memory) < 0 ? store_nomem(s) : BP_OK;
}
