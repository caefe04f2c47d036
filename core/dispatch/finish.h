/* SPDX-License-Identifier: Apache-2.0 */
/* finish.h - the end of an attempt: what is told to everybody when a lease is over. All [loop]. */
#ifndef DISPATCH_FINISH_H
#define DISPATCH_FINISH_H

#include "dispatch/engine.h"

/* A lease that ended, as the store says; strings borrowed. */
struct ending {
    int64_t id;
    int status; /* BP_JOB_* of the job now */
    const char *tenant, *workflow, *worker;
    const char *why; /* error or reason in words, may be NULL */
    int32_t attempts;
    int64_t retry_at_ms, wait_ms, run_ms;
};
/* Publishes and counts it, forgets the lease, and lets the worker's waiting poll ask again. */
void lease_ended(struct dispatch *d, const struct ending *e);
/* The text of a failed attempt as it is stored and shown: one line, out of what workers send (docs/protocol.md). */
void error_text(const char *raw, char out[1024]);

#endif
