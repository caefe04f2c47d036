/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.h - a fleet that is only thought: it follows a policy's sizes, gets the jobs that really come, and counts what
 * they would have waited and what the instances would have cost. First in, first out, one job to an instance; boots as
 * measured, runs as measured, in their order. Pure; bounded in memory.
 */
#ifndef POLICY_MIRROR_H
#define POLICY_MIRROR_H

#include "policy/history.h"

#define MIRROR_INSTANCES 512  /* a size beyond it counts as that */
#define MIRROR_WAITING   4096 /* jobs; of more, the latest are taken to have come together */
#define MIRROR_BUCKETS   160  /* of waits: below 1 s, then each a tenth longer than the one before */

struct json_object;

struct mirror {
    int64_t free_ms[MIRROR_INSTANCES]; /* of each instance: booted, or done with its job */
    int32_t live;
    int64_t waiting_ms[MIRROR_WAITING]; /* ring: when they came */
    uint32_t first, waiting;
    uint32_t crowd; /* that came with the last one of the ring, beside it */
    uint32_t run;   /* the next of the kept runs */
    int64_t at_ms;  /* of the last step, 0: none */
    double instance_s, wait_s;
    uint64_t jobs; /* begun */
    uint32_t buckets[MIRROR_BUCKETS];
};

/* What came of it so far; waits are of jobs that began. */
struct mirror_sum {
    double hours, wait_hours, wait_mean_s, wait_p95_s; /* p95: to a tenth of it */
    uint64_t jobs;
    uint32_t waiting;
};

/* Zeroed memory is a mirror without instances. */
void mirror_arrived(struct mirror *m, int64_t at_ms, uint32_t n);
/* Up to now jobs are served by the instances there are; then there are `desired` of them, new ones after boot_s. Idle
 * ones go; those that run or boot stay until they are idle. Jobs wait while no run was measured. */
void mirror_step(struct mirror *m, const struct history *h, int64_t now_ms, int32_t desired, double boot_s);
struct mirror_sum mirror_sum(const struct mirror *m);

/* mirror_memo.c: all of it but jobs beyond the first 256 that wait, whose times become one. json_object_put() it. */
struct json_object *mirror_memo(const struct mirror *m);
/* The same again, whose last step was at at_ms; what cannot be read is left out. */
void mirror_memo_take(struct mirror *m, struct json_object *o, int64_t at_ms);

#endif
