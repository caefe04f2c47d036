/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buffer_room(struct buffer *b, size_t n)
{
    if (b->cap - b->n < n + 1) {
        size_t cap = b->cap * 2 > b->n + n + 1 ? b->cap * 2 : b->n + n + 1;
        b->bytes = realloc(b->bytes, cap);
        if (!b->bytes)
            abort();
        b->cap = cap;
    }
    return b->bytes + b->n;
}

void buffer_add(struct buffer *b, const void *bytes, size_t n)
{
    memcpy(buffer_room(b, n), bytes, n);
    b->n += n;
}

void buffer_print(struct buffer *b, const char *format, ...)
{
    va_list one, two;
    va_start(one, format);
    va_copy(two, one);
    size_t room = b->cap - b->n;
    int n = vsnprintf(b->bytes ? b->bytes + b->n : NULL, room, format, one);
    va_end(one);
    if (n > 0 && (size_t)n >= room)
        vsnprintf(buffer_room(b, (size_t)n), (size_t)n + 1, format, two);
    va_end(two);
    b->n += n > 0 ? (size_t)n : 0;
}

void buffer_free(struct buffer *b)
{
    free(b->bytes);
    *b = (struct buffer){0};
}
