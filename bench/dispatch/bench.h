/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - a run of bp-bench: producers that submit, workers that lease and complete, and what was measured.
 *
 * Every job submitted is followed by its id: when it was sent, when a worker held it, when it was completed. So a run
 * also says whether a job was leased twice or never came.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "histogram.h"
#include "peer.h"

struct options {
    const char *mode; /* "dispatch" or "latency" */
    const char *url, *token, *fleet_secret, *workflow, *idle_workflow, *params, *tokens_file, *prefix;
    const char *authorities; /* of https, a PEM file; NULL: the system's */
    int producers, workers, idle_pollers, batch, submit_batch, complete_batch;
    double seconds, warmup_s, think_ms;
    double poll_ms; /* workers ask again after so long; 0: the server lets them wait */
    double rate;    /* latency: submits a second */
    int backlog;    /* producers pause when so many jobs wait */
    bool take_next; /* with the completion of the last */
    bool json, insecure;
};

#define TRACKED  (1 << 20)
#define HELD_MAX 64

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
    struct item held[HELD_MAX]; /* not completed yet */
    int n_held, n_sent;         /* n_sent: those behind them, on their way in one request */
    int failures;               /* polls in a row */
    uint64_t next_us;           /* 0, or when to poll again */
    bool idle_poller;
};

struct producer {
    struct run *run;
    struct connection *connection;
    uint64_t next_us; /* 0: as soon as it may */
};

struct run {
    const char *program;
    const struct peer *const *peers; /* all there are, ended by NULL */
    struct options opt;
    const struct peer *peer;
    struct client client;
    char tenant_header[1100];
    struct buffer body;     /* of the request being made */
    char said[4096];        /* an answer while setting up */
    int64_t numbers;        /* jobs numbered so far */
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

/* options.c: reads the command line into r->opt and r->peer; ends the program when it is wrong. */
void options_read(struct run *r, int argc, char **argv);

/* register.c, bpd's way: registers (or reads from --tokens) the workers. 0, or -1 with run->trouble set. */
int workers_register(struct run *r);
/* Takes the registrations back, unless they are kept in a file. */
void workers_deregister(struct run *r);

/* producers.c */
void producers_start(struct run *r);
/* Sends the submits that are due; how long until the next, microseconds. */
uint64_t producers_turn(struct run *r, uint64_t now);
/* The job's entry; a newer job takes the place of one a million ids older. */
struct track *track_of(struct run *r, int64_t id);
/* A job was submitted, or leased: once both are known, in whatever order, the wait is. */
void note_held(struct run *r, const struct track *t);
/* Submits that are neither completed nor refused. */
int64_t run_outstanding(const struct run *r);
void run_trouble(struct run *r, const char *what, const struct answer *a);

/* workers.c */
void workers_new(struct run *r);
void workers_start(struct run *r);
/* Sends the polls that are due; how long until the next, microseconds. */
uint64_t workers_turn(struct run *r, uint64_t now);

/* load.c: the program, with the peers it knows. The exit status. */
int bench_main(int argc, char **argv, const char *program, const struct peer *const *peers);

/* report.c: prints the result. */
void report_print(const struct run *r);

#endif
