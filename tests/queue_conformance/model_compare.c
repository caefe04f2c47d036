/* SPDX-License-Identifier: Apache-2.0 */
/* The store's rows and numbers against the model's. */
#include <stdlib.h>

#include "model.h"

#define WINDOW_MS INT64_C(300000)
#define SAMPLE_MS INT64_C(600000)

static void compare_row(const struct model_job *j, const struct bp_job_row *r)
{
    CHECK_INT(r->id, j->id);
    CHECK_INT(r->status, j->status);
    CHECK_INT(r->priority, j->priority);
    CHECK_INT(r->attempts, j->attempts);
    CHECK_INT(r->max_attempts, j->max_attempts);
    CHECK_INT(r->requeues, j->requeues);
    CHECK_INT(r->cancel_requested, j->cancel);
    CHECK_INT(r->finished_ms, j->finished_ms);
    CHECK_STR(r->tenant, model_tenants[j->tenant]);
    if (j->unique)
        CHECK_STR(r->unique_key, model_keys[j->unique]);
    if (j->status == BP_JOB_SCHEDULED)
        CHECK_INT(r->waits_for, j->waits_for);
    CHECK_STR(r->workflow, model_workflows[j->workflow]);
    if (j->status == BP_JOB_LEASED) {
        CHECK_INT(r->lease_expires_ms, j->expires_ms);
        CHECK_STR(r->lease_token, j->token);
        CHECK_STR(r->worker, model_workers[j->worker]);
    }
    if (j->status == BP_JOB_COMPLETED)
        CHECK(r->output != NULL);
}

/* All rows of a state, newest first, page by page. */
static void compare_list(struct model *m, int32_t status)
{
    int64_t before = 0;
    uint32_t i = m->n_jobs;
    for (;;) {
        struct bp_op *op = op_new(BP_OP_LIST);
        op->u.list.status = status;
        op->u.list.limit = 100;
        op->u.list.before_id = before;
        CHECK_INT(apply_one(op), BP_OK);
        for (uint32_t k = 0; k < op->u.list.count; k++) {
            while (i > 0 && status && m->jobs[i - 1].status != status)
                i--;
            CHECK(i > 0);
            compare_row(&m->jobs[--i], &op->u.list.jobs[k]);
            before = op->u.list.jobs[k].id;
        }
        if (op->u.list.count == 0)
            break;
    }
    while (i > 0 && status && m->jobs[i - 1].status != status)
        i--;
    CHECK_INT(i, 0);
}

/* Stores may round a window's edge to the second. */
static void compare_window(const struct model *m, int32_t workflow, int32_t kind, int64_t got)
{
    int64_t least = 0, most = 0;
    for (uint32_t i = 0; i < m->n_notes; i++) {
        const struct model_note *n = &m->notes[i];
        if (n->workflow != workflow || n->kind != kind)
            continue;
        least += n->at_ms > world.now - WINDOW_MS + 1000;
        most += n->at_ms > world.now - WINDOW_MS - 1000;
    }
    if (got < least || got > most)
        case_failed(__FILE__, __LINE__, "window %d of %s is %" PRId64 ", expected %" PRId64 " to %" PRId64, kind,
                    model_workflows[workflow], got, least, most);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The percentile, or a neighbour of it: how it is rounded is the store's choice. */
static void compare_percentile(const struct model *m, int32_t workflow, int32_t kind, double q, double got)
{
    static int64_t values[MODEL_NOTES];
    size_t n = 0;
    for (uint32_t i = 0; i < m->n_notes; i++) {
        const struct model_note *x = &m->notes[i];
        if (x->workflow == workflow && x->kind == kind && x->at_ms > world.now - SAMPLE_MS)
            values[n++] = x->value;
    }
    if (n < 3)
        return;
    qsort(values, n, sizeof *values, by_value);
    size_t at = (size_t)((double)n * q);
    int64_t low = values[at > 1 ? at - 2 : 0], high = values[at + 2 < n ? at + 2 : n - 1];
    int64_t ms = (int64_t)(got * 1000 + 0.5);
    if (ms < low || ms > high)
        case_failed(__FILE__, __LINE__, "percentile of %zu is %" PRId64 " ms, expected %" PRId64 " to %" PRId64, n, ms,
                    low, high);
}

static int64_t interrupted(const struct model *m, int32_t workflow)
{
    int64_t jobs = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        bool met = false;
        for (uint32_t k = 0; m->jobs[i].workflow == workflow && k < m->n_notes; k++) {
            const struct model_note *n = &m->notes[k];
            met |= n->kind == MODEL_INTERRUPTED && n->value == m->jobs[i].id && n->at_ms > world.now - WINDOW_MS;
        }
        jobs += met;
    }
    return jobs;
}

