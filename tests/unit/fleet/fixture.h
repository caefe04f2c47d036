/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - a fleet engine over the rig of the scaling tests. */
#ifndef TESTS_FLEET_FIXTURE_H
#define TESTS_FLEET_FIXTURE_H

#include "scale/rig.h"

#include "fleet/fleet.h"

struct fixture {
    struct rig *rig;
    struct fleets *fleets;
};

/* Starts over `machines` running instances i-1, i-2, ... that booted in 8 s, and waits until they are described. Only
 * events bring looks when tick_ms is high. */
void begin(struct fixture *f, int machines, int tick_ms);
void end(struct fixture *f);
struct fleet_counts counts(struct fixture *f);
/* The counts become so; fails after 20 s. */
void until_counts(struct fixture *f, int32_t running, int32_t draining, int32_t busy);
int resize(struct fixture *f, int32_t to);
/* Has the engine look again, and waits until that look is over. */
void look(struct fixture *f);
/* A member of photo's description as text, in a static buffer. */
const char *shown(struct fixture *f, const char *member);

#define NEVER 600000
#define OFTEN 50

#endif
