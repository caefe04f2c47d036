/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - forward-only migrations, each applied once and recorded with the checksum of its text.
 *
 * Any number of hosts may migrate at once: the one that holds the lock (GET_LOCK) works, the others wait and find it
 * done. A schema with a migration we do not know, or with one whose text differs from ours, is refused and left as it
 * is.
 */
#ifndef MARIADB_SCHEMA_H
#define MARIADB_SCHEMA_H

#include "store.h"

/* Refuses a schema that is not exactly ours. */
int32_t schema_check(struct store *s);
/* Applies what is missing. */
int32_t schema_migrate(struct store *s);
/* What schema_migrate would apply: a JSON array of names, freed with host->free. */
int32_t schema_plan(struct store *s, char **plan);
/* Refuses a server that cannot carry the queue: version, read-only, packet size, binary log format, privileges. */
int32_t server_check(struct store *s);
/* May this user do all the queue needs? The tables must be there. */
int32_t privileges_check(struct store *s);

#endif
