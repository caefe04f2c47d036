/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenants.h - what is particular to some tenants, and how many jobs they have.
 *
 * Only tenants with something that is not the default have a rule; the rules are kept in memory between batches and
 * read again when tenants_version says that somebody changed one. Numbers of jobs are collected in memory during a
 * batch and added to our own rows of dispatch_counters by its flush. Limits are kept exactly by locking the limited
 * tenant's row before its numbers are read: whoever adds to what is limited holds it until the commit.
 */
#ifndef MARIADB_TENANTS_H
#define MARIADB_TENANTS_H

#include <bp/queue.h>
#include <stdbool.h>
#include <stddef.h>

struct sql;
struct store;

struct tenant_rule {
    int64_t id;
    int32_t weight, max_pending, max_running, disabled;
    bool webhook;
};

/* Kept between batches, in the order of ids. */
struct tenant_rules {
    struct tenant_rule *rules;
    size_t n, cap;
    int64_t version; /* of tenants_version; -1: not read yet */
    bool limits;     /* some tenant has max_pending or max_running */
};

/* A tenant's jobs in this transaction. */
struct tenant_load {
    int64_t id;
    int64_t delta[BP_JOB_CANCELLED + 1]; /* not flushed yet, by state */
    bool locked;                         /* the two below are known */
    int64_t pending, running;            /* as the counters say, without delta */
    bool counting;                       /* the running batch inserts its row of the counters */
};

/* Takes the version a batch began with; reads the rules when they are older. */
int32_t tenants_current(struct store *s, int64_t version);
int32_t tenants_read(struct store *s);
/* NULL: nothing particular. */
const struct tenant_rule *tenant_rule(const struct store *s, int64_t id);
/* One job goes from one state to another; 0: from or to nothing. */
int32_t tenant_move(struct store *s, int64_t id, int32_t from, int32_t to);
/* Jobs in these states now; only of a tenant that is locked. */
int64_t tenant_pending(struct store *s, int64_t id);
int64_t tenant_running(struct store *s, int64_t id);
/* Has it all the leases it may have? */
bool tenant_full(struct store *s, int64_t id);
/* Adds the condition that leaves out the jobs of tenants known to be full. false: there are none. */
bool tenants_passed_over(const struct store *s, struct sql *q);
/* Locks those of these tenants that have limits and reads their numbers. */
int32_t tenants_lock(struct store *s, const int64_t *ids, size_t n);
/* The flush has written the deltas. */
void tenants_flushed(struct store *s);
void tenants_free(struct store *s);

#endif
