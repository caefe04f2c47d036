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
/* What schema_migrate would apply: a JSON array of names, freed with host->free. */
int32_t schema_plan(struct store *s, char **plan);

#endif
