/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leader.h - whether this controller acts for all that share the queue, and who the others are.
 *
 * Each controller asks the store (BP_OP_LEAD) several times within a lease. A leader that could not ask in time stops
 * by itself, on its own clock and before the store lets another one begin. A store that knows no leaders has one
 * controller, which always leads. All [loop].
 */
#ifndef DISPATCH_LEADER_H
#define DISPATCH_LEADER_H

#include "bus/leads.h"
#include "dispatch/engine.h"

struct leader *leader_new(struct dispatch *d);
void leader_free(struct leader *l);
/* Begins to ask. */
void leader_start(struct leader *l);
/* 1 and the epoch while fenced operations are worth sending. */
int leader_epoch(const struct leader *l, int64_t *epoch);
/* A fenced operation was refused: another leads. */
void leader_refused(struct leader *l);
/* How many other controllers are alive, as far as is known. */
uint32_t leader_others(const struct leader *l);
const char *leader_id(const struct leader *l);

#endif
