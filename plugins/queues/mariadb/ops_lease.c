/* SPDX-License-Identifier: Apache-2.0 */
/* Giving leases out and keeping them alive. */
#include <stdio.h>
#include <string.h>

#include "adopt.h"
#include "counters.h"
#include "ops.h"
#include "share.h"
#include "timeline.h"

#define LEASE_MAX     64
#define SEEN_EVERY_MS 10000

static void worker_seen(struct worker_state *w, int64_t now_ms)
{
    if (w->known && now_ms >= w->last_seen_ms + SEEN_EVERY_MS)
        w->seen_ms = w->last_seen_ms = now_ms;
}

/* Waits, its tenant may have one more lease, and its content can be read. */
static bool available(struct store *s, const struct job *j)
{
    return j->row.status == BP_JOB_QUEUED && pool_up(j->pool) && !tenant_full(s, j->tenant_id);
}

/* The first of those fetched, which are in order. */
static struct job *first_fetched(struct store *s, struct front *f)
{
    while (f->start < f->n_fetched && f->fetched[f->start]->row.status != BP_JOB_QUEUED)
        f->start++;
    for (uint32_t i = f->start; i < f->n_fetched; i++)
        if (available(s, f->fetched[i]))
            return f->fetched[i];
    return NULL;
}

static int32_t first_read(struct store *s, struct front *f, struct job **out)
{
    int32_t rc = BP_OK;
    *out = f->stale ? NULL : first_fetched(s, f);
    while (!rc && !*out && (f->more || f->stale)) {
        rc = front_more(s, f);
        *out = rc ? NULL : first_fetched(s, f);
    }
    return rc;
}

/* The first job of a queue that may be leased, NULL: none. Those this batch queued are in no order. */
static int32_t first_of(struct store *s, struct front *f, struct job **out)
{
    int32_t rc = first_read(s, f, out);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < f->n_local; i++) {
        struct job *j = f->local[i];
        if (j->row.status != BP_JOB_QUEUED)
            f->local[i--] = f->local[--f->n_local];
        else if (available(s, j) && (!*out || job_order(j, *out) < 0))
            *out = j;
    }
    if (*out || !f->bounded || s->bounds.sure)
        return BP_OK;
    f->stale = true; /* nobody goes without a job because of where the queue is said to begin */
    return first_read(s, f, out);
}

/* The first over all named workflows. */
static int32_t choose(struct store *s, const struct bp_op_lease *l, struct job **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < l->n_workflows; i++) {
        int64_t id;
        struct job *j = NULL;
        int32_t rc = names_find(s, &s->workflows, l->workflows[i], &id);
        struct front *f = rc || !id ? NULL : batch_front(s, id, false);
        rc = rc || !f ? rc : first_of(s, f, &j);
        if (rc)
            return rc;
        if (j && (!*out || job_order(j, *out) < 0))
            *out = j;
    }
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
    rc = rc ? rc : recent_take(s, j);
    if (!rc && !r->first_leased_ms) {
        r->first_leased_ms = now;
        j->wait_ms = now > j->queued_ms ? now - j->queued_ms : 0;
        rc = counter_sample(s, &(struct workflow_sample){j->workflow_id, r->id, now, j->wait_ms, SAMPLE_WAIT});
    }
    share_leased(s, j);
    char attempt[64];
    snprintf(attempt, sizeof attempt, "attempt %d of %d", r->attempts, r->max_attempts);
    rc = rc ? rc : job_event(s, j, now, EVENT_LEASED, who_worker(s, l->worker_id), attempt);
    return rc ? rc : job_save_as(s, j, now, CHANGE_LEASE);
}

/* The next to be given, NULL: none. One that another application put there is adopted now, and may turn out to be none.
 */
static int32_t next_job(struct store *s, struct bp_op *op, struct job **out)
{
    int32_t rc;
    do {
        rc = choose(s, &op->u.lease, out);
        if (!rc && *out && (*out)->foreign)
            rc = job_adopt(s, *out, op->now_ms);
    } while (!rc && *out && (*out)->row.status != BP_JOB_QUEUED);
    return rc;
}

/* Is nothing queued, whoever may have it? */
static bool is_empty(const struct store *s, const struct front *f)
{
    if (f->more || f->stale || f->picky || (f->bounded && !s->bounds.sure))
        return false;
    for (uint32_t i = f->start; i < f->n_fetched; i++)
        if (f->fetched[i]->row.status == BP_JOB_QUEUED)
            return false;
    for (uint32_t i = 0; i < f->n_local; i++)
        if (f->local[i]->row.status == BP_JOB_QUEUED)
            return false;
    return true;
}

