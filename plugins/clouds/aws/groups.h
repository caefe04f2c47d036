/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.h - the Auto Scaling groups as AWS described them last.
 *
 * One look asks for many groups by name, 100 a call. What was seen counts for fleet.describeSeconds; a group that was
 * changed since is asked for again alone. A look that fails leaves what is known as it was.
 */
#ifndef AWS_GROUPS_H
#define AWS_GROUPS_H

#include "fleet.h"
#include "xml.h"

#define GROUPS_PAGE         100 /* names of one DescribeAutoScalingGroups */
#define GROUPS_SUBNETS_SIZE 1024
#define GROUPS_TYPES_SIZE   1024

struct member {
    struct bp_instance pub;
    int machine_known;  /* EC2 said when it was launched and whether it is Spot */
    int64_t machine_ms; /* when EC2 was asked last, 0: never */
    uint64_t change;    /* number of the last change of its protection */
};

struct group {
    struct group *next;
    char slug[FLEET_SLUG_SIZE], name[FLEET_NAME_SIZE];
    int exists;
    int32_t desired, min_size, max_size;
    int32_t spec_max;                  /* instances at most as ensured; -1: not ensured yet */
    char subnets[GROUPS_SUBNETS_SIZE]; /* "subnet-a,subnet-b" */
    char types[GROUPS_TYPES_SIZE];     /* of its mixed instances, "g6.xlarge g5.xlarge"; "": it has none */
    uint32_t n;
    struct member *members;
    int64_t described_ms; /* 0: never */
    int stale;            /* changed after it was described */
    uint64_t change;      /* number of its last change, by groups.changes */
    uint32_t subnet;      /* of the list, to be tried first */
    int64_t rest_ms;      /* after launches that failed everywhere; doubles */
    int64_t rests_until_ms;
    int32_t on_demand_extra; /* instances of the allowance that are on-demand now */
};

struct groups *groups_new(void);
void groups_free(struct groups *g);

/* Sees to it that the groups of these workflows are known and no older than max_age_ms: an error when they cannot be
 * asked for. Blocks. full: the machines' Spot notices are asked for too, when all are due. */
int groups_look(struct fleets *f, const char *const *slugs, uint32_t n, int64_t max_age_ms, int full,
                struct bp_err *err);

/* The group of a workflow, made when new; between lock and unlock only, with no call to AWS in between. NULL without
 * memory. */
void groups_lock(struct groups *g);
void groups_unlock(struct groups *g);
struct group *groups_at(struct fleets *f, const char *slug);
struct member *group_instance(struct group *g, const char *instance); /* NULL: none */
/* It was changed, or may have been: the next look asks for it. Locked. */
void groups_touch(struct groups *gs, struct group *g);
/* The number of a change that is made now. Locked. */
uint64_t groups_change(struct groups *gs);
/* Each group there is, locked: for what goes through all of them. */
void groups_each(struct groups *gs, void (*fn)(struct group *g, void *arg), void *arg);

/* group_parse.c: one <member> of DescribeAutoScalingGroups into g (name, sizes, subnets, members anew); 0 or BP_NOMEM.
 */
int group_parse(const struct xml *x, int64_t now_ms, struct group *g);
/* What `was` told of members that are still there goes over to g, which was seen from change number `began` on. */
void group_keep(struct group *g, const struct group *was, uint64_t began);
/* BP_INSTANCE_* of a lifecycle state; 0: no part of the group's capacity (Standby, Detached, Warmed:...). */
int32_t group_state(const char *lifecycle);

/* machines.c: asks EC2 about members that are new; about Spot notices, when it is time for that (1). What it does not
 * learn it asks later. One thread at a time. */
void machines_ask(struct fleets *f);
int machines_ask_notices(struct fleets *f);

#endif
