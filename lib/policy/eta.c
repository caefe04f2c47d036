/* SPDX-License-Identifier: Apache-2.0 */
/* eta.c - a list schedule played through with drawn run times and boots, and the quantiles of what came out. */
#include "policy/eta.h"

#include "policy/dice.h"
#include <math.h>
#include <stdlib.h>

#define DRAWS_MOST  200    /* times the queue is played through */
#define DRAWS_LEAST 50     /* with a long queue */
#define STEPS_MOST  500000 /* all draws together */
#define JOBS_MOST   2000   /* played one by one; more of them are played in groups */
#define PRIOR       4.0    /* runs that weigh as much as what is thought of a workflow before any ended */
#define SOONEST_S   5.0    /* a boot that takes longer than every one before may be ready so soon */

/* From 0 on, below 1. */
static double draw(uint64_t *state)
{
    return (double)(dice_roll(state) >> 11) / 9007199254740992.0;
}

/* One of the kept times that are longer than age_s, less age_s; < 0: there is none. */
static double longer(const float *kept, uint32_t n, double age_s, uint64_t *state)
{
    uint32_t fit = 0;
    for (uint32_t i = 0; i < n; i++)
        fit += kept[i] > age_s;
    uint32_t pick = (uint32_t)(draw(state) * fit);
    for (uint32_t i = 0; fit && i < n; i++)
        if (kept[i] > age_s && pick-- == 0)
            return kept[i] - age_s;
    return -1;
}

/* Run times of one play: as many as are kept, drawn from them with repetition, so that what so few of them leave open
 * of the true ones shows in the spread (the bootstrap, Efron 1979); one that is longer than all, as the next one is
 * once in n + 1 times; and the runs under way. */
struct runs {
    float s[HISTORY_RUNS + 1 + POLICY_INSTANCES];
    uint32_t n, kept;  /* kept: of them were measured */
    uint32_t at, left; /* the next one of the block that jobs are given their runs from, and how many are left of it */
    double mean_s;
};

static void runs_mean(struct runs *r)
{
    double sum_s = 0;
    for (uint32_t i = 0; i < r->n; i++)
        sum_s += r->s[i];
    r->mean_s = r->n ? sum_s / r->n : 0;
}

/* Beyond the longest by as much as they differ among themselves. */
static float longest_yet(const struct runs *r, uint64_t *state)
{
    double square_s2 = 0;
    float most_s = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        square_s2 += (r->s[i] - r->mean_s) * (r->s[i] - r->mean_s);
        most_s = fmaxf(most_s, r->s[i]);
    }
    return most_s - (float)(sqrt(square_s2 / r->n) * log(1 - draw(state)));
}

/* From the normal distribution: the sum of twelve uniform ones. */
static double draw_normal(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += draw(state);
    return sum;
}

/* What so few runs say of their scale is not to be trusted: by what factor the true runs may all differ from them. The
 * logarithm of a workflow's runs is taken to spread by 1 before any ended, which weighs like PRIOR runs; the bootstrap
 * has the part of the variance that the measured runs show, this is the rest. */
static double scale_unknown(const struct history *h, uint32_t n, uint64_t *state)
{
    double drift = fmax((double)h->run_drift, 0);
    return exp(draw_normal(state) * sqrt(PRIOR / (n * (n + PRIOR)) + drift));
}

static void runs_draw(struct runs *r, const struct history *h, double run_s, uint64_t *state)
{
    uint32_t n = history_kept_runs(h);
    float scale = n ? (float)scale_unknown(h, n, state) : 1;
    uint32_t at = 0;
    r->left = 0;
    for (r->n = 0; r->n < n; r->n++) {
        at = r->n % HISTORY_ALIKE == 0 ? (uint32_t)(draw(state) * n) : (at + 1) % n;
        r->s[r->n] = scale * h->run_s[at];
    }
    if (n == 0 && run_s > 0)
        r->s[r->n++] = (float)run_s;
    r->kept = r->n;
    runs_mean(r);
    if (n > 0) {
        float longest_s = longest_yet(r, state);
        r->s[r->n++] = longest_s;
    }
}

