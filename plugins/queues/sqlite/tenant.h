/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.h - what decides about a tenant's jobs: its settings, its counts and its share of each workflow.
 *
 * Settings and shares are read from the file when first asked for; shares are written once before a commit. Counts are
 * in memory alone: taken from the file when something first depends on them, followed from then on. A tenant stays
 * where it is in memory until the batch ends.
 */
#ifndef SQLITE_TENANT_H
#define SQLITE_TENANT_H

#include "store.h"

/* Share tags are whole numbers of this unit, which all weights up to 16 and most others divide. */
#define SHARE_UNIT INT64_C(46126080)
#define WEIGHT_MAX 1000
/* Longest name and key, bytes. */
#define NAME_MAX_BYTES 255

struct tenant_share {
    int64_t workflow_id, finish; /* where its next job there begins, at the earliest */
    bool changed;
};

struct tenant {
    int64_t id;
    int64_t count[BP_JOB_LEASED + 1]; /* dispatches by state; after tenants_count() */
    int32_t weight, max_pending, max_running, webhook_version;
    bool disabled, hook; /* hook: has a URL */
    bool lane;           /* its dispatches queue in a lane of their own */
    bool changed;        /* a share; listed in store.changed_tenants */
    uint32_t chosen;     /* by the lease that is being put together */
    struct tenant_share *shares;
    size_t n_shares;
    struct tenant *next_changed;
};

/* Reads which tenants have lanes. */
int32_t tenants_load(struct store *s);
/* Remembers that a tenant has one. */
int32_t tenants_lane(struct store *s, int64_t id);
/* Counts everybody's dispatches unless they are counted already: once after each start, by indexes. */
int32_t tenants_count(struct store *s);
/* The tenant of a number; there must be one. */
int32_t tenant_of(struct store *s, int64_t id, struct tenant **t);
/* The number of a name, making the tenant when there is none. */
int32_t tenant_get(struct store *s, const char *name, int64_t now_ms, int64_t *id);
/* One of its dispatches goes from one state to another; 0: from or to nothing. */
int32_t tenant_move(struct store *s, int64_t id, int32_t from, int32_t to);
/* Jobs that have not ended. */
int64_t tenant_pending(const struct tenant *t);
/* How many more leases it may have beyond those chosen. */
int64_t tenant_room(const struct tenant *t);
/* The tag of its next fair job in a workflow, taken. */
int32_t tenant_tag(struct store *s, struct tenant *t, const struct workflow *w, int64_t *tag);
/* Reads the settings anew after they were changed in the file. */
int32_t tenant_reload(struct store *s, struct tenant *t);
/* Writes what changed; before commit. */
int32_t tenants_flush(struct store *s);
/* One tenant as the host sees it by its number, or all by name (id 0), in one block of host memory. */
int32_t tenant_rows(struct store *s, int64_t id, struct bp_tenant_row **rows, uint32_t *n);
/* Forgets all of them. */
void tenants_forget(struct store *s);
/* Keeps memory bounded; only between batches. */
void tenants_trim(struct store *s);

#endif
