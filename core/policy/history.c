/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MEAN   200
#define STAGES_MEAN 20
#define PRIOR_HOURS 50.0 /* an instance-hour count after which what was measured outweighs what was assumed */

void history_init(struct history *h)
{
    memset(h, 0, sizeof *h);
    h->version = HISTORY_VERSION;
    h->size = sizeof *h;
}

static int is_sound(const struct history *h)
{
    return h->version == HISTORY_VERSION && h->size == sizeof *h && h->now_ms >= h->since_ms && h->fine_bin >= 0 &&
           h->coarse_bin >= 0 && isfinite(h->run_mean_s) && isfinite(h->run_square_s2) && isfinite(h->instance_s) &&
           h->instance_s >= 0 && h->demand >= 0 && h->instances >= 0 && forecast_is_sound(&h->forecast);
}

int history_restore(struct history *h, const void *stored, size_t n)
{
    if (n == sizeof *h)
        memcpy(h, stored, n);
    if (n == sizeof *h && is_sound(h))
        return BP_OK;
    history_init(h);
    return BP_INVALID;
}

/* Bins between the newest one and this moment are empty. */
static void advance(struct history *h, int64_t now_ms)
{
    forecast_advance(&h->forecast, now_ms > h->now_ms ? now_ms : h->now_ms);
    if (!h->since_ms) {
        h->since_ms = h->now_ms = now_ms;
        h->fine_bin = now_ms / (HISTORY_FINE_S * 1000);
        h->coarse_bin = now_ms / (HISTORY_COARSE_S * 1000);
        return;
    }
    if (now_ms <= h->now_ms)
        return;
    h->now_ms = now_ms;
    int64_t fine = now_ms / (HISTORY_FINE_S * 1000), coarse = now_ms / (HISTORY_COARSE_S * 1000);
    int64_t passed = fine - h->fine_bin;
    for (int64_t i = 0; i < passed && i < HISTORY_FINE; i++)
        h->fine[(fine - i) % HISTORY_FINE] = 0;
    h->fine_bin = fine;
    passed = coarse - h->coarse_bin;
    for (int64_t i = 0; i < passed && i < HISTORY_COARSE; i++) /* a gap has the demand that it began with */
        h->coarse[(coarse - i) % HISTORY_COARSE] = (struct history_bin){0, (uint16_t)h->demand};
    h->coarse_bin = coarse;
}

static uint16_t more(uint16_t have, uint32_t n)
{
    return have + n > UINT16_MAX ? UINT16_MAX : (uint16_t)(have + n);
}

void history_arrived(struct history *h, int64_t now_ms, uint32_t n)
{
    if (n == 0)
        return;
    advance(h, now_ms);
    h->arrivals += n;
    h->arrived_ms = h->now_ms;
    forecast_arrived(&h->forecast, h->now_ms, n);
    uint16_t *fine = &h->fine[h->fine_bin % HISTORY_FINE];
    struct history_bin *coarse = &h->coarse[h->coarse_bin % HISTORY_COARSE];
    *fine = more(*fine, n);
    coarse->arrivals = more(coarse->arrivals, n);
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
    uint16_t *peak = &h->coarse[h->coarse_bin % HISTORY_COARSE].demand;
    if (*peak < to)
        *peak = (uint16_t)to;
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

uint32_t history_fine(const struct history *h, uint32_t back)
{
    return h->fine_bin >= back ? h->fine[(h->fine_bin - back) % HISTORY_FINE] : 0;
}

struct history_bin history_coarse(const struct history *h, uint32_t back)
{
    return h->coarse_bin >= back ? h->coarse[(h->coarse_bin - back) % HISTORY_COARSE] : (struct history_bin){0, 0};
}

double history_age_s(const struct history *h)
{
    return (double)(h->now_ms - h->since_ms) / 1000.0;
}

double history_rate(const struct history *h, double window_s)
{
    double age_s = history_age_s(h);
    uint32_t bins = (uint32_t)(window_s / HISTORY_FINE_S), sum = 0;
    bins = bins < 1 ? 1 : bins > HISTORY_FINE ? HISTORY_FINE : bins;
    for (uint32_t i = 0; i < bins; i++)
        sum += history_fine(h, i);
    double watched_s = age_s < bins * HISTORY_FINE_S ? age_s : bins * HISTORY_FINE_S;
    return sum / (watched_s > HISTORY_FINE_S ? watched_s : HISTORY_FINE_S);
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

double history_hazard(const struct history *h, double prior_per_hour)
{
    return ((double)h->interruptions + prior_per_hour * PRIOR_HOURS) / (h->instance_s / 3600.0 + PRIOR_HOURS);
}

uint32_t history_kept_runs(const struct history *h)
{
    return h->runs < HISTORY_RUNS ? (uint32_t)h->runs : HISTORY_RUNS;
}

uint32_t history_kept_spells(const struct history_level *l)
{
    return l->spells < HISTORY_SPELLS ? l->spells : HISTORY_SPELLS;
}