/* The run of a job that has not begun. Jobs that come together resemble each other, and so do runs that ended one after
 * the other: they are given out in blocks (Kuensch 1989). */
static double run_next(struct runs *r, uint64_t *state)
{
    if (r->n == 0)
        return INFINITY;
    if (draw(state) * r->n >= r->kept) /* in no order with the others */
        return r->s[r->kept + (uint32_t)(draw(state) * (r->n - r->kept))];
    if (r->left == 0) {
        r->at = (uint32_t)(draw(state) * r->kept);
        r->left = HISTORY_ALIKE;
    }
    r->left--;
    r->at = r->at + 1 < r->kept ? r->at + 1 : 0;
    return r->s[r->at];
}

/* What is left of a run. Of one that is older than all others it is not known when it ends; it may be at any moment, as
 * likely in each. */
static double run_left(const struct runs *r, double age_s, uint64_t *state)
{
    double left_s = longer(r->s, r->n, age_s, state);
    if (left_s >= 0)
        return left_s;
    return r->n ? -r->mean_s * log(1 - draw(state)) : INFINITY;
}

/* Beyond the longest boot by as much as they differ among themselves, and by a fifth before that is known. */
static double longest_boot(const float *boot_s, uint32_t n, uint64_t *state)
{
    double sum_s = 0, square_s2 = 0;
    float most_s = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum_s += boot_s[i];
        most_s = fmaxf(most_s, boot_s[i]);
    }
    double mean_s = sum_s / n, guess_s = mean_s / 5;
    for (uint32_t i = 0; i < n; i++)
        square_s2 += (boot_s[i] - mean_s) * (boot_s[i] - mean_s);
    return most_s - sqrt((square_s2 + PRIOR * guess_s * guess_s) / (n + PRIOR)) * log(1 - draw(state));
}

static double boot_left(const struct eta_ask *ask, double age_s, uint64_t *state)
{
    const float *boot_s = ask->history->boot_s;
    uint32_t n = ask->history->boots < HISTORY_BOOTS ? (uint32_t)ask->history->boots : HISTORY_BOOTS;
    if (n == 0)
        return ask->boot_s > age_s ? ask->boot_s - age_s : SOONEST_S;
    double left_s = longer(boot_s, n, age_s, state);
    if (left_s < 0 || draw(state) * (n + 1) < 1)
        left_s = longest_boot(boot_s, n, state) - age_s;
    return fmax(left_s, SOONEST_S);
}

/* ---- the heap of times at which instances are free, the first on top ---- */

