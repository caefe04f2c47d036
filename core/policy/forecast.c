/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/forecast.h"

#include <math.h>
#include <string.h>

#define BIN_MS        (FORECAST_BIN_S * 1000)
#define BINS_A_MINUTE (60 / FORECAST_BIN_S)
#define MEAN_MINUTES  60
#define RECENT_S      120
#define LONGER_S      1200
#define CAUTION       1.0 /* standard deviations */
#define SHORTEST_S    300.0
#define FIRST_WINDOW  2 /* 600 s, until another one has been better */

static uint32_t *begun(struct forecast *f, int64_t bin)
{
    return &f->begun[bin % FORECAST_BINS];
}

static double watched_s(const struct forecast *f)
{
    return (double)(f->bin - f->first_bin + 1) * FORECAST_BIN_S;
}

uint32_t forecast_count(const struct forecast *f, double window_s)
{
    int64_t n = (int64_t)(window_s / FORECAST_BIN_S), have = f->bin - f->first_bin + 1;
    n = n > have ? have : n;
    n = n > FORECAST_BINS - 1 ? FORECAST_BINS - 1 : n;
    return f->since_ms && n > 0 ? f->total - f->begun[(f->bin - n + 1) % FORECAST_BINS] : 0;
}

static uint8_t class_of(uint32_t count)
{
    int c = (int)(log2(1.0 + count) + 0.5);
    return (uint8_t)(c < FORECAST_CLASSES ? c : FORECAST_CLASSES - 1);
}

static double window_of(int i)
{
    return (double)(FORECAST_WINDOW_S << i);
}

/* ---- learning, at the end of each bin ---- */

/* This moment's class is noted; the one of FORECAST_AHEAD_S ago has its outcome. */
static void learn_context(struct forecast *f)
{
    int64_t then = f->bin - FORECAST_AHEAD;
    f->recent[f->bin % FORECAST_BINS] = class_of(forecast_count(f, RECENT_S));
    f->longer[f->bin % FORECAST_BINS] = class_of(forecast_count(f, LONGER_S));
    if (then < f->first_bin)
        return;
    struct forecast_context *c = &f->context[f->recent[then % FORECAST_BINS]][f->longer[then % FORECAST_BINS]];
    float outcome = (float)forecast_count(f, FORECAST_AHEAD_S);
    if (c->seen < UINT32_MAX)
        c->seen++;
    c->followed += (outcome - c->followed) / (float)c->seen;
}

/* Each window's forecast of FORECAST_MINUTES ago is held against what came: y - n log y, the Poisson likelihood. */
static void learn_windows(struct forecast *f)
{
    uint32_t slot = f->minutes % FORECAST_MINUTES, outcome = forecast_count(f, FORECAST_AHEAD_S);
    for (int i = 0; i < FORECAST_WINDOWS; i++) {
        double window_s = window_of(i), over_s = fmax(fmin(window_s, watched_s(f)), 60);
        double old = f->foretold[i][slot];
        if (f->minutes > FORECAST_MINUTES)
            f->loss[i] += (float)(old - outcome * log(old)) - f->loss[i] / MEAN_MINUTES;
        f->foretold[i][slot] = (float)((forecast_count(f, window_s) + 0.5) / over_s * FORECAST_AHEAD_S);
    }
}

static void learn_minute(struct forecast *f)
{
    uint32_t count = forecast_count(f, 60);
    double difference = (double)count - f->last_minute;
    f->last_minute = count;
    f->minute_scatter += (float)(difference * difference / 2 - f->minute_scatter) / MEAN_MINUTES;
    f->minute_mean += ((float)count - f->minute_mean) / MEAN_MINUTES;
    f->minutes++;
    learn_windows(f);
}

static void begin(struct forecast *f, int64_t now_ms)
{
    if (!f->since_ms)
        f->since_ms = now_ms;
    f->first_bin = f->bin = now_ms / BIN_MS;
    f->minutes = f->last_minute = 0;
    *begun(f, f->bin) = f->total;
}

void forecast_advance(struct forecast *f, int64_t now_ms)
{
    int64_t bin = now_ms / BIN_MS;
    if (!f->since_ms || bin - f->bin > FORECAST_BINS) {
        begin(f, now_ms);
        return;
    }
    while (f->bin < bin) {
        learn_context(f);
        if (f->bin % BINS_A_MINUTE == BINS_A_MINUTE - 1)
            learn_minute(f);
        *begun(f, ++f->bin) = f->total;
    }
}

void forecast_arrived(struct forecast *f, int64_t now_ms, uint32_t n)
{
    forecast_advance(f, now_ms);
    f->total += n;
}

/* ---- questions ---- */

double forecast_dispersion(const struct forecast *f)
{
    double d = f->minute_mean > 0 ? (f->minute_scatter + 0.01) / (f->minute_mean + 0.01) : 1;
    return d < 0.5 ? 0.5 : d;
}

double forecast_window_s(const struct forecast *f)
{
    int best = FIRST_WINDOW;
    for (int i = 0; i < FORECAST_WINDOWS; i++)
        if (f->loss[i] < f->loss[best] - 1e-6f)
            best = i;
    return window_of(best);
}

double forecast_trusted(const struct forecast *f)
{
    double window_s = forecast_window_s(f), n = forecast_count(f, window_s);
    double over_s = fmax(fmin(window_s, watched_s(f)), SHORTEST_S);
    double sure = n - CAUTION * sqrt(n * forecast_dispersion(f));
    return sure > 0 ? sure / over_s : 0;
}

double forecast_expected(const struct forecast *f, double prior)
{
    const struct forecast_context *c =
        &f->context[class_of(forecast_count(f, RECENT_S))][class_of(forecast_count(f, LONGER_S))];
    double weight = (double)c->seen / FORECAST_AHEAD;
    return (weight * c->followed / FORECAST_AHEAD_S + prior) / (weight + 1);
}
