/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - the objects a worker leaves behind: is the output there, and may this be its checkpoint. All [loop]. */
#ifndef DISPATCH_OUTPUT_H
#define DISPATCH_OUTPUT_H

#include "dispatch/engine.h"

struct output_check {
    int missing;   /* 1: the object store says there is no such object */
    int64_t bytes; /* of the object, -1 unknown */
};
/* Called exactly once, not before output_check() returned; also when the engine is dead by then. */
typedef void (*output_checked_fn)(const struct output_check *check, void *arg);
/* Asks the object store. When it cannot say (it fails, or offers no such call) the object counts as there: an upload
 * that went well must not be lost to a hiccup of the check. */
void output_check(struct dispatch *d, const char *key, output_checked_fn fn, void *arg);
/* Is key "tenants/<tenant>/jobs/<id>/<attempt>/checkpoint"? */
int checkpoint_key_ok(const char *key, int64_t id);

#endif
