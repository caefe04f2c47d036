/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleets.h - all fleets of this machine, the lock around them, and the thread that acts for them.
 *
 * The thread does what is due (fleet_step) and sleeps until the next thing is, a process ends, or somebody wakes it.
 */
#ifndef LOCAL_FLEETS_H
#define LOCAL_FLEETS_H

#include "fleet.h"

/* Takes the lock, and makes sure that this generation owns the fleets. BP_UNSUPPORTED in a worker, BP_LATER not (any
 * more) the owner; then the lock is not taken. */
int fleets_enter(struct fleets *fs, struct bp_err *err);
/* Writes what changed and releases the lock; wake = 1: the thread looks at once. */
void fleets_leave(struct fleets *fs, int wake);
/* Under the lock. NULL when there is none. */
struct fleet *fleets_find(struct fleets *fs, const char *slug);
void fleets_add(struct fleets *fs, struct fleet *f);

/* instance_files.c: removes directories of instances that no fleet in the list has, and the oldest logs beyond a
 * number. */
void instance_files_clean(const struct local *l, struct fleet *list);

#endif
