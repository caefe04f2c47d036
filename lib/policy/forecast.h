/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forecast.h - how many jobs will come: what one workflow's arrivals have shown of what follows what.
 *
 * Four things are learned, none is set: which window of the past foretells the next minutes best (a steady load wants
 * a long one, a gusty one a short one), whether past days do so better (daily.h), how much the counts scatter beyond
 * chance, and what has followed moments like this one (so that the first jobs of a batch tell of the rest). Bounded and
 * pure: a struct without pointers, part of struct history. Times are milliseconds since 1970.
 */
#ifndef POLICY_FORECAST_H
#define POLICY_FORECAST_H

#include "policy/daily.h"
#include <stdint.h>

#define FORECAST_BIN_S    10
#define FORECAST_BINS     720 /* two hours of them */
#define FORECAST_AHEAD    24  /* what is foretold: the arrivals of so many bins */
#define FORECAST_AHEAD_S  (FORECAST_AHEAD * FORECAST_BIN_S)
#define FORECAST_WINDOWS  6 /* 150 s, and each twice the one before */
#define FORECAST_WINDOW_S 150
#define FORECAST_CLASSES  16 /* of counts: 0, 1, 2-4, 5-10, ... each about twice the one before */
#define FORECAST_MINUTES  (FORECAST_AHEAD_S / 60)

/* What followed the moments of one class. */
struct forecast_context {
    float followed; /* mean number of arrivals within FORECAST_AHEAD_S */
    uint32_t seen;  /* moments, one for each bin */
};

struct forecast {
    int64_t first_bin, bin; /* number since 1970 of the bin that was watched first, and of the present one; 0: none */
    int64_t since_ms;       /* begin; 0: nothing seen yet */
    uint32_t total;         /* arrivals, ever; may wrap */
    uint32_t begun[FORECAST_BINS]; /* total when the bin began, by its number modulo */

    uint32_t minutes;                  /* that have ended */
    uint32_t last_minute;              /* arrivals of the one before */
    float minute_mean, minute_scatter; /* moving means of the last 60: of the count, of half the squared difference
                                          between two in a row */
    float foretold[FORECAST_WINDOWS][FORECAST_MINUTES]; /* by each window, waiting for the outcome */
    float loss[FORECAST_WINDOWS];                       /* Poisson loss of each, the last hour counting most */

    struct daily daily;
    float by_days[FORECAST_MINUTES], by_window[FORECAST_MINUTES]; /* foretold, waiting for the outcome; 0: was not */

    uint8_t recent[FORECAST_BINS], longer[FORECAST_BINS]; /* class of each bin's end */
    struct forecast_context context[FORECAST_CLASSES][FORECAST_CLASSES];
};

void forecast_arrived(struct forecast *f, int64_t now_ms, uint32_t n);
/* Time has passed. More than two hours without a call are not taken for hours without jobs. */
void forecast_advance(struct forecast *f, int64_t now_ms);

/* ---- questions; at the time of the last call ---- */

/* Arrivals of the last window_s seconds (whole bins, at most two hours). */
uint32_t forecast_count(const struct forecast *f, double window_s);
/* Variance over mean of the counts of minutes, 1 for independent jobs; drifts of the rate do not count. >= 0.5. */
double forecast_dispersion(const struct forecast *f);
/* The window that has foretold best, in seconds; window_s of forecast_trusted(). */
double forecast_window_s(const struct forecast *f);
/* Past days foretell better than the best window: forecast_trusted() goes by them. */
int forecast_is_daily(const struct forecast *f);
/* Arrivals per second that can be trusted: the count of the best window, less one standard deviation or, of more than
 * 25 batches, less five of them; over at least five minutes, unless it has been watched for less than ten. By past days
 * where these foretell better: what they and today's level give for the end of FORECAST_AHEAD_S, less one standard
 * deviation. >= 0. */
double forecast_trusted(const struct forecast *f);
/* Arrivals per second expected within FORECAST_AHEAD_S after a moment like this one. Where few were seen, prior (per
 * second) weighs as much as FORECAST_AHEAD_S of them. */
double forecast_expected(const struct forecast *f, double prior);

#endif
