/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain_model.h - a small world around the drain of instances: two instances with a worker each, three jobs, the
 * store's queue of calls, the provider's calls and one engine. Every order of what can happen in it is tried.
 *
 * Jobs are alike, so they are counted, not named, and workers need not ask for them: all wait from the start, which
 * allows whatever their arrival one by one does. A call to the store is carried out and answered in the order of the
 * calls, each at any later time; its answer may be lost before or after it is carried out. A terminate may be carried
 * out, refused, or lost, and then still come true at any time. A controller that restarts knows nothing, and its calls
 * end with it.
 */
#ifndef TESTS_FLEET_DRAIN_MODEL_H
#define TESTS_FLEET_DRAIN_MODEL_H

#include "policy/drain_step.h"

#include <stddef.h>
#include <stdint.h>

typedef struct drain_next (*drain_fn)(enum drain_step at, enum drain_event what, const struct drain_view *view);

struct found {
    size_t states, ways;                           /* reachable ones, and what leads from one to another */
    size_t ended, took_back, relaunched, finished; /* ways that end an instance, ...; states with all jobs done */
    char wrong[4096];                              /* the first promise broken and how it came to that, "" none */
};

/* Tries everything, until a promise is broken. */
struct found explore(drain_fn next);

#endif
