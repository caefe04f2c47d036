/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.h - what time alone changes: expired leases, due jobs, workers not seen, jobs kept long enough. All [loop].
 *
 * The next deadline is computed in one place: the store says when something is due next, and the sweep comes then, at
 * the latest after dispatch.sweepMilliseconds.
 */
#ifndef DISPATCH_SWEEP_H
#define DISPATCH_SWEEP_H

#include "dispatch/engine.h"

struct sweeper *sweeper_new(struct dispatch *d);
void sweeper_free(struct sweeper *s);
/* Begins. Only the leader sweeps. */
void sweeper_start(struct sweeper *s);
/* This controller leads from now on: sweeps at once. */
void sweeper_lead(struct sweeper *s);
/* A retry or a lease will be due at this time: be there. */
void sweeper_expect(struct sweeper *s, int64_t due_ms);

#endif
