/* SPDX-License-Identifier: Apache-2.0 */
/* bus_private.h - the bus's inside, for the files of this folder alone. All of it belongs to the loop unless noted. */
#ifndef BUS_BUS_PRIVATE_H
#define BUS_BUS_PRIVATE_H

#include "bus/bus.h"
#include "bus/deadline.h"
#include "bus/record.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define BUS_MAGIC          0x62757331U
#define SUBSCRIPTION_MAGIC 0x73756273U
#define ACTOR_MAGIC        0x6163746fU
#define REQUEST_MAGIC      0x72657175U
#define FREE_REQUESTS_MAX  8192

struct service {
    struct service *next;
    char *name;
    struct actor *actor;
    const void *table;
    void *inst;
};

struct subscription {
    uint32_t magic;
    struct bus *bus;
    struct subscription *next;
    int64_t after_seq; /* events up to here were published before it subscribed */
    event_fn fn;
    void *arg;
    int dead; /* unsubscribed while events were handed out; freed afterwards */
    uint8_t wants[EVENT_END];
};

struct event_queue {
    struct event_box *head, *tail;
};

TAILQ_HEAD(request_list, request);
STAILQ_HEAD(early_list, request);

struct bus {
    uint32_t magic;
    struct loop *loop;
    /* events */
    int64_t seq;
    struct subscription *subs;
    uint32_t interest[EVENT_END]; /* live subscriptions that want this event */
    struct event_queue queue;     /* published from inside a subscriber */
    int handing_out;
    struct recent recent;
    char scratch[RECORD_BYTES_MAX];
    /* requests */
    struct service *services;
    struct actor *actors;
    struct request_list free_requests;
    uint32_t n_free;
    uint32_t corks;
    struct deadlines deadlines;
};

/* An event with its count of references; msg is what others see. */
struct event_box {
    struct event_msg msg;
    uint32_t refs;
    struct event_box *next;
    struct json_object *fields; /* once asked for */
    char data[];                /* the record's bytes */
};

/*
 * A request is in exactly one place: a mailbox, a batch on an actor's thread, the actor's list of done ones, or the
 * bus's free list; until its reply it may stand in the actor's line of early ones, too. Its reply is delivered once:
 * `answered` is set by whichever of reply and deadline comes first, both on the loop.
 */
struct request {
    uint32_t magic;
    uint8_t taken;         /* left the mailbox; guarded by the actor's lock */
    uint8_t direct;        /* by actor_call() */
    uint8_t ran, done;     /* the actor's, until it hands the request back */
    atomic_uchar answered; /* set on the loop; the actor may look, to spare itself work nobody waits for */
    uint32_t group;        /* of the first of a group or a cork: so many stand in one batch */
    TAILQ_ENTRY(request) in_list;
    STAILQ_ENTRY(request) in_early;
    uint64_t early_after; /* replies that come before */
    struct deadline deadline;
    int64_t timeout_ms;
    struct actor *actor;
    const void *table;
    void *inst;
    const char *name;
    request_run run;
    void *args;
    void (*args_free)(void *args);
    request_reply reply, late, early;
    void *arg;
    struct bp_err err;
};

struct actor {
    uint32_t magic;
    struct bus *bus;
    struct actor *next;
    char *name;
    actor_batch_fn batch;
    void *batch_arg;
    int64_t even_us;
    uint32_t batch_max, capacity, n_threads, n_started;
    pthread_t *threads;
    struct request **batch_room; /* batch_max for each thread */
    /* Guarded by `lock`. The loop alone adds to the mailbox, so it may read `waiting` without it. */
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct request_list mailbox, finished;
    struct early_list early;
    uint64_t n_done; /* handed back */
    atomic_uint waiting;
    uint32_t running, sleeping, woken, n_rooms_taken;
    int stop, reply_posted, orphan;
    uint64_t batches;
    int64_t busy_us;
    /* The loop's. */
    struct request_list replying, corked;
    struct early_list telling;
    uint64_t n_replied; /* of n_done */
    uint32_t n_corked;
    uint32_t group;       /* the size of the group that begins with the next request */
    uint32_t outstanding; /* accepted, not yet back */
    int draining, drain_posted, drained, in_replies, free_asked, orphan_posts;
    void (*on_drained)(struct actor *a, void *arg);
    void *drained_arg;
    uint64_t served, refused, timed_out;
    int64_t last_error_ms;
};

/* request.c */
struct request *list_pop(struct request_list *l); /* NULL when it is empty */
void request_timed_out(struct deadline *d);       /* the wheel's callback */
void request_reply_one(struct request *r);        /* delivers what the actor handed back, frees args, recycles */
void request_release(struct bus *b, struct request *r);
/* actor.c */
void actor_send(struct actor *a, struct request *r);
int actor_withdraw(struct actor *a, struct request *r); /* 1: it was still in the mailbox and is out of it now */
void actor_free_if_asked(struct actor *a);
void actor_gone(struct actor *a); /* one request less outstanding */
void actor_abandon(struct actor *a);
/* thread.c */
int actor_threads_start(struct actor *a, struct bp_err *err);
void actor_threads_join(struct actor *a);
void actor_replies(void *arg);            /* posted to the loop */
void actor_post_replies(struct actor *a); /* with the lock held */
/* bus.c */
struct service *bus_find(struct bus *b, const char *name); /* NULL: no provider now */
void bus_unroute(struct bus *b, struct actor *a);
/* publish.c */
void bus_free_events(struct bus *b);
/* event.c */
struct event_msg *event_msg_new(const struct record *r);
void event_wants(const char *pattern, uint8_t wants[EVENT_END]);

#endif
