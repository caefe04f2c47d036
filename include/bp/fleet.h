/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bp/fleet.h - facet "bp.fleet/1": the instances of each workflow.
 *
 * A fleet is named by its workflow's slug; the provider maps that to its own name (an Auto Scaling Group
 * asg-<stage>-<slug> on AWS, a set of processes locally). Calls block, are idempotent where the cloud
 * allows it, and never shrink a fleet except by terminate() of a chosen instance.
 */
#ifndef BP_FLEET_H
#define BP_FLEET_H

#include <bp/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_FLEET_FACET "bp.fleet/1"

/* Instance states; 0 is no state. */
#define BP_INSTANCE_PENDING     1 /* asked for, not running yet */
#define BP_INSTANCE_RUNNING     2 /* the machine is up; its worker may still be starting */
#define BP_INSTANCE_TERMINATING 3
#define BP_INSTANCE_TERMINATED  4 /* reported for a while after its end */

/* What a workflow wants of its fleet; strings borrowed. */
struct bp_fleet_spec {
    uint32_t size;
    int32_t max_size;
    int32_t warmup_s;
    int32_t reserved;
    const char *slug, *stage;
    const char *ami_id, *ami_parameter; /* one of them, or NULL for providers without images */
    const char *instance_types;         /* JSON array */
};

struct bp_instance {
    char id[64]; /* provider's id; equals the worker_id of its worker */
    char type[32];
    char zone[32];
    int32_t state;        /* BP_INSTANCE_* */
    int32_t is_protected; /* 1: scale-in protection on */
    int32_t spot;         /* 1: may be interrupted */
    int32_t interrupting; /* 1: a notice was given */
    int64_t launched_ms;  /* when it was asked for */
    int64_t running_ms;   /* when it became RUNNING; 0: not yet */
};

/* One fleet as it is. `instances` is the provider's, in `memory`. */
struct bp_fleet_state {
    uint32_t size;
    int32_t exists; /* 0: unknown to the provider; the rest is 0 */
    int32_t desired, min_size, max_size;
    uint32_t n_instances;
    struct bp_instance *instances;
    void *memory; /* free with bp_host.free */
};

/* One thing that happened to a fleet, newest first. */
struct bp_activity {
    int64_t at_ms;
    int32_t failed; /* 1: a launch failed */
    int32_t reserved;
    char instance[64];
    char type[32];
    char reason[24]; /* launch capacity quota image network denied interruption terminate exit other */
    char text[192];
};

struct bp_fleet {
    uint32_t size;
    uint32_t reserved;
    /* Creates the fleet or corrects it to the spec. *diff (bp_host.free): JSON array of sentences; dry_run = 1: only
     * that. */
    int32_t (*ensure)(void *inst, const struct bp_fleet_spec *spec, int32_t dry_run, char **diff, struct bp_err *err);
    /* States of n fleets at once (slugs[i] -> out[i]). */
    int32_t (*describe)(void *inst, const char *const *slugs, uint32_t n, struct bp_fleet_state *out,
                        struct bp_err *err);
    /* Asks for more: desired becomes `to` (absolute; never lowered by this call), clamped to max_size. */
    int32_t (*grow)(void *inst, const char *slug, int32_t to, struct bp_err *err);
    /* Ends this instance and lowers desired by one. BP_NOTFOUND when it is not (any more) in the fleet. */
    int32_t (*terminate)(void *inst, const char *slug, const char *instance, struct bp_err *err);
    /* Scale-in protection of one instance, on = 0 or 1. */
    int32_t (*protect)(void *inst, const char *slug, const char *instance, int32_t on, struct bp_err *err);
    /* What happened since since_ms, newest first, up to *n; *n is set to the count. */
    int32_t (*activities)(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                          struct bp_err *err);
    /* For tests and learning; BP_UNSUPPORTED on real clouds. what: "fail-launches" (arg: how many), "boot-delay" (ms),
     * "interrupt" (arg: instance id, its worker gets a notice and the instance ends after the notice time),
     * "kill" (arg: instance id, no notice). */
    int32_t (*inject)(void *inst, const char *slug, const char *what, const char *arg, struct bp_err *err);
    /* The controller is about to end cleanly. A provider whose instances must not outlive it ends them now, giving them
     * the time to hand back what they run, and returns when they are gone; any other does nothing. May block for a
     * minute. */
    int32_t (*leave)(void *inst, struct bp_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
