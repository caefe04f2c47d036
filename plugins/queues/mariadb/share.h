/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h - weighted fair share between the tenants of a workflow: start-time fair queueing (Goyal, Vin, Cheng 1996).
 *
 * A job's tag is S = max(v, f), v the largest tag leased from the workflow so far and f the finish tag of the tenant's
 * previous job there, which becomes S + 1/weight. The finish tags of the batch's submits are locked; v is the largest
 * over the controllers' rows of dispatch_counters, each of which writes its own.
 */
#ifndef MARIADB_SHARE_H
#define MARIADB_SHARE_H

#include "job.h"

/* Locks the finish tags of the segment's fair submits and reads how far their workflows are. */
int32_t share_load(struct store *s, struct bp_op *const *ops, uint32_t n);
/* The tag the next job of this tenant gets if everything before it in the segment happens. */
double share_guess(struct store *s, const struct job *j);
/* The tag of a new job. */
double share_take(struct store *s, const struct job *j);
/* A job is leased. */
void share_leased(struct store *s, const struct job *j);
/* Adds the statement that writes the finish tags. */
void share_write(struct store *s, struct sql *q);

#endif
