/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/simulate.h"

#include "log/err.h"
#include "log/json.h"
#include "run.h"
#include "simulate/calibrate.h"
#include <stdlib.h>
#include <string.h>

#define GIVEN_UP_MS 2592000000LL /* a month in which nothing was done */

static int64_t to_ms(double s)
{
    return (int64_t)(s * 1000 + 0.5);
}

/* ---- what happens ---- */

static void arrive(struct run *r)
{
    uint32_t n = 0;
    while (r->arrived < r->trace->n && r->trace->arrival_ms[r->arrived] <= r->now_ms) {
        r->arrived++;
        n++;
    }
    history_arrived(r->history, run_clock_ms(r), n);
}

static void become_ready(struct run *r, struct machine *m)
{
    m->state = MACHINE_IDLE;
    m->idle_ms = r->now_ms;
    r->booting--;
    r->idle++;
    history_ready(r->history, run_clock_ms(r), (double)(r->now_ms - m->launched_ms) / 1000);
}

static void finish(struct run *r, struct machine *m)
{
    m->state = MACHINE_IDLE;
    m->idle_ms = r->now_ms;
    r->busy--;
    r->idle++;
    r->done++;
    r->progress_ms = r->now_ms;
    r->out->completion_s = (double)r->now_ms / 1000;
    history_finished(r->history, run_clock_ms(r), (double)(r->now_ms - m->began_ms) / 1000);
    calibration_ended(r, m->job);
}

/* What it ran is lost, and comes first from now on. */
static void hand_back(struct run *r, struct machine *m)
{
    if (m->state != MACHINE_BUSY)
        return;
    r->out->lost_hours += (double)(r->now_ms - m->began_ms) / 3600000;
    r->returned[r->n_returned++] = m->job;
}

static void note_interruption(struct run *r, const struct machine *m)
{
    r->out->interruptions++;
    risk_interrupted(r->risk, r->types[m->type].name, "", (double)(r->now_ms - m->launched_ms) / 1000);
    history_interrupted(r->history, run_clock_ms(r));
}

/* As live: it is ended when it has handed back, and the next decision launches another if it is needed. Or it stays,
 * does nothing, and counts. */
static void notice(struct run *r, struct machine *m)
{
    hand_back(r, m);
    if (r->model->early > 0) {
        note_interruption(r, m);
        machine_end(r, m);
        return;
    }
    r->booting -= m->state == MACHINE_BOOTING;
    r->busy -= m->state == MACHINE_BUSY;
    r->idle += m->state != MACHINE_IDLE;
    m->state = MACHINE_GOING;
    m->idle_ms = r->now_ms;
}

static void interrupt(struct run *r, struct machine *m)
{
    note_interruption(r, m);
    hand_back(r, m);
    machine_end(r, m);
    r->replacing++;
    heap_put(&r->heap, (struct event){r->now_ms + to_ms(r->model->replace), AT_REPLACE, 0, 0, 0});
}

static void replace(struct run *r)
{
    r->replacing--;
    if (live_machines(r) < r->desired)
        (void)machine_launch(r);
}

static void happen(struct run *r, const struct event *e)
{
    struct machine *m = &r->machines[e->kind == AT_APPLY ? 0 : e->slot];
    if (e->kind == AT_APPLY)
        decision_apply(r, (int32_t)e->slot);
    else if (e->kind == AT_REPLACE)
        replace(r);
    else if (m->stamp != e->stamp)
        return; /* of an instance that is gone */
    else if (e->kind == AT_NOTICE)
        notice(r, m);
    else if (e->kind != AT_INTERRUPT && m->state == MACHINE_GOING)
        return; /* what it would have done */
    else if (e->kind == AT_READY)
        become_ready(r, m);
    else if (e->kind == AT_FINISH)
        finish(r, m);
    else
        interrupt(r, m);
}

/* ---- the clock ---- */

static void note(struct run *r)
{
    struct simulate_timeline *t = r->timeline;
    double at_s = (double)r->now_ms / 1000;
    if (!t || (t->n && at_s < t->points[t->n - 1].at_s + t->every_s))
        return;
    if (t->n == SIMULATE_POINTS) { /* every other one is enough from now on */
        for (t->n = 0; t->n < SIMULATE_POINTS / 2; t->n++)
            t->points[t->n] = t->points[t->n * 2];
        t->every_s *= 2;
    }
    t->points[t->n++] = (struct simulate_point){at_s, r->desired, live_machines(r), r->busy, queued_jobs(r)};
}

/* Decisions come first at a moment, then arrivals, then what the instances do. */
static int64_t next_ms(const struct run *r)
{
    const struct event *top = heap_top(&r->heap);
    int64_t at = r->tick_ms < r->soon_ms ? r->tick_ms : r->soon_ms;
    if (r->arrived < r->trace->n && r->trace->arrival_ms[r->arrived] < at)
        at = r->trace->arrival_ms[r->arrived];
    return top && top->at_ms < at ? top->at_ms : at;
}

static void decide_now(struct run *r)
{
    if (r->tick_ms == r->now_ms)
        r->tick_ms += to_ms(r->model->tick);
    r->soon_ms = INT64_MAX;
    decision_make(r);
    calibration_ask(r);
    note(r);
}

