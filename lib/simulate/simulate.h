/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate.h - one run of a trace against a fleet of the model, decided by a policy, under a virtual clock.
 *
 * The decision is the live engine's: the same policies, decide(), history and choice of who goes first. Jobs are leased
 * first in, first out, one to an instance. Equal arguments give equal results. Any thread; no state is shared.
 */
#ifndef SIMULATE_SIMULATE_H
#define SIMULATE_SIMULATE_H

#include "policy/policy.h"
#include "simulate/model.h"
#include "simulate/trace.h"

#define SIMULATE_EPOCH_MS 1704067200000LL /* a trace begins on a Monday at 0:00 UTC */

/* Estimates of jobs, and how many of them held. */
struct simulate_kept {
    uint32_t said, by_p50, by_p95;
};

struct simulate_result {
    double hours;                                           /* instance-hours billed */
    double cost;                                            /* by the prices of the types */
    double wait_p50_s, wait_p95_s, wait_p99_s, wait_mean_s; /* arrival to first start */
    double wait_hours;
    double j;            /* hours + wait_hours */
    double completion_s; /* begin of the trace to the end of the last job */
    double lost_hours;   /* of work that interruptions threw away */
    uint64_t launches, launch_failures, interruptions;
    uint32_t jobs, unfinished; /* unfinished: given up after a month in which nothing was done */
    int32_t peak;              /* most instances at a time */
    struct {
        struct simulate_kept start, finish;
        uint32_t unsaid; /* queued jobs of which nobody could say when they begin */
    } estimates;         /* with model.estimates > 0 */
};

/* How it went, at each tick or more seldom. */
struct simulate_point {
    double at_s;
    int32_t desired, live, busy;
    uint32_t queued;
};
#define SIMULATE_POINTS 2048
struct simulate_timeline {
    uint32_t n;
    double every_s; /* between points; grows by two when they are too many */
    struct simulate_point points[SIMULATE_POINTS];
};

/* timeline may be NULL. BP_NOMEM. */
int simulate(const struct model *m, const struct trace *t, const struct policy *policy, uint64_t seed,
             struct simulate_result *out, struct simulate_timeline *timeline, struct bp_err *err);

/*
 * What a policy could at best have reached that knows every arrival and duration: launches just in time, so that no job
 * waits longer for a busy instance than it would let it, and keeps an instance over a gap that costs less than a boot.
 * No interruptions. Of many waits that it might accept it takes the one with the least j. A heuristic bound: an exact
 * one is a hard problem. wait_s >= 0: only that one.
 */
int simulate_clairvoyant(const struct model *m, const struct trace *t, double wait_s, struct simulate_result *out,
                         struct bp_err *err);

#endif
