/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the engine's inside: what its nouns share. Private to core/dispatch. All [loop].
 *
 * A call of a door is an `ask`: it is answered exactly once and freed with its answer. The engine itself is counted by
 * the asks on their way, so that a reply of the queue that comes after dispatch_free() still finds it, marked dead.
 */
#ifndef DISPATCH_ENGINE_H
#define DISPATCH_ENGINE_H

#include "dispatch/dispatch.h"
#include "host/queue_call.h"
#include "log/err.h"
#include "log/json.h"
#include "log/log.h"

#define QUEUE_TIMEOUT_MS   10000
#define OBJECTS_TIMEOUT_MS 10000
#define TOKEN_SHOWN_ONCE   "Keep the token: it is not shown again"

/* The settings in the units the engine counts in, read once per configuration. */
struct dispatch_settings {
    int64_t ttl_ms, retry_base_ms, retry_cap_ms, sweep_ms, retention_ms, audit_ms, stale_ms, lead_ms, watch_ms,
        max_upload, at_risk_ms;
    int32_t max_attempts, max_requeues, url_ttl_s, max_fleet, max_batch, fair;
    char stage[64];
};

struct lanes;
struct held_table;
struct polls;
struct auth_cache;
struct tenant_auth;
struct pruner;
struct spent;
struct sweeper;
struct stats;
struct webhooks;
struct leader;
struct watcher;
struct bridge;
struct canaries;
struct lacking;

struct dispatch {
    uint32_t magic;
    int refs; /* the owner's, and one per ask, trip or posted answer on its way */
    int dead; /* dispatch_free() was called: answer nobody */
    int draining, started;
    int tenants_unstored; /* some settings of tenants are not in the store yet */
    int running_limits;   /* some tenant may run only so many jobs at once */
    struct bus *bus;
    struct loop *loop;
    struct host *host;
    const struct config *config;
    struct dispatch_settings set;
    char objects_origin[256]; /* where signed URLs lead, "" until one was signed */
    struct dispatch_counters counters;
    struct lanes *lanes;
    struct held_table *held;
    struct polls *polls;
    struct auth_cache *auth;
    struct tenant_auth *tenants;
    struct pruner *pruner;
    struct spent *spent;
    struct sweeper *sweeper;
    struct stats *stats;
    struct bp_err queue_err; /* why the queue takes nothing, of the last reply that said so; rc BP_OK: it does */
    int64_t queue_err_ms;    /* monotonic */
    struct webhooks *webhooks;
    struct leader *leader;
    struct watcher *watcher;
    struct bridge *bridge;
    struct canaries *canaries;
    dispatch_lives life_s; /* or NULL */
    void *life_arg;
    struct lacking *lacking;
};

void dispatch_ref(struct dispatch *d);
void dispatch_unref(struct dispatch *d);
int64_t dispatch_now(const struct dispatch *d);

/* ---- asks ---- */

struct ask;
typedef void (*ask_step)(struct ask *a, struct bp_op *op, const struct bp_err *err);

struct ask {
    struct dispatch *d;
    dispatch_reply fn;
    void *arg;
    ask_step step;
    int on_loop;                 /* 1: the call has returned, so the answer may be given at once */
    void (*drop)(struct ask *a); /* frees what a longer struct holds; may be NULL */
};

/* A zeroed ask of `bytes` bytes (a struct that begins with struct ask). */
void *ask_new(struct dispatch *d, size_t bytes, dispatch_reply fn, void *arg);
/* Sends q and continues with step; when it cannot be sent, the ask is answered and the error returned. On BP_TIMEOUT
 * step's op is NULL. */
int ask_queue(struct ask *a, struct queue_call *q, ask_step step);
/* Each answers the ask and frees it. data and fields are taken over (may be NULL). */
void ask_ok(struct ask *a, const char *message, struct json_object *data);
void ask_say(struct ask *a, int rc, const char *message);
void ask_invalid(struct ask *a, struct json_object *fields);
void ask_answer(struct ask *a, struct dispatch_answer *answer);
/* Words for a failure of the queue or the object store: busy, full, late, or what it said. */
void ask_fail(struct ask *a, const struct bp_err *err);
/* Frees it without an answer: the caller went away. */
void ask_forget(struct ask *a);

/* The answer to a failed request: rc, sentence and retry_after_s from err. `text` holds the sentence. */
void answer_from_err(struct dispatch *d, const struct bp_err *err, struct dispatch_answer *out, char text[400]);
/* Learns from a reply whether the queue works: dispatch_queue_error(). An operation that failed in a batch that took
 * effect says nothing against it. */
void queue_heard(struct dispatch *d, const struct bp_op *op, const struct bp_err *err);
/* Sends a queue operation whose outcome nobody waits for; says so in the log when it fails. */
void queue_tell(struct dispatch *d, struct queue_call *q);
/* bus_request/queue_call_send outcome "no provider" is not the operation's "no such thing": as BP_LATER in words. */
void send_error(struct bp_err *err, const char *service);

#endif
