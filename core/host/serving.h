/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving.h - what serves now: <state_dir>/serving/NAME.so, links to the private copies, and
 * <state_dir>/serving/workflows.d/SLUG.json, what the operators' files of workflows.d said when they were taken in.
 * Workers started on this machine watch these directories instead of the operators' ones, so that they never meet a
 * replacement that was refused.
 * Controller only; all [loop]. What cannot be put there is a warning: the controller itself serves without it.
 */
#ifndef HOST_SERVING_H
#define HOST_SERVING_H

#include "host/state.h"

/* Makes the directory. */
int serving_open(struct host *h, struct bp_err *err);
/* g serves now. */
void serving_publish(const struct generation *g);
/* Nothing of this name serves any more. */
void serving_withdraw(const struct host *h, const char *name);
/* Removes links an earlier run left and nothing serves. */
void serving_sweep(struct host *h);

#endif