/* What a lease says of its queues when it took their last job, or found none. */
static int32_t tell_rest(struct store *s, struct bp_op_lease *l)
{
    struct front **fronts = mem_alloc(&s->mem, (l->n_workflows + 1) * sizeof *fronts);
    bool empty = true, held = false;
    uint32_t n = 0;
    if (!fronts)
        return store_nomem(s);
    for (uint32_t i = 0; i < l->n_workflows; i++) {
        int64_t id;
        int32_t rc = names_find(s, &s->workflows, l->workflows[i], &id);
        struct front *f = rc || !id ? NULL : batch_front(s, id, false);
        if (rc)
            return rc;
        empty = empty && (!id || (f && is_empty(s, f)));
        if (f && !f->unread) /* else it was empty, and nobody wrote anything since */
            fronts[n++] = f;
    }
    int32_t rc = n && (empty || !l->count) ? fronts_held(s, fronts, n, &held) : BP_OK;
    l->emptied = l->count ? empty && !held : -held;
    return rc;
}

static int32_t lease_jobs(struct store *s, struct bp_op *op, int64_t worker_no, uint32_t want)
{
    struct job *given = mem_alloc(&s->mem, want * sizeof *given);
    uint32_t n = 0;
    if (!given)
        return store_nomem(s);
    for (; n < want; n++) {
        struct job *j;
        int32_t rc = next_job(s, op, &j);
        if (rc)
            return rc;
        if (!j)
            break;
        if ((rc = give(s, op, j, n, worker_no)) != BP_OK)
            return rc;
        given[n] = *j;
    }
    op->u.lease.count = n;
    int32_t rc = tell_rest(s, &op->u.lease);
    return rc || !n ? rc : batch_pend(s, op, given, n);
}

static const char *wrong(const struct bp_op_lease *l)
{
    if (!l->worker_id)
        return "a lease needs a worker";
    if (l->max < 1 || l->max > LEASE_MAX)
        return "a lease asks for 1 to 64 jobs";
    if (!l->tokens || !l->output_keys || (l->n_workflows && !l->workflows))
        return "a lease needs tokens, output keys and workflows";
    for (uint32_t i = 0; i < l->max; i++)
        if (!l->tokens[i] || !l->output_keys[i] || !text_fits(l->tokens[i], TOKEN_MAX) ||
            !text_fits(l->output_keys[i], SUFFIX_MAX))
            return "a token must be at most 128 bytes, an output key at most 255";
    return NULL;
}

int32_t op_lease(struct store *s, struct bp_op *op)
{
    struct bp_op_lease *l = &op->u.lease;
    int64_t no;
    l->count = 0;
    l->live_leases = l->emptied = 0;
    l->jobs = NULL;
    l->memory = NULL;
    const char *why = wrong(l);
    if (why)
        return op_error(op, BP_INVALID, "%s", why);
    if (l->after && l->after->err.rc != BP_OK)
        return op_error(op, BP_STALE, "what this lease was to follow was refused");
    int32_t rc = names_find(s, &s->workers, l->worker_id, &no);
    if (rc)
        return rc;
    struct worker_state *w = no ? batch_worker(s, no) : NULL;
    if (!w || !w->known || !w->approved || w->draining)
        return op_error(op, BP_DENIED, "worker '%.100s' %s", l->worker_id,
                        !w || !w->known ? "is not registered"
                        : w->approved   ? "is draining and gets no more jobs"
                                        : "is not approved");
    int64_t room = (l->max_concurrency > 0 ? l->max_concurrency : w->max_concurrency) - w->live;
    if (room > 0)
        rc = lease_jobs(s, op, no, room < l->max ? (uint32_t)room : l->max);
    l->live_leases = (int32_t)w->live;
    worker_seen(w, op->now_ms);
    return rc;
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
        r->progress_text = text_clean(&s->mem, x->progress_text, DETAIL_MAX);
    if (x->checkpoint_key)
        r->checkpoint_key = x->checkpoint_key;
    return rc;
}

int32_t op_extend(struct store *s, struct bp_op *op)
{
    struct bp_op_extend *x = &op->u.extend;
    int64_t no = 0;
    x->memory = NULL;
    x->output_key = x->inputs = x->tenant = x->workflow = NULL;
    struct job *j = batch_job(s, x->id), *copy;
    if (!j || j->row.status != BP_JOB_LEASED || !job_leased_by(j, x->token, x->worker_id))
        return op_error(op, BP_STALE, "the lease of job %lld is over", (long long)x->id);
    if (!text_fits(x->checkpoint_key, PATH_TEXT_MAX))
        return op_error(op, BP_INVALID, "a checkpoint key must be at most %d bytes of UTF-8", PATH_TEXT_MAX);
    int32_t rc = note_progress(s, j, op->now_ms, x);
    j->row.lease_expires_ms = x->lease_expires_ms = op->now_ms + x->ttl_ms;
    x->cancel_requested = j->row.cancel_requested;
    rc = rc ? rc : job_save(s, j, op->now_ms);
    rc = rc ? rc : names_find(s, &s->workers, x->worker_id, &no);
    struct worker_state *w = batch_worker(s, no);
    x->worker_draining = w ? w->draining : 0;
    if (w)
        worker_seen(w, op->now_ms);
    copy = mem_alloc(&s->mem, sizeof *copy);
    if (rc || !copy)
        return rc ? rc : store_nomem(s);
    *copy = *j;
    return batch_pend(s, op, copy, 1);
}
