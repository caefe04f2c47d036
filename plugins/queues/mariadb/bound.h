/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bound.h - where a queue begins, or all that is in it.
 *
 * A leased job's entry stays at the front of the queue's index until the server purges it, about a second later under
 * load: whoever reads the queue from its start passes over all the jobs that were leased in that second. So a
 * controller keeps in memory, per workflow, all jobs of a queue it knows from when it was short, up to KNOWN_MAX, which
 * are read by their ids, and of any other a place that no queued job stands before, from which it is read, and the jobs
 * that stand first. (A short one is not read from a place: a range that ends before the limit goes on over what is not
 * purged of the leased jobs behind it.) Once in KEEP_MS the start is read all the same; if the queue begins as was
 * known, the rest stays known.
 *
 * What this controller puts into the queue goes in here as well. What other controllers put there is noticed within
 * ASK_MS, rows of other applications within APPS_MS: the next batch then finds that another controller wrote anything,
 * or that another application put a job into the queue, and reads from the start. Nobody goes without a job unless the
 * same transaction looked at what others do, or read from the start.
 */
#ifndef MARIADB_BOUND_H
#define MARIADB_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "places.h"

struct store;
struct sql;
struct front;

/* As many as rows are kept, see recall.h. */
#define KNOWN_MAX 4096
/* So many are read of a queue that may be long, while nobody else wants them: enough for some batches more. */
#define KNOWN_READ     128
#define KNOWN_READ_MAX 512
#define KNOWN_AHEAD    3

struct bound {
    int64_t workflow_id;
    int64_t read_ms; /* monotonic: when the queue was last read from its start */
    bool whole;      /* `known` is the queue; else all of it up to and with `to` */
    struct place to;
    struct places known;
};

struct bounds {
    struct bound *list;
    size_t n, cap;
    int64_t others;   /* batches of all other controllers, by the last transaction */
    int64_t asked_ms; /* monotonic: when that was read */
    int64_t moved_ms; /* monotonic: when it last changed */
    bool told;        /* `others` is what the server said, and nothing says that it is not so any more */
    bool asking;      /* by the transaction that begins */
    bool sure;        /* that transaction asked, and others had written nothing */
};

/* Lets the fronts of a segment that begins the transaction be read from the bounds known, and adds to s->q what is to
 * be asked before: a query that locks nothing, when it is time for one. */
void bounds_use(struct store *s);
/* Takes its answer. Fronts are to be read again from the start when others wrote. */
int32_t bounds_take(struct store *s);
/* The bound of a front that is read from it. */
const struct bound *bound_of(const struct store *s, const struct front *f);
/* That of a workflow, if it was read lately. */
const struct bound *bound_fresh(const struct store *s, int64_t workflow_id);
/* Is it some time since others wrote? Then it is worth while to build on what is known of them. */
bool bounds_quiet(const struct store *s);
/* Has no other controller been heard of for long? */
bool bounds_alone(const struct store *s);
/* Is it time to look at other applications, for a batch that looks at other controllers anyway? Then what to ask is
 * added as a condition. */
bool bounds_due(const struct store *s);
void bounds_foreign_text(struct store *s);
/* A place that no queued job stands before. */
const struct place *bound_begin(const struct bound *x);
/* Adds the condition that a row does not stand before a place. */
void bound_text(struct sql *q, const struct place *at);
/* Moves the bounds by what a segment left in the map; before that is emptied. */
void bounds_note(struct store *s);
/* Forgets all: something changed the queues that the map does not tell of. */
void bounds_clear(struct store *s);
void bounds_free(struct store *s);

#endif
