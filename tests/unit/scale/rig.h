/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - what the tests of the scaling and the fleet engine stand on: a real loop, bus and config; the plugin host,
 * the queue, the fleet provider and the metrics sink are doubles.
 *
 * One workflow, "photo", is there at first. Every call a double gets is a line of `calls`, in the order they came:
 * "stats", "list photo", "workers", "memos scale.view", "memo scale.view photo", "drain i-1", "undrain i-1", "ensure
 * photo 10", "describe", "grow photo 2", "terminate photo i-1", "protect photo i-1 1", "image photo ami-1 0", "rollout
 * photo 2", "afford photo 2", "recall {}", "leave", "put", "watch photo local 2 10 900", "unwatch photo local".
 */
#ifndef TESTS_SCALE_RIG_H
#define TESTS_SCALE_RIG_H

#include "cm.h"

#include "host/host.h"
#include "host/queue_call.h"
#include "log/json.h"
#include <bp/cloud.h>
#include <bp/fleet.h>
#include <bp/queue.h>
#include <pthread.h>
#include <stdatomic.h>

#define RIG_MACHINES 16

/* One instance and the worker on it, as the provider and the queue tell of them. */
struct machine {
    struct bp_instance instance;
    int has_worker, leases, draining;
    const char *capabilities; /* of its worker, or NULL */
    int64_t registered_ms;
};

/* A row of BP_OP_MEMO_PUT. */
struct memo {
    char kind[64], workflow[64], text[16384];
};

struct rig {
    struct loop *loop;
    struct bus *bus;
    struct config *config;
    struct actor *queue, *cloud;
    struct workflow workflows[2];
    uint32_t n_workflows;
    int64_t clock_ahead_ms;

    pthread_mutex_t lock; /* over the rest but the atomics: the doubles run on their actors' threads */
    char calls[65536];
    struct bp_queue_stats_row stats[2];
    uint32_t n_stats;
    struct bp_job_row past[16]; /* what the queue remembers, the newest first */
    uint32_t n_past, page;      /* page > 0: so many of them at a time */
    int keeps_memos;            /* 0: the queue knows no such operations */
    struct memo memos[8];
    uint32_t n_memos;
    struct machine machines[RIG_MACHINES];
    uint32_t n_machines, launched;
    int32_t desired;
    struct bp_activity activities[8]; /* newest first */
    uint32_t n_activities;
    struct bp_metric samples[64]; /* of the last put */
    uint32_t n_samples;
    char image[512], rollout[512], penalties[512]; /* the provider's answers, as JSON */
    char learned[512];                             /* what it has learned, as JSON; "": nothing */
    int busy_ended; /* instances terminated while their worker held a lease: must stay 0 */

    atomic_int queue_rc, ensure_rc, describe_rc, grow_rc, put_rc, watch_rc, rollout_rc,
        afford_rc;                          /* these calls fail with it */
    atomic_int terminate_fails, mark_fails; /* so many of these calls fail */
    atomic_int lease_on_mark;               /* the next worker told to drain has just leased a job */
    atomic_int cloud_closed;                /* calls of the provider wait until it is 0 */

    unsigned events[EVENT_END];
    char last_event[EVENT_END][512];
};

/* sets: NULL-terminated "key=value" list, or NULL. */
struct rig *rig_new(const char *const *sets);
/* Ends the actors; what stands on the bus is the test's to free before rig_free(), after this. */
void rig_quiet(struct rig *r);
void rig_free(struct rig *r);

/* Runs the loop for so long. */
void rig_turn(struct rig *r, int64_t ms);
/* Runs the loop until the condition holds; fails the test after 20 s. */
void rig_until(struct rig *r, int (*condition)(struct rig *r, const void *arg), const void *arg);
/* Until the doubles got this call, or this many of them. */
void rig_until_call(struct rig *r, const char *call);
void rig_until_calls(struct rig *r, const char *call, unsigned n);
/* Until this event was published so often. */
void rig_until_event(struct rig *r, enum event_id id, unsigned n);
/* How many calls are this one, or start with it. */
unsigned rig_calls(struct rig *r, const char *call);
/* Fails unless a call of `first` comes before the first `then`, with a `between` (NULL: any) after it. */
void rig_assert_order(struct rig *r, const char *first, const char *between, const char *then);
void rig_forget_calls(struct rig *r);

/* Statistics of photo. */
void rig_depth(struct rig *r, int64_t queued, int64_t leased);
/* A running instance with an idle worker, launched boot_ms ago. */
void rig_machine(struct rig *r, const char *id, int64_t boot_ms);
/* Live leases of an instance's worker; an event tells. */
void rig_lease(struct rig *r, const char *id, int leases);
int rig_drains(struct rig *r, const char *id);
/* Its worker is told to drain, or to go on, by somebody else; an event tells. */
void rig_drain(struct rig *r, const char *id, int on);
/* Publishes job.submitted, job.completed of photo. */
void rig_submitted(struct rig *r);
void rig_completed(struct rig *r);

#endif
