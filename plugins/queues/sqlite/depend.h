/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depend.h - jobs that wait for others.
 *
 * A job that waits is scheduled, due never, and counts what has not completed. The completion that brings the count to
 * 0 makes it due; a bad end dooms it, which makes it due too: the sweep then queues or cancels it. A job can only name
 * older ones, so nothing waits for itself.
 */
#ifndef SQLITE_DEPEND_H
#define SQLITE_DEPEND_H

#include "job.h"

/* The state of what a submit wants to wait for. Answers the operation when it cannot: *refused. pending: how many have
 * not completed. */
int32_t depend_check(struct store *s, struct bp_op *op, int32_t *pending, bool *refused);
/* Writes down what the submitted job waits for; after depend_check. */
int32_t depend_add(struct store *s, const struct bp_op *op, int64_t id);
/* "waits for jobs 41, 42" in s->mem; NULL when it waits for none. */
int32_t depend_words(struct store *s, const struct bp_op *op, const char **words);
/* The job ended: wakes or dooms those that wait for it, and counts them in j->dependents. */
int32_t depend_ended(struct store *s, struct job *j, int64_t now_ms);
/* As depend_check, for the retry of a job that has waited before. */
int32_t depend_check_again(struct store *s, struct bp_op *op, const struct job *j, int32_t *pending, bool *refused);
/* Cancels a doomed job: what the sweep does. The caller saves. */
int32_t depend_cancel(struct store *s, struct job *j, int64_t now_ms);
/* Sets row.after. */
int32_t depend_list(struct store *s, struct job *j);

#endif
