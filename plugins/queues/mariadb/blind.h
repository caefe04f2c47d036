/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blind.h - a batch of submits, leases and completions that is decided from memory and written in one text.
 *
 * The usual batch reads what it needs under locks, decides, and writes: two round trips, and half of its statements
 * only read. Here the rows come from recall.h and the queues' fronts from bound.h, and one text begins the transaction,
 * makes sure that nothing is otherwise, writes everything and commits. So a job that is submitted to a worker that
 * waits is born leased: its row is inserted as the lease leaves it.
 *
 * What makes sure: the transaction begins with one statement that writes its own row in `writers`, and locks and adds
 * up those of all other controllers. Every transaction of a controller begins with its own row, so none of theirs runs
 * beside this one, and when they wrote anything since what is remembered was true, the text ends in an error. Besides,
 * each update names the state and the tokens it expects and the text counts its rows; a new job's id is named, so that
 * it cannot come twice; and every APPS_MS, and before a worker goes without a job, it looks for rows of other
 * applications. None of its statements waits for a lock.
 *
 * Whatever does not fit, before or in the text, is left to the usual batch, which finds nothing changed.
 */
#ifndef MARIADB_BLIND_H
#define MARIADB_BLIND_H

#include <bp/queue.h>
#include <stdbool.h>

struct store;

/* The error with which a text ends that met what it did not expect. */
#define BLIND_ERROR 30001

/* Runs the batch so. *done: false when it does not fit, and nothing happened; the rc then is BP_OK. */
int32_t blind_run(struct store *s, struct bp_op *const *ops, uint32_t n, bool *done);
/* Adds the begin, what makes sure, and the new jobs to s->q. One that writes nothing begins no transaction: what makes
 * sure is all that is asked. windows: those are to be written. */
void blind_begin_text(struct store *s, bool windows);
/* Adds the check that the statement before changed so many rows. */
void blind_count_text(struct store *s, size_t rows);
/* The batch does not fit after all; returns an rc that ends it. */
int32_t blind_give_up(struct store *s);
/* It needs an answer before it can commit, and holds its locks until then; ends the batch when others would wait. */
int32_t blind_waits(struct store *s);
/* The batch is written: takes over what it taught. */
void blind_written(struct store *s);
/* Adds to a text what lets the session wait for locks again, when it does not. */
void blind_wait_text(struct store *s);

#endif
