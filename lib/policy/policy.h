/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - the built-in scaling policies: pure functions from what is known of a workflow to a plan for its fleet.
 *
 * Same input and memory, same plan: no clock but view->now_ms, no I/O, no allocation. The live engine and the simulator
 * call the same ones.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "policy/history.h"
#include <bp/scaling.h>

#define POLICY_INSTANCES 256 /* told of one by one; the view counts all of them */

/* What each instance is doing; seconds, the longest first. Draining ones are not among them. */
struct policy_fleet {
    int32_t n_busy, n_idle, n_booting;
    float busy_s[POLICY_INSTANCES];    /* since its job began */
    float idle_s[POLICY_INSTANCES];    /* since its last job, or since it was ready */
    float booting_s[POLICY_INSTANCES]; /* since its launch was asked for */
};

/* All a policy may look at. Pointers borrowed for the call, none is NULL. */
struct policy_now {
    const struct bp_view *view; /* desired: drains under way are counted as gone */
    const struct policy_fleet *fleet;
    const struct history *history;
    double wait_target_s; /* targetP95WaitSeconds; 0: none given */
    double wait_price;    /* of an hour that a job waits, in instance-hours */
};

/* Sets plan->desired (the caller clamps it to what is busy and to max_size) and plan->reason: one sentence with the
 * numbers that decided. < 0: it cannot say; the fleet is held. */
typedef int32_t (*policy_plan)(const struct policy_now *now, void *memory, struct bp_plan *plan);

/* A double in a policy's memory that took long to learn: whoever keeps it, by its name, gives it back after a start, or
 * when the policy takes over again. */
struct policy_number {
    const char *name;
    size_t offset;
    double least, most;
};

struct policy {
    const char *name, *help;
    policy_plan plan;
    size_t memory_bytes; /* zeroed at first, kept between calls for one workflow, aligned for any type */
    const struct policy_number *learned; /* the last one's name is NULL; NULL: nothing of it is worth keeping */
    int grows; /* it adds a few at a time, and more without another job; of the fleet it looks at the view alone */
};

/* NULL when there is none of that name, or name is NULL. */
const struct policy *policy_find(const char *name);
/* All of them, the last one's name is NULL. */
extern const struct policy policies[];

#endif
