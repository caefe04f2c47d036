/* SPDX-License-Identifier: Apache-2.0 */
/* doubles.h - the rig's queue, fleet provider and metrics sink, as facet tables behind two actors. */
#ifndef TESTS_SCALE_DOUBLES_H
#define TESTS_SCALE_DOUBLES_H

#include "scale/rig.h"

void doubles_open(struct rig *r);
/* With the rig's lock held. */
struct machine *machine_find(struct rig *r, const char *id);

#endif
