/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spent.h - objects whose jobs are gone: outputs and checkpoints of pruned jobs, removed from the object store one
 * short request at a time. All [loop].
 *
 * What is asked for: the keys the job's row names; and, when it was leased more than once, everything below
 * tenants/<tenant>/jobs/<id>/, where its other attempts wrote. Uploads stay: another job may use the same.
 */
#ifndef DISPATCH_SPENT_H
#define DISPATCH_SPENT_H

#include "dispatch/engine.h"

struct spent *spent_new(struct dispatch *d);
void spent_free(struct spent *s);
/* n jobs are gone; what is needed of them is copied. */
void spent_add(struct spent *s, const struct bp_job_row *jobs, uint32_t n);
/* So much waits that no more jobs should be pruned. */
int spent_is_full(const struct spent *s);
/* Goes on after the object store failed. */
void spent_again(struct spent *s);

#endif
