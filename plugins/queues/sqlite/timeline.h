/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.h - the lines of a job's timeline. */
#ifndef SQLITE_TIMELINE_H
#define SQLITE_TIMELINE_H

#include "job.h"

/* Numbers are stored: append only. */
#define EVENT_SUBMITTED  1
#define EVENT_LEASED     2
#define EVENT_PROGRESS   3
#define EVENT_CHECKPOINT 4
#define EVENT_REQUEUED   5
#define EVENT_EXPIRED    6
#define EVENT_RETRY      7
#define EVENT_COMPLETED  8
#define EVENT_FAILED     9
#define EVENT_CANCELLED  10
#define EVENT_CANCEL     11
#define EVENT_DUE        12
#define EVENT_WEBHOOK    13
#define EVENT_MAX        13

/* Appends a line to the job's timeline and remembers it as its newest; job_save makes it so. detail may be NULL. */
int32_t job_event(struct store *s, struct job *j, int64_t at_ms, int what, const char *who, const char *detail);
/* A line that starts a timeline: of a job that has no row yet. */
int32_t job_event_first(struct store *s, int64_t job_id, int64_t at_ms, const char *who, const char *detail);
/* The lines after `after_seq`, oldest first, at most `limit`, as an array in s->mem. newest: the last line. */
int32_t timeline_read(struct store *s, int64_t newest, int64_t after_seq, uint32_t limit, struct bp_job_event **events,
                      uint32_t *n);
/* The same over all jobs. */
int32_t timeline_read_all(struct store *s, int64_t after_seq, uint32_t limit, struct bp_job_event **events,
                          uint32_t *n);
/* Removes a whole timeline. */
int32_t timeline_delete(struct store *s, int64_t newest);
/* Writes the words behind the numbers, for people who read the file with SQL. */
int32_t timeline_words(struct store *s);
/* "worker:ID" in s->mem; on no memory the bare word. */
const char *who_worker(struct store *s, const char *worker_id);

#endif
