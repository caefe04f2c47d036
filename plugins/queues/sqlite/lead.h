/* SPDX-License-Identifier: Apache-2.0 */
/* lead.h - which of several controllers leads: one row with its holder, an epoch that only grows, and an expiry. */
#ifndef SQLITE_LEAD_H
#define SQLITE_LEAD_H

#include "store.h"

/* Answers the operation with BP_STALE when the epoch is not that of the present leader; 0 asks for nothing. */
int32_t lead_check(struct store *s, struct bp_op *op, int64_t epoch);

#endif
