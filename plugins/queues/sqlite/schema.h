/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - forward-only migrations, each applied once and recorded with the checksum of its text.
 *
 * A file with a migration we do not know, or with one whose text differs from ours, is refused and left as it is.
 */
#ifndef SQLITE_SCHEMA_H
#define SQLITE_SCHEMA_H

#include "store.h"

/* "bpdq" in the file's header. */
#define SCHEMA_APPLICATION_ID 0x62706471

/* Refuses a database of another program. */
int32_t schema_check_owner(struct store *s);
/* Applies what is missing. */
int32_t schema_migrate(struct store *s);
/* The newest applied step of the file, 0 when there is none; leaves the file as it is. */
int32_t schema_version(struct store *s, int *version);
/* The facet's report (bp/queue.h) on the queue's schema, looked at without changing it; *report is freed with
 * host->free. Steps after version `before` are marked as applied now in mode BP_MIGRATE_APPLY. */
int32_t schema_report(struct store *s, int32_t mode, int before, char **report);
/* The same for a target that is not the queue's own: an embedded queue has no pools. */
int32_t schema_other(struct store *s, const char *target, char **report, struct bp_err *err);

#endif
