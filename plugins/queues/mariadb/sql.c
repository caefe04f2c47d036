/* SPDX-License-Identifier: Apache-2.0 */
#include "sql.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *reserve(struct sql *q, size_t bytes)
{
    if (q->failed)
        return NULL;
    if (q->room - q->n < bytes + 1) {
        size_t room = q->room ? q->room : 4096;
        while (room - q->n < bytes + 1)
            room *= 2;
        char *text = realloc(q->text, room);
        if (!text) {
            q->failed = true;
            return NULL;
        }
        q->text = text;
        q->room = room;
    }
    return q->text + q->n;
}

void sql_bytes(struct sql *q, const char *bytes, size_t n)
{
    char *to = reserve(q, n);
    if (!to)
        return;
    if (n)
        memcpy(to, bytes, n);
    q->n += n;
    q->text[q->n] = 0;
}

static void value_note(struct sql *q, struct sql_value v)
{
    if (q->failed)
        return;
    if (q->n_values == q->cap_values) {
        size_t cap = q->cap_values ? 2 * q->cap_values : 64;
        struct sql_value *values = realloc(q->values, cap * sizeof *values);
        if (!values) {
            q->failed = true;
            return;
        }
        q->values = values;
        q->cap_values = cap;
    }
    q->values[q->n_values++] = v;
}

/* A batch writes some two hundred numbers, each of which takes snprintf() five times as long. */
static void int_add(struct sql *q, int64_t v)
{
    char text[24], *end = text + sizeof text, *p = end;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    size_t at = q->n;
    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (v < 0)
        *--p = '-';
    sql_bytes(q, p, (size_t)(end - p));
    value_note(q, (struct sql_value){.at = at, .n = q->n - at, .type = 'l', .integer = v});
}

static void double_add(struct sql *q, double v)
{
    char text[40];
    size_t at = q->n;
    double real = isfinite(v) ? v : 0;
    sql_bytes(q, text, (size_t)snprintf(text, sizeof text, "%.17g", real));
    value_note(q, (struct sql_value){.at = at, .n = q->n - at, .type = 'd', .real = real});
}

/* The character a byte is written as behind a backslash, 0: as it is. Every session is in a mode that takes these. */
static char escape_of(char c)
{
    switch (c) {
    case '\\':
    case '\'':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\x1a':
        return 'Z';
    default:
        return 0;
    }
}

static void text_quote(struct sql *q, const char *t)
{
    size_t n = strlen(t);
    char *to = reserve(q, 2 * n + 2), *begin = to;
    if (!to)
        return;
    *to++ = '\'';
    for (size_t i = 0; i < n; i++) {
        char e = escape_of(t[i]);
        if (e)
            *to++ = '\\';
        *to++ = e ? e : t[i];
    }
    *to++ = '\'';
    *to = 0;
    q->n += (size_t)(to - begin);
}

static void text_add(struct sql *q, const char *t)
{
    size_t at = q->n;
    if (t)
        text_quote(q, t);
    else
        sql_bytes(q, "NULL", 4);
    value_note(q, (struct sql_value){.at = at, .n = q->n - at, .type = 's'});
}

static void name_add(struct sql *q, const char *name)
{
    sql_bytes(q, "`", 1);
    for (; *name; name++)
        sql_bytes(q, *name == '`' ? "``" : name, *name == '`' ? 2 : 1);
    sql_bytes(q, "`", 1);
}

static void value_add(struct sql *q, char type, va_list *ap)
{
    const char *raw;
    switch (type) {
    case 'l':
        int_add(q, va_arg(*ap, int64_t));
        break;
    case 'i':
        int_add(q, va_arg(*ap, int32_t));
        break;
    case 'd':
        double_add(q, va_arg(*ap, double));
        break;
    case 's':
        text_add(q, va_arg(*ap, const char *));
        break;
    case 'q':
        name_add(q, va_arg(*ap, const char *));
        break;
    case 'r':
        raw = va_arg(*ap, const char *);
        sql_bytes(q, raw, strlen(raw));
        break;
    default:
        sql_bytes(q, &type, 1);
    }
}

void sql_add(struct sql *q, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    while (*fmt) {
        size_t plain = strcspn(fmt, "%");
        sql_bytes(q, fmt, plain);
        fmt += plain;
        if (*fmt && fmt[1]) {
            value_add(q, fmt[1], &ap);
            fmt += 2;
        }
    }
    va_end(ap);
}

void sql_comma(struct sql *q)
{
    if (q->n && q->text[q->n - 1] != '(')
        sql_bytes(q, ",", 1);
}

void sql_join(struct sql *q, const struct sql *from)
{
    size_t base = q->n;
    q->failed = q->failed || from->failed;
    sql_bytes(q, from->text, from->n);
    for (size_t i = 0; i < from->n_values; i++) {
        struct sql_value v = from->values[i];
        v.at += base;
        value_note(q, v);
    }
}

void sql_clear(struct sql *q)
{
    q->n = q->n_values = 0;
    q->failed = false;
    if (q->room > 4 << 20)
        sql_free(q);
}

void sql_free(struct sql *q)
{
    free(q->text);
    free(q->values);
    *q = (struct sql){0};
}
