/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.h - the private part of jobs: written where their tenants' pools are, read from there.
 *
 * A pool's row shows: accepted or not, finished and how. In a near pool it changes with the dispatch; in a far one the
 * dispatch's change leaves a line in pool_outbox, and reconcile.c follows behind.
 */
#ifndef MARIADB_CONTENT_H
#define MARIADB_CONTENT_H

#include "job.h"

/* What a pool's row says of a job's state (pool_0001.sql). */
#define CONTENT_UNCONFIRMED 0
#define CONTENT_OPEN        2
int32_t content_state_of(int32_t status);

/* A new job. */
int32_t content_submit(struct store *s, const struct job *j);
/* The accepted output, row.output and row.provider_job_id. */
int32_t content_output(struct store *s, const struct job *j);
/* The row's state changed from saved_status; for completed jobs content_output does this. */
int32_t content_state(struct store *s, const struct job *j);
/* Notes that a job is gone: near rows are removed by content_remove_text, far ones from the outbox. */
void content_remove(struct store *s, const struct job *j);
void content_remove_text(struct store *s, struct sql *q);

/* Adds the rows for near pools to a text. */
void contents_near_text(struct store *s, struct sql *q);
/* Writes rows out early when they became many. */
int32_t contents_spill(struct store *s, size_t bytes);

/* Is something to be written or committed on another server? */
bool contents_far_pending(const struct store *s);

/* Says in s->mem that a job's content is not where it was put, and what to do. NULL: no memory. */
const char *content_lost_text(struct store *s, const struct job *j);

/* The jobs whose content is to be read. */
struct wants {
    struct job **jobs;
    uint32_t n;
    int answers; /* queries in the text of contents_want_text */
};
/* Adds the queries to the queue's own server to a text, contents_take takes their answers. */
void contents_want_text(struct store *s, struct wants *w, struct sql *q);
int32_t contents_take(struct store *s, struct wants *w);
/* Writes and reads what is on other servers, and settles what nobody has: empty, and why it cannot be read or that it
 * is lost. */
int32_t contents_far(struct store *s, struct wants *w);
/* All three, for jobs that have no content yet. The array is put in order of ids. */
int32_t contents_fill(struct store *s, struct job **jobs, uint32_t n);
/* The same for an array of jobs, those that have theirs included. */
int32_t contents_of(struct store *s, struct job *jobs, uint32_t n);

#endif
