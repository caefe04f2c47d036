/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.h - text of SQL statements, built in a growing buffer; every value that goes in is quoted here.
 *
 * Running out of memory is remembered in `failed` and told when the text is sent.
 */
#ifndef MARIADB_SQL_H
#define MARIADB_SQL_H

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a value stands in a text, and what it is when it is a number. */
struct sql_value {
    size_t at, n;
    char type; /* as in a format: 'l', 'd' or 's' */
    union {
        int64_t integer;
        double real;
    };
};

struct sql {
    char *text;
    size_t n, room;
    bool failed;
    struct sql_value *values; /* those of %l, %i, %d and %s, in their order */
    size_t n_values, cap_values;
};

/*
 * Appends. In fmt: %l int64_t, %i int32_t, %d double, %s a quoted text (NULL: the word NULL), %q a name in backticks,
 * %r raw SQL that is ours, %% a percent sign.
 */
void sql_add(struct sql *q, const char *fmt, ...);
/* Appends a comma unless the text is empty or ends in an opening parenthesis. */
void sql_comma(struct sql *q);
/* Appends a text with its values. */
void sql_join(struct sql *q, const struct sql *from);
/* Appends bytes as they are. */
void sql_bytes(struct sql *q, const char *bytes, size_t n);
void sql_clear(struct sql *q);
void sql_free(struct sql *q);

#endif
