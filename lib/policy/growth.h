/* SPDX-License-Identifier: Apache-2.0 */
/*
 * growth.h - when a policy that adds instances a few at a time is going to add more: it is asked again and again about
 * the fleet and the queue as they are likely to be, so that estimates count what comes later too (eta.h).
 *
 * Pure and bounded: some 1500 plans at most.
 */
#ifndef POLICY_GROWTH_H
#define POLICY_GROWTH_H

#include "policy/policy.h"

#define GROWTH_MOST 64 /* launches foreseen */

struct growth {
    float at_s[GROWTH_MOST]; /* from now, never decreasing */
    int32_t n;
};

/* Launches that `policy` with this memory, which is not changed, will ask for within the next four hours, if no job
 * comes beyond those expected within a boot; none for a policy that does not grow. run_s: of a job, the mean. */
void growth_foresee(const struct policy *policy, const void *memory, const struct policy_now *now, double run_s,
                    struct growth *out);

#endif
