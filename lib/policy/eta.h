/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eta.h - when a job is likely to start and to end: the queue in front of it is played through many times, with run
 * times and boots drawn from those that were measured.
 *
 * Pure and repeatable: the same question has the same answer. Seconds from now; INFINITY: nothing is known that would
 * let it happen. Bounded: some 500,000 steps at most.
 */
#ifndef POLICY_ETA_H
#define POLICY_ETA_H

#include "policy/growth.h"
#include "policy/promise.h"

/* What is asked; pointers borrowed for the call. */
struct eta_ask {
    const struct history *history;
    const struct policy_fleet *fleet;
    int64_t ahead;    /* queued jobs that are leased before it; -1: there is no such job, only `all` is asked for */
    int32_t launches; /* instances that are asked for and not there yet, beside those of fleet that boot; >= 0 */
    const struct growth *growth;     /* launches that will be asked for; NULL: none */
    double boot_s;                   /* of a launch, until boots were measured */
    double run_s;                    /* of a job, until runs were measured; <= 0: not known */
    uint32_t steps;                  /* bound of the work; 0: 500,000, some 20 ms */
    const struct promises *promises; /* what was learned of start and finish; NULL: they are as drawn */
};

struct eta {
    struct eta_span start, finish;
    struct eta_span all; /* until it, all before it and all that run now have ended; as drawn */
    double instance_s; /* that instances are there for these jobs from now on, boots and launches included: the mean */
};

/* Of a queued job. */
struct eta eta_queued(const struct eta_ask *ask);
/* Of a job that has run for age_s: what is left of it. p and run_s as in struct eta_ask. */
struct eta_span eta_rest(const struct history *h, const struct promises *p, double age_s, double run_s);

#endif
