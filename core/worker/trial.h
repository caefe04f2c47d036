/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - a job that was done and reported is done once more, by a candidate: a new version of its plugin that is not
 * trusted yet (dispatch/canary.h). Its lease is over by then: whatever the candidate does, the job is complete.
 *
 * The candidate runs on the same files in a fresh runner, then bp-compare.so holds the two outputs against each other
 * in another. What came of it goes out with the worker's next poll. [loop]
 */
#ifndef WORKER_TRIAL_H
#define WORKER_TRIAL_H

#include "worker/attempt_priv.h"

/* Does the controller want this job tried? */
int trial_is_wanted(const struct attempt *a);
/* Begins; ends with attempt_over(). */
void trial_begin(struct attempt *a);
/* The worker leaves: nothing is told. Ends it now. */
void trial_drop(struct attempt *a);

/* From the runner, while a->stage is ATTEMPT_TRYING. */
void trial_runner_ready(struct attempt *a);
void trial_result(struct attempt *a, int rc, const char *text);
void trial_runner_gone(struct attempt *a, const char *why);

#endif
