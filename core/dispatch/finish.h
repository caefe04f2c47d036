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

/* ---- several completions that go to the store at once ---- */

struct finish;
struct finish_group {
    /* f may be sent now: with finish_send(), or finish_forget() when the engine is dead. */
    void (*ready)(struct finish *f, void *arg);
    /* f is over, answered or not: always called once. */
    void (*over)(void *arg);
};
/* One completion as a worker sends it. with NULL: by itself. arg goes to fn and to the group. */
void finish_complete(struct dispatch *d, const struct worker_call *c, const struct finish_group *with,
                     dispatch_reply fn, void *arg);
void finish_send(struct finish *f);
void finish_forget(struct finish *f);
/* {"results":[completions]}: each answered by itself, all in one transaction. */
void finish_batch(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);

/* The text of a failed attempt as it is stored and shown: one line, out of what workers send (docs/protocol.md). */
void error_text(const char *raw, char out[1024]);

#endif
