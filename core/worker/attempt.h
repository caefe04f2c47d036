/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.h - one lease this worker holds: its files, its run, its heartbeats, its end.
 *
 * It goes fetching -> starting -> running -> uploading -> reporting, and ends exactly once, by
 * worker_attempt_ended(): reported (complete, fail or requeue), or dropped because the lease is known to be over.
 * Heartbeats go on all the while on their own timer. All [loop].
 */
#ifndef WORKER_ATTEMPT_H
#define WORKER_ATTEMPT_H

#include <stdint.h>

struct attempt;
struct worker;
struct json_object;

/* job: data.job of a poll's answer, borrowed. NULL: it names no lease, so nothing can be said about it. */
struct attempt *attempt_begin(struct worker *w, struct json_object *job);
/* The worker must leave: hand the job back with a checkpoint, or end it if that is near. grace_ms: all there is. */
void attempt_interrupt(struct attempt *a, const char *reason, int64_t grace_ms);
/* Uploads the checkpoint now if it changed. */
void attempt_save(struct attempt *a);
void attempt_free(struct attempt *a);
/* The job's number. */
int64_t attempt_job(const struct attempt *a);

/* Is it done, and only tried once more by a candidate? */
int attempt_is_trying(const struct attempt *a);

/* From the runner. */
void attempt_runner_ready(struct attempt *a);
void attempt_progress(struct attempt *a, double fraction, const char *text);
void attempt_checkpoint_saved(struct attempt *a);
void attempt_result(struct attempt *a, int rc, const char *text);
/* Should this attempt fail, that is the fault of this code. */
void attempt_is_fault(struct attempt *a, const char *sha);
void attempt_runner_gone(struct attempt *a, const char *why, const char *fault_sha, int served_others);

#endif
