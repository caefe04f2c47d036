/* SPDX-License-Identifier: Apache-2.0 */
/*
 * special.h - submits that ask for more than a place in the queue, or whose tenant is held to something.
 *
 * Their rows are inserted with all others of the segment, before anything of it runs, because the insert answers their
 * numbers. Whether such a job is taken is decided when its turn comes, on what the operations before it did; the row of
 * one that is not is withdrawn. A batch without any of this sends no statement for it.
 */
#ifndef MARIADB_SPECIAL_H
#define MARIADB_SPECIAL_H

#include "job.h"

/* Might the submit be refused, or answered with another job, for what it asks or whose it is? */
bool special_doubtful(struct store *s, const struct bp_op_submit *u, int64_t tenant);
/* Reads and locks what the segment's submits and leases need of tenants, unique keys and shares. */
int32_t special_load(struct store *s, struct bp_op *const *ops, uint32_t n);
/* Is the new job taken? Else the operation is answered. */
bool special_taken(struct store *s, struct bp_op *op, const struct job *j);
/* Gives a job that is taken what it asked for; makes its tenant when that was only named so far. */
int32_t special_take(struct store *s, const struct bp_op *op, struct job *j);
/* Adds the statements that write all this. */
void special_write(struct store *s, struct sql *q);

#endif
