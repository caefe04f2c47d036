/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "depend.h"
#include "tenant.h"
#include "timeline.h"

static const char *text_column(struct store *s, sqlite3_stmt *q, int column, int32_t *rc)
{
    const unsigned char *t = sqlite3_column_text(q, column);
    if (!t)
        return NULL;
    const char *copy = mem_text(&s->mem, t, (size_t)sqlite3_column_bytes(q, column));
    if (!copy)
        *rc = store_fail(s, BP_NOMEM, "out of memory while reading a job");
    return copy;
}

static void read_numbers(sqlite3_stmt *q, struct job *j)
{
    struct bp_job_row *r = &j->row;
    r->size = sizeof *r;
    r->id = sqlite3_column_int64(q, 0);
    j->tenant_id = sqlite3_column_int64(q, 1);
    j->workflow_id = sqlite3_column_int64(q, 2);
    j->effect_id = sqlite3_column_int64(q, 3);
    r->status = j->loaded_status = sqlite3_column_int(q, 4);
    r->priority = sqlite3_column_int(q, 5);
    j->share_key = sqlite3_column_int64(q, 6);
    r->attempts = sqlite3_column_int(q, 7);
    r->max_attempts = sqlite3_column_int(q, 8);
    r->requeues = sqlite3_column_int(q, 9);
    r->cancel_requested = sqlite3_column_int(q, 10);
    j->ended_by = sqlite3_column_int(q, 11);
    j->worker_no = sqlite3_column_int64(q, 12);
    r->lease_expires_ms = sqlite3_column_int64(q, 15);
    r->created_ms = sqlite3_column_int64(q, 16);
    j->queued_ms = sqlite3_column_int64(q, 17);
    r->not_before_ms = sqlite3_column_int64(q, 18);
    r->leased_ms = sqlite3_column_int64(q, 19);
    r->first_leased_ms = sqlite3_column_int64(q, 20);
    j->wait_ms = sqlite3_column_int64(q, 21);
    r->finished_ms = sqlite3_column_int64(q, 22);
    r->updated_ms = sqlite3_column_int64(q, 23);
    r->progress = sqlite3_column_double(q, 24);
    j->duration_s = sqlite3_column_double(q, 25);
    j->last_event = sqlite3_column_int64(q, 26);
    j->due_ms = sqlite3_column_int64(q, 30);
    r->waits_for = sqlite3_column_int(q, 31);
    j->doomed_by = sqlite3_column_int64(q, 32);
    j->flags = sqlite3_column_int(q, 33);
}

static int32_t read_names(struct store *s, struct job *j)
{
    struct bp_job_row *r = &j->row;
    int32_t rc = names_text(s, &s->tenants, j->tenant_id, &r->tenant);
    rc = rc ? rc : names_text(s, &s->workflow_names, j->workflow_id, &r->workflow);
    rc = rc ? rc : names_text(s, &s->effects, j->effect_id, &r->effect);
    return rc ? rc : names_text(s, &s->workers, j->worker_no, &r->worker);
}

int32_t job_read(struct store *s, sqlite3_stmt *q, int parts, struct job *j)
{
    struct bp_job_row *r = &j->row;
    int32_t rc = BP_OK;
    memset(j, 0, sizeof *j);
    read_numbers(q, j);
    r->lease_token = j->loaded_token = text_column(s, q, 13, &rc);
    j->suffix = text_column(s, q, 14, &rc);
    r->error = text_column(s, q, 27, &rc);
    r->progress_text = text_column(s, q, 28, &rc);
    r->checkpoint_key = text_column(s, q, 29, &rc);
    if (parts == JOB_WHOLE) {
        r->params = text_column(s, q, 34, &rc);
        r->inputs = text_column(s, q, 35, &rc);
        r->output = text_column(s, q, 36, &rc);
        r->idempotency_key = text_column(s, q, 37, &rc);
        r->provider_job_id = text_column(s, q, 38, &rc);
        r->unique_key = text_column(s, q, 39, &rc);
    }
    rc = rc ? rc : read_names(s, j);
    return rc ? rc : job_output_key(s, j);
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
        return store_fail(s, BP_NOMEM, "out of memory while reading a job");
    snprintf(key, room, "tenants/%s/jobs/%lld/%s", r->tenant, (long long)r->id, j->suffix);
    r->output_key = key;
    return BP_OK;
}

int32_t job_load(struct store *s, int64_t id, int parts, struct job *j)
{
    sqlite3_stmt *q = statement_query(s, parts == JOB_WHOLE ? ST_JOB_LOAD : ST_DISPATCH_LOAD, "l", id);
    int32_t found = statement_next(s, q);
    int32_t rc = found > 0 ? job_read(s, q, parts, j) : BP_OK;
    statement_done(q);
    return rc ? rc : found;
}

