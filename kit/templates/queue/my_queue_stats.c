/* The numbers that scaling and metrics are made from: counted anew each time. */
#include "my_queue.h"

#include <stdio.h>

#define TEN_MINUTES  600000
#define FIVE_MINUTES 300000

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The value that `percent` of the last ten minutes' values do not exceed, in seconds; 0: there are none. */
static double percentile(struct my_queue_plugin *q, const char *workflow, int32_t kind, int64_t now_ms, size_t percent)
{
    int64_t *values = calloc(q->notes.n + 1, sizeof *values);
    size_t n = 0;
    q->no_memory |= !values;
    for (size_t i = 0; values && i < q->notes.n; i++) {
        const struct note *o = q->notes.at[i];
        if (o->kind == kind && now_ms - o->at_ms <= TEN_MINUTES && strcmp(o->workflow, workflow) == 0)
            values[n++] = o->value;
    }
    if (n)
        qsort(values, n, sizeof *values, by_value);
    size_t rank = (n * percent + 99) / 100; /* from 1 */
    int64_t value = n ? values[rank - 1] : 0;
    free(values);
    return (double)value / 1000;
}

/* Notes of a kind within the window; of interruptions each job once. */
static int64_t recent(const struct my_queue_plugin *q, const char *workflow, int32_t kind, int64_t since_ms)
{
    int64_t n = 0;
    for (size_t i = 0; i < q->notes.n; i++) {
        const struct note *o = q->notes.at[i];
        int32_t counts = o->kind == kind && o->at_ms > since_ms && strcmp(o->workflow, workflow) == 0;
        for (size_t k = i + 1; counts && kind == NOTE_INTERRUPTED && k < q->notes.n; k++) {
            const struct note *later = q->notes.at[k];
            counts = later->kind != kind || later->value != o->value;
        }
        n += counts;
    }
    return n;
}

static void count_jobs(const struct my_queue_plugin *q, struct bp_queue_stats_row *s)
{
    for (size_t i = 0; i < q->jobs.n; i++) {
        const struct job *j = q->jobs.at[i];
        if (j->gone || strcmp(j->row.workflow, s->workflow) != 0)
            continue;
        s->queued += j->row.status == BP_JOB_QUEUED;
        s->leased += j->row.status == BP_JOB_LEASED;
        s->scheduled += j->row.status == BP_JOB_SCHEDULED;
        if (j->row.status == BP_JOB_QUEUED && (!s->oldest_queued_ms || j->queued_ms < s->oldest_queued_ms))
            s->oldest_queued_ms = j->queued_ms;
    }
}

static void count_workers(const struct my_queue_plugin *q, struct bp_queue_stats_row *s, int64_t now_ms)
{
    for (size_t i = 0; i < q->workers.n; i++) {
        const struct worker *w = q->workers.at[i];
        if (w->gone || !w->row.approved || !names_slug(w->row.workflows, s->workflow))
            continue;
        int32_t live = worker_live(q, w->row.worker_id);
        if (!live && now_ms - w->row.last_seen_ms > FIVE_MINUTES)
            continue;
        s->active_workers++;
        s->available_capacity += live < w->row.max_concurrency ? w->row.max_concurrency - live : 0;
    }
}

/* Slugs, each once. */
struct slugs {
    char (*at)[128];
    size_t n, room;
};

static void slug_add(struct my_queue_plugin *q, struct slugs *s, const char *slug, size_t n)
{
    for (size_t i = 0; i < s->n; i++)
        if (strncmp(s->at[i], slug, n) == 0 && s->at[i][n] == 0)
            return;
    if (s->n == s->room) {
        void *at = realloc(s->at, (s->room + 16) * sizeof *s->at);
        q->no_memory |= !at;
        if (!at)
            return;
        s->at = at;
        s->room += 16;
    }
    snprintf(s->at[s->n++], sizeof *s->at, "%.*s", (int)n, slug);
}

/* The workflows that have jobs or workers. s->at: free(). */
static void slugs_find(struct my_queue_plugin *q, struct slugs *s)
{
    for (size_t i = 0; i < q->jobs.n; i++) {
        const struct job *j = q->jobs.at[i];
        if (!j->gone)
            slug_add(q, s, j->row.workflow, strlen(j->row.workflow));
    }
    for (size_t i = 0; i < q->workers.n; i++) {
        const struct worker *w = q->workers.at[i];
        size_t n;
        for (const char *p = w->gone ? "" : w->row.workflows, *slug; (slug = next_slug(&p, &n));)
            slug_add(q, s, slug, n);
    }
}

static void count(struct my_queue_plugin *q, struct bp_queue_stats_row *r, const char *slug, int64_t now_ms,
                  int64_t since_ms)
{
    snprintf(r->workflow, sizeof r->workflow, "%s", slug);
    count_jobs(q, r);
    count_workers(q, r, now_ms);
    r->submitted_recent = recent(q, slug, NOTE_SUBMITTED, since_ms);
    r->completed_recent = recent(q, slug, NOTE_COMPLETED, since_ms);
    r->failed_recent = recent(q, slug, NOTE_FAILED, since_ms);
    r->lease_expired_recent = recent(q, slug, NOTE_EXPIRED, since_ms);
    r->interrupted_recent = recent(q, slug, NOTE_INTERRUPTED, since_ms);
    r->run_p50_s = percentile(q, slug, NOTE_RUN, now_ms, 50);
    r->wait_p95_s = percentile(q, slug, NOTE_WAIT, now_ms, 95);
}

int32_t op_stats(struct my_queue_plugin *q, struct bp_op *op)
{
    struct bp_op_stats *s = &op->u.stats;
    struct slugs slugs = {0};
    slugs_find(q, &slugs);
    s->rows = slugs.n ? q->host->alloc(slugs.n * sizeof *s->rows) : NULL;
    q->no_memory |= slugs.n && !s->rows;
    for (size_t i = 0; s->rows && i < slugs.n; i++)
        count(q, &s->rows[i], slugs.at[i], op->now_ms, op->now_ms - s->window_ms);
    s->memory = s->rows;
    s->count = s->rows ? (uint32_t)slugs.n : 0;
    free(slugs.at);
    return BP_OK;
}
