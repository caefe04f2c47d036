/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/forecast.h"

#include <math.h>
#include <string.h>

#define BIN_MS         (FORECAST_BIN_S * 1000)
#define BINS_A_MINUTE  (60 / FORECAST_BIN_S)
#define MEAN_MINUTES   60
#define RECENT_S       120
#define LONGER_S       1200
#define UNSURE         0.2 /* standard deviation of a count, of itself, from which on all of it is taken off */
#define SHORTEST_S     300.0
#define NEW_S          600.0 /* watched for less: that is all there is to go by ... */
#define NEW_LEAST_S    60.0  /* ... from a minute on */
#define LEAST_FORETOLD 0.05  /* arrivals, by past days that had none */
#define FIRST_WINDOW   2     /* 600 s, until another one has been better */

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

/* Today's rate at now + ahead_s by past days. */
static double by_days(const struct forecast *f, double ahead_s)
{
    int64_t now_s = f->bin * FORECAST_BIN_S;
    double over_s = fmin(DAILY_LEVEL_S, watched_s(f));
    double level = daily_level(&f->daily, now_s + FORECAST_BIN_S, over_s, forecast_count(f, over_s));
    return level * daily_rate(&f->daily, (double)now_s + ahead_s);
}

/* Past days against the window that is best at the time. */
static void learn_days(struct forecast *f)
{
    uint32_t slot = f->minutes % FORECAST_MINUTES, outcome = forecast_count(f, FORECAST_AHEAD_S);
    double window_s = forecast_window_s(f), over_s = fmax(fmin(window_s, watched_s(f)), 60);
    if (f->by_days[slot] > 0 && f->minutes > FORECAST_MINUTES)
        daily_judge(&f->daily, f->by_days[slot], f->by_window[slot], outcome);
    f->by_window[slot] = (float)((forecast_count(f, window_s) + 0.5) / over_s * FORECAST_AHEAD_S);
    f->by_days[slot] = 0;
    if (daily_is_known(&f->daily, f->bin * FORECAST_BIN_S))
        f->by_days[slot] = (float)fmax(by_days(f, FORECAST_AHEAD_S / 2.0) * FORECAST_AHEAD_S, LEAST_FORETOLD);
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
    learn_days(f);
}

static void begin(struct forecast *f, int64_t now_ms)
{
    if (!f->since_ms)
        f->since_ms = now_ms;
    f->first_bin = f->bin = now_ms / BIN_MS;
    f->minutes = f->last_minute = 0;
    *begun(f, f->bin) = f->total;
    daily_begin(&f->daily, f->bin * FORECAST_BIN_S, f->total);
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
        daily_advance(&f->daily, f->bin * FORECAST_BIN_S, f->total);
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

int forecast_is_daily(const struct forecast *f)
{
    return daily_is_better(&f->daily) && daily_is_known(&f->daily, f->bin * FORECAST_BIN_S);
}

/* Standard deviation of a number that was counted from n arrivals, of itself. */
static double deviation(const struct forecast *f, double n)
{
    return sqrt(forecast_dispersion(f) / fmax(n, 0.25));
}

static double trusted_by_days(const struct forecast *f)
{
    double today = deviation(f, forecast_count(f, DAILY_LEVEL_S));
    double then = deviation(f, daily_learned_from(&f->daily, f->bin * FORECAST_BIN_S));
    return by_days(f, FORECAST_AHEAD_S) * fmax(0, 1 - hypot(today, then));
}

/* Arrivals of the bin that the watch began with. Where it began since they came, they say nothing of a rate. */
static double opening(const struct forecast *f)
{
    uint32_t end = f->bin == f->first_bin ? f->total : f->begun[(f->first_bin + 1) % FORECAST_BINS];
    return end - f->begun[f->first_bin % FORECAST_BINS];
}

double forecast_trusted(const struct forecast *f)
{
    double window_s = forecast_window_s(f), n = forecast_count(f, window_s);
    n -= watched_s(f) < fmin(NEW_S, window_s) ? opening(f) : 0;
    double least_s = watched_s(f) < NEW_S ? NEW_LEAST_S : SHORTEST_S;
    double off = deviation(f, n);
    if (forecast_is_daily(f))
        return trusted_by_days(f);
    off *= fmin(off / UNSURE, 1); /* the more is known, the smaller the part of the deviation */
    return off < 1 ? n * (1 - off) / fmax(fmin(window_s, watched_s(f)), least_s) : 0;
}

double forecast_expected(const struct forecast *f, double prior)
{
    const struct forecast_context *c =
        &f->context[class_of(forecast_count(f, RECENT_S))][class_of(forecast_count(f, LONGER_S))];
    double weight = (double)c->seen / FORECAST_AHEAD;
    return (weight * c->followed / FORECAST_AHEAD_S + prior) / (weight + 1);
}
