/* SPDX-License-Identifier: Apache-2.0 */
/* log_batch.h - log records, and what of them one PutLogEvents takes. Pure: no clock, no disk, no AWS. */
#ifndef AWS_LOG_BATCH_H
#define AWS_LOG_BATCH_H

#include <stddef.h>
#include <stdint.h>

#define LOG_BATCH_EVENTS   10000
#define LOG_BATCH_BYTES    1048576 /* texts with LOG_EVENT_OVERHEAD each */
#define LOG_EVENT_OVERHEAD 26
#define LOG_EVENT_MAX      (262144 - LOG_EVENT_OVERHEAD) /* bytes of one text */
#define LOG_BATCH_SPAN_MS  86400000LL                    /* first to last: less than that */
#define LOG_PAST_MS        (14 * 86400000LL - 600000)    /* CloudWatch takes 14 days; some are spent on the way there */
#define LOG_FUTURE_MS      7200000LL
#define LOG_GROUP_MAX      512
#define LOG_STREAM_MAX     512

struct json_object;

/* One line on its way; texts are NUL-terminated and somebody else's. */
struct log_record {
    int64_t at_ms;
    const char *group, *stream, *text;
    uint32_t n_text;
};

/* Copies a line to out (LOG_EVENT_MAX + 1 bytes) as CloudWatch takes it: bytes that are no UTF-8 become '?', one that
 * is too long is cut with a mark that says how long it was, an empty one is a space. Returns the length. */
size_t log_text_clean(const char *text, char *out);
/* How many of the first n (>= 1) records go into one call of at most `most` events: one stream, within the limits. */
uint32_t log_batch_fit(const struct log_record *r, uint32_t n, uint32_t most);
/* Them as the call's logEvents in order of time; *late of them are not there, for CloudWatch would not take them at
 * now_ms. json_object_put() it; NULL without memory. */
struct json_object *log_batch_events(const struct log_record *r, uint32_t n, int64_t now_ms, uint32_t *late);
/* Of n events sent, how many the answer says were not taken. */
uint32_t log_batch_rejected(struct json_object *answer, uint32_t n);

#endif
