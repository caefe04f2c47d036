/* SPDX-License-Identifier: Apache-2.0 */
/* poll_priv.h - the parts of a poll, for poll.c, which answers it, and poll_door.c, which reads it. */
#ifndef DISPATCH_POLL_PRIV_H
#define DISPATCH_POLL_PRIV_H

#include "dispatch/lane.h"
#include "dispatch/lease.h"
#include "dispatch/poll.h"

enum poll_state {
    POLL_NEW = 1,
    POLL_WAITING, /* in the lines of its workflows */
    POLL_CAPPED,  /* its worker is at capacity */
    POLL_LEASING, /* a lease request is on its way */
    POLL_SIGNING, /* jobs leased, URLs being signed */
};

/* One poll in one line. */
struct poll_link {
    TAILQ_ENTRY(poll_link) in_lane;
    struct poll *poll;
    struct lane *lane;
    uint64_t arrivals_seen; /* of the lane when the last lease was sent */
};

struct grant {
    int64_t id;
    char token[40];
};

/* What a poll has that goes with the end of a lease. */
struct poll_taking {
    struct json_object *body; /* of the poll */
    char *ip;
    const void *client; /* for dispatch_poll_abandon() */
    struct queue_call *end;
    struct json_object *said;
    poll_over over; /* NULL: nobody wants to know */
    void *arg;
};

struct poll {
    struct ask ask; /* first: a poll is an ask */
    TAILQ_ENTRY(poll) in_all;
    TAILQ_ENTRY(poll) in_capped;
    enum poll_state state;
    int gone; /* the client went away: give back what comes */
    int want_list;
    int at_risk;   /* its machine may be taken away: no long jobs */
    double life_s; /* of its machine, once it waits */
    int stood;     /* it waited before: its place is in front */
    uint32_t max;
    int32_t max_concurrency; /* 0: as registered */
    int64_t deadline_ms;     /* monotonic; 0: does not wait */
    int64_t seen_ms;         /* when its worker was last known to be alive */
    struct worker_auth *worker;
    char provider[64];
    struct json_object *except; /* slugs it does not take now, or NULL */
    struct json_object *data;   /* the answer while its URLs are being signed */
    struct poll_taking *taking; /* it goes with the end of a lease, and never waits; or NULL */
    struct grant *grants;
    uint32_t n_grants;
    uint32_t n;
    struct poll_link link[];
};

struct polls {
    struct dispatch *d;
    uint32_t n;
    TAILQ_HEAD(poll_list, poll) all;
    struct poll_list capped;
    struct loop_timer *timer;
    struct subscription *plugins;
    int64_t released_ms; /* when a workflow was last released from quarantine, ms since 1970 */
    int64_t armed_ms;    /* monotonic time the timer fires at; 0: not armed */
};

/* ---- poll.c ---- */
/* struct ask.drop of a poll. */
void poll_drop(struct ask *a);
/* Frees it and tells whose end it goes with. (poll_door.c) */
void poll_taking_over(struct poll_taking *t);
void poll_answer_none(struct poll *p, const char *message);
/* No line it stands in may have a job. */
int poll_lines_are_empty(const struct poll *p);
void poll_wait(struct poll *p);
/* Asks the store for jobs of its workflows, and goes on with what comes. */
void poll_lease(struct poll *p);

#endif
