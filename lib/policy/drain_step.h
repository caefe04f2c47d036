/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain_step.h - scale-in of one instance as a pure function: where it stands and what happened give where it stands
 * then and what is to be done. core/fleet/drain.c does it; tests/unit/fleet/test_drain_states.c tries every order of
 * events.
 *
 *   NONE -> MARKING -> MARKED -> ENDING -> (described as gone)
 *             ^          |  ^       |
 *             +-re-mark--+  +refused+-> DOUBTFUL <-> ENDING_AGAIN
 *   NONE <- UNMARKING <--+
 *
 * What keeps a busy instance from being ended: the mark is in the store before a look begins that may decide, a worker
 * that is marked there leases nothing, and the mark is taken back only while no call that ends the instance can still
 * arrive. Any thread; nothing is kept.
 */
#ifndef POLICY_DRAIN_STEP_H
#define POLICY_DRAIN_STEP_H

#include <stdint.h>

/* 0 is no step. */
enum drain_step {
    DRAIN_NONE = 1,
    DRAIN_MARKING,     /* its worker is being told to take no more */
    DRAIN_MARKED,      /* it is told; the next look at the queue that began after the mark decides */
    DRAIN_ENDING,      /* it was idle after the mark and is being terminated */
    DRAIN_UNMARKING,   /* the drain was cancelled, its worker is being told to go on */
    DRAIN_DOUBTFUL,    /* a terminate was sent and may still come true: it is never called back */
    DRAIN_ENDING_AGAIN /* terminated again in that doubt */
};

enum drain_event {
    DRAIN_WANTED = 1, /* scale-in or a roll-out picked it */
    DRAIN_UNWANTED,   /* it is needed again */
    DRAIN_TOLD,       /* the store has the mark, or the end of it; or there is no worker */
    DRAIN_NOT_TOLD,   /* the store failed, or did not answer: what it has is not known */
    DRAIN_WORKER_UP,  /* its worker registered, maybe again: no mark is in the store now */
    DRAIN_LOOKED,     /* a look is over; only this one needs the view */
    DRAIN_ENDED,      /* the provider took the terminate */
    DRAIN_REFUSED,    /* the provider refused it: nothing will come of it */
    DRAIN_LOST        /* no answer, or one that says nothing about it */
};

/* What a look saw of the instance. */
struct drain_view {
    int fresh; /* the look began after the store answered for the mark */
    int has_worker, worker_draining;
    int32_t leases;
};

enum drain_action {
    DRAIN_DO_NOTHING = 1,
    DRAIN_DO_MARK,      /* tell the store that its worker drains */
    DRAIN_DO_UNMARK,    /* tell the store that it goes on */
    DRAIN_DO_TERMINATE, /* end exactly this instance, and lower desired by one */
    DRAIN_DO_LOOK       /* look again soon */
};

struct drain_next {
    enum drain_step step;
    enum drain_action action;
};

/* view: of DRAIN_LOOKED, else NULL. What makes no sense where it stands changes nothing. */
struct drain_next drain_next(enum drain_step at, enum drain_event what, const struct drain_view *view);
/* Where an instance stands that is met for the first time, or again after another controller led. The look that met it
 * is not fresh: what its worker did in the meantime was not heard. */
enum drain_step drain_found(int runs, int worker_draining);
/* Of what answers say (BP_*): DRAIN_ENDED, _REFUSED or _LOST. */
enum drain_event drain_end_event(int rc);
/* It takes no more work. */
int drain_leaves(enum drain_step at);
/* A call that ends it is under way, and lowers desired when it is done. */
int drain_ends(enum drain_step at);

#endif