struct heap {
    double at[4 * POLICY_INSTANCES + GROWTH_MOST];
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

/* The runs under way join the others with the length that was drawn for them: without them long ones would be too few
 * among the ended. Returns when the last of them ends. */
static double fill(struct heap *h, struct runs *r, const struct eta_ask *ask, uint64_t *state)
{
    const struct policy_fleet *f = ask->fleet;
    uint32_t kept = r->n;
    h->n = 0;
    for (int32_t i = 0; i < f->n_idle; i++)
        h->at[h->n++] = 0;
    for (int32_t i = 0; i < f->n_busy; i++)
        h->at[h->n++] = run_left(r, f->busy_s[i], state);
    for (int32_t i = 0; i < f->n_booting; i++)
        h->at[h->n++] = boot_left(ask, f->booting_s[i], state);
    for (int32_t i = 0; i < ask->launches && i < POLICY_INSTANCES; i++)
        h->at[h->n++] = boot_left(ask, 0, state);
    for (int32_t i = 0; ask->growth && i < ask->growth->n; i++)
        h->at[h->n++] = (double)ask->growth->at_s[i] + boot_left(ask, 0, state);
    double last_s = 0;
    for (int32_t i = 0; i < f->n_busy; i++) {
        last_s = fmax(last_s, h->at[f->n_idle + i]);
        if (kept)
            r->s[r->n++] = f->busy_s[i] + (float)h->at[f->n_idle + i];
    }
    runs_mean(r);
    for (int32_t i = h->n / 2 - 1; i >= 0; i--)
        sink(h, i);
    return last_s;
}

/* ---- the play ---- */

/* The time that `group` jobs take one after the other: their mean and their variance are kept. */
static double run_group(struct runs *r, double group, uint64_t *state)
{
    double run_s = run_next(r, state);
    if (group <= 1 || r->n == 0)
        return run_s;
    return fmax(group * r->mean_s + sqrt(group) * (run_s - r->mean_s), run_s);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct eta_span span_of(double *s, uint32_t n, const struct promises *p, enum promise_kind kind)
{
    qsort(s, n, sizeof *s, by_size);
    return promise_told(p, kind, s, n);
}

/* What instances stand there for until each is free for good, those of later from their launch on. */
static double heap_sum(const struct heap *h, const struct growth *later)
{
    double sum_s = 0;
    for (int32_t i = 0; i < h->n; i++)
        sum_s += h->at[i];
    for (int32_t i = 0; later && i < later->n; i++)
        sum_s -= (double)later->at_s[i];
    return sum_s;
}

struct eta eta_queued(const struct eta_ask *ask)
{
    static const struct eta never = {{INFINITY, INFINITY}, {INFINITY, INFINITY}, {INFINITY, INFINITY}, INFINITY};
    double start_s[DRAWS_MOST] = {0}, finish_s[DRAWS_MOST] = {0}, all_s[DRAWS_MOST] = {0};
    uint64_t state = DICE_SEED;
    int64_t jobs = ask->ahead < 0 ? 0 : ask->ahead < JOBS_MOST ? ask->ahead : JOBS_MOST;
    double group = jobs ? (double)ask->ahead / (double)jobs : 1;
    int64_t fit = (ask->steps ? ask->steps : STEPS_MOST) / (jobs + 1);
    uint32_t draws = fit > DRAWS_MOST ? DRAWS_MOST : fit < DRAWS_LEAST ? DRAWS_LEAST : (uint32_t)fit;
    double instance_s = 0;
    struct heap h;
    struct runs runs;
    for (uint32_t k = 0; k < draws; k++) {
        runs_draw(&runs, ask->history, ask->run_s, &state);
        all_s[k] = fill(&h, &runs, ask, &state);
        if (h.n == 0)
            return never;
        for (int64_t i = 0; i < jobs; i++) {
            h.at[0] += run_group(&runs, group, &state);
            all_s[k] = fmax(all_s[k], h.at[0]);
            sink(&h, 0);
        }
        start_s[k] = h.at[0];
        finish_s[k] = h.at[0] + run_next(&runs, &state);
        instance_s += heap_sum(&h, ask->growth) / draws;
        if (ask->ahead >= 0) {
            all_s[k] = fmax(all_s[k], finish_s[k]);
            instance_s += (finish_s[k] - start_s[k]) / draws;
        }
    }
    struct eta e = {span_of(start_s, draws, ask->promises, PROMISE_START),
                    span_of(finish_s, draws, ask->promises, PROMISE_END), span_of(all_s, draws, NULL, PROMISE_END),
                    instance_s};
    e.finish.p50_s = fmax(e.finish.p50_s, e.start.p50_s); /* each has learned on its own */
    e.finish.p95_s = fmax(e.finish.p95_s, e.start.p95_s);
    return e;
}

struct eta_span eta_rest(const struct history *h, const struct promises *p, double age_s, double run_s)
{
    double left_s[DRAWS_MOST] = {0};
    uint64_t state = DICE_SEED;
    struct runs runs;
    for (uint32_t k = 0; k < DRAWS_MOST; k++) {
        runs_draw(&runs, h, run_s, &state);
        left_s[k] = run_left(&runs, age_s, &state);
    }
    return span_of(left_s, DRAWS_MOST, p, PROMISE_END);
}
