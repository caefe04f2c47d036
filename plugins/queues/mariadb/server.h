/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - what a server and an account must be like, each refused with its remedy; all on the store's connection. */
#ifndef MARIADB_SERVER_H
#define MARIADB_SERVER_H

#include "store.h"

/* Refuses a server that cannot carry the queue: version, read-only, packet size, binary log format, isolation. Warns,
 * once, of one that may lose what it committed. */
int32_t server_check(struct store *s);
/* May this user do all the queue needs? The tables must be there. */
int32_t privileges_check(struct store *s);
/* The same in a pool. */
int32_t pool_privileges_check(struct store *s);

#endif
