/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prune.h - finished jobs and audit lines that were kept long enough go, and with the jobs their objects. All [loop].
 *
 * A backlog goes in short steps, each with a pause of three times its length behind it, so that others have the store
 * for most of the time; the size of a step follows what the last ones took.
 */
#ifndef DISPATCH_PRUNE_H
#define DISPATCH_PRUNE_H

#include "dispatch/engine.h"

struct pruner *pruner_new(struct dispatch *d);
void pruner_free(struct pruner *p);
/* Begins, unless it is at it: called every minute. */
void pruner_kick(struct pruner *p);

#endif
