/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_buffer.h - samples on their way to CloudWatch, oldest first, bounded: when it is full the oldest give way.
 *
 * Samples are numbered as they come; what was sent is dropped by number, so that others may come and go meanwhile.
 * Small: the names of a series are kept once. The owner's lock guards it.
 */
#ifndef AWS_METRIC_BUFFER_H
#define AWS_METRIC_BUFFER_H

#include <bp/cloud.h>

struct metric_buffer;

/* Of at most `most` samples; memory grows as they come. NULL without memory. */
struct metric_buffer *metric_buffer_new(uint32_t most);
void metric_buffer_free(struct metric_buffer *b);
/* Its texts are terminated. 0 or BP_NOMEM: it is not kept. *pushed_out: 1 when the oldest gave way for it. */
int metric_buffer_add(struct metric_buffer *b, const struct bp_metric *s, int *pushed_out);
uint32_t metric_buffer_count(const struct metric_buffer *b);
/* The number of the oldest. */
uint64_t metric_buffer_first(const struct metric_buffer *b);
/* Copies sample `number` out; 0: it is not there (any more, or yet). */
int metric_buffer_read(const struct metric_buffer *b, uint64_t number, struct bp_metric *out);
/* Drops all before `number`. */
void metric_buffer_drop(struct metric_buffer *b, uint64_t number);

#endif
