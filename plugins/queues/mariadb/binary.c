/* SPDX-License-Identifier: Apache-2.0 */
#include "binary.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

union binary_number {
    long long integer;
    double real;
};

static bool room_for(struct binary *b, size_t n, size_t bytes)
{
    if (n > b->cap) {
        MYSQL_BIND *binds = realloc(b->binds, n * sizeof *binds);
        if (binds)
            b->binds = binds;
        union binary_number *numbers = realloc(b->numbers, n * sizeof *numbers);
        if (numbers)
            b->numbers = numbers;
        if (!binds || !numbers)
            return false;
        b->cap = n;
    }
    if (bytes > b->room) {
        char *texts = realloc(b->texts, bytes);
        if (!texts)
            return false;
        b->texts = texts;
        b->room = bytes;
    }
    return true;
}

/* What a quoted text stands for, the inverse of sql.c; returns where it ends in `to`. */
static char *unquote(const char *from, size_t n, char *to)
{
    for (size_t i = 1; i + 1 < n; i++) {
        char c = from[i];
        if (c == '\\') {
            c = from[++i];
            c = (char)(c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'Z' ? '\x1a' : c);
        }
        *to++ = c;
    }
    return to;
}

/* One value; returns where the next text goes. */
static char *bind(MYSQL_BIND *b, union binary_number *number, const struct sql *q, const struct sql_value *v,
                  char *texts)
{
    const char *t = q->text + v->at;
    memset(b, 0, sizeof *b);
    if (v->type == 's' && t[0] == '\'') {
        char *end = unquote(t, v->n, texts);
        b->buffer_type = MYSQL_TYPE_STRING;
        b->buffer = texts;
        b->buffer_length = (unsigned long)(end - texts);
        return end;
    }
    b->buffer = number;
    if (v->type == 's') {
        b->buffer_type = MYSQL_TYPE_NULL;
    } else if (v->type == 'l') {
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        number->integer = v->integer;
    } else {
        b->buffer_type = MYSQL_TYPE_DOUBLE;
        number->real = v->real;
    }
    return texts;
}

MYSQL_STMT *binary_prepare(struct store *s, const struct sql *text)
{
    MYSQL_STMT *stmt = text->failed ? NULL : mysql_stmt_init(s->db);
    if (!stmt) {
        store_nomem(s);
        return NULL;
    }
    if (mysql_stmt_prepare(stmt, text->text, text->n) == 0)
        return stmt;
    query_failed(s, "prepare a statement of the queue");
    mysql_stmt_close(stmt);
    return NULL;
}

int32_t binary_execute(struct store *s, MYSQL_STMT *stmt, const struct sql *q, size_t first, size_t n)
{
    struct binary *b = &s->binary;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += q->values[first + i].n;
    if (!room_for(b, n, bytes))
        return store_nomem(s);
    char *texts = b->texts;
    for (size_t i = 0; i < n; i++)
        texts = bind(&b->binds[i], &b->numbers[i], q, &q->values[first + i], texts);
    s->fault = FAULT_NONE;
    s->first_answer = false;
    if (mysql_stmt_bind_param(stmt, b->binds) || mysql_stmt_execute(stmt))
        return query_failed(s, "write to the queue");
    return BP_OK;
}

void binary_free(struct binary *b)
{
    free(b->binds);
    free(b->numbers);
    free(b->texts);
    *b = (struct binary){0};
}
