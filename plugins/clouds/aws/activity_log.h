/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_log.h - what happened to the groups, each thing once: the newest, in a bounded ring, and the pools that
 * fail.
 *
 * Scaling activities are told when they end, in the order in which we learn of it: at_ms grows strictly, so that who
 * asks for what came after a moment misses nothing. One that is still under way is remembered until it ends. Not shared
 * between threads without a lock; no call to AWS.
 */
#ifndef AWS_ACTIVITY_LOG_H
#define AWS_ACTIVITY_LOG_H

#include "penalty.h"
#include "xml.h"
#include <bp/fleet.h>

#define ACTIVITY_KEPT    512
#define ACTIVITY_SEEN    1024
#define ACTIVITY_OPEN    50 /* as many as one call may ask for by id */
#define ACTIVITY_ID      64
#define ACTIVITY_SUBNETS 64
#define ACTIVITY_OLD_MS  3600000 /* older ones are history: told to nobody, and waited for no longer */

struct activity_entry {
    uint64_t group; /* hash of its name */
    struct bp_activity activity;
};

struct activity_open {
    char id[ACTIVITY_ID];
    int64_t began_ms;
    uint32_t round; /* of the read that met it last */
};

/* Where a subnet is, as activities tell. */
struct activity_subnet {
    char subnet[32], zone[32];
};

struct activity_log {
    struct activity_entry ring[ACTIVITY_KEPT];
    uint32_t next, n;
    int64_t last_ms; /* at_ms of the newest entry */
    uint64_t seen[ACTIVITY_SEEN];
    uint32_t next_seen;
    struct activity_open open[ACTIVITY_OPEN];
    uint32_t n_open, round;
    struct activity_subnet subnets[ACTIVITY_SUBNETS];
    uint32_t n_subnets;
    struct penalty_box box;
};

/* One <member> of DescribeScalingActivities, of a group of ours when `ours`. 1: it was known already; 0: it is new. */
int activity_log_take(struct activity_log *l, const struct xml *member, int ours, int64_t now_ms);
/* A read of activities begins: open ones that it does not meet have to be asked for by id. */
void activity_log_begin(struct activity_log *l);
/* Ids of the open ones that the read has not met so far, at most ACTIVITY_OPEN; how many. */
uint32_t activity_log_missed(const struct activity_log *l, char ids[ACTIVITY_OPEN][ACTIVITY_ID]);
/* An instance of LaunchInstances that did not come; each text may be "". */
struct activity_error {
    const char *group, *code, *message, *type, *zone, *subnet, *market;
};
void activity_log_error(struct activity_log *l, const struct activity_error *e, int64_t now_ms);
/* What happened to the group since since_ms (inclusive), newest first, at most room; how many. */
uint32_t activity_log_list(const struct activity_log *l, const char *group, int64_t since_ms, struct bp_activity *out,
                           uint32_t room);
/* Is every pool of the group in this subnet left out now? types: its instance types with spaces between; "": not known,
 * then only what was said of the whole zone counts. */
int activity_log_is_out(const struct activity_log *l, const char *group, const char *subnet, const char *types,
                        int64_t now_ms);
/* Forgets open ones that are too old to be waited for; how many are left. */
uint32_t activity_log_waiting(struct activity_log *l, int64_t now_ms);

#endif
