/* SPDX-License-Identifier: Apache-2.0 */
/* counters.h - a workflow's numbers: collected in memory during a batch, written once before its commit. */
#ifndef SQLITE_COUNTERS_H
#define SQLITE_COUNTERS_H

#include "store.h"

/* Windows longer than this see only this much, ms. */
#define COUNTERS_KEEP_MS (2 * 3600 * 1000)
#define SAMPLES_KEEP_MS  (20 * 60 * 1000)
/* Most samples of one kind kept for a second of a workflow. */
#define SAMPLES_PER_SECOND 16

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

/* Reads all workflows anew. */
int32_t counters_load(struct store *s);
/* The number of a workflow, registering it when it is new. */
int32_t workflow_get(struct store *s, const char *slug, int64_t *id);
/* The numbers of a workflow that has an id. */
struct workflow *workflow_of(struct store *s, int64_t id);
/* One dispatch of a workflow goes from one state to another; 0: from or to nothing. */
void counter_move(struct store *s, int64_t workflow_id, int32_t from, int32_t to);
/* A dispatch with this share tag was leased. */
void counter_tag(struct store *s, int64_t workflow_id, int64_t share_tag);
/* Something happened now; what is COUNT_*. */
int32_t counter_add(struct store *s, int64_t workflow_id, int64_t now_ms, int what);
/* A measured time. */
int32_t counter_sample(struct store *s, const struct workflow_sample *sample);
/* Writes what changed; before commit. */
int32_t counters_flush(struct store *s);
/* Removes what no window can see any more, at most `limit` rows of as many workflows; *removed becomes their number
 * when it is less, and `limit` while there are workflows left to look at. */
int32_t counters_clean(struct store *s, int64_t now_ms, uint32_t limit, uint32_t *removed);

#endif
