/* SPDX-License-Identifier: Apache-2.0 */
/*
 * candidate.h - versions of workflow plugins that are tried beside those that serve. They are vetted, copied and, in
 * the controller, probed as any plugin, and never become a generation by themselves.
 *
 * The controller gets one from an operator (host_try()) and links it to <state>/serving/NAME.canary.so, where workers
 * on this machine find it; and to <state>/canary/NAME.so, from where it is taken up again after a restart. A worker
 * takes every NAME.canary.so that lies in its directories. All [loop].
 */
#ifndef HOST_CANDIDATE_H
#define HOST_CANDIDATE_H

#include "host/state.h"

#define CANDIDATE_ENDING ".canary.so"

/* Is this the name of a candidate's file? Such a file is never brought up as a plugin. */
int candidate_is_name(const char *path);
/* A worker's directories as they are now: candidates come and go with their files. */
void candidates_scanned(struct host *h, const struct scan *scan);
/* Is this the private copy of one? */
int candidates_use(const struct host *h, const char *copy);
void candidates_free(struct host *h);
/* Copies a file over another by a rename, readable by anybody. BP_DENIED: not allowed here; BP_IO. Blocking; any
 * thread. */
int file_put(const char *from, const char *to, struct bp_err *err);

#endif
