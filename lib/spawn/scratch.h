/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h - private directories that come and go with a job or a runner. */
#ifndef SPAWN_SCRATCH_H
#define SPAWN_SCRATCH_H

#include <bp/plugin.h>

/* Makes a directory of mode 0700 under `parent` (made too when absent) whose name begins with prefix; its path goes to
 * out. */
int scratch_make(const char *parent, const char *prefix, char *out, size_t n, struct bp_err *err);
/* Removes a directory and all in it, however deep, never following a link out of it; absent is fine. */
void scratch_remove(const char *path);
/* Removes all in it, but not itself: a sandbox may be bound to it. */
void scratch_empty(const char *path);

#endif