static void compare_stats(struct model *m, int32_t workflow)
{
    const struct bp_queue_stats_row *s = stats_of(model_workflows[workflow]);
    int64_t count[BP_JOB_CANCELLED + 1] = {0}, oldest = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        const struct model_job *j = &m->jobs[i];
        if (j->workflow != workflow)
            continue;
        count[j->status]++;
        if (j->status == BP_JOB_QUEUED && (!oldest || j->queued_ms < oldest))
            oldest = j->queued_ms;
    }
    CHECK(s != NULL);
    CHECK_INT(s->queued, count[BP_JOB_QUEUED]);
    CHECK_INT(s->leased, count[BP_JOB_LEASED]);
    CHECK_INT(s->scheduled, count[BP_JOB_SCHEDULED]);
    CHECK_INT(s->oldest_queued_ms, oldest);
    CHECK_INT(s->interrupted_recent, interrupted(m, workflow));
    compare_window(m, workflow, MODEL_SUBMITTED, s->submitted_recent);
    compare_window(m, workflow, MODEL_COMPLETED, s->completed_recent);
    compare_window(m, workflow, MODEL_FAILED, s->failed_recent);
    compare_window(m, workflow, MODEL_EXPIRED, s->lease_expired_recent);
    compare_percentile(m, workflow, MODEL_RUN, 0.50, s->run_p50_s);
    compare_percentile(m, workflow, MODEL_WAIT, 0.95, s->wait_p95_s);
}

static void compare_tenants(const struct model *m)
{
    for (int32_t i = 0; i < MODEL_TENANTS; i++) {
        const struct model_tenant *t = &m->tenants[i];
        const struct bp_tenant_row *r = tenant_row(model_tenants[i]);
        CHECK((r != NULL) == t->there);
        if (!r)
            continue;
        CHECK_INT(r->weight, t->weight);
        CHECK_INT(r->max_pending, t->max_pending);
        CHECK_INT(r->max_running, t->max_running);
        CHECK_INT(r->disabled, t->disabled);
        CHECK_INT(r->scheduled, model_count(m, i, BP_JOB_SCHEDULED));
        CHECK_INT(r->queued, model_count(m, i, BP_JOB_QUEUED));
        CHECK_INT(r->leased, model_count(m, i, BP_JOB_LEASED));
    }
}

static void compare_watch(struct model *m)
{
    struct bp_op *op = op_new(BP_OP_WATCH);
    CHECK_INT(apply_one(op), BP_OK);
    for (uint32_t k = 0; k < op->u.watch.count; k++) {
        const struct bp_watch_row *r = &op->u.watch.rows[k];
        int32_t w = model_index(model_workflows, MODEL_WORKFLOWS, r->workflow);
        int64_t queued = 0;
        for (uint32_t i = 0; i < m->n_jobs; i++)
            queued += m->jobs[i].workflow == w && m->jobs[i].status == BP_JOB_QUEUED;
        CHECK_INT(r->queued, queued);
        CHECK(r->arrivals > m->arrivals[w]);
        m->arrivals[w] = r->arrivals;
    }
    CHECK_INT(op->u.watch.count, MODEL_WORKFLOWS);
}

void model_compare(struct model *m)
{
    compare_tenants(m);
    compare_watch(m);
    for (int32_t status = 0; status <= BP_JOB_CANCELLED; status++)
        compare_list(m, status);
    for (int32_t w = 0; w < MODEL_WORKFLOWS; w++)
        compare_stats(m, w);
    for (int32_t w = 0; w < MODEL_WORKERS; w++) {
        int32_t live = 0;
        for (uint32_t i = 0; i < m->n_jobs; i++)
            live += m->jobs[i].status == BP_JOB_LEASED && m->jobs[i].worker == w;
        CHECK_INT(worker_row(model_workers[w])->live_leases, live);
    }
}
