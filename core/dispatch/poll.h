/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.h - workers that ask for jobs, and wait for them.
 *
 * A waiting poll stands in the line of each of its workflows, oldest first, and costs nothing until a job arrives: then
 * one lease is asked for per job, in the same turn of the loop as the job's submit, so that the store commits both at
 * once. All [loop].
 */
#ifndef DISPATCH_POLL_H
#define DISPATCH_POLL_H

#include "dispatch/lane.h"

struct poll;

/* ---- a poll that goes to the store with the end of a lease, right behind it ---- */

/* It is over: said is {"success","message","data"} as a poll alone would have been answered, NULL when nobody is to be.
 * The callee's. */
typedef void (*poll_over)(struct json_object *said, void *arg);
/* body: the poll's; client: the `arg` dispatch_poll_abandon() is called with. */
struct poll *poll_taking_new(struct dispatch *d, const struct worker_call *c, struct json_object *body,
                             const void *client);
/* Begins it: a lease is asked for behind `end`, which is not sent yet. over is called once, perhaps before this
 * returned. */
void poll_take(struct poll *p, struct queue_call *end, poll_over over, void *arg);
/* Its end was refused, or cannot be: over is not called any more, and a lease goes back. */
void poll_taking_drop(struct poll *p);

/* ---- polls ---- */

struct polls *polls_new(struct dispatch *d);
void polls_free(struct polls *p);
/* `jobs` jobs may now be queued in this lane: as many waiting polls ask for them. Returns how many do. */
uint32_t poll_arrived(struct dispatch *d, struct lane *lane, uint32_t jobs);
/* One waiting poll of each lane looks: for stores that cannot be watched. */
void polls_probe(struct dispatch *d);
/* The same, and no lane is taken for empty any more. */
void polls_look_again(struct dispatch *d);
/* Polls of workers at capacity ask again where jobs are queued: a lease may have ended at another controller. */
void polls_retry_capped(struct dispatch *d);
/* A lease of this worker ended: its poll that waits for capacity asks again. */
void poll_worker_freed(struct dispatch *d, const char *worker_id);
/* Answers every waiting poll of a worker (NULL: all workers) with "no job" and this message. */
void polls_dismiss(struct dispatch *d, const char *worker_id, const char *message);
/* Workers whose polls have waited for a quarter of workers.staleSeconds are alive all the same. */
void polls_touch(struct dispatch *d);

#endif
