/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.h - from a view to the size a fleet should have: what goes before a policy, the policy, and the limits after
 * it. Pure; the live engine and the simulator decide by it.
 */
#ifndef POLICY_DECIDE_H
#define POLICY_DECIDE_H

#include "policy/policy.h"

/* What an operator or a schedule imposes at this moment. */
struct decide_rules {
    int32_t hold;                /* size to keep whatever the policy says; < 0: none */
    const char *hold_who;        /* who said so */
    int32_t min, max;            /* narrower limits, < 0: none; what is busy and max_size go before them */
    int32_t pause_in, pause_out; /* 1: the fleet may not shrink, may not grow */
};
#define DECIDE_NO_RULES ((struct decide_rules){-1, "", -1, -1, 0, 0})

/* Who plans: a built-in policy, or a plugin's behind the same call. */
struct decide_planner {
    int32_t (*plan)(void *arg, const struct policy_now *now, void *memory, struct bp_plan *p);
    void *arg;
    void *memory;
};
/* The planner of a built-in policy; memory: policy->memory_bytes of it. */
struct decide_planner decide_by(const struct policy *policy, void *memory);

/* now->view as the engine sees it (desired with drains under way). Stale counts hold, and so does a policy that fails;
 * neither shrinks a fleet. p->desired is what the fleet should have, drains done. */
void decide(const struct decide_rules *rules, const struct decide_planner *by, const struct policy_now *now,
            struct bp_plan *p);

/* ---- which instance goes first ---- */

/* One that might go. Instances with a lease are none. */
struct scale_in_candidate {
    int ready;             /* it takes jobs; else it boots */
    int64_t idle_since_ms; /* when ready */
    int64_t launched_ms;
    double life_s; /* that it is expected to live on; 0: not known */
};
/* 1 when a should go before b. Of those that are ready one that will be taken away much sooner goes first
 * (risk_is_shorter), then the longest idle, then the youngest boot. */
int scale_in_before(const struct scale_in_candidate *a, const struct scale_in_candidate *b);

#endif
