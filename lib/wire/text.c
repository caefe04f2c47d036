/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct text *t, size_t more)
{
    size_t cap = t->cap ? t->cap : 1024;
    char *grown;

    if (t->cap - t->n >= more)
        return;
    while (cap - t->n < more)
        cap *= 2;
    grown = realloc(t->bytes, cap);
    assert(grown);
    t->bytes = grown;
    t->cap = cap;
}

void text_add(struct text *t, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    reserve(t, n);
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
}

void text_puts(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    reserve(t, 128);
    va_start(ap, fmt);
    n = vsnprintf(t->bytes + t->n, t->cap - t->n, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n >= t->cap - t->n) {
        reserve(t, (size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(t->bytes + t->n, t->cap - t->n, fmt, ap);
        va_end(ap);
    }
    t->n += (size_t)n;
}

static void put_escaped(struct text *t, unsigned char c)
{
    static const char short_form[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char two[2] = {'\\', (char)c};

    if (c == '"' || c == '\\') {
        text_add(t, two, 2);
    } else if (c < sizeof(short_form) && short_form[c]) {
        two[1] = short_form[c];
        text_add(t, two, 2);
    } else {
        text_printf(t, "\\u%04x", c);
    }
}

void text_json(struct text *t, const char *s)
{
    if (!s) {
        text_add(t, "null", 4);
        return;
    }
    text_add(t, "\"", 1);
    while (*s) {
        const char *p = s;
        while ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
            p++;
        text_add(t, s, (size_t)(p - s));
        s = p;
        if (*s)
            put_escaped(t, (unsigned char)*s++);
    }
    text_add(t, "\"", 1);
}

const char *text_str(struct text *t)
{
    reserve(t, 1);
    t->bytes[t->n] = '\0';
    return t->bytes;
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}
