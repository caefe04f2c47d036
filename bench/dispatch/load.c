/* SPDX-License-Identifier: Apache-2.0 */
/* A run from its start to its end: set up, warm up, measure, drain. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench.h"

/* Idle pollers need a descriptor each. */
static void descriptors_raise(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static void run_for(struct run *r, double seconds)
{
    for (uint64_t end = now_us() + (uint64_t)(seconds * 1e6); now_us() < end;) {
        uint64_t now = now_us(), submit = producers_turn(r, now), poll = workers_turn(r, now);
        client_run(&r->client, submit < poll ? submit : poll);
    }
}

/* No more submits; what is out there is completed. */
static void drain(struct run *r)
{
    r->submitting = false;
    for (uint64_t end = now_us() + 20000000; now_us() < end; client_run(&r->client, 10000)) {
        bool busy = false;
        workers_turn(r, now_us());
        for (int i = 0; i < r->opt.producers; i++)
            busy |= connection_busy(r->producers[i].connection);
        if (!busy && run_outstanding(r) <= 0)
            break;
    }
    r->stopping = true;
}

/* The warm-up is over: what is measured begins. */
static void begin(struct run *r)
{
    r->at_begin = r->count;
    r->begin_us = now_us();
    histogram_clear(&r->submit);
    histogram_clear(&r->complete);
    histogram_clear(&r->held);
    histogram_clear(&r->cycle);
}

static int measure(struct run *r)
{
    if (client_probe(&r->client, r->opt.url, r->trouble, sizeof r->trouble) != 0)
        return -1;
    workers_new(r);
    r->begin_us = now_us();
    if (r->peer->join && r->peer->join(r) != 0)
        return -1;
    workers_start(r);
    run_for(r, 0.1);
    producers_start(r);
    run_for(r, r->opt.warmup_s);
    begin(r);
    run_for(r, r->opt.seconds);
    r->end_us = now_us();
    r->at_end = r->count;
    drain(r);
    return 0;
}

static void run_free(struct run *r)
{
    for (int i = 0; r->producers && i < r->opt.producers; i++)
        connection_free(r->producers[i].connection);
    for (int i = 0; i < r->n_workers; i++)
        connection_free(r->workers[i].connection);
    if (r->peer->leave) /* no poll waits any more */
        r->peer->leave(r);
    free(r->producers);
    free(r->workers);
    free(r->tracks);
    buffer_free(&r->body);
    client_close(&r->client);
}

int bench_main(int argc, char **argv, const char *program, const struct peer *const *peers)
{
    static struct run r;
    char why[512];
    r.program = program;
    r.peers = peers;
    options_read(&r, argc, argv);
    descriptors_raise();
    snprintf(r.tenant_header, sizeof r.tenant_header, "Authorization: Bearer %s", r.opt.token ? r.opt.token : "");
    struct target target = {r.opt.url, r.peer->scheme, r.peer->port, r.opt.authorities, r.opt.insecure};
    r.tracks = calloc(TRACKED, sizeof *r.tracks);
    if (!r.tracks || client_open(&r.client, &target, why, sizeof why) != 0) {
        fprintf(stderr, "%s: %s\n", program, r.tracks ? why : "out of memory");
        return 1;
    }
    int rc = measure(&r);
    if (rc == 0)
        report_print(&r);
    if (r.trouble[0])
        fprintf(stderr, "%s: %s\n", program, r.trouble);
    bool bad = rc != 0 || r.count.errors || r.count.doubled || run_outstanding(&r) != 0;
    run_free(&r);
    return bad ? 1 : 0;
}
