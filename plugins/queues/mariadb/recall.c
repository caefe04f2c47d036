/* SPDX-License-Identifier: Apache-2.0 */
#include "recall.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"

#define N_TEXTS 5

struct recalled_job {
    struct job job;       /* its texts are below or not kept */
    uint16_t at[N_TEXTS]; /* where each text begins in `texts`, from 1; 0: NULL */
    char texts[];
};

struct recalled_worker {
    struct worker_state is; /* no 0: an empty place */
};

static const char **text_of(struct job *j, int i)
{
    const char **all[N_TEXTS] = {&j->row.lease_token, &j->suffix, &j->row.error, &j->row.progress_text,
                                 &j->row.checkpoint_key};
    return all[i];
}

static struct recalled_job **place_of(const struct recall *x, int64_t id)
{
    return &x->jobs[(uint64_t)id % RECALL_JOBS];
}

static struct recalled_worker *seat_of(const struct recall *x, int64_t no)
{
    return &x->workers[(uint64_t)no % RECALL_WORKERS];
}

static bool ready(struct recall *x)
{
    if (!x->jobs)
        x->jobs = calloc(RECALL_JOBS, sizeof(struct recalled_job *));
    if (!x->workers)
        x->workers = calloc(RECALL_WORKERS, sizeof *x->workers);
    return x->jobs && x->workers;
}

/* ---- jobs ---- */

static void forget(struct recall *x, int64_t id)
{
    struct recalled_job **p = place_of(x, id);
    if (!*p || (*p)->job.row.id != id)
        return;
    free(*p);
    *p = NULL;
}

/* The job as it is read from the database: what names and content it has is found again by their numbers. */
static void bare(struct job *to, const struct job *from)
{
    *to = *from;
    struct bp_job_row *r = &to->row;
    r->tenant = r->workflow = r->effect = r->worker = r->output_key = r->after = NULL;
    r->params = r->inputs = r->output = r->idempotency_key = r->provider_job_id = r->unique_key = NULL;
    to->pool = NULL;
    to->dirty = to->content = to->listed = to->fresh = to->visible = to->rare = false;
    to->saved_status = r->status;
    to->saved_worker = to->worker_no;
    to->change = to->dependents = 0;
}

static void keep(struct recall *x, const struct job *from)
{
    struct job j;
    bare(&j, from);
    size_t bytes = 0, at = 0;
    for (int i = 0; i < N_TEXTS; i++)
        bytes += *text_of(&j, i) ? strlen(*text_of(&j, i)) + 1 : 0;
    struct recalled_job *r = bytes <= RECALL_JOB_BYTES ? malloc(sizeof *r + bytes) : NULL;
    struct recalled_job **p = place_of(x, j.row.id);
    free(*p);
    *p = r;
    if (!r)
        return;
    memset(r->at, 0, sizeof r->at);
    for (int i = 0; i < N_TEXTS; i++) {
        const char **text = text_of(&j, i);
        if (!*text)
            continue;
        size_t n = strlen(*text) + 1;
        memcpy(r->texts + at, *text, n);
        r->at[i] = (uint16_t)(at + 1);
        at += n;
        *text = NULL;
    }
    r->job = j;
    x->any = true;
}

struct job *recall_job(struct store *s, int64_t id)
{
    const struct recall *x = &s->recall;
    const struct recalled_job *r = x->jobs ? *place_of(x, id) : NULL;
    struct job *j = r && r->job.row.id == id ? mem_alloc(&s->mem, sizeof *j) : NULL;
    if (!j)
        return NULL;
    *j = r->job;
    for (int i = 0; i < N_TEXTS; i++) {
        const char *from = r->at[i] ? r->texts + r->at[i] - 1 : NULL;
        *text_of(j, i) = from ? mem_text(&s->mem, from, strlen(from)) : NULL;
        if (from && !*text_of(j, i))
            return NULL;
    }
    return j;
}

/* ---- workers ---- */

bool recall_worker(const struct store *s, int64_t no, struct worker_state *out)
{
    const struct recall *x = &s->recall;
    if (!x->workers || no <= 0 || seat_of(x, no)->is.no != no)
        return false;
    *out = seat_of(x, no)->is;
    return true;
}

void recall_moved(struct store *s, int64_t no, int64_t leases)
{
    struct recall *x = &s->recall;
    if (x->workers && no > 0 && seat_of(x, no)->is.no == no)
        seat_of(x, no)->is.live += leases;
}

void recall_forget_worker(struct store *s, int64_t no)
{
    struct recall *x = &s->recall;
    if (x->workers && seat_of(x, no)->is.no == no)
        *seat_of(x, no) = (struct recalled_worker){0};
}

/* ---- all ---- */

void recall_note(struct store *s)
{
    struct recall *x = &s->recall;
    const struct batch *b = &s->batch;
    if (pools_any(s) || !ready(x))
        return;
    for (size_t i = 0; i < b->n_slots && b->n_jobs; i++) {
        const struct job *j = b->slots[i];
        if (!j || (j->fresh && !j->visible))
            continue;
        bool lives = j->row.status == BP_JOB_QUEUED || j->row.status == BP_JOB_LEASED;
        if (lives && !j->foreign)
            keep(x, j);
        else
            forget(x, j->row.id);
    }
    for (size_t i = 0; i < b->n_workers; i++) {
        struct recalled_worker *w = seat_of(x, b->workers[i].no);
        w->is = b->workers[i];
        w->is.seen_ms = 0;
        x->any = true;
    }
}

void recall_clear(struct store *s)
{
    struct recall *x = &s->recall;
    x->next_id = 0;
    if (!x->any)
        return;
    for (size_t i = 0; i < RECALL_JOBS; i++) {
        free(x->jobs[i]);
        x->jobs[i] = NULL;
    }
    memset(x->workers, 0, RECALL_WORKERS * sizeof *x->workers);
    x->any = false;
}

void recall_free(struct store *s)
{
    recall_clear(s);
    free(s->recall.jobs);
    free(s->recall.workers);
    s->recall = (struct recall){0};
}
