/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulation.h - what `bpctl simulate` runs: every trace with every case (a policy on one point of the grid) and every
 * seed; and how its results are shown.
 */
#ifndef CLI_SIMULATION_H
#define CLI_SIMULATION_H

#include "simulate/simulate.h"
#include <stdio.h>

#define SIMULATION_TRACES 64
#define SIMULATION_CASES  1024
#define SIMULATION_SEEDS  64
#define SIMULATION_AXES   4
#define SIMULATION_VALUES 16

/* One setting of the grid: a number of the model, and what it shall be in turn. */
struct axis {
    char name[32];
    char values[SIMULATION_VALUES][24];
    uint32_t n;
};

/* A policy with a point of the grid. */
struct sim_case {
    char policy[48];                     /* as asked for */
    char point[96];                      /* "boot=120 max=16"; "" without a grid */
    const struct policy *policy_or_null; /* NULL: the clairvoyant */
    double wait_s;                       /* of the clairvoyant; < 0: the best */
    struct model model;
};

struct simulation {
    struct model model;
    char *schedule; /* JSON text that the model points to, owned; NULL: none */
    struct trace traces[SIMULATION_TRACES];
    uint32_t n_traces;
    struct axis axes[SIMULATION_AXES];
    uint32_t n_axes;
    struct sim_case *cases; /* SIMULATION_CASES of them */
    uint32_t n_cases;
    uint64_t seeds[SIMULATION_SEEDS];
    uint32_t n_seeds, threads;           /* threads 0: one for each core */
    struct simulate_result *results;     /* by trace, case, seed */
    struct simulate_timeline *timelines; /* by case, of the first trace and seed; NULL: not wanted */
};

/* Adds the policies of a list with commas, on every point of the grid. */
int simulation_add_policies(struct simulation *s, const char *list, struct bp_err *err);
/* Runs all of it on all cores. */
int simulation_run(struct simulation *s, struct bp_err *err);
void simulation_free(struct simulation *s);

const struct simulate_result *simulation_result(const struct simulation *s, uint32_t trace, uint32_t at, uint32_t seed);
/* Of all seeds. */
struct simulate_result simulation_mean(const struct simulation *s, uint32_t trace, uint32_t at);
/* The case of `deployed` on the same point of the grid; n_cases: there is none. */
uint32_t simulation_yardstick(const struct simulation *s, uint32_t at);
/* The case of another policy on the same point; n_cases: there is none. */
uint32_t simulation_beside(const struct simulation *s, uint32_t at, const char *policy);
/* Geometric means over traces of this case against another one: hours, p95 wait + 15 s, j. */
struct simulation_ratio {
    double hours, p95, j;
};
struct simulation_ratio simulation_against(const struct simulation *s, uint32_t at, uint32_t other);

void simulation_print(const struct simulation *s, FILE *out);
void simulation_json(const struct simulation *s, FILE *out);
/* Hours against p95 wait, and the fleets and queues of the first trace over time. BP_IO with err. */
int simulation_svg(const struct simulation *s, const char *file, struct bp_err *err);

/* A trace from what a running daemon's queue remembers of a workflow; live: the model too, as its settings and its
 * fleet are, but for what is `given` (names of the model's numbers, NULL at the end), and *policy its policy. */
struct simulation_source {
    const char *socket, *workflow;
    int live;
    const char *const *given;
    char policy[48];
};
int simulation_take(struct simulation *s, struct simulation_source *from, struct bp_err *err);

#endif
