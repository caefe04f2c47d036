/* SPDX-License-Identifier: Apache-2.0 */
/* pool_rig.h - a queue whose tenants are in pools, and its jobs step by step; time is the rig's. */
#ifndef TEST_POOL_RIG_H
#define TEST_POOL_RIG_H

#include "cm.h"
#include "database.h"

#define TTL_MS 60000

/* Begins at the same time in each test. */
extern int64_t rig_now;

/* Tenants "near1" and "near2" are in the pools of these names on the queue's server, "far" in the pool "far" on the
 * other one, behind this socket; "home" in none. Others where there is most room. extra as for queue_start. */
const char *rig_pools(const char *far, const char *extra);
/* A queue with them; the test fails when it does not start. */
struct fake_host *rig_start(const char *far);
/* The same with the queue's own server behind a socket, and so long for an answer of a pool. */
struct fake_host *rig_start_at(const char *socket, const char *far, int timeout_s);

/* One operation, which the batch must take; its own rc, with its words in *err when err is not NULL. */
int32_t rig_op(struct fake_host *h, struct bp_op *op, struct bp_err *err);
/* Submits with this content; the id. */
int64_t rig_submit(struct fake_host *h, const char *tenant, const char *key, const char *params);
int32_t rig_submit_try(struct fake_host *h, const char *tenant, struct bp_err *err);
/* Leases one job of workflow "a"; params is filled when it is not NULL. 0: none. */
int64_t rig_lease(struct fake_host *h, const char *worker, const char *token, char params[128]);
int32_t rig_complete(struct fake_host *h, int64_t id, const char *worker, const char *token, const char *output);
int32_t rig_fail(struct fake_host *h, int64_t id, const char *worker, const char *token);
void rig_sweep(struct fake_host *h);
/* What a tenant sees; rc of the operation. */
struct rig_view {
    int32_t status, attempts;
    char params[128], output[128], error[300];
};
int32_t rig_get(struct fake_host *h, const char *tenant, int64_t id, struct rig_view *view);
uint32_t rig_count(struct fake_host *h, const char *tenant);
/* Makes the pool's unconfirmed rows as old as the reconciler wants them. */
void rig_age_far(void);

#endif
