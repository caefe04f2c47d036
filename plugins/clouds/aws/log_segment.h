/* SPDX-License-Identifier: Apache-2.0 */
/* log_segment.h - log records as bytes of a file: each with its length and a checksum, so that a torn one is known. */
#ifndef AWS_LOG_SEGMENT_H
#define AWS_LOG_SEGMENT_H

#include "log_batch.h"

#define LOG_SEGMENT_RECORD_MAX (LOG_EVENT_MAX + LOG_GROUP_MAX + LOG_STREAM_MAX + 64)

/* Bytes of a record, and the record as such at out. */
size_t log_segment_bytes(const struct log_record *r);
size_t log_segment_encode(const struct log_record *r, char *out);
/* The record that begins at `at`, of n bytes there; its texts lie there too. Its bytes, 0: there is no whole one. */
size_t log_segment_parse(const char *at, size_t n, struct log_record *out);
/* Where behind `at` the next whole record begins, n when there is none. */
size_t log_segment_next(const char *at, size_t n);

#endif
