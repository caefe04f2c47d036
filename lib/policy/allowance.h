/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allowance.h - how many on-demand instances a fleet may have because Spot instances cannot be had: spent only while
 * the wait of its jobs is at risk, bounded per day, and given back when Spot returns.
 *
 * A pure value, the clock given. The day is that of UTC. What was spent is kept in memory only.
 */
#ifndef POLICY_ALLOWANCE_H
#define POLICY_ALLOWANCE_H

#include <stdint.h>

struct allowance_limits {
    int32_t max;          /* instances at once; 0: none ever */
    double hours_per_day; /* instance-hours of a day */
    double wait_s;        /* an oldest job that waits for so long is at risk */
};

struct allowance_view {
    int64_t now_ms;
    int32_t failures;                      /* launches that failed lately for want of capacity or quota */
    int64_t last_failure_ms, last_spot_ms; /* 0: none; the latter: when a Spot instance last came up */
    int32_t on_demand;                     /* instances that live */
    int32_t lacking;                       /* wanted and not there, not even pending */
    int64_t depth, oldest_wait_ms;         /* of the queue */
};

struct allowance {
    int32_t n;      /* on-demand instances allowed now */
    int32_t most;   /* the largest n since none lived: those that live may be of that time */
    int64_t day;    /* that spent_h is of */
    double spent_h; /* instance-hours */
    int64_t last_ms;
    char why[128]; /* n is what it is, "" at first */
};

/* One tick: returns 1 when n changed (why says why), else 0. */
int allowance_step(struct allowance *a, const struct allowance_limits *l, const struct allowance_view *v);

#endif
