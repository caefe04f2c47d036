/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_view.h - what tests ask of a fleet named "toy". */
#ifndef TEST_FLEET_VIEW_H
#define TEST_FLEET_VIEW_H

#include "fake_host.h"

/* Settings for quick fleets; more may follow after a comma. */
#define QUICK                                                                                                          \
    "\"bootDelaySeconds\":0.02,\"launchRetrySeconds\":0.05,\"stopGraceSeconds\":5,\"terminateGraceSeconds\":20"

/* Ensures the fleet and asks for n instances. */
void toy_make(struct fake *f, int32_t max, int32_t n);
int toy_desired(struct fake *f);
/* Instances in a state (BP_INSTANCE_*), 0: all. */
int toy_count(struct fake *f, int state);
/* The k-th instance in that state, oldest first; fails the test when there is none. */
struct bp_instance toy_instance(struct fake *f, int state, int k);
/* All of n instances run, and their workers are up. */
int toy_up(struct fake *f, int n);
/* Process of an instance, from its worker. */
pid_t toy_pid(struct fake *f, const char *id);
/* Is the process gone, or a zombie of somebody else's? */
int is_gone(pid_t pid);
/* Number of activities with this reason. */
int toy_activities(struct fake *f, const char *reason, int failed);
/* Has this process no child at all, dead or alive? */
int has_no_child(void);

#endif
