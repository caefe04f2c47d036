/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - what leases need to know of a worker, and the ways its leases come back. */
#ifndef SQLITE_WORKER_H
#define SQLITE_WORKER_H

#include "store.h"

struct worker_state {
    int64_t no; /* its number */
    int32_t approved, draining, max_concurrency;
    int64_t last_seen_ms, registered_ms;
};

/* 1: registered. 0: not. Negative: the batch's end. */
int32_t worker_state_load(struct store *s, const char *worker_id, struct worker_state *w);
/* Its live leases, counted from the jobs. */
int32_t worker_live(struct store *s, int64_t no, int64_t *live);
/* It showed itself; written at most every few seconds. */
int32_t worker_seen(struct store *s, const struct worker_state *w, int64_t now_ms);
/* Gives all its leases back as interruptions. */
int32_t worker_release(struct store *s, const char *worker_id, int64_t now_ms, const char *reason, int32_t *released);
int32_t worker_audit(struct store *s, const char *worker_id, int64_t now_ms, const char *what, const char *who,
                     const char *detail);

#endif
