/* SPDX-License-Identifier: Apache-2.0 */
/* policy_kit.h - what the built-in policies share, and their functions. */
#ifndef POLICY_POLICY_KIT_H
#define POLICY_POLICY_KIT_H

#include "policy/policy.h"
#include <stdio.h>

#define SAY(plan, ...) snprintf((plan)->reason, sizeof(plan)->reason, __VA_ARGS__)

static inline int64_t depth_of(const struct bp_view *v)
{
    return v->queued + v->leased;
}

/* Instances that take work now: running and not about to go. */
static inline int32_t ready_of(const struct bp_view *v)
{
    int32_t n = v->running - v->draining;
    return n > 0 ? n : 0;
}

static inline double since_s(const struct bp_view *v, int64_t at_ms)
{
    return at_ms ? (double)(v->now_ms - at_ms) / 1000.0 : 1e18;
}

/* ceil(depth / per), held within int32 and max_size. */
static inline int32_t instances_for(const struct bp_view *v, int64_t per)
{
    int64_t n = (depth_of(v) + per - 1) / per;
    return n > v->max_size ? v->max_size : (int32_t)n;
}

/* Nothing queued, nothing running: keep what is there until scale_to_zero_s has passed, then nothing. */
int32_t plan_empty(const struct bp_view *v, struct bp_plan *p);

/* The highest wish of the last window, kept in thirty slots of it. */
#define WINDOW_SLOTS 30
struct window_memory {
    int64_t slot;
    int32_t high[WINDOW_SLOTS];
};
/* Notes `now` and returns the highest within window_s, the present one included. */
int32_t window_high(struct window_memory *m, const struct bp_view *v, double window_s, int32_t now);

int32_t policy_step_plan(const struct policy_now *now, void *memory, struct bp_plan *p);
int32_t policy_target_plan(const struct policy_now *now, void *memory, struct bp_plan *p);
int32_t policy_direct_plan(const struct policy_now *now, void *memory, struct bp_plan *p);
int32_t policy_perjob_plan(const struct policy_now *now, void *memory, struct bp_plan *p);
int32_t policy_deployed_plan(const struct policy_now *now, void *memory, struct bp_plan *p);
int32_t policy_slo_plan(const struct policy_now *now, void *memory, struct bp_plan *p);

struct direct_memory {
    struct window_memory window;
};

struct deployed_memory {
    int64_t next_ms;    /* of the next metric; 0: none yet */
    int64_t changed_ms; /* of the last alarm's action; 0: none yet */
    int64_t empty_ms;   /* first of the metrics in a row that were 0; 0: the last one was not */
    int32_t action;     /* decided by the last metric, to be done at the next one */
};

#endif
