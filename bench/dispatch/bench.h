/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - a run of bp-bench: producers that submit, workers that lease and complete, and what was measured.
 *
 * Every job submitted is followed by its id: when it was sent, when a worker held it, when it was completed. So a run
 * also says whether a job was leased twice or never came.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "client.h"
#include "histogram.h"

struct options {
    const char *mode; /* "dispatch" or "latency" */
    const char *url, *token, *fleet_secret, *workflow, *idle_workflow, *params, *tokens_file, *prefix;
    int producers, workers, idle_pollers, batch, submit_batch, complete_batch;
    double seconds, warmup_s, think_ms;
    double rate;     /* latency: submits a second */
    int64_t backlog; /* producers pause when so many jobs wait */
    bool json, verbose;
};

#define TRACKED (1 << 20)

/* What is known of a job; its place in the table is its id modulo TRACKED. */
struct track {
    int64_t id;
    uint64_t sent_us, held_us;
    uint32_t leases;
    bool completed;
};

struct counts {
    uint64_t submitted, leased, completed, refused, errors, doubled;
};

struct worker {
    struct run *run;
    struct connection *connection;
    char id[96], token[128], header[192];
    char poll_body[256];
    int64_t jobs[64]; /* held, not completed yet */
    char leases[64][72];
    int n_jobs, n_sent, failures; /* n_sent: the last of jobs, on their way in one request */
    bool idle_poller;
};

struct producer {
    struct run *run;
    struct connection *connection;
    uint64_t next_us; /* 0: as soon as it may */
};

struct run {
    struct options opt;
    struct client client;
    char tenant_header[1100];
    char *submit_body;
    struct worker *workers; /* workers, then idle pollers */
    int n_workers;
    struct producer *producers;
    struct track *tracks;
    struct counts count, at_begin, at_end;
    struct histogram submit, complete, held, cycle;
    uint64_t begin_us, end_us; /* the measured window */
    bool submitting, stopping;
    char trouble[512]; /* the first unexpected answer, in words */
};

/* setup.c: registers (or reads from --tokens) the workers. 0, or -1 with run->trouble set. */
int workers_register(struct run *r);
/* Takes the registrations back, unless they are kept in a file. */
void workers_deregister(struct run *r);

/* load.c */
void producers_start(struct run *r);
/* Sends the submits that are due; when to look again. */
uint64_t producers_turn(struct run *r, uint64_t now);
void workers_start(struct run *r);
/* Submits that are neither completed nor refused. */
int64_t run_outstanding(const struct run *r);
void run_trouble(struct run *r, const char *what, const struct answer *a);
/* Resets what is measured: the warm-up is over. */
void run_measure(struct run *r);

/* report.c: prints the result. */
void report_print(const struct run *r);

#endif
