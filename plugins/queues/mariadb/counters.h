/* SPDX-License-Identifier: Apache-2.0 */
/* counters.h - a workflow's numbers: collected in memory during a batch, added to our own rows by its flush. */
#ifndef MARIADB_COUNTERS_H
#define MARIADB_COUNTERS_H

#include "store.h"

/* Windows longer than this see only this much, ms. */
#define COUNTERS_KEEP_MS (2 * 3600 * 1000)
#define SAMPLES_KEEP_MS  (20 * 60 * 1000)
/* Most samples of one kind kept for a second of a workflow. */
#define SAMPLES_PER_SECOND 16

/* Windows are written at most that often, unless they became as long as that. */
#define WINDOWS_EVERY_MS 250
#define WINDOWS_BYTES    (64 << 10)

/* Whose numbers a row of dispatch_counters holds. */
#define COUNTER_WORKFLOW 1
#define COUNTER_TENANT   2
/* Tenants are many: their numbers are spread over fewer rows. */
#define COUNTER_TENANT_SHARDS 16

#define COUNT_SUBMITTED 1
#define COUNT_COMPLETED 2
#define COUNT_FAILED    3
#define COUNT_EXPIRED   4

#define SAMPLE_RUN  1
#define SAMPLE_WAIT 2

struct workflow_sample {
    int64_t workflow_id, job_id, at_ms, value_ms;
    int kind; /* SAMPLE_* */
};

/* One dispatch goes from one state to another; 0: from or to nothing. */
int32_t counter_move(struct store *s, int64_t workflow_id, int32_t from, int32_t to);
/* A job became queued and is so no more. */
void counter_arrival(struct store *s, int64_t workflow_id);
/* Something happened now; what is COUNT_*. */
int32_t counter_add(struct store *s, int64_t workflow_id, int64_t now_ms, int what);
/* A measured time. */
int32_t counter_sample(struct store *s, const struct workflow_sample *sample);
void counter_interruption(struct store *s, int64_t workflow_id, int64_t at_ms, int64_t job_id);
/* Adds the statements that write what changed to a text. */
void counters_write(struct store *s, struct sql *q);
/* The batch is committed: the rows it inserted are there. */
void counters_committed(struct store *s);
/* Of a new connection: no row is known to be there. */
void counters_forget(struct store *s);
/* Adds the statements that write the windows, those kept and the batch's own. */
void windows_write(struct store *s, struct sql *q);
/* Is there something to write? And is it time? */
bool windows_wait(const struct store *s);
bool windows_due(const struct store *s);
/* The batch is committed: its windows are kept, those it wrote are not. */
void windows_committed(struct store *s);
/* It is undone, or over. */
void windows_undone(struct store *s);
/* Removes what no window can see any more, at most `limit` rows of each kind; *removed becomes the largest number of
 * them when it is less. */
int32_t counters_clean(struct store *s, int64_t now_ms, uint32_t limit, uint32_t *removed);

#endif
