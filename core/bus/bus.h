/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.h - messages inside the process: events (facts, to whoever listens) and requests (to the one
 * provider of a service, answered exactly once).
 *
 * All state of the bus belongs to the loop; actors run elsewhere and reply through loop_post().
 */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "loop/loop.h"
#include <bp/plugin.h>

struct bus;
struct actor;
struct request;
struct json_object;

/* NULL on no memory. [loop] */
struct bus *bus_new(struct loop *l);
/* Frees what is left: subscriptions, routes, actors. Requests still unanswered are dropped without a reply, because
 * whoever asked may be gone; an actor stuck inside a call is left alone with its memory, and logged. Before
 * loop_free(). [loop] */
void bus_free(struct bus *b);
struct loop *bus_loop(struct bus *b);

/* ---- events ---- */

enum event_id {
    EVENT_NONE,
#define BP_EVENT(id, name, help, fields) EVENT_##id,
#include <bp/event.def>
    EVENT_END
};

/* One row of the table bp/event.def. */
struct event_info {
    const char *name, *help, *fields;
};
const struct event_info *event_info(enum event_id id);
enum event_id event_find(const char *name); /* EVENT_NONE when unknown */
/* How many events of the table match a pattern: 0 tells a user of `bpctl events` that they will wait in vain. */
uint32_t event_match(const char *pattern);

/* An event as published; immutable, reference-counted. */
struct event_msg {
    enum event_id id;
    int64_t seq, at_ms;
};
/* An object with exactly the table's fields, borrowed, read only; NULL on no memory. Made when it is asked for first:
 * subscribers that look at the id alone cost no JSON. [loop] */
struct json_object *event_fields(const struct event_msg *e);
struct event_msg *event_ref(struct event_msg *e); /* [loop] */
void event_unref(struct event_msg *e);
/* {"event":"job.leased","seq":7,"at_ms":...,...fields}; malloc'ed, free() it. */
char *event_json(const struct event_msg *e);

/* Publishes. The variadic part gives the fields in the table's order: int64_t for i, double for f, const char * for s
 * (NULL: ""; text beyond 4,096 bytes is cut). With no subscriber to this id it costs no allocation (but the seq
 * advances). Nested publishing from a subscriber is queued. [loop] */
void bus_publish(struct bus *b, enum event_id id, ...);
/* From a plugin or another thread: every field of the table must be there with its type, and none else. Any thread. */
int bus_publish_json(struct bus *b, const char *name, const char *fields_json, struct bp_err *err);

typedef void (*event_fn)(const struct event_msg *e, void *arg); /* [loop], borrowed: event_ref() to keep */
/* pattern: an exact name, a prefix with star ("job.*"), or "*". Called at once on the loop. [loop] */
struct subscription *bus_subscribe(struct bus *b, const char *pattern, event_fn fn, void *arg);
void bus_unsubscribe(struct subscription *s); /* NULL is fine; also from inside a subscriber */
/* A bounded queue of events for a slow reader (a socket): oldest are dropped first and counted. `wake` is called on the
 * loop when the queue goes from empty to non-empty. feed_next returns a reference (event_unref) or NULL. [loop] */
struct feed *bus_feed_new(struct bus *b, const char *pattern, uint32_t capacity, void (*wake)(void *arg), void *arg);
struct event_msg *bus_feed_next(struct feed *f);
uint64_t bus_feed_lost(struct feed *f); /* how many were dropped since this was asked last: for the reader to be told */
void bus_feed_free(struct feed *f);
/* The most recent events (ring of 1,000), oldest first, that match pattern; also those nobody listened to. [loop] */
void bus_recent(struct bus *b, const char *pattern, uint32_t max, event_fn fn, void *arg);

/* ---- actors: a bounded mailbox and the thread(s) behind it ---- */

/*
 * Serves a whole batch on an actor's thread; may block. For each request it sets request_rc/err by
 * request_done(). Requests not marked done when it returns are answered BP_FAIL.
 */
typedef void (*actor_batch_fn)(struct request **batch, uint32_t n, void *arg);

