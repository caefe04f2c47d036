/* SPDX-License-Identifier: Apache-2.0 */
/* memo_fixture.h - a scaling engine over a queue that keeps what is remembered, for the tests of that. */
#ifndef TESTS_SCALE_MEMO_FIXTURE_H
#define TESTS_SCALE_MEMO_FIXTURE_H

#include "scale/rig.h"
#include "scale/scale_priv.h"

extern char lives[256]; /* as the fleets have them, JSON */
extern int32_t resized; /* to what, the last time; -1: not */
extern int leading;     /* what the engine is told of the lead */

/* Settings as of rig_new(), or a tick of 100 ms and the policy target. Leads, and no fleet is resized yet. */
struct rig *remembering_as(const char *const *sets);
struct rig *remembering(void);
/* Puts a row into the queue's memos. */
void remember(struct rig *r, uint32_t at, const char *kind, const char *workflow, const char *text);
struct scale *begin(struct rig *r);
/* Ends both. */
void quit(struct rig *r, struct scale *s);

#endif
