/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - the operations of bp.queue/1. Each returns BP_OK with its own result in op->err, or ends the batch (store.h).
 */
#ifndef SQLITE_OPS_H
#define SQLITE_OPS_H

#include "store.h"

int32_t op_submit(struct store *s, struct bp_op *op);
int32_t op_lease(struct store *s, struct bp_op *op);
int32_t op_extend(struct store *s, struct bp_op *op);
int32_t op_complete(struct store *s, struct bp_op *op);
int32_t op_fail(struct store *s, struct bp_op *op);
int32_t op_requeue(struct store *s, struct bp_op *op);
int32_t op_cancel(struct store *s, struct bp_op *op);
int32_t op_retry(struct store *s, struct bp_op *op);
int32_t op_get(struct store *s, struct bp_op *op);
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

#endif
