/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - questions about bytes: how long is the well-formed UTF-8 sequence here, and what would a terminal obey. */
#ifndef LOG_UTF8_H
#define LOG_UTF8_H

#include <stddef.h>

/* Bytes (1 to 4) of the well-formed sequence that starts at s, 0 when it is not well-formed (RFC 3629). bytes >= 1. */
size_t utf8_sequence(const char *s, size_t bytes);
/* The largest length <= max at which s (of `bytes` bytes) can be cut without splitting a sequence. */
size_t utf8_cut(const char *s, size_t bytes, size_t max);

/* Each byte that belongs to no well-formed sequence becomes '?'. In place. */
void utf8_repair(char *s);

/* Terminal escapes must not reach an operator's terminal: control characters become blanks, those of one byte (C0, DEL)
 * and those of two (C1). In place. */
void utf8_make_harmless(char *s);

#endif
