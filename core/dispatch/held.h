/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held.h - the live leases this process knows of: a convenience, never the truth. The store decides; what is missing
 * here is asked for there. Keeps what an event or a check of the output needs, and how fresh the stored progress is.
 */
#ifndef DISPATCH_HELD_H
#define DISPATCH_HELD_H

#include "dispatch/lane.h"

struct held {
    struct held *next; /* in its bucket */
    int64_t id, expires_ms, written_mono_ms;
    struct lane *lane;
    int cancel, draining, produces;
    const char *token, *worker, *tenant, *output_key; /* behind the struct */
};

struct held_table *held_table_new(void);
void held_table_free(struct held_table *t);
/* Remembers (or renews) a lease. All strings are copied. */
struct held *held_put(struct dispatch *d, const struct bp_job_row *job);
/* NULL when not known. Borrowed until the next change. */
struct held *held_find(struct dispatch *d, int64_t id);
/* The same when token and worker match, else NULL. */
struct held *held_match(struct dispatch *d, int64_t id, const char *token, const char *worker);
void held_drop(struct dispatch *d, int64_t id);
/* The store gave back every lease of a worker: forgets them, counts an arrival in each of their lanes, and tells
 * whoever listens for their jobs. */
void held_release_worker(struct dispatch *d, const char *worker, const char *reason);
/* A worker drains, or no longer: what its next progress is answered with. */
void held_drain_worker(struct dispatch *d, const char *worker, int draining);
/* Forgets leases that ran out a while ago: they ended where we could not see it. */
void held_expire(struct dispatch *d, int64_t now_ms);

#endif
