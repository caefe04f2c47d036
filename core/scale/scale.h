/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.h - decides each fleet's size: view -> plan -> apply, on events and on a tick, and publishes the minute's
 * metrics.
 *
 * The engine knows no fleet provider and no queue: it asks the queue service for statistics and is given the fleet's
 * counts and a way to resize through struct scale_fleet, so that the same code runs under a virtual clock. Stale or
 * missing data holds; it never shrinks. All [loop].
 */
#ifndef SCALE_SCALE_H
#define SCALE_SCALE_H

#include "bus/bus.h"
#include "bus/leads.h"
#include "config/config.h"
#include "host/host.h"
#include "policy/growth.h"
#include "policy/promise.h"
#include <bp/cloud.h>
#include <bp/scaling.h>

struct scale;
struct json_object;

/* Of launches that failed within 10 min for want of capacity or quota; times 0: none. */
struct scale_trouble {
    int32_t failures;
    int32_t on_demand; /* live instances */
    int64_t last_failure_ms, last_spot_ms;
};

/* What the fleets offer (core/fleet fits; main wires it, engines do not include each other). */
struct scale_fleet {
    /* Fills desired, pending, running, draining, terminating, busy, launch_failures of the view (max_size too when >
     * 0), and counts leased jobs of instances under notice as queued. BP_NOTFOUND: not known yet. *described_ms: age of
     * the data. */
    int (*counts)(void *fleets, const char *slug, struct bp_view *view, int64_t *described_ms);
    int (*resize)(void *fleets, const char *slug, int32_t to, const char *reason, struct bp_err *err);
    /* What each instance is doing; all zero while the fleet is not known. */
    void (*detail)(void *fleets, const char *slug, struct policy_fleet *out);
    void *fleets;
    /* May be NULL, both: no on-demand allowance then. trouble() is why launches fail; BP_NOTFOUND: not known yet, or
     * its provider knows no allowance. afford() is told at each decision how many on-demand instances there may be. */
    int (*trouble)(void *fleets, const char *slug, struct scale_trouble *out);
    void (*afford)(void *fleets, const char *slug, int32_t on_demand, const char *reason);
    /* May be NULL, both: what was learned of instances' lives, to be kept, and given back after a start. */
    struct json_object *(*lives)(void *fleets);
    void (*take_lives)(void *fleets, struct json_object *lives);
};

struct scale *scale_new(struct bus *b, struct host *h, const struct config *c, const struct scale_fleet *fleet);
void scale_free(struct scale *s);
void scale_reconfigure(struct scale *s, const struct config *c);
/* Who decides: until it leads, the engine keeps its views fresh and changes nothing (before scale_start). */
void scale_set_leads(struct scale *s, const struct leads *leads);
void scale_start(struct scale *s);
/* Decides and publishes no more. */
void scale_stop(struct scale *s);
/* Per workflow: desired, why, policy, hold, last decisions (ring of 50). slug NULL: all. json_object_put() it. */
struct json_object *scale_describe(struct scale *s, const char *slug);
/* What a workflow has shown of itself; NULL: nothing yet. Borrowed until the loop goes on. */
const struct history *scale_history(struct scale *s, const char *slug);
/* What was promised of its jobs, and what is learned from it, which the engine keeps over a restart; NULL: nothing yet.
 * Borrowed likewise. */
struct promises *scale_promises(struct scale *s, const char *slug);
/* Launches that its policy is going to ask for, as it is now; none where somebody holds the fleet, or what there is of
 * it is not known. */
void scale_foresee(struct scale *s, const char *slug, struct growth *out);
/* Of the last round of decisions over all workflows, the time on the loop. */
double scale_round_s(const struct scale *s);
/* Operator's hold: desired is kept at `size` (< 0: released) until expires_ms (0: for ever). BP_NOTFOUND unknown
 * workflow. */
int scale_hold(struct scale *s, const char *slug, int32_t size, int64_t expires_ms, const char *who,
               struct bp_err *err);
/* Beside a hold: least and most instances, and no scale-in or no scale-out. */
enum scale_rule_kind { SCALE_MIN, SCALE_MAX, SCALE_PAUSE_IN, SCALE_PAUSE_OUT, SCALE_RULES };
struct scale_wish {
    enum scale_rule_kind rule;
    int32_t value;      /* instances, or 1; < 0: the rule ends */
    int64_t expires_ms; /* 0: never */
    const char *who;
};
/* BP_NOTFOUND unknown workflow; BP_CONFLICT: least and most contradict each other. */
int scale_rule(struct scale *s, const char *slug, const struct scale_wish *wish, struct bp_err *err);
/* Runs a built-in policy beside the one that decides and keeps what it would have done; "off" ends it. BP_NOTFOUND
 * unknown workflow, BP_INVALID unknown policy. */
int scale_shadow(struct scale *s, const char *slug, const char *policy, struct bp_err *err);
/* The shadow decides from now on, until the settings name another policy than they do now, or it is disowned. *adopted:
 * its name, static. BP_CONFLICT: there is none. */
int scale_adopt(struct scale *s, const char *slug, const char **adopted, struct bp_err *err);
/* The policy of the settings decides again. BP_CONFLICT: none was adopted. */
int scale_disown(struct scale *s, const char *slug, struct bp_err *err);
/* What operators imposed on the workflow (hold, rules, shadow, adopted policy) is in the queue when done is called with
 * BP_OK, and so survives this process; with BP_UNSUPPORTED the queue keeps no such thing; else it is tried again by
 * itself. done is called exactly once, perhaps before this returns. */
void scale_keep(struct scale *s, const char *slug, host_done done, void *arg);
/* Each latest published sample. */
void scale_each_metric(struct scale *s, void (*fn)(const char *slug, const struct bp_metric *m, void *arg), void *arg);
/* The latest published sample of each metric as an array, for the page. json_object_put() it. */
struct json_object *scale_metrics(struct scale *s);

#define SCALE_SAMPLES_MAX 1500 /* a day and an hour of minutes */

/* Which past samples; strings borrowed for the call. */
struct scale_samples {
    const char *workflow, *name;
    int64_t since_ms;
};
/* list: [{"at_ms":..., "value":...}], oldest first, at most SCALE_SAMPLES_MAX; borrowed; NULL with err. [loop] */
typedef void (*scale_samples_fn)(struct json_object *list, const struct bp_err *err, void *arg);
/* Asks the metrics provider for samples that were published. 0: reply comes exactly once; BP_NOTFOUND an unknown
 * workflow or metric, or what the bus says, and then it does not. */
int scale_metrics_read(struct scale *s, const struct scale_samples *q, scale_samples_fn reply, void *arg,
                       struct bp_err *err);

#endif
