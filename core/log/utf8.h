/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - one question about bytes: how long is the well-formed UTF-8 sequence here. */
#ifndef LOG_UTF8_H
#define LOG_UTF8_H

#include <stddef.h>

/* Bytes (1 to 4) of the well-formed sequence that starts at s, 0 when it is not well-formed (RFC 3629). bytes >= 1. */
size_t utf8_sequence(const char *s, size_t bytes);
/* The largest length <= max at which s (of `bytes` bytes) can be cut without splitting a sequence. */
size_t utf8_cut(const char *s, size_t bytes, size_t max);

#endif
