/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - names that are stored once and referred to by number (tenants, effects, workflows, worker ids).
 *
 * The cache holds only committed pairs: new names are written before a batch begins its transaction. Texts it returned
 * stay valid until names_clear() or names_trim(), which run between batches.
 */
#ifndef MARIADB_NAMES_H
#define MARIADB_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pairs.h"
#include "sql.h"

#define NAME_MAX_BYTES 255

struct store;

struct names {
    const char *table;
    bool marked; /* the table has a column `there`, 0 in rows that were only named */
    bool stale;  /* a pair of the cache is not in the table any more */
    struct pairs known;
    struct sql missing; /* names_want: '...','...' */
    size_t n_missing;
    const char **wanted; /* what is in `missing`, borrowed */
};

/* Notes that a batch will need the name's number; names too long or not UTF-8 are passed over. */
int32_t names_want(struct store *s, struct names *t, const char *name);
/* Reads the numbers of all noted names; writes those that have none when `create`. Outside of transactions. */
int32_t names_resolve(struct store *s, struct names *t, bool create);
/* *id = the number of `name`, 0 when it has none. BP_OK or the batch's end. */
int32_t names_find(struct store *s, struct names *t, const char *name, int64_t *id);
/* Of a marked table: is the row more than a name? And: it is now, or will be with this batch. */
bool names_there(const struct names *t, int64_t id);
void names_make(struct names *t, int64_t id);
/* *name = the name of `id`, NULL for 0 or an unknown number. */
int32_t names_text(struct store *s, struct names *t, int64_t id, const char **name);
void names_clear(struct names *t);
/* Keeps the cache bounded and true; only between batches. */
void names_trim(struct names *t);

#endif
