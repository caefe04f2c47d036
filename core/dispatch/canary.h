/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary.h - a new version of a workflow's plugin, tried on a share of real jobs before it serves.
 *
 * Of each hundred leases of the workflow `percent` are marked. The worker runs such a job on the version that serves,
 * uploads and completes it as ever, and only then, with the lease over, runs the candidate on the same input, compares
 * the two outputs, and tells with its next poll. So no tenant ever gets a candidate's output, waits for one, or loses a
 * job by one. What was told is judged here (canary_judge(), pure): enough good trials promote the candidate, too many
 * bad ones or slow ones roll it back. A canary ends exactly once: promoted, passed (an operator has to put the file in
 * place), rolled back or aborted. Its record is a file, so that a restart goes on with it. All [loop].
 */
#ifndef DISPATCH_CANARY_H
#define DISPATCH_CANARY_H

#include "dispatch/engine.h"

/* When a canary is over. */
struct canary_limits {
    double percent;         /* > 0..100 of the jobs */
    int64_t jobs, failures; /* good trials that promote, bad ones that roll back; >= 1 */
    double tolerance;       /* largest difference of outputs, 0..255 */
    double sound_tolerance; /* largest difference of their sound, as a part of its loudness */
    double slowest;         /* longest run, as a multiple of that of the version that serves */
};

/* What a worker told of one trial. Strings are borrowed. */
enum canary_outcome { TRIAL_RAN = 1, TRIAL_FAILED, TRIAL_ABSENT, TRIAL_DROPPED };
struct canary_trial {
    int64_t job;
    enum canary_outcome outcome;
    int64_t old_ms, new_ms;   /* run times; 0: unknown */
    int compared;             /* 1: `difference` says by how much the outputs differ */
    double difference, sound; /* of pictures, 0..255; of sound, >= 0 */
    const char *text;         /* why it failed, or why the outputs cannot be compared; "" */
};

struct canary_counts {
    int64_t good, bad, absent, dropped;
    int64_t timed, old_ms, new_ms; /* sums over `timed` good trials */
    double worst, worst_sound;     /* difference */
};

enum canary_verdict { CANARY_GOES_ON = 1, CANARY_PROMOTES, CANARY_ROLLS_BACK };

/* Counts a trial and says what follows; words: why, in a sentence, also when it goes on. Pure. */
enum canary_verdict canary_judge(const struct canary_limits *l, struct canary_counts *c, const struct canary_trial *t,
                                 char words[400]);

/* ---- the engine's ---- */

struct canaries;
struct canaries *canaries_new(struct dispatch *d);
void canaries_free(struct canaries *all);
/* Takes up what an earlier run of the daemon left. */
void canaries_start(struct canaries *all);
/* Of one leased job: is it to be tried? Then the payload says so. */
void canary_mark(struct dispatch *d, const struct bp_job_row *job, struct json_object *payload);
/* The list a worker sent with its poll; anything in it may be wrong. */
void canary_heard(struct dispatch *d, const char *worker_id, struct json_object *list);

#endif
