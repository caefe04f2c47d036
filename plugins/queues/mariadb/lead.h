/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lead.h - who leads.
 *
 * What only a leader may do names the epoch it leads in; lead_check compares it under a lock that the transaction
 * keeps, so leadership cannot change before that is committed.
 */
#ifndef MARIADB_LEAD_H
#define MARIADB_LEAD_H

#include "store.h"

/* Is it the present leader's epoch (0: not asked)? Else the operation is answered and *ok false. */
int32_t lead_check(struct store *s, struct bp_op *op, int64_t epoch, bool *ok);

#endif
