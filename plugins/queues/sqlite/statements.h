/* SPDX-License-Identifier: Apache-2.0 */
/* statements.h - every SQL statement of the store, prepared once. The texts are in statements.def. */
#ifndef SQLITE_STATEMENTS_H
#define SQLITE_STATEMENTS_H

#include <sqlite3.h>
#include <stdint.h>

struct store;

enum statement {
#define STATEMENT(id, sql) ST_##id,
#include "statements.def"
#undef STATEMENT
    STATEMENT_COUNT
};

/*
 * Arguments are bound in order by `types`: 'l' int64_t, 'i' int32_t, 's' text (NULL is NULL), 'd' double, 'z' int64_t
 * with 0 bound as NULL. Texts are borrowed until the statement is done.
 */

/* Runs a statement that returns no rows. BP_OK or the batch's end. */
int32_t statement_run(struct store *s, int id, const char *types, ...);
/* Begins a query; NULL on failure, which statement_next() then returns. */
sqlite3_stmt *statement_query(struct store *s, int id, const char *types, ...);
/* 1: a row is there. 0: no more. Negative: the batch's end. */
int32_t statement_next(struct store *s, sqlite3_stmt *q);
/* Ends a query (NULL is fine). */
void statement_done(sqlite3_stmt *q);
/* Reads the single integer a query gives; `fallback` when it gives none. */
int32_t statement_int(struct store *s, int id, int64_t *value, int64_t fallback);
/* Forgets all of them, before the connection closes. */
void statements_free(struct store *s);

#endif
