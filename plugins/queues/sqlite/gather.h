/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.h - a write-ahead log in few writes.
 *
 * SQLite hands each page of a transaction on as two small writes, a frame's header and the page. A log opened through
 * this VFS keeps those that follow one another in memory until the sync that makes them durable; everything else that
 * is done to the log comes after what is kept. Files other than the log are left to the VFS below.
 */
#ifndef BPD_QUEUE_SQLITE_GATHER_H
#define BPD_QUEUE_SQLITE_GATHER_H

#include <sqlite3.h>

/* Registers a VFS above the one named `below` (NULL: SQLite's own); NULL: there is none, or no memory. Gathers nothing
 * until gather_begin(). */
struct gather *gather_new(const char *below);
/* For sqlite3_open_v2(). */
const char *gather_name(const struct gather *g);
/* No file may be open through it. NULL is allowed. */
void gather_free(struct gather *g);

/* From now on the log of this connection, opened through such a VFS and in WAL mode, is gathered. Only for
 * synchronous=FULL, under which SQLite syncs the log before it tells others of a transaction. Turns cache_spill off, so
 * that nothing of a transaction is written before it commits: what is kept can't outlive one that is given up. Returns
 * an SQLite result code; on an error nothing is gathered. */
int gather_begin(sqlite3 *db);

#endif
