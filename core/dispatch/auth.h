/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - who calls: workers by the digest of their token, cached for a few seconds. A record never changes; what
 * changes a worker through this controller drops its records, so that the next call reads the store. All [loop].
 */
#ifndef DISPATCH_AUTH_H
#define DISPATCH_AUTH_H

#include "dispatch/engine.h"

struct worker_auth {
    int refs;
    int approved, draining;
    int32_t max_concurrency;
    int64_t last_seen_ms;
    char *worker_id, *display_name, *capabilities, *source;
    uint32_t n_workflows;
    char **workflows;
};

struct auth_cache *auth_cache_new(struct dispatch *d);
void auth_cache_free(struct auth_cache *c);
struct worker_auth *worker_auth_ref(const struct worker_auth *w);
/* Drops what is cached of this worker. */
void auth_forget(struct dispatch *d, const char *worker_id);
/* Drops what is cached of it when it is otherwise in the store: changed at another controller. */
void auth_follow(struct dispatch *d, const struct bp_worker_row *row);
/* It is alive: its last_seen is written soon. */
void auth_touch(struct dispatch *d, const struct worker_auth *w);

#endif
