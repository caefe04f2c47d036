/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - the state of one simulated run, shared by its files. */
#ifndef SIMULATE_RUN_H
#define SIMULATE_RUN_H

#include "policy/decide.h"
#include "policy/risk.h"
#include "policy/schedule.h"
#include "simulate/simulate.h"

/* GOING: under notice, and counted as idle until it is taken. */
enum machine_state { MACHINE_NONE = 1, MACHINE_BOOTING, MACHINE_IDLE, MACHINE_BUSY, MACHINE_GOING };

/* One slot for an instance; its stamp changes with each instance in it, so that events of a former one are known. */
struct machine {
    enum machine_state state;
    uint32_t stamp, job, type;
    int64_t launched_ms, idle_ms, began_ms, taken_ms; /* taken_ms: when it will be interrupted */
};

/* In the order in which those of the same moment happen. */
enum event_kind { AT_TICK = 1, AT_ARRIVAL, AT_APPLY, AT_READY, AT_FINISH, AT_NOTICE, AT_INTERRUPT, AT_REPLACE };

struct event {
    int64_t at_ms;
    enum event_kind kind;
    uint32_t slot, stamp; /* slot of AT_APPLY: the size decided */
    uint64_t number;      /* of events of the same kind and moment, the earlier made first */
};

/* A binary heap, the next one on top. */
struct event_heap {
    struct event *list;
    uint32_t n, room;
    uint64_t made;
    int lost; /* there was no memory for one */
};
void heap_put(struct event_heap *h, struct event e);
struct event heap_take(struct event_heap *h);             /* there is one */
const struct event *heap_top(const struct event_heap *h); /* NULL: none */

/* Numbers that depend on the seed and what they are for (xorshift64* of Vigna, seeded by splitmix64). */
struct dice {
    uint64_t state;
};
struct dice dice_new(uint64_t seed, const char *what);
double dice_uniform(struct dice *d); /* in [0, 1) */
double dice_exponential(struct dice *d, double mean);
double dice_normal(struct dice *d);

#define RUN_POLICIES 16
#define RUN_NUMBERS  8 /* of what a policy has learned */

struct run {
    const struct model *model;
    const struct trace *trace;
    const struct policy *policy;
    struct simulate_result *out;
    struct simulate_timeline *timeline; /* or NULL */
    struct model_type types[MODEL_TYPES];
    uint32_t n_types, of_type[MODEL_TYPES];
    struct dice lives, boots;
    struct event_heap heap;
    int64_t now_ms, tick_ms, soon_ms; /* soon_ms: of a decision beside the ticks, INT64_MAX: none */
    int64_t progress_ms;              /* of the last job that began or ended */

    struct machine *machines; /* max of them */
    int32_t max, booting, idle, busy, replacing;
    int32_t desired;

    /* The queue: jobs of interrupted instances first, the last one on top, then the trace's [next, arrived). */
    uint32_t *returned, n_returned, next, arrived, done;
    int64_t *wait_ms; /* by job, < 0: not begun */
    double billed_s, cost;

    struct history *history;
    struct risk *risk;                         /* what the runs so far say of lives, with model->risk */
    struct calibration *calibration;           /* NULL: no job is asked about */
    struct schedule *schedule;                 /* owned, NULL: none */
    int32_t least;                             /* instances, by the windows that are open */
    const struct policy *deciding;             /* whose memory that is: the policy, or the one of a window */
    void *memory;                              /* room for any policy's */
    double learned[RUN_POLICIES][RUN_NUMBERS]; /* by those that do not decide now, in the order of policies[] */
    int64_t empty_ms, last_scale_ms;
    int64_t failed_ms[16]; /* ring of launch failures */
    uint32_t n_failed;
    uint64_t p50_runs; /* jobs that had finished when p50_s was made */
    double p50_s;
};

/* The wall clock in the run, milliseconds since 1970. */
static inline int64_t run_clock_ms(const struct run *r)
{
    return (r->trace->begin_ms ? r->trace->begin_ms : SIMULATE_EPOCH_MS) + r->now_ms;
}
uint32_t queued_jobs(const struct run *r);
static inline int32_t live_machines(const struct run *r)
{
    return r->booting + r->idle + r->busy;
}

/* machines.c */
int machine_launch(struct run *r); /* 1: one is booting; 0: none can be had now */
void machine_end(struct run *r, struct machine *m);
/* Gives waiting jobs to idle instances. */
void machines_lease(struct run *r);
/* The one that goes first, NULL: all are busy. */
struct machine *machine_first_to_go(struct run *r);

/* decisions.c */
/* The workflow, and its instances, as a policy sees them. */
struct bp_view run_view(struct run *r);
void run_fleet(const struct run *r, struct policy_fleet *f);
void decision_make(struct run *r);
/* Launches and ends instances until there are so many; busy ones stay. */
void decision_apply(struct run *r, int32_t desired);

#endif
