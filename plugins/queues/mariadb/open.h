/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - the connection's life: made, lost, made again after a rest that doubles. */
#ifndef MARIADB_OPEN_H
#define MARIADB_OPEN_H

#include "schema.h"
#include "store.h"

/* Monotonic milliseconds. */
int64_t store_clock_ms(void);
/* The schema behind the open connection. */
struct schema store_schema(struct store *s, const struct schema_steps *steps);
/* Brings it up to date when the settings want that, else refuses an old one. */
int32_t store_schema_ready(struct store *s, const struct schema_steps *steps);
/* After a cut in the middle of a commit: connects again and learns whether batch_no is in the table. BP_OK: *committed
 * tells. Else it could not be learned until then. */
int32_t store_outcome(struct store *s, int64_t until_ms, bool *committed);

#endif
