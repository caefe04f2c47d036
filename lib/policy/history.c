/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MEAN   200
#define DRIFT_MEAN  16
#define STAGES_MEAN 20
#define RATE_MOST_S 3600.0

const char *const history_stage_names[HISTORY_STAGES] = {"running", "registered", "device_ready", "first_job"};

void history_init(struct history *h)
{
    memset(h, 0, sizeof *h);
}

static void advance(struct history *h, int64_t now_ms)
{
    if (!h->since_ms)
        h->since_ms = now_ms;
    if (now_ms > h->now_ms)
        h->now_ms = now_ms;
    forecast_advance(&h->forecast, h->now_ms);
}

void history_arrived(struct history *h, int64_t now_ms, uint32_t n)
{
    if (n == 0)
        return;
    advance(h, now_ms);
    h->arrivals += n;
    forecast_arrived(&h->forecast, h->now_ms, n);
}

/* Mean of n kept runs from the one with this number on, and the squared deviation of that mean, of itself. */
static double mean_run(const struct history *h, uint64_t from, uint32_t n, double *chance)
{
    double sum_s = 0, square_s2 = 0;
    for (uint32_t i = 0; i < n; i++) {
        double run_s = (double)h->run_s[(from + i) % HISTORY_RUNS];
        sum_s += run_s;
        square_s2 += run_s * run_s;
    }
    *chance += sum_s > 0 ? (square_s2 * n / (sum_s * sum_s) - 1) / n : 0;
    return sum_s / n;
}

/* Each HISTORY_ALIKE runs: how far they are from what those before them said. */
static void learn_drift(struct history *h)
{
    uint32_t before = history_kept_runs(h) - HISTORY_ALIKE;
    uint64_t at = h->runs - HISTORY_ALIKE, times = h->runs / HISTORY_ALIKE - 1;
    double chance = 0, mean_s = mean_run(h, at, HISTORY_ALIKE, &chance);
    double before_s = mean_run(h, at - before, before, &chance);
    if (mean_s <= 0 || before_s <= 0)
        return;
    double off = log(mean_s / before_s);
    h->run_drift +=
        (float)(off * off - chance - (double)h->run_drift) / (float)(times < DRIFT_MEAN ? times : DRIFT_MEAN);
}

void history_finished(struct history *h, int64_t now_ms, double service_s)
{
    if (!(service_s >= 0))
        return;
    advance(h, now_ms);
    h->run_s[h->runs++ % HISTORY_RUNS] = (float)service_s;
    double weight = 1.0 / (double)(h->runs < RUNS_MEAN ? h->runs : RUNS_MEAN);
    h->run_mean_s += (service_s - h->run_mean_s) * weight;
    h->run_square_s2 += (service_s * service_s - h->run_square_s2) * weight;
    if (h->runs % HISTORY_ALIKE == 0 && h->runs > HISTORY_ALIKE)
        learn_drift(h);
}

void history_launched(struct history *h, int64_t now_ms, uint32_t n)
{
    advance(h, now_ms);
    h->launches += n;
}

void history_ready(struct history *h, int64_t now_ms, double ready_s)
{
    if (!(ready_s >= 0))
        return;
    advance(h, now_ms);
    h->boot_s[h->boots++ % HISTORY_BOOTS] = (float)ready_s;
}

void history_staged(struct history *h, int64_t now_ms, enum history_stage stage, double after_s)
{
    float *mean = &h->stage_s[stage];
    if (!(after_s >= 0))
        return;
    advance(h, now_ms);
    *mean = *mean > 0 ? *mean + ((float)after_s - *mean) / STAGES_MEAN : (float)after_s;
}

void history_interrupted(struct history *h, int64_t now_ms)
{
    advance(h, now_ms);
    h->interruptions++;
    h->interrupted_ms = h->now_ms;
}

void history_launch_failed(struct history *h, int64_t now_ms)
{
    advance(h, now_ms);
    h->launch_failures++;
    h->launch_failed_ms = h->now_ms;
}

static float seconds(int64_t from_ms, int64_t to_ms)
{
    return (float)(to_ms - from_ms) / 1000.0f;
}

static void rise(struct history_level *l, int64_t now_ms)
{
    l->gap_before_s = l->low_since_ms ? seconds(l->low_since_ms, now_ms) : HISTORY_UNKNOWN_S;
    l->high_since_ms = now_ms;
}

static void fall(struct history_level *l, int64_t now_ms)
{
    uint32_t at = l->spells++ % HISTORY_SPELLS;
    l->gap_s[at] = l->gap_before_s;
    l->hot_s[at] = seconds(l->high_since_ms, now_ms);
    l->low_since_ms = now_ms;
}

void history_demand(struct history *h, int64_t now_ms, int64_t demand)
{
    int32_t to = demand < 0 ? 0 : demand > UINT16_MAX ? UINT16_MAX : (int32_t)demand;
    advance(h, now_ms);
    for (int32_t k = h->demand + 1; k <= to && k <= HISTORY_LEVELS; k++)
        rise(&h->level[k], h->now_ms);
    for (int32_t k = to + 1; k <= h->demand && k <= HISTORY_LEVELS; k++)
        fall(&h->level[k], h->now_ms);
    h->demand = to;
}

void history_instances(struct history *h, int64_t now_ms, int32_t live)
{
    int64_t before_ms = h->now_ms;
    advance(h, now_ms);
    if (before_ms)
        h->instance_s += h->instances * (double)(h->now_ms - before_ms) / 1000.0;
    h->instances = live > 0 ? live : 0;
}

void history_take_fleet(struct history *h, const struct history *from)
{
    h->boots = from->boots;
    memcpy(h->boot_s, from->boot_s, sizeof h->boot_s);
    memcpy(h->stage_s, from->stage_s, sizeof h->stage_s);
    h->launches = from->launches;
    h->launch_failures = from->launch_failures;
    h->interruptions = from->interruptions;
    h->launch_failed_ms = from->launch_failed_ms;
    h->interrupted_ms = from->interrupted_ms;
    h->instance_s = from->instance_s;
    h->instances = from->instances;
}

/* ---- questions ---- */

double history_age_s(const struct history *h)
{
    return (double)(h->now_ms - h->since_ms) / 1000.0;
}

double history_rate(const struct history *h, double window_s)
{
    double age_s = history_age_s(h);
    double bins_s = floor(fmax(fmin(window_s, RATE_MOST_S), FORECAST_BIN_S) / FORECAST_BIN_S) * FORECAST_BIN_S;
    return forecast_count(&h->forecast, bins_s) / fmax(fmin(age_s, bins_s), FORECAST_BIN_S);
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double history_boot_s(const struct history *h, double otherwise_s)
{
    float sorted[HISTORY_BOOTS];
    size_t n = h->boots < HISTORY_BOOTS ? (size_t)h->boots : HISTORY_BOOTS;
    if (n == 0)
        return otherwise_s;
    memcpy(sorted, h->boot_s, n * sizeof sorted[0]);
    qsort(sorted, n, sizeof sorted[0], by_size);
    return sorted[n / 2];
}

uint32_t history_kept_runs(const struct history *h)
{
    return h->runs < HISTORY_RUNS ? (uint32_t)h->runs : HISTORY_RUNS;
}

uint32_t history_kept_spells(const struct history_level *l)
{
    return l->spells < HISTORY_SPELLS ? l->spells : HISTORY_SPELLS;
}
