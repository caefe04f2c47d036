/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serving.h - <state_dir>/serving/NAME.so: what serves now, as links to the private copies. Workers started on this
 * machine watch that directory instead of the operators' one, so that they never meet a replacement that was refused.
 * Controller only; all [loop]. A link that cannot be made is a warning: the controller itself serves without it.
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
