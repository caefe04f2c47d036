/* SPDX-License-Identifier: Apache-2.0 */
/*
 * risk.h - how long a Spot instance is likely to live on: learned for each pool, a type in a zone, from the hours its
 * instances lived and the interruptions they had, by their age. Pure; bounded in memory.
 *
 * A pool's rate is (1 + interruptions) / (50 h + hours): as if one interruption in 50 h had been seen before any (the
 * posterior mean of a rate with a gamma prior; Gelman et al., Bayesian Data Analysis). An age's rate within it leans on
 * the pool's the same way, with the weight of 20 h.
 */
#ifndef POLICY_RISK_H
#define POLICY_RISK_H

#include <stdint.h>

#define RISK_POOLS 64 /* of more, the one that has lived least makes room */
#define RISK_AGES  3  /* below 1 h, below 6 h, older */

struct risk_pool {
    char type[32], zone[32];
    double hours[RISK_AGES];
    uint32_t interruptions[RISK_AGES];
};

/* Zeroed memory knows nothing. */
struct risk {
    struct risk_pool pools[RISK_POOLS];
    uint32_t n;
};

/* An instance of a pool has lived from one age to another, seconds; an interruption ended it, or was announced. */
void risk_lived(struct risk *r, const char *type, const char *zone, double from_s, double to_s);
void risk_interrupted(struct risk *r, const char *type, const char *zone, double age_s);
/* Seconds that an instance of this age is expected to live on; of a pool that is not known, as the prior has it. */
double risk_life_s(const struct risk *r, const char *type, const char *zone, double age_s);

/* ---- who takes a job ---- */

/* Machines that wait for a job, each with what is expected of it. */
struct risk_choice {
    double life_s;   /* INFINITY: it is not taken away */
    double longer_s; /* mean run of the longest jobs that it might get instead, 0: none */
};

/*
 * Which of n >= 1 that wait, the longest first, should take a job that runs about run_s. When one of them might get
 * jobs more than twice as long instead, the one with the shortest life that has 95 in 100 to end this job: safe
 * machines are kept for long jobs. Else the one with the longest life. Lives that differ by less than half are equal:
 * then it is the one that waits longest. run_s <= 0, not known: the first.
 */
uint32_t risk_choose(const struct risk_choice *list, uint32_t n, double run_s);
/* 1 when a's life is so much shorter than b's that it matters. 0 is no life that is known. */
int risk_is_shorter(double a_s, double b_s);

#endif
