/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - names that are stored once and referred to by number (tenants, effects, workflows, worker ids).
 *
 * The cache holds only pairs the file holds. Texts it returned stay valid until names_clear(), which runs between
 * batches.
 */
#ifndef SQLITE_NAMES_H
#define SQLITE_NAMES_H

#include <stdint.h>

#include "pairs.h"

struct store;

struct names {
    int find, text, insert; /* statements: number of a name, name of a number, a new one */
    struct pairs known;
};

/* *id = the number of `name`, 0 when it has none. BP_OK or the batch's end. */
int32_t names_find(struct store *s, struct names *t, const char *name, int64_t *id);
/* As names_find, giving it one when it has none. */
int32_t names_get(struct store *s, struct names *t, const char *name, int64_t *id);
/* *name = the name of `id`, NULL for 0 or an unknown number. */
int32_t names_text(struct store *s, struct names *t, int64_t id, const char **name);
/* Adds a pair that was read from the file. */
int32_t names_add(struct store *s, struct names *t, int64_t id, const char *name);
void names_clear(struct names *t);
/* Keeps the cache bounded; only between batches. */
void names_trim(struct names *t);

#endif
