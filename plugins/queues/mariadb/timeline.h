/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.h - the lines of a job's timeline. */
#ifndef MARIADB_TIMELINE_H
#define MARIADB_TIMELINE_H

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

/* Appends a line to the job's timeline; written at the next flush. detail may be NULL. */
int32_t job_event(struct store *s, const struct job *j, int64_t at_ms, int what, const char *who, const char *detail);
/* The lines after `after_seq`, oldest first, at most `limit`, as an array in s->mem. job_id 0: of all jobs. */
int32_t timeline_read(struct store *s, int64_t job_id, int64_t after_seq, uint32_t limit, struct bp_job_event **events,
                      uint32_t *n);
/* Adds the words behind the numbers to a text, for people who read the tables with SQL. */
void timeline_words(struct sql *q);
/* "worker:ID" in s->mem; on no memory the bare word. */
const char *who_worker(struct store *s, const char *worker_id);

#endif
