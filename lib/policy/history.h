/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - what one workflow has shown of itself: arrivals, run times, boots, interruptions, and how long each level
 * of demand lasts and stays away.
 *
 * Bounded and pure: a struct without pointers, fed with events and their times, the same by the live engine and by the
 * simulator. Times are milliseconds since 1970 and never go back: what comes with an earlier one counts as now. Losing
 * a history costs quality, never correctness.
 */
#ifndef POLICY_HISTORY_H
#define POLICY_HISTORY_H

#include "policy/forecast.h"
#include <bp/plugin.h>

#define HISTORY_LEVELS    64 /* demand levels told apart, 1..64; what is above is not kept */
#define HISTORY_SPELLS    60 /* of each level */
#define HISTORY_RUNS      64
#define HISTORY_ALIKE     16 /* runs in a row that resemble each other, HISTORY_RUNS being some times as many */
#define HISTORY_BOOTS     32
#define HISTORY_UNKNOWN_S 1e7f /* the gap before the first spell */

/* Stages of a boot, each from the launch's request. */
enum history_stage {
    HISTORY_RUNNING,    /* the machine is up */
    HISTORY_REGISTERED, /* its worker has registered */
    HISTORY_DEVICE,     /* its device is ready */
    HISTORY_FIRST_JOB,
    HISTORY_STAGES
};
extern const char *const history_stage_names[HISTORY_STAGES];

/* One level k: demand (queued + leased) is at k or above (a spell), or below it (a gap). */
struct history_level {
    float gap_s[HISTORY_SPELLS]; /* rings: gap_s[i] came before hot_s[i] */
    float hot_s[HISTORY_SPELLS]; /* how long the spell lasted */
    uint32_t spells;             /* ended ones, ever; the newest is (spells - 1) % HISTORY_SPELLS */
    float gap_before_s;          /* of the spell under way, or of the last one */
    int64_t low_since_ms;        /* end of the last spell; 0: there was none */
    int64_t high_since_ms;       /* begin of the spell under way, or of the last one; 0: there was none */
};

struct history {
    int64_t since_ms; /* begin; 0: nothing seen yet */
    int64_t now_ms;   /* of the latest event */

    uint64_t arrivals; /* jobs, ever */

    uint64_t runs;                    /* finished jobs, ever */
    float run_s[HISTORY_RUNS];        /* ring of their service times */
    double run_mean_s, run_square_s2; /* moving means of the last 200 of t and t * t; 0: none finished */
    float run_drift; /* of HISTORY_ALIKE runs in a row: squared logarithm of their mean by that of those before, beyond
                        what chance makes of it; a moving mean of the last 16 times */

    uint64_t boots;
    float boot_s[HISTORY_BOOTS];   /* ring: launch to when it could serve */
    float stage_s[HISTORY_STAGES]; /* moving means of the last 20 by stage; 0: not measured */

    uint64_t launches, launch_failures, interruptions; /* ever */
    int64_t launch_failed_ms, interrupted_ms;          /* the latest; 0: none */
    double instance_s;                                 /* instance-seconds that the interruptions came from */
    int32_t instances, demand;                         /* as last told */

    struct history_level level[HISTORY_LEVELS + 1]; /* [0] is not used */
    struct forecast forecast;
};

void history_init(struct history *h);

/* n jobs became queued for the first time. */
void history_arrived(struct history *h, int64_t now_ms, uint32_t n);
/* A job's run ended well; service_s: from its last lease to now. */
void history_finished(struct history *h, int64_t now_ms, double service_s);
void history_launched(struct history *h, int64_t now_ms, uint32_t n);
/* An instance takes jobs now. ready_s since its launch. */
void history_ready(struct history *h, int64_t now_ms, double ready_s);
/* It reached a stage, after_s since its launch. */
void history_staged(struct history *h, int64_t now_ms, enum history_stage stage, double after_s);
void history_interrupted(struct history *h, int64_t now_ms);
void history_launch_failed(struct history *h, int64_t now_ms);
/* Demand (queued + leased) and live instances as they are from now on. */
void history_demand(struct history *h, int64_t now_ms, int64_t demand);
void history_instances(struct history *h, int64_t now_ms, int32_t live);

/* What `from` knows of instances (boots, launches, interruptions) comes into a history that was made from jobs alone.
 */
void history_take_fleet(struct history *h, const struct history *from);

/* ---- questions; all at h->now_ms ---- */

/* Arrivals in the last window_s seconds (whole bins of the forecast, at most an hour) by how long of that was watched.
 */
double history_rate(const struct history *h, double window_s); /* per second */
/* Seconds watched. */
double history_age_s(const struct history *h);
/* Median of the kept boots; otherwise_s when there is none. */
double history_boot_s(const struct history *h, double otherwise_s);
/* Kept run times: how many of them are in run_s. */
uint32_t history_kept_runs(const struct history *h);
/* Kept spells of a level. */
uint32_t history_kept_spells(const struct history_level *l);

#endif
