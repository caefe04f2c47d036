/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a dispatch engine to try: real loop, bus and SQLite queue; the plugin host and the object store are doubles.
 *
 * Workflows: "photo" (accepts image/jpeg and image/png, produces video/mp4, params with a schema), "noop" (no files,
 * any params), "gone" (draining).
 */
#ifndef TESTS_DISPATCH_RIG_H
#define TESTS_DISPATCH_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatch/dispatch.h"
#include "host/queue_call.h"
#include "log/json.h"

#include <stdatomic.h>

struct rig {
    struct loop *loop;
    struct bus *bus;
    struct config *config;
    struct dispatch *d;
    /* the queue actor */
    struct actor *queue, *objects;
    const struct bp_plugin *plugin;
    void *queue_inst;
    const struct bp_queue *table;        /* the plugin's own */
    atomic_uint early;                   /* leases handed over before their commit */
    atomic_int commit_closed;            /* 1: the commit behind such a lease waits until it is 0 */
    atomic_int commit_fail;              /* 1: the next batch with such a lease is lost in its commit */
    atomic_int queue_fail;               /* a bp_rc: whole batches fail with it */
    atomic_int queue_closed;             /* 1: batches wait until it is 0 */
    atomic_int queue_inside;             /* 1: a batch is being served or waits for that */
    atomic_uint batches, ops;            /* served so far, but for who leads and what arrived */
    atomic_uint biggest;                 /* operations in the largest batch */
    atomic_uint asked[32], together[32]; /* by kind: operations so far, and most of them in one batch */
    atomic_uint submits_with_lease;      /* batches that held a submit and a lease behind it */
    /* Answers an operation in the plugin's place: 1 when it did (op->err.rc is its rc). On the actor's thread. */
    int (*_Atomic script)(struct rig *r, struct bp_op *op); /* read on the queue's thread */
    atomic_uint scripted;
    /* who leads and what arrived, told by the test instead of the plugin while `told` is 1 */
    atomic_int told, lead_rc, leads, resigned; /* resigned: so often */
    atomic_int others;                         /* controllers beside this one */
    atomic_long epoch, arrivals, queued;       /* of noop */
    atomic_uint asks, looks, worker_lists;     /* served */
    atomic_int sweep_rc;                       /* sweeps fail with it */
    atomic_long sweep_epoch;                   /* of the last sweep */
    char resigned_id[64];
    /* the object store */
    atomic_int presign_fail, head_missing;
    atomic_int presign_closed; /* 1: signing waits until it is 0 */
    atomic_int head_fail;      /* a bp_rc */
    atomic_int remove_fail;    /* a bp_rc */
    atomic_uint removed;
    char removed_keys[64][256];
    atomic_uint object_requests, urls_signed, heads;
    int64_t clock_ahead_ms;     /* added to the wall clock; use rig_sleep() */
    unsigned events[EVENT_END]; /* published, by id */
    char last_event[1024];      /* JSON of the last job or worker event */
};

/* sets: NULL-terminated "key=value" list, or NULL. */
struct rig *rig_new(const char *const *sets);
void rig_free(struct rig *r);

/* An answer, kept. */
struct answer {
    int done;
    int rc, retry_after_s, over_limit;
    char message[512];
    struct json_object *data, *fields;
    struct worker_auth *worker; /* of authenticate */
};
void answer_keep(const struct dispatch_answer *a, void *arg); /* a dispatch_reply; arg: struct answer */
void answer_reset(struct answer *a);
/* Runs the loop until the answer is there; fails the test after 20 s. */
void rig_wait(struct rig *r, struct answer *a);
/* Runs the loop until *flag is at least n; fails the test after 20 s. */
void rig_until(struct rig *r, const unsigned *flag, unsigned n);
/* Runs the loop until n polls wait; fails the test after 20 s. */
void rig_waits(struct rig *r, uint32_t n);
/* Runs the loop for so long. */
void rig_turn(struct rig *r, int64_t ms);
/* Moves the wall clock of the engine on. */
void rig_sleep(struct rig *r, int64_t ms);

/* Holds the queue: returns when its thread stands still with a batch, so that what is sent from here on waits together.
 */
void rig_hold_queue(struct rig *r);
void rig_release_queue(struct rig *r);

/* ---- whole calls: send and wait; the answer is left in *a ---- */
struct json_object *js(const char *text); /* parsed with ' for "; aborts on a mistake */
void do_submit(struct rig *r, const char *body, struct answer *a);
int64_t submit_ok(struct rig *r, const char *body); /* the id */
void do_get(struct rig *r, int64_t id, struct answer *a);
/* Status of a job, static text. */
const char *status_of(struct rig *r, int64_t id);
/* Registers and authenticates a worker for a fleet, to be freed with worker_auth_free(). */
struct worker_auth *worker_in(struct rig *r, const char *id, const char *fleet);
struct worker_auth *worker_with_token(struct rig *r, const char *token);

typedef void (*worker_door)(struct dispatch *d, const struct worker_call *c, dispatch_reply fn, void *arg);
void do_worker(struct rig *r, worker_door door, const struct worker_auth *w, const char *body, struct answer *a);
/* The same without waiting. */
void begin_worker(struct rig *r, worker_door door, const struct worker_auth *w, const char *body, struct answer *a);
/* Polls and expects a job; returns it (borrowed from *a). */
struct json_object *poll_job(struct rig *r, const struct worker_auth *w, struct answer *a);
/* {"dispatch_id":..,"lease_token":".."<more>} of a leased job, static text. */
const char *lease_body(struct json_object *job, const char *more);
/* The first message about a field of a BP_INVALID answer, "" when there is none. */
const char *field_message(const struct answer *a, const char *field);

/* The workflows of the plugin host's double (rig_host.c), for rig_new() and rig_free(). */
void rig_workflows_make(void);
void rig_workflows_free(void);

#endif
