/* SPDX-License-Identifier: Apache-2.0 */
/* machines.c - the instances: launch, boot, lease, end, and what they cost. */
#include "run.h"

#include "simulate/calibrate.h"
#include <math.h>
#include <string.h>

static int is_short(const struct run *r, const char *type)
{
    double now_s = (double)r->now_ms / 1000;
    for (uint32_t i = 0; i < r->model->n_shortages; i++) {
        const struct model_shortage *s = &r->model->shortages[i];
        if (now_s >= s->from_s && now_s < s->to_s && (!s->type[0] || strcmp(s->type, type) == 0))
            return 1;
    }
    return 0;
}

/* The first type that can be had, n_types: none. */
static uint32_t type_to_launch(const struct run *r)
{
    uint32_t i = 0;
    for (; i < r->n_types; i++) {
        const struct model_type *t = &r->types[i];
        if ((t->capacity <= 0 || r->of_type[i] < t->capacity) && !is_short(r, t->name))
            break;
    }
    return i;
}

/* The mean stays: E exp(sigma N - sigma^2 / 2) = 1. */
static double boot_s(struct run *r)
{
    double sigma = r->model->spread;
    return sigma > 0 ? r->model->boot * exp(sigma * dice_normal(&r->boots) - sigma * sigma / 2) : r->model->boot;
}

static int64_t after_ms(const struct run *r, double s)
{
    double at = (double)r->now_ms + s * 1000;
    return at < 9e17 ? (int64_t)at : INT64_MAX / 4;
}

static void begin_life(struct run *r, uint32_t slot)
{
    struct machine *m = &r->machines[slot];
    double own = r->types[m->type].interruptions, per_hour = own >= 0 ? own : r->model->interruptions;
    heap_put(&r->heap, (struct event){after_ms(r, boot_s(r)), AT_READY, slot, m->stamp, 0});
    m->taken_ms = INT64_MAX;
    if (per_hour <= 0)
        return;
    m->taken_ms = after_ms(r, dice_exponential(&r->lives, 3600 / per_hour));
    heap_put(&r->heap, (struct event){m->taken_ms, AT_INTERRUPT, slot, m->stamp, 0});
    int64_t notice_ms = m->taken_ms - (int64_t)(r->model->warn * 1000);
    if (r->model->warn > 0)
        heap_put(&r->heap, (struct event){notice_ms > r->now_ms ? notice_ms : r->now_ms, AT_NOTICE, slot, m->stamp, 0});
}

int machine_launch(struct run *r)
{
    uint32_t type = type_to_launch(r), slot = 0;
    if (type == r->n_types) {
        r->out->launch_failures++;
        r->failed_ms[r->n_failed++ % 16] = r->now_ms;
        history_launch_failed(r->history, run_clock_ms(r));
        return 0;
    }
    while ((int32_t)slot < r->max && r->machines[slot].state != MACHINE_NONE)
        slot++;
    if ((int32_t)slot == r->max)
        return 0;
    struct machine *m = &r->machines[slot];
    *m = (struct machine){.state = MACHINE_BOOTING, .stamp = m->stamp + 1, .type = type, .launched_ms = r->now_ms};
    r->booting++;
    r->of_type[type]++;
    r->out->launches++;
    if (live_machines(r) > r->out->peak)
        r->out->peak = live_machines(r);
    history_launched(r->history, run_clock_ms(r), 1);
    begin_life(r, slot);
    return 1;
}

void machine_end(struct run *r, struct machine *m)
{
    double s = (double)(r->now_ms - m->launched_ms) / 1000;
    if (s < r->model->bill)
        s = r->model->bill;
    r->billed_s += s;
    r->cost += s / 3600 * r->types[m->type].price;
    risk_lived(r->risk, r->types[m->type].name, "", 0, s);
    r->of_type[m->type]--;
    r->booting -= m->state == MACHINE_BOOTING;
    r->idle -= m->state == MACHINE_IDLE || m->state == MACHINE_GOING;
    r->busy -= m->state == MACHINE_BUSY;
    m->state = MACHINE_NONE;
    m->stamp++;
}

uint32_t queued_jobs(const struct run *r)
{
    return r->n_returned + r->arrived - r->next;
}

static uint32_t take_job(struct run *r)
{
    return r->n_returned ? r->returned[--r->n_returned] : r->next++;
}

/* ---- who takes a job ---- */

#define LONG_S 120.0 /* dispatch.atRiskSeconds: longer jobs are not given to a machine with a notice */
#define LOOKED 64    /* idle machines that are compared */

static double life_s(const struct run *r, const struct machine *m)
{
    if (r->model->risk == 0)
        return 0;
    return risk_life_s(r->risk, r->types[m->type].name, "", (double)(r->now_ms - m->launched_ms) / 1000);
}

static int is_doomed(const struct run *r, const struct machine *m)
{
    return r->model->notice > 0 && (double)(m->taken_ms - r->now_ms) <= r->model->notice * 1000;
}

/* The idle machine that takes the next job, NULL: none may. */
static struct machine *taker(struct run *r)
{
    struct machine *idle[LOOKED];
    struct risk_choice choices[LOOKED];
    double run_s = r->history->run_mean_s;
    int risky = r->model->risk != 0;
    uint32_t n = 0, most = risky ? LOOKED : 1;
    for (int32_t i = 0; i < r->max && n < most; i++) {
        struct machine *m = &r->machines[i];
        if (m->state != MACHINE_IDLE || (risky && run_s > LONG_S && is_doomed(r, m)))
            continue;
        choices[n] = (struct risk_choice){life_s(r, m), 0};
        idle[n++] = m;
    }
    return n ? idle[risk_choose(choices, n, risky ? run_s : 0)] : NULL;
}

static void lease(struct run *r, struct machine *m)
{
    m->state = MACHINE_BUSY;
    m->job = take_job(r);
    m->began_ms = r->now_ms;
    r->idle--;
    r->busy++;
    r->progress_ms = r->now_ms;
    if (r->wait_ms[m->job] < 0)
        r->wait_ms[m->job] = r->now_ms - r->trace->arrival_ms[m->job];
    calibration_began(r, m->job);
    double s = (double)r->trace->duration_ms[m->job] / 1000 / r->types[m->type].speed;
    heap_put(&r->heap, (struct event){after_ms(r, s), AT_FINISH, (uint32_t)(m - r->machines), m->stamp, 0});
}

void machines_lease(struct run *r)
{
    struct machine *m;
    while (r->idle && queued_jobs(r) && (m = taker(r)))
        lease(r, m);
}

struct machine *machine_first_to_go(struct run *r)
{
    struct machine *best = NULL;
    struct scale_in_candidate first = {0};
    for (int32_t i = 0; i < r->max; i++) {
        struct machine *m = &r->machines[i];
        struct scale_in_candidate c = {m->state == MACHINE_IDLE, m->idle_ms, m->launched_ms, life_s(r, m)};
        if ((m->state != MACHINE_IDLE && m->state != MACHINE_BOOTING) || (best && !scale_in_before(&c, &first)))
            continue;
        best = m;
        first = c;
    }
    return best;
}
