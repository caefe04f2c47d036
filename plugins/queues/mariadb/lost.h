/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost.h - jobs whose content is not where it was put: somebody deleted its row, or a pool was restored from a backup
 * older than the queue's. They fail, with words; no worker gets one to run on nothing.
 */
#ifndef MARIADB_LOST_H
#define MARIADB_LOST_H

#include "store.h"

/* Looks for such jobs among those the batch would hand out as leases, their content read. BP_LATER: there are some,
 * they are noted, and the batch must be tried again. */
int32_t lost_look(struct store *s);
/* Fails those that were noted, in a transaction of their own; between two attempts. */
int32_t lost_fail(struct store *s);

#endif
