/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shapes.h - texts that come again with other values.
 *
 * At small batches the server spends as much on reading statements as on running them, and answers each by itself. The
 * shape of a text is the text with a question mark for each value. One that was sent USES_MIN times is prepared as a
 * single compound statement; from then on its name and the values are sent, and the server, which keeps what it has
 * read, answers with the rows alone: a quarter to a third less work for the same statements. A text that is a whole
 * transaction and answers no rows is prepared and sent in the binary protocol, so that its values need no reading
 * either.
 *
 * A shape is nothing but a shortcut: without it the plain text is sent, and a new connection begins without any.
 */
#ifndef MARIADB_SHAPES_H
#define MARIADB_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

#include "sql.h"

struct store;

struct shape {
    char *text; /* NULL: an empty slot */
    size_t n;
    uint32_t uses;
    bool prepared;    /* under the number of its slot */
    bool whole;       /* a text of nothing else, which answers no rows */
    MYSQL_STMT *stmt; /* then it is prepared as this */
    size_t values;
};

struct shapes {
    struct shape *slots; /* SHAPES_MAX, by hash; NULL: none yet */
    struct shape *due;   /* to be prepared */
    struct sql text, send;
    size_t values; /* of all that is prepared as whole texts */
    size_t bytes;  /* of all texts kept */
    bool off;      /* the server prepares no such statements */
};

/* Sends s->q; its answers are read as those of query_send. What is in [from, to) comes again with other values and is
 * made of whole statements. */
int32_t shapes_send(struct store *s, size_t from, size_t to);
/* The same for a text that answers no rows, and of which [from, the end) is the whole work. */
int32_t shapes_send_whole(struct store *s, size_t from);
/* Prepares a shape that came often, if there is one; outside of a transaction. That it fails matters to nobody. */
void shapes_prepare(struct store *s);
/* Of a new connection: nothing is prepared. */
void shapes_forget(struct store *s);
void shapes_free(struct store *s);

#endif
