/* SPDX-License-Identifier: Apache-2.0 */
/* rig.h - a loop, a bus, an actor that can be held at a gate, and calls that count what happens to them. */
#ifndef TESTS_UNIT_BUS_RIG_H
#define TESTS_UNIT_BUS_RIG_H

#include "bus/bus.h"
#include "cm.h"
#include <pthread.h>
#include <stdatomic.h>

#define LONG_MS 60000 /* a deadline no test reaches */

struct rig {
    struct loop *loop;
    struct bus *bus;
    struct actor *actor;
    /* The gate: calls wait in it while it is shut. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int shut, inside;
    int freed, replied, late, drained;
    int stop_at;    /* stops the loop at so many replies */
    int stop_early; /* and when a call is told early */
    uint32_t batch_sizes[64];
    int n_batches;
};

/* One request and what became of it. Must outlive the bus. */
struct call {
    struct rig *rig;
    int rc; /* what it answers */
    int sleep_us;
    int mute; /* in a batch: not marked done */
    int says_early;
    atomic_int ran;
    int replies, lates, earlies, freed;
    int replied_before; /* by all calls, when it was told early */
    struct bp_err err;
    pthread_t ran_on;
};

int rig_setup(void **state);
int rig_teardown(void **state);
/* An actor that serves the service "test"; batch NULL: single calls. */
void rig_actor(struct rig *r, uint32_t threads, uint32_t batch_max, uint32_t capacity, actor_batch_fn batch);
/* Serves each call by call_run; arg is the rig. Notes the size of each batch. */
void rig_batch(struct request **batch, uint32_t n, void *arg);
void rig_shut(struct rig *r);
void rig_open(struct rig *r);
/* Waits until n calls stand in the gate. */
void rig_wait_inside(struct rig *r, int n);
struct request_spec rig_spec(struct call *c, int64_t timeout_ms);
int rig_send(struct call *c, int64_t timeout_ms, struct bp_err *err);
/* Runs the loop until at least n replies have come, those before included. */
void rig_run_until(struct rig *r, int n);
/* Runs the loop for so long. */
void rig_run_ms(struct rig *r, int64_t ms);
void rig_on_drained(struct actor *a, void *arg);
int call_run(const void *table, void *inst, void *args, struct bp_err *err);

#endif
