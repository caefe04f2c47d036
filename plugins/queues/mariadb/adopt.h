/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.h - jobs that other applications put into ai_job_dispatches with an INSERT of their own.
 *
 * Such a row has not ended (or has a status that is none, from a session that is not strict) and created_ms or due_ms
 * 0; nothing else has those. Whoever locks it first adopts it: it gets its times, its private row, its place in the
 * counters and the first line of its timeline, or becomes failed with the reason. From then on it is a job like any
 * other. What stands in columns that are the queue's own is not believed: the row is refused, and they are emptied, or
 * no write of the row, and of all that is written with it, might ever succeed.
 */
#ifndef MARIADB_ADOPT_H
#define MARIADB_ADOPT_H

#include "job.h"

/* Adopts a locked foreign row: it is queued, scheduled or failed then, and saved. Another is left as it is. */
int32_t job_adopt(struct store *s, struct job *j, int64_t now_ms);
/* Does any row wait to be adopted? Reads s->workflow_list. */
int32_t adopt_look(struct store *s, bool *any);
/* The ids of at most `limit` rows that wait to be adopted, locked; those another controller holds are passed over.
 * Reads s->workflow_list. */
int32_t adopt_find(struct store *s, uint32_t limit, int64_t *ids, uint32_t *n);

#endif
