/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slo.h - the parts of the slo policy: what to launch (slo_launch.c), what a steady load needs (slo_floor.c), what to
 * keep through a gap (slo_keep.c), and what waiting must cost for the wait target to be met (slo_price.c).
 *
 * docs/scaling.md has the formulas, their sources, and what each part brings. Pure; seconds unless the name says else.
 */
#ifndef POLICY_SLO_H
#define POLICY_SLO_H

#include "policy/policy.h"

/* How long an instance that nothing needs any more stays, by level. */
struct slo_keep {
    float tau_s[HISTORY_LEVELS + 1];
    uint32_t spells[HISTORY_LEVELS + 1]; /* of that level when tau_s was worked out, + 1; 0: it was not */
    float boot_s, price;                 /* for which it was */
};

/* What jobs that have started had waited: follows the wait target, and tells whether a boot's wait is the rule. */
struct slo_price {
    double log_factor; /* >= 0 */
    double late;       /* share of the jobs that had waited for most of a boot, the last 500 counting, 0..1 */
    double seen;       /* jobs that it is taken from, at most 500 */
    uint64_t arrivals; /* at the last call */
    int64_t queued, oldest_wait_ms, at_ms;
};

struct slo_memory {
    struct slo_keep keep;
    struct slo_price price;
};

/* ---- slo_price.c ---- */

/* What an hour of waiting costs now, in instance-hours: wait_price, raised while more than one job in twenty waits
 * longer than wait_target_s. */
double slo_price_now(struct slo_price *m, const struct policy_now *now);

/* How the jobs are served best, by what they have waited so far. */
enum slo_manner {
    SLO_AHEAD,   /* few wait for a boot, or the load is steady: what is launched and held for those expected spares
                    waiting */
    SLO_SPARING, /* a boot's wait is the rule, jobs are short: a launch must spare more */
    SLO_PER_JOB  /* a boot's wait is the rule, jobs outlast it: an instance for each, nothing ahead, nothing kept */
};
/* After slo_price_now(), whose result `price` is. */
enum slo_manner slo_manner(const struct slo_price *m, const struct policy_now *now, double price);

/* ---- slo_launch.c ---- */

/* Jobs and the instances that will take them. */
struct slo_schedule {
    double
        free_s[POLICY_INSTANCES]; /* from now on, of each instance: 0 idle, else the expected end of its job or boot */
    int32_t n;
    int32_t
        group; /* instances that each of them stands for, and jobs likewise; 1 in fleets of up to POLICY_INSTANCES */
    int32_t queued;
    double arrivals_per_s; /* of more jobs, until within_s */
    double within_s;
    double run_s; /* of each job */
};

/* Of all jobs together. */
struct slo_waits {
    double wait_s, square_s2; /* the sum, and that of the squares: long waits count more in it */
};
/* When the first instance that is free takes the next job. n >= 1. */
struct slo_waits slo_schedule_waits(const struct slo_schedule *s);
/* Expected length of a run: the mean so far, one boot (boot_s) until a run was seen. */
double slo_run(const struct history *h, double boot_s);
/* Expected rest of a job that has run for age_s. */
double slo_rest(const struct history *h, double age_s, double boot_s);
/* What there is, with instances up to `size` as if launched now. s->group is set. */
void slo_schedule_fill(struct slo_schedule *s, const struct policy_now *now, int32_t size);

/* What a wait of one boot in the schedule counts at a launch: the schedule ends after one boot, the instance serves
 * longer. */
double slo_launch_weight(const struct policy_now *now, enum slo_manner manner);

struct slo_launch {
    int32_t size;    /* of the fleet, launches included */
    double saved_s;  /* waiting that they take away */
    double expected; /* arrivals until a launch is ready */
};
/* With jobs queued: adds instances to `size` as long as each one takes away more waiting, at this price, than its boot
 * costs. */
struct slo_launch slo_launch(const struct policy_now *now, double price, int32_t size);

/* ---- slo_floor.c ---- */

/* Jobs that wait in an M/M/c queue of `load` Erlang and c instances (Erlang C); huge when load >= c. */
double slo_erlang_queue(double load, int32_t c);
/* Seconds that one job in twenty waits longer than in it, runs lasting run_s; 0: fewer than one in twenty wait at all.
 */
double slo_erlang_p95(double load, int32_t c, double run_s);

struct slo_floor {
    int32_t size;    /* 0: there is no steady load to trust */
    double load;     /* trusted, in Erlang */
    double window_s; /* over which the arrivals were counted; 0: by past days */
};
struct slo_floor slo_floor(const struct policy_now *now, double price);

/* ---- slo_keep.c ---- */

/* Seconds that an instance of demand level k is kept after the demand has fallen below k, 1 <= k <= HISTORY_LEVELS. */
double slo_keep_s(struct slo_keep *m, const struct history *h, int32_t k, double boot_s, double price);
/* The highest level up to `live` that is needed or still kept; *left_s: how much longer, 0: it is needed. */
int32_t slo_keep_level(struct slo_keep *m, const struct policy_now *now, double price, int32_t live, double *left_s);

#endif
