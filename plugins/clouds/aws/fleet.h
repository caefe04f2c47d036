/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - facet bp.fleet/1 on AWS: one Auto Scaling group asg-<stage>-<slug> for each workflow.
 *
 * Nothing here lowers a desired capacity but the termination of a chosen instance, and what cannot be described is an
 * error, never an empty fleet. Any thread; no lock is held during a call to AWS but `looking`.
 */
#ifndef AWS_FLEET_H
#define AWS_FLEET_H

#include "aws.h"
#include <bp/fleet.h>
#include <pthread.h>
#include <stdatomic.h>

#define FLEET_SLUG_SIZE 128
#define FLEET_NAME_SIZE 256

struct activities;
struct groups;
struct prices;
struct json_object;

/* Settings of plugin.aws.fleet; text is borrowed from aws.settings, absent text is "". */
struct fleet_settings {
    struct json_object *json; /* the member "fleet", or NULL */
    int manage;               /* 0: groups are made elsewhere and adopted as they are */
    int launch_instances;     /* 1: LaunchInstances where the endpoint has it */
    int64_t describe_ms;      /* what was described is good for so long */
    const char *project, *controller_url, *profile, *key_name, *root_device, *kms_key, *user_data_file, *secret, *hook;
    int32_t root_gib, hop_limit, hook_s, on_demand_base, on_demand_share; /* share: per cent */
};

struct fleets {
    struct aws *aws;
    struct fleet_settings set;
    struct groups *groups;         /* groups.h: what AWS said last */
    struct activities *activities; /* activities.h */
    struct prices *prices;         /* prices.h */
    atomic_int no_launch;          /* the endpoint knows no LaunchInstances */
    int64_t notices_ms;            /* when EC2 was asked for Spot notices last, 0: never; machines.c's */
    unsigned told;                 /* what EC2 did not tell was logged, by bit; machines.c's */
};

/* fleet_settings.c: reads them; BP_INVALID names the member. */
int fleet_settings_read(struct fleet_settings *s, const struct aws *a, struct bp_err *err);
/* One member of plugin.aws.fleet that is an array of texts: its i-th, NULL beyond the end. Borrowed. */
const char *fleet_settings_item(const struct fleet_settings *s, const char *member, size_t i);

/* The Auto Scaling group of a workflow: as fleet.groups names it, else asg-<stage>-<slug>. */
void fleet_group_name(const struct fleets *f, const char *slug, char out[FLEET_NAME_SIZE]);
/* "group asg-prod-upscale", as errors name it. */
void fleet_what(const struct fleets *f, const char *slug, char out[FLEET_NAME_SIZE + 8]);

/* The facet's functions, by file; inst is struct aws, contracts in bp/fleet.h. */
int32_t fleet_ensure(void *inst, const struct bp_fleet_spec *spec, int32_t dry_run, char **diff, struct bp_err *err);
int32_t fleet_describe(void *inst, const char *const *slugs, uint32_t n, struct bp_fleet_state *out,
                       struct bp_err *err);
int32_t fleet_grow(void *inst, const char *slug, int32_t to, struct bp_err *err);
int32_t fleet_terminate(void *inst, const char *slug, const char *instance, struct bp_err *err);
int32_t fleet_protect(void *inst, const char *slug, const char *instance, int32_t on, struct bp_err *err);
int32_t fleet_protect_many(void *inst, const char *slug, const char *const *instances, uint32_t n, int32_t on,
                           struct bp_err *err);
int32_t fleet_afford(void *inst, const char *slug, int32_t on_demand, struct bp_err *err);
int32_t fleet_activities(void *inst, const char *slug, int64_t since_ms, struct bp_activity *out, uint32_t *n,
                         struct bp_err *err);                                          /* activities.c */
int32_t fleet_penalties(void *inst, const char *slug, char **out, struct bp_err *err); /* activities.c */
int32_t fleet_learned(void *inst, char **out, struct bp_err *err);                     /* activities.c */
int32_t fleet_recall(void *inst, const char *text, struct bp_err *err);                /* activities.c */

#endif
