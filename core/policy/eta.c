/* SPDX-License-Identifier: Apache-2.0 */
/* eta.c - a list schedule played through with drawn run times and boots, and the quantiles of what came out. */
#include "policy/eta.h"

#include <math.h>
#include <stdlib.h>

#define DRAWS_MOST  200    /* times the queue is played through */
#define DRAWS_LEAST 50     /* with a long queue */
#define STEPS_MOST  500000 /* all draws together */
#define JOBS_MOST   2000   /* played one by one; more of them are played in groups */
#define SOONEST_S   5.0    /* a boot that takes longer than every one before may be ready so soon */

/* Numbers that look random and are the same each time (xorshift, Marsaglia 2003). */
static double draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* One of the kept times that are longer than age_s, less age_s; < 0: there is none. */
static double longer(const float *kept, uint32_t n, double age_s, uint64_t *state)
{
    uint32_t fit = 0;
    if (age_s <= 0)
        return n ? kept[(uint32_t)(draw(state) * n)] : -1;
    for (uint32_t i = 0; i < n; i++)
        fit += kept[i] > age_s;
    uint32_t pick = (uint32_t)(draw(state) * fit);
    for (uint32_t i = 0; fit && i < n; i++)
        if (kept[i] > age_s && pick-- == 0)
            return kept[i] - age_s;
    return -1;
}

/* What is left of a run. One that is older than all kept ones has half a mean run before it. */
static double run_left(const struct history *h, double age_s, double run_s, uint64_t *state)
{
    double left_s = longer(h->run_s, history_kept_runs(h), age_s, state);
    if (left_s >= 0)
        return left_s;
    if (h->runs)
        return h->run_mean_s / 2;
    return run_s <= 0 ? INFINITY : run_s > age_s ? run_s - age_s : run_s / 2;
}

static double boot_left(const struct eta_ask *ask, double age_s, uint64_t *state)
{
    uint32_t n = ask->history->boots < HISTORY_BOOTS ? (uint32_t)ask->history->boots : HISTORY_BOOTS;
    double left_s = longer(ask->history->boot_s, n, age_s, state);
    if (left_s >= 0)
        return left_s;
    return n == 0 && ask->boot_s > age_s ? ask->boot_s - age_s : SOONEST_S;
}

/* ---- the heap of times at which instances are free, the first on top ---- */

struct heap {
    double at[4 * POLICY_INSTANCES];
    int32_t n;
};

static void sink(struct heap *h, int32_t at)
{
    double moved = h->at[at];
    for (int32_t child = 2 * at + 1; child < h->n; child = 2 * at + 1) {
        if (child + 1 < h->n && h->at[child + 1] < h->at[child])
            child++;
        if (h->at[child] >= moved)
            break;
        h->at[at] = h->at[child];
        at = child;
    }
    h->at[at] = moved;
}

static void fill(struct heap *h, const struct eta_ask *ask, uint64_t *state)
{
    const struct policy_fleet *f = ask->fleet;
    h->n = 0;
    for (int32_t i = 0; i < f->n_idle; i++)
        h->at[h->n++] = 0;
    for (int32_t i = 0; i < f->n_busy; i++)
        h->at[h->n++] = run_left(ask->history, f->busy_s[i], ask->run_s, state);
    for (int32_t i = 0; i < f->n_booting; i++)
        h->at[h->n++] = boot_left(ask, f->booting_s[i], state);
    for (int32_t i = 0; i < ask->launches && i < POLICY_INSTANCES; i++)
        h->at[h->n++] = boot_left(ask, 0, state);
    for (int32_t i = h->n / 2 - 1; i >= 0; i--)
        sink(h, i);
}

/* ---- the play ---- */

/* The time that `group` jobs take one after the other: their mean and their variance are kept. */
static double run_group(const struct eta_ask *ask, double group, uint64_t *state)
{
    double run_s = run_left(ask->history, 0, ask->run_s, state), mean_s = ask->history->run_mean_s;
    if (group <= 1 || !ask->history->runs)
        return run_s * group;
    return fmax(group * mean_s + sqrt(group) * (run_s - mean_s), run_s);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct eta_span span_of(double *s, uint32_t n)
{
    qsort(s, n, sizeof *s, by_size);
    return (struct eta_span){s[n / 2], s[n * 95 / 100]};
}

struct eta eta_queued(const struct eta_ask *ask)
{
    static const struct eta never = {{INFINITY, INFINITY}, {INFINITY, INFINITY}};
    double start_s[DRAWS_MOST], finish_s[DRAWS_MOST];
    uint64_t state = 0x9e3779b97f4a7c15u;
    int64_t jobs = ask->ahead < JOBS_MOST ? ask->ahead : JOBS_MOST;
    double group = jobs ? (double)ask->ahead / (double)jobs : 1;
    int64_t fit = STEPS_MOST / (jobs + 1);
    uint32_t draws = fit > DRAWS_MOST ? DRAWS_MOST : fit < DRAWS_LEAST ? DRAWS_LEAST : (uint32_t)fit;
    struct heap h;
    for (uint32_t k = 0; k < draws; k++) {
        fill(&h, ask, &state);
        if (h.n == 0)
            return never;
        for (int64_t i = 0; i < jobs; i++) {
            h.at[0] += run_group(ask, group, &state);
            sink(&h, 0);
        }
        start_s[k] = h.at[0];
        finish_s[k] = h.at[0] + run_left(ask->history, 0, ask->run_s, &state);
    }
    return (struct eta){span_of(start_s, draws), span_of(finish_s, draws)};
}

struct eta_span eta_rest(const struct history *h, double age_s, double run_s)
{
    double left_s[DRAWS_MOST];
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (uint32_t k = 0; k < DRAWS_MOST; k++)
        left_s[k] = run_left(h, age_s, run_s, &state);
    return span_of(left_s, DRAWS_MOST);
}
