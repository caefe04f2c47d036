/* SPDX-License-Identifier: Apache-2.0 */
/* log_ring.h - the most recent LOG_RING_LINES lines. The caller of add and copy holds the log's lock. */
#ifndef LOG_LOG_RING_H
#define LOG_LOG_RING_H

#include <stddef.h>
#include <stdint.h>

#define LOG_RING_LINES 1000

/* Copies the line (no newline); with no memory the line is lost. */
void log_ring_add(const char *line, size_t bytes);
/* Copies up to max of the newest lines, oldest first, into *out; returns how many. free() each and *out. */
uint32_t log_ring_copy(uint32_t max, char ***out);

#endif
