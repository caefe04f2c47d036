/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - what load is put on: the protocol of a queue, as bytes to send and answers to read.
 *
 * The loop that sends, the clock and the histograms are the same for every peer. bp-bench has one, bpd's HTTP; those of
 * other queues are in bench/compare.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "client.h"

struct run;
struct worker;

struct peer {
    const char *name, *scheme, *port; /* scheme and usual port of its address */
    bool secrets;                     /* a token and a fleet secret are needed */
    bool batches;                     /* several jobs in one request are possible */
    bool takes_next;                  /* a completion may take the next job: answer.next */
    /* Makes the workers known to the server. 0, or -1 with run->trouble set. NULL: it needs none of that. */
    int (*join)(struct run *r);
    void (*leave)(struct run *r);
    /* What a worker's connection begins with; NULL: nothing. */
    void (*hello)(const struct worker *w, struct buffer *out);
    /* The requests. first: the number of the first job, for queues whose jobs carry ours. */
    void (*submit)(struct run *r, int64_t first, struct buffer *out);
    void (*lease)(const struct worker *w, struct buffer *out);
    /* Sent when a lease was answered "empty", answered when there may be a job; NULL: a lease waits by itself. */
    void (*sleep)(const struct worker *w, struct buffer *out);
    void (*complete)(const struct worker *w, const struct item *items, int n, struct buffer *out);
    read_fn read;
};

extern const struct peer PEER_BPD;

#endif
