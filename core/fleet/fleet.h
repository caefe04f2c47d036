/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - instances of each workflow as last described by the fleet service, and the careful part of changing them.
 *
 * An instance with a lease is never terminated: scale-in picks idle ones, marks their workers draining, re-checks after
 * the mark that they are idle, then terminates exactly that instance. All [loop].
 */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "bus/bus.h"
#include "bus/leads.h"
#include "config/config.h"
#include "host/host.h"
#include "policy/policy.h"
#include <bp/fleet.h>

struct fleets;
struct json_object;

struct fleets *fleets_new(struct bus *b, struct host *h, const struct config *c);
void fleets_free(struct fleets *f);
void fleets_reconfigure(struct fleets *f, const struct config *c);
/* Who may change fleets: until it leads, the engine only looks (before fleets_start). */
void fleets_set_leads(struct fleets *f, const struct leads *leads);
/* Ensures the fleet of each workflow and describes all of them every scale tick (and soon after each change). */
void fleets_start(struct fleets *f);

/* Changes no more, then lets the provider end what must not outlive this process. */
struct fleets_ending {
    void (*quiet)(void *arg); /* no change is under way any more: another controller may lead */
    void (*left)(void *arg);  /* the provider has ended what it must */
    void *arg;
};
void fleets_stop(struct fleets *f, const struct fleets_ending *ending);

/* One fleet's counts; 0 or BP_NOTFOUND (not described yet: hold). */
struct fleet_counts {
    int32_t desired, pending, running, draining, terminating, busy, max_size;
    int32_t returning;       /* jobs of instances under notice: they will be queued again */
    int64_t described_ms;    /* when the provider last answered */
    double boot_s;           /* measured launch to registration, 0: not measured */
    int32_t launch_failures; /* within 10 min */
};
int fleet_counts(struct fleets *f, const char *slug, struct fleet_counts *out);
/* Those of each fleet, also of one that is not described yet. */
void fleets_each(struct fleets *f, void (*fn)(const char *slug, const struct fleet_counts *n, void *arg), void *arg);
/* Seconds that the instance of a worker is expected to live on; INFINITY: it is no Spot instance of that fleet. */
double fleet_life_s(void *fleets, const char *workflow, const char *worker);
/* What was learned of lives, by type and zone, to be kept (json_object_put() it); and taken back after a start, in the
 * place of what is in memory. What cannot be read is left out. */
struct json_object *fleet_lives(void *fleets);
void fleet_take_lives(void *fleets, struct json_object *lives);
/* What each instance is doing, at most POLICY_INSTANCES of a kind; draining ones are left out. All zero when the fleet
 * is not described yet. A job counts as long as its instance has been busy without a look that found it idle. */
void fleet_detail(struct fleets *f, const char *slug, struct policy_fleet *out);
/* Which worker holds leases comes from events and the queue's worker list; one fetch is shared by all fleets a tick. */

/* Grows to `to` instances (cancelling drains first), or picks (running - to) idle instances and drains them. Answers at
 * once; what happens is in events. BP_LATER while an earlier change of this fleet is under way. */
int fleet_resize(struct fleets *f, const char *slug, int32_t to, const char *reason, struct bp_err *err);
/* For tests and learning, bpctl fleet inject: see bp_fleet.inject. */
void fleet_inject(struct fleets *f, const char *slug, const char *what, const char *arg, host_done done, void *cb_arg);
/* Launches that failed within 10 min for want of capacity or quota, and what came all the same; times 0: none.
 * BP_NOTFOUND: not described yet, or the provider knows no allowance. */
struct fleet_trouble {
    int32_t failures, on_demand; /* on_demand: live instances */
    int64_t last_failure_ms, last_spot_ms;
};
int fleet_trouble(struct fleets *f, const char *slug, struct fleet_trouble *out);
/* The fleet may have so many on-demand instances beyond its settings; told to the provider when it changes: none at
 * first. */
void fleet_afford(struct fleets *f, const char *slug, int32_t on_demand, const char *reason);
/* Image and roll-out of one fleet, see bp_fleet.image and bp_fleet.rollout. done is called once; answer is NULL when
 * err says that it failed, and borrowed otherwise. */
typedef void (*fleet_answer)(const struct bp_err *err, struct json_object *answer, void *arg);
/* What new instances are made from, of one workflow or (slug NULL) of all: array of the provider's objects, each with
 * its workflow, and with an error instead where the provider could not say. */
void fleet_images(struct fleets *f, const char *slug, fleet_answer done, void *arg);
/* Makes `ami` what new instances of the workflow are made from; published as fleet.image. */
struct image_wish {
    const char *slug, *ami, *who;
    int force;
};
void fleet_image_set(struct fleets *f, const struct image_wish *wish, fleet_answer done, void *arg);
/* what: BP_ROLLOUT_*. While one is under way it is looked after: instances from before it that hold leases are drained
 * a few at a time, and what becomes of it is published as fleet.rollout. */
void fleet_rollout(struct fleets *f, const char *slug, int32_t what, fleet_answer done, void *arg);
/* Holds the fleet of a workflow (NULL: of each) against its workflow, and corrects it unless dry_run. The answer: array
 * of workflow, state (right differs corrected failed) and text, one for each difference. */
void fleet_correct(struct fleets *f, const char *slug, int dry_run, fleet_answer done, void *arg);
/* Array of fleets with their instances, counts, last activities; slug NULL: all. json_object_put() it. */
struct json_object *fleets_describe(struct fleets *f, const char *slug);

#endif
