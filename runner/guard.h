/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - answers the calls of sandboxed processes that need a look at their arguments: connect, listen, and those
 * that make a process.
 *
 * What lies in the caller's memory may change between the look and the call. So a connect is made here, with the
 * address that was looked at, on a copy of the caller's socket; only calls whose arguments lie in registers are let
 * through. Runs in the warden, outside the sandbox.
 */
#ifndef RUNNER_GUARD_H
#define RUNNER_GUARD_H

#include "runner/sandbox.h"

#include <sys/types.h>

/* What was refused, in memory that the refused may read: written before the refusal is answered. */
struct guard_told {
    int64_t births;
    char connect_to[128]; /* the last address, "" none */
};

struct guard {
    int listener; /* -1: nothing to guard */
    const struct sandbox_rules *rules;
    pid_t root;         /* whose descendants are counted */
    int64_t estimate;   /* of them: the last count and the births since */
    int64_t counted_ms; /* monotonic */
    int full;           /* the last count was as many as may be */
    struct guard_told *told;
};

/* Answers one call that waits on the listener. 0, or -1: nobody is left who could call. */
int guard_serve(struct guard *g);

#endif
