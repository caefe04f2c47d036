/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - rows of any kind for the host: an array of structs and their texts in one block of its memory. */
#ifndef SQLITE_ROWS_H
#define SQLITE_ROWS_H

#include "store.h"

struct rows_kind {
    size_t bytes;        /* of a row */
    const size_t *texts; /* offsets of its texts in the order the query gives them */
    int n_texts;
    int first_text; /* column of the first */
    /* Fills all but the texts; BP_OK or the batch's end. */
    int32_t (*numbers)(struct store *s, sqlite3_stmt *q, void *row);
};

/* All rows of a query, which it ends. *out: NULL when there are none; freed with host->free. */
int32_t rows_read(struct store *s, sqlite3_stmt *q, const struct rows_kind *kind, void **out, uint32_t *count);

#endif
