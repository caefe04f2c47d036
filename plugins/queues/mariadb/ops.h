/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - one handler for each kind of operation. */
#ifndef MARIADB_OPS_H
#define MARIADB_OPS_H

#include "store.h"

/* Runs an operation of any kind. */
int32_t op_run(struct store *s, struct bp_op *op, const struct submit_plan *plan);
/* Each returns BP_OK with its answer in op->err and the operation's members, or ends the batch. These work on what
 * batch_load read: */
int32_t op_submit(struct store *s, struct bp_op *op, const struct submit_plan *plan);
int32_t op_lease(struct store *s, struct bp_op *op);
int32_t op_extend(struct store *s, struct bp_op *op);
int32_t op_complete(struct store *s, struct bp_op *op);
int32_t op_fail(struct store *s, struct bp_op *op);
int32_t op_requeue(struct store *s, struct bp_op *op);
int32_t op_cancel(struct store *s, struct bp_op *op);
int32_t op_retry(struct store *s, struct bp_op *op);
int32_t op_get(struct store *s, struct bp_op *op);
/* These query by themselves, with nothing left to flush: */
int32_t op_list(struct store *s, struct bp_op *op);
int32_t op_place(struct store *s, struct bp_op *op);
int32_t op_sweep(struct store *s, struct bp_op *op);
int32_t op_worker_put(struct store *s, struct bp_op *op);
int32_t op_worker_auth(struct store *s, struct bp_op *op);
int32_t op_worker_set(struct store *s, struct bp_op *op);
int32_t op_worker_del(struct store *s, struct bp_op *op);
int32_t op_worker_list(struct store *s, struct bp_op *op);
int32_t op_events(struct store *s, struct bp_op *op);
int32_t op_prune(struct store *s, struct bp_op *op);
int32_t op_stats(struct store *s, struct bp_op *op);
int32_t op_lead(struct store *s, struct bp_op *op);
int32_t op_watch(struct store *s, struct bp_op *op);
int32_t op_tenant_put(struct store *s, struct bp_op *op);
int32_t op_tenant_list(struct store *s, struct bp_op *op);
int32_t op_token_put(struct store *s, struct bp_op *op);
int32_t op_token_del(struct store *s, struct bp_op *op);
int32_t op_token_list(struct store *s, struct bp_op *op);
int32_t op_token_auth(struct store *s, struct bp_op *op);
int32_t op_webhook_take(struct store *s, struct bp_op *op);
int32_t op_webhook_done(struct store *s, struct bp_op *op);
int32_t op_memo_put(struct store *s, struct bp_op *op);
int32_t op_memo_list(struct store *s, struct bp_op *op);

/* Why a submit cannot be taken, NULL: it can. */
const char *submit_wrong(const struct store *s, const struct bp_op_submit *u);
/* All workflows as a list for IN, in s->workflow_list: it leads through indexes that have the workflow in front. */
int32_t workflow_list(struct store *s);
/* The number of a tenant that is more than named, 0: there is none. */
int32_t tenant_there(struct store *s, const char *name, int64_t *id);
/* Tenants by name, or the one of a number, in one block of host memory. */
int32_t tenants_hand(struct store *s, int64_t id, struct bp_tenant_row **tenants, uint32_t *n, void **memory);
/* Hands a job and its timeline to a get. */
int32_t get_pack(struct store *s, struct bp_op *op, struct job *j);

#endif