/* What follows from an end. */
static int32_t ended(struct store *s, struct job *j, int64_t now_ms)
{
    struct tenant *t;
    int32_t rc = tenant_of(s, j->tenant_id, &t);
    if (!rc && j->flags & JOB_HAS_UNIQUE)
        rc = statement_run(s, ST_UNIQUE_DELETE, "ll", j->tenant_id, j->row.id);
    if (!rc && j->flags & JOB_HAS_DEPENDENTS)
        rc = depend_ended(s, j, now_ms);
    if (!rc && t->hook)
        rc = statement_run(s, ST_HOOK_PUT, "lll", j->row.id, j->tenant_id, now_ms);
    return rc;
}

/* After the row is written: counts, and what follows from an end. */
static int32_t saved(struct store *s, struct job *j, int64_t now_ms)
{
    const struct bp_job_row *r = &j->row;
    if (sqlite3_changes(s->db) != 1)
        return store_fail(s, BP_FAIL, "job %lld changed under its own transaction", (long long)r->id);
    counter_move(s, j->workflow_id, j->loaded_status, r->status);
    int32_t rc = tenant_move(s, j->tenant_id, j->loaded_status, r->status);
    if (!rc && r->status >= BP_JOB_COMPLETED && j->loaded_status < BP_JOB_COMPLETED)
        rc = ended(s, j, now_ms);
    j->loaded_status = r->status;
    j->loaded_token = r->lease_token;
    return rc;
}

int32_t job_save(struct store *s, struct job *j, int64_t now_ms)
{
    const struct bp_job_row *r = &j->row;
    j->row.updated_ms = now_ms;
    int32_t rc = statement_run(s, ST_DISPATCH_SAVE, "iliiiizssllllllllddlssslillis", r->status, j->share_key,
                               r->attempts, r->requeues, r->cancel_requested, j->ended_by, j->worker_no, r->lease_token,
                               j->suffix, r->lease_expires_ms, j->queued_ms, r->not_before_ms, r->leased_ms,
                               r->first_leased_ms, j->wait_ms, r->finished_ms, r->updated_ms, r->progress,
                               j->duration_s, j->last_event, r->error, r->progress_text, r->checkpoint_key, j->due_ms,
                               r->waits_for, j->doomed_by, r->id, j->loaded_status, j->loaded_token);
    return rc ? rc : saved(s, j, now_ms);
}

int32_t job_save_leased(struct store *s, struct job *j, int64_t now_ms)
{
    struct bp_job_row *r = &j->row;
    r->updated_ms = now_ms;
    int32_t rc =
        statement_run(s, ST_DISPATCH_LEASE, "izsslllllll", r->attempts, j->worker_no, r->lease_token, j->suffix,
                      r->lease_expires_ms, r->leased_ms, r->first_leased_ms, j->wait_ms, now_ms, j->last_event, r->id);
    return rc ? rc : saved(s, j, now_ms);
}

int32_t job_save_completed(struct store *s, struct job *j, int64_t now_ms)
{
    struct bp_job_row *r = &j->row;
    r->updated_ms = now_ms;
    int32_t rc = statement_run(s, ST_DISPATCH_COMPLETE, "lldlls", r->finished_ms, now_ms, j->duration_s, j->last_event,
                               r->id, j->loaded_token);
    return rc ? rc : saved(s, j, now_ms);
}

bool job_leased_by(const struct job *j, const char *token, const char *worker_id)
{
    const struct bp_job_row *r = &j->row;
    return token && worker_id && r->lease_token && r->worker && strcmp(r->lease_token, token) == 0 &&
           strcmp(r->worker, worker_id) == 0;
}

void job_drop_lease(struct job *j)
{
    j->row.lease_token = NULL;
    j->row.lease_expires_ms = 0;
    j->ended_by = ENDED_NOT;
}

int64_t job_tag(const struct job *j)
{
    return j->share_key < 0 ? j->share_key + SHARE_FRONT : j->share_key;
}

void job_to_queue(struct job *j, int64_t now_ms, bool front)
{
    j->row.status = BP_JOB_QUEUED;
    j->row.lease_expires_ms = 0;
    j->queued_ms = now_ms;
    j->share_key = front ? job_tag(j) - SHARE_FRONT : job_tag(j);
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
        return store_fail(s, BP_NOMEM, "out of memory");
    sprintf(error, "interrupted %d times, the last time: %s", j->row.requeues, reason);
    job_to_end(j, now_ms, BP_JOB_FAILED, error);
    counter_add(s, j->workflow_id, now_ms, COUNT_FAILED);
    return job_event(s, j, now_ms, EVENT_FAILED, "queue", error);
}

int32_t job_interrupt(struct store *s, struct job *j, int64_t now_ms, const char *who, const char *reason,
                      int32_t max_requeues)
{
    reason = reason ? reason : "interrupted";
    bool counts = max_requeues >= 0;
    j->row.requeues += counts;
    if (j->row.attempts > 0)
        j->row.attempts--;
    int32_t rc = job_event(s, j, now_ms, EVENT_REQUEUED, who, reason);
    if (counts && !rc)
        rc = statement_run(s, ST_INTERRUPTION_ADD, "lll", j->workflow_id, now_ms, j->row.id);
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
    return pack_rows(s->host, &l, out, memory) < 0 ? store_fail(s, BP_NOMEM, "out of memory for %u jobs", n) : BP_OK;
}
