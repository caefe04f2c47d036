/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/scaling.h - facet "bp.scaling/1": a workflow's own scaling policy, and what the built-in ones are made of.
 *
 * plan() is pure: same view and memory, same plan. No I/O, no clock but view->now_ms, no allocation, under 5 ms.
 */
#ifndef BP_SCALING_H
#define BP_SCALING_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_SCALING_FACET  "bp.scaling/1"
#define BP_SCALING_MEMORY 256 /* bytes a policy may keep between calls; zeroed at first */

/* All that is known about one workflow at now_ms. */
struct bp_view {
    uint32_t size;
    int32_t stale; /* 1: the counts are older than they should be; a policy must hold */
    int64_t now_ms;
    int64_t queued, leased; /* QueueDepth = queued + leased */
    int64_t oldest_wait_ms; /* of the oldest queued job, 0: none */
    double arrivals_per_s;  /* over the last 5 min */
    double run_p50_s;       /* 0: unknown */
    double boot_s;          /* launch to when it can serve: measured, else the manifest's warmupSeconds */
    int32_t desired;        /* what was last asked of the fleet */
    int32_t pending, running, draining, terminating; /* instances; running includes draining */
    int32_t busy;                                    /* instances whose worker holds a lease */
    int32_t workers;                                 /* ActiveWorkers */
    int32_t launch_failures;                         /* within 10 min */
    int32_t max_size;
    int32_t backlog_target; /* jobs per instance the operator accepts, >= 1 */
    int32_t reserved;
    double scale_to_zero_s; /* idle time after which the last instance goes */
    double cooldown_s;      /* rest after a change, for policies that want one */
    int64_t last_scale_ms;  /* when desired last changed; 0: never */
    int64_t empty_since_ms; /* QueueDepth has been 0 since; 0: it is not */
};

/* What to do. The engine clamps desired to [busy, max_size] and chooses idle instances to end. */
struct bp_plan {
    uint32_t size;
    int32_t desired;
    char reason[200]; /* one sentence an operator understands, with the numbers that decided */
};

struct bp_scaling {
    uint32_t size;
    uint32_t reserved;
    /* memory: BP_SCALING_MEMORY bytes, the host's, this workflow's alone. */
    int32_t (*plan)(void *inst, const struct bp_view *view, void *memory, struct bp_plan *plan, struct bp_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
