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

#define BP_FLEET_LEARNED_MAX 32768 /* bytes of what a provider has learned */

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
    /* For tests and learning; BP_UNSUPPORTED on real clouds. what: "fail-launches" (arg: how many), "no-capacity"
     * (ms from now in which no launch succeeds), "boot-delay" (ms), "never-register" (of so many launches to come the
     * worker never registers), "storm" (no arg: a notice to every Spot instance that runs), "interrupt" (arg: instance
     * id, its worker gets a notice and the instance ends after the notice time), "kill" (arg: instance id, no notice).
     */
    int32_t (*inject)(void *inst, const char *slug, const char *what, const char *arg, struct bp_err *err);
    /* The controller is about to end cleanly. A provider whose instances must not outlive it ends them now, giving them
     * the time to hand back what they run, and returns when they are gone; any other does nothing. May block for a
     * minute. */
    int32_t (*leave)(void *inst, struct bp_err *err);
    /* Optional: protect for n instances of one fleet at once; those that are not in it are passed over. */
    int32_t (*protect_many)(void *inst, const char *slug, const char *const *instances, uint32_t n, int32_t on,
                            struct bp_err *err);

    /* Optional, of providers whose instances are made from an image. ami NULL: what new instances are made from, as
     * *out (bp_host.free): JSON object of parameter, ami, and what is known of it: found, name, state, architecture,
     * created. Else `ami` becomes that, if instances can be made from it (BP_NOTFOUND, BP_CONFLICT), or force = 1; *out
     * tells before, changed and a warning too. Running instances stay as they are. */
    int32_t (*image)(void *inst, const struct bp_fleet_spec *spec, const char *ami, int32_t force, char **out,
                     struct bp_err *err);
    /* Optional: replaces instances by new ones without ending a protected one; what: BP_ROLLOUT_*. *out (bp_host.free):
     * JSON object of the last roll-out: id, status (none pending running cancelling rolling-back successful failed
     * cancelled rolled-back), running, percent, left (instances), began_ms, ended_ms, reason. START: BP_CONFLICT while
     * one is under way; ABORT: BP_NOTFOUND when none is. */
    int32_t (*rollout)(void *inst, const char *slug, int32_t what, char **out, struct bp_err *err);
    /* Optional: of the fleet's next launches, this many may be on-demand beyond what its settings say (absolute; 0:
     * none, as it is after a start). Instances that run stay. */
    int32_t (*afford)(void *inst, const char *slug, int32_t on_demand, struct bp_err *err);
    /* Optional: pools in which launches of this fleet failed of late. *out (bp_host.free; NULL when there is none):
     * JSON array of type, zone, market (each "" or "any" when not known), reason, failures, last_ms, until_ms (left out
     * until then; 0: not) and remedy. No call to the cloud. */
    int32_t (*penalties)(void *inst, const char *slug, char **out, struct bp_err *err);
    /* Optional: Spot prices now of the spec's instance types. *out (bp_host.free; NULL when none is known): JSON array
     * of type, zone, usd (of an instance-hour) and at_ms (since when it is that). The provider keeps them for some
     * minutes: most calls cost none to the cloud. */
    int32_t (*prices)(void *inst, const struct bp_fleet_spec *spec, char **out, struct bp_err *err);
    /* Optional, both or none: what the provider has learned of its cloud and should know again after a start, here or
     * at another controller. learned(): *out (bp_host.free; NULL: nothing) is a JSON object of its own form, at most
     * BP_FLEET_LEARNED_MAX bytes, without a call to the cloud; it is kept in the queue. recall(): such a text, perhaps
     * of another version, is added to what is known by now; what makes no sense in it counts for nothing. Twice is as
     * once.
     */
    int32_t (*learned)(void *inst, char **out, struct bp_err *err);
    int32_t (*recall)(void *inst, const char *text, struct bp_err *err);
};

/* What rollout() is to do. */
#define BP_ROLLOUT_STATUS 1
#define BP_ROLLOUT_START  2
#define BP_ROLLOUT_ABORT  3

#ifdef __cplusplus
}
#endif
#endif
