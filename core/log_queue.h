/* SPDX-License-Identifier: Apache-2.0 */
/* log_queue.h - log lines that wait to be forwarded, oldest first, bounded in number and bytes. Any thread. */
#ifndef CORE_LOG_QUEUE_H
#define CORE_LOG_QUEUE_H

#include <bp/cloud.h>

#define LOG_QUEUE_LINES 10000
#define LOG_QUEUE_BYTES (8U << 20)

struct log_queue;

struct log_queue *log_queue_new(void); /* NULL without memory */
void log_queue_free(struct log_queue *q);
/* Copies the line; the oldest give way. Without memory it is lost. Both are counted. */
void log_queue_add(struct log_queue *q, int64_t at_ms, const char *text, size_t n);
/* Takes up to max lines and max_bytes (but at least one line) out into *lines, malloc'ed, each text too. */
uint32_t log_queue_take(struct log_queue *q, struct bp_log_line **lines, uint32_t max, size_t max_bytes);
void log_lines_free(struct bp_log_line *lines, uint32_t n);
uint32_t log_queue_waiting(struct log_queue *q);
uint64_t log_queue_lost(struct log_queue *q); /* ever */

#endif
