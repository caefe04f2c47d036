/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depend.h - jobs that wait for others.
 *
 * A waiting job is scheduled and never due until the last of those it waits for completed, or until one of them came to
 * a bad end: that dooms it, once, and the next sweep cancels it. Who ends a job holds its row and then locks the rows
 * of those that wait for it; who submits a job that waits holds the rows of what it waits for. So no end is missed.
 */
#ifndef MARIADB_DEPEND_H
#define MARIADB_DEPEND_H

#include "job.h"

/* Why its `after` cannot be, NULL: it can. */
const char *depend_wrong(const struct bp_op_submit *u);
/* The jobs a submit names are there and none came to a bad end; else the operation is answered and false returned. */
bool depend_check(struct store *s, struct bp_op *op, const struct job *j);
/* Makes a new job wait. After depend_check. */
int32_t depend_take(struct store *s, const struct bp_op *op, struct job *j);
/* The job ended: tells those that wait for it; how many of them are now due or doomed goes into j->dependents. */
int32_t depend_end(struct store *s, struct job *j, int64_t now_ms);
/* Lets a job that ended wait again for what is pending. *bad: the id of one that came to a bad end, 0: none. */
int32_t depend_retry(struct store *s, struct job *j, int64_t *bad);
/* Sets row.after. */
int32_t depend_tell(struct store *s, struct job *j);
/* "after 1, 2" for the timeline, NULL: it waits for nothing. */
const char *depend_detail(struct store *s, const struct bp_op_submit *u);

#endif
