/* SPDX-License-Identifier: Apache-2.0 */
/* clairvoyant.c - a heuristic bound of what any policy could reach: all arrivals and durations are known. */
#include "log/err.h"
#include "simulate/simulate.h"
#include <stdlib.h>
#include <string.h>

/* A place for an instance, one after the other; free_ms: end of the last job there, < 0: there was none. */
struct place {
    int64_t free_ms;
};

struct plan {
    const struct model *model;
    const struct trace *trace;
    int64_t boot_ms, wait_ms; /* wait_ms: most that a job waits for an instance that is busy */
    struct place *places;
    int64_t *waits;
    int64_t billed_ms, end_ms;
    uint64_t launches;
};

/* A gap costs what is less: to keep the instance through it, or to boot another at its end. */
static int64_t gap_cost(const struct plan *p, int64_t gap_ms)
{
    return gap_ms < p->boot_ms ? gap_ms : p->boot_ms;
}

/* The place that was free last by `at` (the cheapest to go on with); NULL: all are busy then. */
static struct place *warmest(struct plan *p, int64_t at)
{
    struct place *best = NULL;
    for (int32_t i = 0; i < (int32_t)p->model->max; i++)
        if (p->places[i].free_ms <= at && (!best || p->places[i].free_ms > best->free_ms))
            best = &p->places[i];
    return best;
}

static struct place *soonest(struct plan *p)
{
    struct place *best = &p->places[0];
    for (int32_t i = 1; i < (int32_t)p->model->max; i++)
        if (p->places[i].free_ms < best->free_ms)
            best = &p->places[i];
    return best;
}

/* The first to become free after `at`, NULL: none will be. */
static struct place *next_free(struct plan *p, int64_t at)
{
    struct place *best = NULL;
    for (int32_t i = 0; i < (int32_t)p->model->max; i++)
        if (p->places[i].free_ms > at && (!best || p->places[i].free_ms < best->free_ms))
            best = &p->places[i];
    return best;
}

static int is_warm(const struct plan *p, const struct place *at, int64_t arrival)
{
    return at && at->free_ms >= 0 && arrival - at->free_ms < p->boot_ms;
}

/* Launches just in time; not before the trace begins. Returns the begin of the job. */
static int64_t launch(struct plan *p, const struct place *at, int64_t arrival)
{
    int64_t first = at->free_ms < 0 ? p->boot_ms : at->free_ms + p->boot_ms;
    p->launches++;
    p->billed_ms += p->boot_ms;
    return arrival > first ? arrival : first;
}

static void serve(struct plan *p, uint32_t job)
{
    int64_t arrival = p->trace->arrival_ms[job], begin = arrival;
    struct place *at = warmest(p, arrival), *busy = next_free(p, arrival);
    if (is_warm(p, at, arrival)) {
        p->billed_ms += gap_cost(p, arrival - at->free_ms);
    } else if (busy && (!at || busy->free_ms - arrival <= p->wait_ms)) {
        at = at ? busy : soonest(p);
        begin = at->free_ms;
    } else {
        begin = launch(p, at, arrival);
    }
    at->free_ms = begin + p->trace->duration_ms[job];
    p->billed_ms += p->trace->duration_ms[job];
    p->waits[job] = begin - arrival;
    if (at->free_ms > p->end_ms)
        p->end_ms = at->free_ms;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sum_up(struct plan *p, struct simulate_result *o)
{
    uint32_t n = p->trace->n;
    int64_t sum = 0;
    for (uint32_t j = 0; j < n; j++)
        sum += p->waits[j];
    qsort(p->waits, n, sizeof *p->waits, by_size);
    *o = (struct simulate_result){.hours = (double)p->billed_ms / 3600000,
                                  .wait_p50_s = (double)p->waits[(uint32_t)(n * 0.5)] / 1000,
                                  .wait_p95_s = (double)p->waits[(uint32_t)(n * 0.95)] / 1000,
                                  .wait_p99_s = (double)p->waits[(uint32_t)(n * 0.99)] / 1000,
                                  .wait_mean_s = (double)sum / 1000 / n,
                                  .wait_hours = (double)sum / 3600000,
                                  .completion_s = (double)p->end_ms / 1000,
                                  .launches = p->launches,
                                  .jobs = n};
    o->j = o->hours + o->wait_hours;
    o->cost = o->hours * (p->model->n_types ? p->model->types[0].price : 1);
}

static void try_wait(struct plan *p, double wait_s, struct simulate_result *o)
{
    p->wait_ms = (int64_t)(wait_s * 1000);
    p->billed_ms = p->end_ms = 0;
    p->launches = 0;
    for (int32_t i = 0; i < (int32_t)p->model->max; i++)
        p->places[i].free_ms = -1;
    for (uint32_t j = 0; j < p->trace->n; j++)
        serve(p, j);
    sum_up(p, o);
}

int simulate_clairvoyant(const struct model *m, const struct trace *t, double wait_s, struct simulate_result *out,
                         struct bp_err *err)
{
    static const double waits[] = {0, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1800};
    struct plan p = {.model = m, .trace = t, .boot_ms = (int64_t)(m->boot * 1000)};
    struct simulate_result one;
    p.places = calloc((size_t)m->max, sizeof *p.places);
    p.waits = calloc(t->n, sizeof *p.waits);
    int good = p.places && p.waits;
    if (good && wait_s >= 0)
        try_wait(&p, wait_s, out);
    for (size_t i = 0; good && wait_s < 0 && i < sizeof waits / sizeof waits[0]; i++) {
        try_wait(&p, waits[i], &one);
        if (i == 0 || one.j < out->j)
            *out = one;
    }
    free(p.places);
    free(p.waits);
    return good ? BP_OK : err_set(err, BP_NOMEM, "no memory for the clairvoyant of %s", t->name);
}
