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
    uint32_t next;  /* the first one that is not asked about yet */
    uint32_t n;
    struct said said[];
};

struct calibration *calibration_new(uint32_t jobs, uint32_t most)
{
    uint32_t every = (jobs + most - 1) / most, n = (jobs + every - 1) / every;
    struct calibration *c = malloc(sizeof *c + n * sizeof c->said[0]);
    if (!c)
        return NULL;
    c->every = every;
    c->next = 0;
    c->n = n;
    for (uint32_t i = 0; i < n; i++)
        c->said[i] = (struct said){NAN, NAN, NAN, NAN};
    return c;
}

void calibration_free(struct calibration *c)
{
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

static void ask_queued(struct run *r, struct said *said, struct eta_ask *ask, uint32_t job)
{
    ask->ahead = (int64_t)r->n_returned + job - r->next;
    struct eta e = eta_queued(ask);
    *said = (struct said){at(r, e.start.p50_s), at(r, e.start.p95_s), at(r, e.finish.p50_s), at(r, e.finish.p95_s)};
    r->out->estimates.unsaid += isfinite(e.start.p95_s) ? 0 : 1;
}

static const struct machine *runs_on(const struct run *r, uint32_t job)
{
    for (int32_t i = 0; i < r->max; i++)
        if (r->machines[i].state == MACHINE_BUSY && r->machines[i].job == job)
            return &r->machines[i];
    return NULL;
}

static void ask_running(struct run *r, struct said *said, uint32_t job)
{
    const struct machine *m = runs_on(r, job);
    if (!m || r->history->runs == 0)
        return;
    struct eta_span rest = eta_rest(r->history, (double)(r->now_ms - m->began_ms) / 1000, 0);
    said->end_p50 = at(r, rest.p50_s);
    said->end_p95 = at(r, rest.p95_s);
}

void calibration_ask(struct run *r)
{
    struct calibration *c = r->calibration;
    struct policy_fleet fleet;
    if (!c || c->next >= r->arrived)
        return;
    run_fleet(r, &fleet);
    struct eta_ask ask = {.history = r->history, .fleet = &fleet, .boot_s = r->model->boot};
    int32_t missing = r->desired - live_machines(r);
    ask.launches = missing > 0 ? missing : 0;
    for (; c->next < r->arrived; c->next += c->every) {
        struct said *said = said_of(r, c->next);
        if (c->next < r->next)
            ask_running(r, said, c->next);
        else if (r->history->runs > 0)
            ask_queued(r, said, &ask, c->next);
    }
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
    if (said)
        hold(r, said->end_p50, said->end_p95, &r->out->estimates.finish);
}
