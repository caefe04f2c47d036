/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promise.h - by when jobs of a workflow start and end "with 95 % certainty", and "as likely earlier as later", is a
 * promise that is held against what came of it: where more than one in twenty is broken the next ones are later, where
 * fewer are they are sooner.
 *
 * Which quantile of what was drawn (eta.c) is told as the 95th moves as in adaptive conformal inference (I. Gibbs,
 * E. Candes 2021): a step up by 0.95 for a broken promise, down by 0.05 for a kept one; it stands still when one in
 * twenty is broken, whatever is wrong with the draws. The median moves likewise, apart from it. Only some jobs are
 * looked at, so that it is cheap.
 *
 * Bounded and pure; zeroed memory has promised nothing and learned nothing. Milliseconds since 1970 or of a run.
 */
#ifndef POLICY_PROMISE_H
#define POLICY_PROMISE_H

#include <stdint.h>

#define PROMISES_OPEN 64 /* not judged yet */

struct json_object;

enum promise_kind { PROMISE_START, PROMISE_END, PROMISE_KINDS };

extern const char *const promise_names[PROMISE_KINDS]; /* "start", "end" */

/* p50: as likely earlier as later; p95: one in twenty is later. Seconds from now, p95 is never below p50. */
struct eta_span {
    double p50_s, p95_s;
};

/* That a job has begun, or has ended, by then. */
struct promise {
    int64_t job, by_ms, half_ms; /* half_ms: by when half of all have */
    enum promise_kind kind;
    float weight; /* jobs that it stands for */
};

struct promise_record {
    double shift;  /* of the quantile's log odds, from those of 0.95 */
    double middle; /* likewise, from those of 0.5 */
    double kept;   /* share of the jobs, the last 200 or so counting */
    double judged; /* jobs, ever */
    double row;    /* promises since the last broken one */
};

struct promises {
    struct promise_record of[PROMISE_KINDS];
    struct promise open[PROMISES_OPEN];
    uint32_t n_open;
    uint32_t came;  /* jobs since the last one was picked */
    int64_t picked; /* one of them */
    uint64_t dice;
};

/* By when it is to be told, of n > 0 sorted draws. p NULL: as drawn. */
struct eta_span promise_told(const struct promises *p, enum promise_kind kind, const double *sorted_s, uint32_t n);

/* A job came. */
void promise_came(struct promises *p, int64_t job);
/* The job about which a promise is to be made now, one of those that came since the last call, each as likely; < 0:
 * none came. *weight: the jobs that it stands for. */
int64_t promise_pick(struct promises *p, float *weight);
/* Keeps one in mind; without room for all those that are over first. */
void promise_make(struct promises *p, struct promise made);
/* Takes one whose time is over out of those that are open: what came of it by then is to be told with promise_judge().
 * 0: there is none. */
int promise_due(struct promises *p, int64_t now_ms, struct promise *due);
/* came_ms: INT64_MAX: not by then. */
void promise_judge(struct promises *p, const struct promise *m, int64_t came_ms);

/* What the queue says of the job after that time. */
struct promise_job {
    const char *status;             /* as in the protocol */
    int64_t leases;                 /* that it has had */
    int64_t leased_ms, finished_ms; /* the last one's begin, its end; 0: none */
};
/* When it began or ended, for promise_judge(); < 0: nobody can say, or it was called off. */
int64_t promise_outcome(const struct promise *m, const struct promise_job *j);

/* What is open is open no more: nobody can say what came of it. */
void promise_forget(struct promises *p);

/* What was learned, {"start": {"shift", "middle", "kept", "judged"}, "end": {...}}; NULL: nothing yet.
 * json_object_put() it. */
struct json_object *promise_json(const struct promises *p);
void promise_take(struct promises *p, struct json_object *o);

#endif
