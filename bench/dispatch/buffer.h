/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.h - bytes that grow: requests before they are sent, answers as they come in. */
#ifndef BENCH_BUFFER_H
#define BENCH_BUFFER_H

#include <stddef.h>

struct buffer {
    char *bytes;
    size_t n, cap;
};

/* Room for n more bytes and a NUL behind them; the caller adds to b->n what it put there. */
char *buffer_room(struct buffer *b, size_t n);
void buffer_add(struct buffer *b, const void *bytes, size_t n);
__attribute__((format(printf, 2, 3))) void buffer_print(struct buffer *b, const char *format, ...);
void buffer_free(struct buffer *b);

#endif
