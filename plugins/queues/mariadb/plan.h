/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what becomes of the submits of a segment: refused, repetitions, or new rows. */
#ifndef MARIADB_PLAN_H
#define MARIADB_PLAN_H

#include "job.h"

/* Looks at a submit by itself: why it cannot be, and the digest of its idempotency key. */
int32_t plan_begin(struct store *s, const struct bp_op_submit *u, struct submit_plan *plan);
/* A key somebody holds. NULL: no memory. */
struct key_known *plan_key_add(struct store *s, int64_t tenant, const char *key, const char *hash);
/* Plans all submits of a segment once the keys they name are known; *any: some become rows, which have no id yet. */
int32_t plan_all(struct store *s, struct bp_op *const *ops, uint32_t n, bool *any);

#endif
