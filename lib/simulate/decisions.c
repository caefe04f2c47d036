/* SPDX-License-Identifier: Apache-2.0 */
/* decisions.c - what a policy sees of a run, and what is done with its plan: the same code as live. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#define FAILURES_WINDOW_MS 600000

/* Milliseconds since the oldest waiting job came. */
static int64_t oldest_wait(const struct run *r)
{
    int64_t oldest = r->next < r->arrived ? r->trace->arrival_ms[r->next] : r->now_ms;
    for (uint32_t i = 0; i < r->n_returned; i++)
        if (r->trace->arrival_ms[r->returned[i]] < oldest)
            oldest = r->trace->arrival_ms[r->returned[i]];
    return r->now_ms - oldest;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of the kept ones; sorted anew only when one came. */
static double run_p50(struct run *r)
{
    const struct history *h = r->history;
    float sorted[HISTORY_RUNS];
    uint32_t n = history_kept_runs(h);
    if (n == 0 || r->p50_runs == h->runs)
        return r->p50_s;
    memcpy(sorted, h->run_s, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], by_size);
    r->p50_runs = h->runs;
    return r->p50_s = sorted[n / 2];
}

struct bp_view run_view(struct run *r)
{
    const struct model *m = r->model;
    struct bp_view v = {.size = sizeof v,
                        .now_ms = run_clock_ms(r),
                        .queued = queued_jobs(r),
                        .leased = r->busy,
                        .oldest_wait_ms = oldest_wait(r),
                        .arrivals_per_s = history_rate(r->history, 300),
                        .run_p50_s = run_p50(r),
                        .boot_s = history_boot_s(r->history, m->boot),
                        .desired = r->desired,
                        .pending = r->booting,
                        .running = r->idle + r->busy,
                        .busy = r->busy,
                        .workers = r->idle + r->busy,
                        .max_size = r->max,
                        .backlog_target = (int32_t)m->backlog,
                        .scale_to_zero_s = m->zero,
                        .cooldown_s = m->cooldown,
                        .last_scale_ms = r->last_scale_ms,
                        .empty_since_ms = r->empty_ms};
    for (uint32_t i = 0; i < 16 && i < r->n_failed; i++)
        v.launch_failures += r->now_ms - r->failed_ms[i] < FAILURES_WINDOW_MS;
    return v;
}

static int longest_first(const void *a, const void *b)
{
    return by_size(b, a);
}

static void add(float *ages, int32_t *n, int64_t ms)
{
    if (*n < POLICY_INSTANCES)
        ages[(*n)++] = (float)ms / 1000.0f;
}

void run_fleet(const struct run *r, struct policy_fleet *f)
{
    f->n_busy = f->n_idle = f->n_booting = 0;
    for (int32_t i = 0; i < r->max; i++) {
        const struct machine *m = &r->machines[i];
        if (m->state == MACHINE_BUSY)
            add(f->busy_s, &f->n_busy, r->now_ms - m->began_ms);
        else if (m->state == MACHINE_IDLE || m->state == MACHINE_GOING)
            add(f->idle_s, &f->n_idle, r->now_ms - m->idle_ms);
        else if (m->state == MACHINE_BOOTING)
            add(f->booting_s, &f->n_booting, r->now_ms - m->launched_ms);
    }
    if (f->n_busy > 1)
        qsort(f->busy_s, (size_t)f->n_busy, sizeof f->busy_s[0], longest_first);
    if (f->n_idle > 1)
        qsort(f->idle_s, (size_t)f->n_idle, sizeof f->idle_s[0], longest_first);
    if (f->n_booting > 1)
        qsort(f->booting_s, (size_t)f->n_booting, sizeof f->booting_s[0], longest_first);
}

/* An interrupted instance whose replacement is on its way counts as being there. */
void decision_apply(struct run *r, int32_t desired)
{
    struct machine *m;
    if (r->desired != desired)
        r->last_scale_ms = run_clock_ms(r);
    r->desired = desired;
    while (live_machines(r) + r->replacing < desired && machine_launch(r))
        continue;
    while (live_machines(r) > desired && (m = machine_first_to_go(r)))
        machine_end(r, m);
    history_instances(r->history, run_clock_ms(r), live_machines(r));
}

static double *learned_at(struct run *r, const struct policy *p)
{
    ptrdiff_t at = p - policies;
    return at >= 0 && at < RUN_POLICIES ? r->learned[at] : NULL;
}

/* As live: one that takes over begins with an empty memory but for what it had learned. */
static void take_over(struct run *r, const struct policy *by)
{
    const struct policy_number *n = r->deciding->learned;
    double *at = learned_at(r, r->deciding);
    for (int k = 0; n && at && n[k].name && k < RUN_NUMBERS; k++)
        memcpy(&at[k], (const char *)r->memory + n[k].offset, sizeof at[k]);
    memset(r->memory, 0, by->memory_bytes);
    n = by->learned;
    at = learned_at(r, by);
    for (int k = 0; n && at && n[k].name && k < RUN_NUMBERS; k++)
        memcpy((char *)r->memory + n[k].offset, &at[k], sizeof at[k]);
    r->deciding = by;
}

/* As live: the windows' limits, and their policy. */
static void follow_schedule(struct run *r, struct decide_rules *rules)
{
    struct schedule_now open = schedule_at(r->schedule, run_clock_ms(r));
    const struct policy *of_window = open.policy ? policy_find(open.policy) : NULL;
    const struct policy *by = of_window ? of_window : r->policy;
    r->least = open.min > 0 ? open.min : 0;
    rules->min = open.min;
    rules->max = open.max;
    if (by != r->deciding)
        take_over(r, by);
}

void decision_make(struct run *r)
{
    struct policy_fleet fleet;
    struct bp_plan p;
    if (queued_jobs(r) + (uint32_t)r->busy > 0)
        r->empty_ms = 0;
    else if (!r->empty_ms)
        r->empty_ms = run_clock_ms(r);
    history_demand(r->history, run_clock_ms(r), (int64_t)queued_jobs(r) + r->busy);
    struct bp_view v = run_view(r);
    run_fleet(r, &fleet);
    struct policy_now now = {&v, &fleet, r->history, r->model->target, r->model->price};
    struct decide_rules rules = DECIDE_NO_RULES;
    follow_schedule(r, &rules);
    struct decide_planner by = decide_by(r->deciding, r->memory);
    decide(&rules, &by, &now, &p);
    if (r->model->delay <= 0)
        decision_apply(r, p.desired);
    else
        heap_put(&r->heap,
                 (struct event){r->now_ms + (int64_t)(r->model->delay * 1000), AT_APPLY, (uint32_t)p.desired, 0, 0});
}