static void step(struct run *r)
{
    const struct event *top;
    int happened = 0;
    r->now_ms = next_ms(r);
    if (r->now_ms == r->tick_ms || r->now_ms == r->soon_ms)
        decide_now(r);
    uint32_t before = r->arrived;
    arrive(r);
    while ((top = heap_top(&r->heap)) && top->at_ms <= r->now_ms) {
        struct event e = heap_take(&r->heap);
        happen(r, &e);
        happened = 1;
    }
    machines_lease(r);
    if (!happened && before == r->arrived)
        return;
    history_demand(r->history, run_clock_ms(r), (int64_t)queued_jobs(r) + r->busy);
    if (r->model->react > 0 && r->soon_ms == INT64_MAX)
        r->soon_ms = r->now_ms + to_ms(r->model->react);
}

static int is_over(const struct run *r)
{
    if (r->done < r->trace->n)
        return r->arrived == r->trace->n && r->now_ms - r->progress_ms > GIVEN_UP_MS;
    return live_machines(r) <= r->least || r->now_ms - r->progress_ms > to_ms(r->model->tail);
}

/* ---- begin and end ---- */

/* Of any policy: a window of the schedule may name another one. */
static size_t most_memory(void)
{
    size_t most = 0;
    for (const struct policy *p = policies; p->name; p++)
        most = p->memory_bytes > most ? p->memory_bytes : most;
    return most;
}

/* Each run reads its own: what is open is kept in it. */
static int begin_schedule(struct run *r, struct bp_err *err)
{
    const char *text = r->model->schedule;
    struct json_object *list = text ? json_parse(text, strlen(text), err) : NULL;
    r->schedule = list ? schedule_new(list, err) : NULL;
    json_object_put(list);
    return !text || r->schedule;
}

static int begin(struct run *r)
{
    const struct model *m = r->model;
    uint32_t n = r->trace->n;
    r->max = (int32_t)m->max;
    r->n_types = m->n_types ? m->n_types : 1;
    r->types[0] = (struct model_type){.name = "", .price = 1, .speed = 1, .interruptions = -1};
    if (m->n_types)
        memcpy(r->types, m->types, sizeof r->types);
    r->soon_ms = INT64_MAX;
    r->machines = calloc((size_t)r->max, sizeof *r->machines);
    r->returned = malloc(n * sizeof *r->returned);
    r->wait_ms = malloc(n * sizeof *r->wait_ms);
    r->history = malloc(sizeof *r->history);
    r->memory = calloc(1, most_memory() + 1);
    r->deciding = r->policy;
    r->risk = calloc(1, sizeof *r->risk);
    if (!r->risk || !r->machines || !r->returned || !r->wait_ms || !r->history || !r->memory)
        return 0;
    for (int32_t i = 0; i < r->max; i++)
        r->machines[i].state = MACHINE_NONE;
    memset(r->wait_ms, 0xff, n * sizeof *r->wait_ms); /* -1 each */
    history_init(r->history);
    if (m->estimates >= 1)
        r->calibration = calibration_new(n, (uint32_t)m->estimates);
    return m->estimates < 1 || r->calibration;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile(const int64_t *sorted, uint32_t n, double q)
{
    return (double)sorted[(uint32_t)(n * q)] / 1000;
}

static void sum_up(struct run *r)
{
    struct simulate_result *o = r->out;
    uint32_t n = r->trace->n;
    double sum_s = 0;
    for (int32_t i = 0; i < r->max; i++)
        if (r->machines[i].state != MACHINE_NONE)
            machine_end(r, &r->machines[i]);
    for (uint32_t j = 0; j < n; j++) {
        if (r->wait_ms[j] < 0) /* never begun: it has waited up to now */
            r->wait_ms[j] = r->now_ms - r->trace->arrival_ms[j];
        sum_s += (double)r->wait_ms[j] / 1000;
    }
    qsort(r->wait_ms, n, sizeof *r->wait_ms, by_size);
    o->jobs = n;
    o->unfinished = n - r->done;
    o->hours = r->billed_s / 3600;
    o->cost = r->cost;
    o->wait_p50_s = quantile(r->wait_ms, n, 0.5);
    o->wait_p95_s = quantile(r->wait_ms, n, 0.95);
    o->wait_p99_s = quantile(r->wait_ms, n, 0.99);
    o->wait_mean_s = sum_s / n;
    o->wait_hours = sum_s / 3600;
    o->j = o->hours + o->wait_hours;
}

int simulate(const struct model *m, const struct trace *t, const struct policy *policy, uint64_t seed,
             struct simulate_result *out, struct simulate_timeline *timeline, struct bp_err *err)
{
    struct run r = {.model = m,
                    .trace = t,
                    .policy = policy,
                    .out = out,
                    .timeline = timeline,
                    .lives = dice_new(seed, "lives"),
                    .boots = dice_new(seed, "boots")};
    memset(out, 0, sizeof *out);
    if (timeline)
        *timeline = (struct simulate_timeline){.every_s = m->tick};
    if (!begin_schedule(&r, err))
        return err->rc;
    int good = t->n > 0 && begin(&r);
    while (good && !r.heap.lost && !is_over(&r))
        step(&r);
    good = good && !r.heap.lost;
    if (good)
        sum_up(&r);
    free(r.heap.list);
    free(r.machines);
    free(r.returned);
    free(r.wait_ms);
    free(r.history);
    free(r.risk);
    calibration_free(r.calibration);
    free(r.memory);
    schedule_free(r.schedule);
    return good ? BP_OK : err_set(err, BP_NOMEM, "no memory to simulate the %u jobs of %s", t->n, t->name);
}
