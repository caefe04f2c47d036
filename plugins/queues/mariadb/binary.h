/* SPDX-License-Identifier: Apache-2.0 */
/* binary.h - a prepared statement and its values in the binary protocol: nothing to read but what they are. */
#ifndef MARIADB_BINARY_H
#define MARIADB_BINARY_H

#include "sql.h"

struct store;

/* The values of a text as they are bound; kept between statements for its room. */
struct binary {
    MYSQL_BIND *binds;
    union binary_number *numbers;
    size_t cap;
    char *texts;
    size_t room;
};

/* Prepares a text on the store's connection; NULL with the store's failure set. Closed with mysql_stmt_close. */
MYSQL_STMT *binary_prepare(struct store *s, const struct sql *text);
/* Executes it with n values of q from the first on; it answers no rows. */
int32_t binary_execute(struct store *s, MYSQL_STMT *stmt, const struct sql *q, size_t first, size_t n);
void binary_free(struct binary *b);

#endif