struct actor_spec {
    const char *name;     /* copied */
    uint32_t threads;     /* >= 1; batches of one actor run concurrently when > 1 */
    uint32_t batch_max;   /* >= 1 */
    uint32_t capacity;    /* of the mailbox, >= 1; beyond it requests fail at once with BP_LATER */
    actor_batch_fn batch; /* NULL: each request's own `run` is called, one after another */
    void *arg;
    int64_t even_us; /* behind a batch that took less, the next two are made equal; 0: each takes all that waits */
};
struct actor *actor_new(struct bus *b, const struct actor_spec *spec, struct bp_err *err); /* [loop] */
/* Takes no new requests; what is in the mailbox is still served; then `drained` is called on the loop. [loop] */
void actor_drain(struct actor *a, void (*drained)(struct actor *a, void *arg), void *arg);
/* Joins the threads; only after drained was called and nothing was sent by actor_call() since that is not answered; the
 * reply of an actor_call() may call this. NULL is fine. [loop] */
void actor_free(struct actor *a);
/* For `bpctl plugin` and metrics. [loop] */
struct actor_stats {
    uint32_t waiting, running;
    uint64_t served, batches, refused, timed_out;
    int64_t busy_us;       /* time inside the batch function or run, summed over threads */
    int64_t last_error_ms; /* wall clock of the last fail, timeout, io, no_space or no_memory; 0: never */
};
void actor_stats(const struct actor *a, struct actor_stats *out);

/* ---- requests ---- */

/* Runs on the actor's thread: returns the request's rc. `table`/`inst` are the provider's facet table and instance. */
typedef int (*request_run)(const void *table, void *inst, void *args, struct bp_err *err);
/* The reply, on the loop, exactly once. args is the request's own, borrowed; results are inside it. err->rc is the
 * outcome. On BP_TIMEOUT args still belongs to the actor: do not look inside. */
typedef void (*request_reply)(void *args, const struct bp_err *err, void *arg);

/*
 * args is owned by the request from bus_request() on (also when that fails) and freed with args_free on the loop after
 * the reply, or, after a timeout, when the actor is done with it. `late`, if set, is called on the loop instead of the
 * reply when the actor finished after the deadline (a lease granted to nobody must be given back). `early`, if set, is
 * called on the loop, with BP_OK and at most once, when the actor said request_early(): always before the reply, never
 * behind a timeout. The reply still comes, with what the batch came to.
 */
struct request_spec {
    const char *service; /* "queue", "objects", ... */
    const char *name;    /* static text for logs: "objects.presign" */
    request_run run;     /* for actors without a batch function */
    void *args;
    void (*args_free)(void *args); /* may be NULL */
    request_reply reply;           /* may be NULL */
    request_reply late;            /* may be NULL */
    request_reply early;           /* may be NULL */
    void *arg;
    int64_t timeout_ms; /* > 0 */
};
/* 0, or (nothing sent, args freed, reply NOT called) BP_LATER mailbox full, BP_NOTFOUND no provider, BP_STOPPED
 * draining. [loop] */
int bus_request(struct bus *b, const struct request_spec *spec, struct bp_err *err);

/* From bus_cork() to bus_uncork() requests are accepted but kept back; then each actor gets all of its own at once, so
 * that they stand in one batch (as far as batch_max goes). Within one callback of the loop; they nest. [loop] */
void bus_cork(struct bus *b);
void bus_uncork(struct bus *b);
/* Inside a cork: the next n requests to `service` stand in one batch. 0, or BP_LATER (the mailbox has no room for n),
 * BP_INVALID (n is larger than the provider's batch_max), BP_NOTFOUND, BP_STOPPED. 1 <= n. [loop] */
int bus_group(struct bus *b, const char *service, uint32_t n, struct bp_err *err);

/* A request straight to an actor, whether a service leads there or not: start and stop of a plugin. spec->run is called
 * even when the actor has a batch function, with table and inst NULL; spec->service may be NULL. It ignores drain and
 * capacity, so that stop can be the last thing an actor does. 0 or BP_NOMEM (args freed, reply not called). [loop] */
int actor_call(struct actor *a, const struct request_spec *spec, struct bp_err *err);

/* For batch functions, on the actor's thread. */
void *request_args(struct request *r);
const void *request_table(struct request *r);
void *request_inst(struct request *r);
void request_done(struct request *r, int rc, const struct bp_err *err); /* err may be NULL when rc is 0 */
/* What `early` looks at is ready, and is only read from now on, by this thread too. Once, before request_done(). */
void request_early(struct request *r);

/* ---- services: name -> provider, flipped by the host ---- */
/* Routes `service` to the actor with this facet table and instance; actor NULL: no provider. [loop] */
void bus_route(struct bus *b, const char *service, struct actor *a, const void *table, void *inst);
int bus_has_service(struct bus *b, const char *service); /* [loop] */

#endif
