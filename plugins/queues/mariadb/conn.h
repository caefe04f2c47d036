/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - the connection: opening it, sending statements, reading what they answer.
 *
 * Several statements may go in one text; the server stops at the first that fails. Everything that was sent is read to
 * its end before the next text: query_end() or a failure does that.
 */
#ifndef MARIADB_CONN_H
#define MARIADB_CONN_H

#include <mysql.h>

#include "remedy.h"
#include "sql.h"

struct store;

/* Connects and prepares the session; with store.patient, one that no timeout ends. Sets the store's failure and fault.
 */
int32_t conn_open(struct store *s);
void conn_close(struct store *s);

/* Sends a text; its answers are read with query_rows, and the rest with query_end. */
int32_t query_send(struct store *s, const struct sql *q);
struct reply {
    MYSQL_RES *result;
    MYSQL_ROW row; /* texts, NULL for NULL; valid until reply_done */
};
/* Takes the next answer that has rows. */
int32_t query_rows(struct store *s, struct reply *r);
bool reply_next(struct reply *r);
void reply_done(struct reply *r);
/* Reads and checks all answers left. */
int32_t query_end(struct store *s);
/* Keeps what the server or the library said of the last statement; its rc. */
int32_t query_failed(struct store *s, const char *doing);
/* query_send and query_end. */
int32_t query_run(struct store *s, const struct sql *q);
/* A text of ours, run. */
int32_t query_text(struct store *s, const char *sql);
/* The integer a single query answers; 0 when none. */
int32_t query_int(struct store *s, const struct sql *q, int64_t *value);
/* Sends and takes the only answer with rows; after the rows reply_done and nothing else is needed. */
int32_t query_one(struct store *s, const struct sql *q, struct reply *r);

/* A column as a number; 0 when it is NULL. */
int64_t column_int(const struct reply *r, int column);
double column_double(const struct reply *r, int column);

#endif
