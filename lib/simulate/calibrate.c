/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/calibrate.h"

#include "policy/eta.h"
#include "run.h"
#include <math.h>
#include <stdlib.h>

/* What was said of one job: by when it begins and ends, ms of the run; NAN: nothing. */
struct said {
    double start_p50, start_p95, end_p50, end_p95;
};

struct calibration {
    uint32_t every; /* one job in so many is asked about */
    uint32_t next;  /* the first that had not come yet at the last decision */
    struct promises promises;
    int64_t *ended_ms; /* by job, < 0: not ended */
    struct said said[];
};

struct calibration *calibration_new(uint32_t jobs, uint32_t most)
{
    uint32_t every = (jobs + most - 1) / most, n = (jobs + every - 1) / every;
    struct calibration *c = calloc(1, sizeof *c + n * sizeof c->said[0]);
    if (!c || !(c->ended_ms = malloc(jobs * sizeof *c->ended_ms))) {
        free(c);
        return NULL;
    }
    c->every = every;
    for (uint32_t i = 0; i < n; i++)
        c->said[i] = (struct said){NAN, NAN, NAN, NAN};
    for (uint32_t i = 0; i < jobs; i++)
        c->ended_ms[i] = -1;
    return c;
}

void calibration_free(struct calibration *c)
{
    if (c)
        free(c->ended_ms);
    free(c);
}

static struct said *said_of(const struct run *r, uint32_t job)
{
    struct calibration *c = r->calibration;
    return c && job % c->every == 0 ? &c->said[job / c->every] : NULL;
}

static double at(const struct run *r, double s)
{
    return (double)r->now_ms + 1000 * s;
}

static const struct machine *runs_on(const struct run *r, uint32_t job)
{
    for (int32_t i = 0; i < r->max; i++)
        if (r->machines[i].state == MACHINE_BUSY && r->machines[i].job == job)
            return &r->machines[i];
    return NULL;
}

/* What is said of one job now: of one that runs, when it ends. */
static struct said say(const struct run *r, struct eta_ask *ask, uint32_t job)
{
    struct said said = {NAN, NAN, NAN, NAN};
    const struct machine *m = job < r->next ? runs_on(r, job) : NULL;
    if (r->history->runs == 0 || (job < r->next && !m))
        return said;
    if (m) {
        struct eta_span rest = eta_rest(r->history, ask->promises, (double)(r->now_ms - m->began_ms) / 1000, 0);
        said.end_p50 = at(r, rest.p50_s);
        said.end_p95 = at(r, rest.p95_s);
        return said;
    }
    ask->ahead = (int64_t)r->n_returned + job - r->next;
    struct eta e = eta_queued(ask);
    return (struct said){at(r, e.start.p50_s), at(r, e.start.p95_s), at(r, e.finish.p50_s), at(r, e.finish.p95_s)};
}

/* ---- promises, as the daemon makes and judges them ---- */

static void judge(struct run *r)
{
    struct calibration *c = r->calibration;
    struct promise m;
    while (promise_due(&c->promises, r->now_ms, &m)) {
        int64_t wait_ms = r->wait_ms[m.job], began_ms = r->trace->arrival_ms[m.job] + wait_ms;
        int64_t came_ms = m.kind == PROMISE_END ? c->ended_ms[m.job] : wait_ms < 0 ? -1 : began_ms;
        promise_judge(&c->promises, &m, came_ms >= 0 ? came_ms : INT64_MAX);
    }
}

static void promise(struct run *r, struct eta_ask *ask)
{
    struct promises *p = &r->calibration->promises;
    float weight;
    int64_t job = promise_pick(p, &weight);
    if (job < 0)
        return;
    struct said said = say(r, ask, (uint32_t)job);
    if (isfinite(said.start_p95))
        promise_make(p, (struct promise){job, (int64_t)said.start_p95, (int64_t)said.start_p50, PROMISE_START, weight});
    if (isfinite(said.end_p95))
        promise_make(p, (struct promise){job, (int64_t)said.end_p95, (int64_t)said.end_p50, PROMISE_END, weight});
}

static void foresee(struct run *r, const struct policy_fleet *fleet, struct growth *out)
{
    struct bp_view v = run_view(r);
    struct policy_now now = {&v, fleet, r->history, r->model->target, r->model->price};
    growth_foresee(r->deciding, r->memory, &now, r->history->run_mean_s, out);
}

void calibration_ask(struct run *r)
{
    struct calibration *c = r->calibration;
    struct policy_fleet fleet;
    struct growth growth;
    if (!c)
        return;
    judge(r);
    if (c->next == r->arrived)
        return;
    run_fleet(r, &fleet);
    foresee(r, &fleet, &growth);
    struct eta_ask ask = {
        .history = r->history, .fleet = &fleet, .growth = &growth, .boot_s = r->model->boot, .promises = &c->promises};
    int32_t missing = r->desired - live_machines(r);
    ask.launches = missing > 0 ? missing : 0;
    for (; c->next < r->arrived; c->next++) {
        struct said *said = said_of(r, c->next);
        promise_came(&c->promises, c->next);
        if (!said)
            continue;
        *said = say(r, &ask, c->next);
        r->out->estimates.unsaid += isinf(said->start_p95) ? 1 : 0;
    }
    promise(r, &ask);
}

static void hold(const struct run *r, double p50_ms, double p95_ms, struct simulate_kept *kept)
{
    if (!isfinite(p95_ms))
        return;
    kept->said++;
    kept->by_p50 += (double)r->now_ms <= p50_ms;
    kept->by_p95 += (double)r->now_ms <= p95_ms;
}

void calibration_began(struct run *r, uint32_t job)
{
    struct said *said = said_of(r, job);
    if (!said)
        return;
    hold(r, said->start_p50, said->start_p95, &r->out->estimates.start);
    said->start_p50 = said->start_p95 = NAN; /* begun anew after an interruption, it is not asked about again */
}

void calibration_ended(struct run *r, uint32_t job)
{
    struct said *said = said_of(r, job);
    if (r->calibration)
        r->calibration->ended_ms[job] = r->now_ms;
    if (said)
        hold(r, said->end_p50, said->end_p95, &r->out->estimates.finish);
}
