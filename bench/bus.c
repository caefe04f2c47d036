/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_bus - requests and replies through an actor. Two numbers: how many a second when many are under way, and how
 * long one takes when nothing else happens.
 *
 * usage: bench_bus [seconds] [batched|idle]
 */
#include "bus/bus.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT  4096
#define BATCH      1024
#define IDLE_TRIPS 20000
#define PAUSE_MS   1

struct bench {
    struct loop *loop;
    struct bus *bus;
    struct actor *actor;
    int64_t end_us, started_us;
    uint64_t replies, batches;
    int64_t sent_ns;
    int64_t arrived_ns; /* on the actor's thread */
    double *hop_us, *trip_us;
    uint32_t trips;
    struct loop_timer *pause;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void serve(struct request **batch, uint32_t n, void *arg)
{
    struct bench *b = arg;
    b->arrived_ns = now_ns();
    for (uint32_t i = 0; i < n; i++)
        request_done(batch[i], 0, NULL);
}

static void ended(struct actor *a, void *arg)
{
    struct bench *b = arg;
    struct actor_stats s;
    actor_stats(a, &s);
    b->batches = s.batches;
    actor_free(a);
    loop_stop(b->loop);
}

static void send_one(struct bench *b, request_reply reply)
{
    struct request_spec spec = {
        .service = "bench", .name = "bench.call", .reply = reply, .arg = b, .timeout_ms = 10000};
    struct bp_err err;
    if (bus_request(b->bus, &spec, &err) < 0) {
        fprintf(stderr, "bench_bus: %s\n", err.text);
        exit(1);
    }
}

/* ---- batched ---- */

static void on_batched(void *args, const struct bp_err *err, void *arg)
{
    struct bench *b = arg;
    (void)args;
    (void)err;
    if (++b->replies % 1024 == 0 && mono_us() >= b->end_us)
        b->end_us = 0;
    if (b->end_us)
        send_one(b, on_batched);
}

static void begin_batched(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < IN_FLIGHT; i++)
        send_one(b, on_batched);
}

static void watch_end(void *arg)
{
    struct bench *b = arg;
    if (b->end_us)
        return;
    loop_timer_cancel(b->pause);
    actor_drain(b->actor, ended, b);
}

/* ---- idle ---- */

static void on_idle(void *args, const struct bp_err *err, void *arg)
{
    struct bench *b = arg;
    int64_t now = now_ns();
    (void)args;
    (void)err;
    b->hop_us[b->trips] = (double)(b->arrived_ns - b->sent_ns) / 1000;
    b->trip_us[b->trips] = (double)(now - b->sent_ns) / 1000;
    if (++b->trips == IDLE_TRIPS || mono_us() > b->end_us)
        actor_drain(b->actor, ended, b);
    else
        loop_timer_after(b->pause, PAUSE_MS);
}

static void one_idle(void *arg)
{
    struct bench *b = arg;
    b->sent_ns = now_ns();
    send_one(b, on_idle);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, double *us, uint32_t n)
{
    qsort(us, n, sizeof *us, by_value);
    printf("%-28s p50 %7.1f us   p99 %7.1f us   (%u samples)\n", what, us[n / 2], us[n * 99 / 100], n);
}

static void run(int64_t seconds, int batched)
{
    struct bench b = {0};
    struct bp_err err;
    b.loop = loop_new();
    b.bus = bus_new(b.loop);
    b.hop_us = calloc(IDLE_TRIPS, sizeof *b.hop_us);
    b.trip_us = calloc(IDLE_TRIPS, sizeof *b.trip_us);
    struct actor_spec spec = {
        .name = "bench", .threads = 1, .batch_max = BATCH, .capacity = IN_FLIGHT, .batch = serve, .arg = &b};
    b.actor = actor_new(b.bus, &spec, &err);
    bus_route(b.bus, "bench", b.actor, NULL, NULL);
    b.started_us = mono_us();
    b.end_us = b.started_us + seconds * 1000000;
    b.pause = loop_timer_new(b.loop, "bench", batched ? watch_end : one_idle, &b);
    if (batched)
        loop_timer_every(b.pause, 10);
    loop_post(b.loop, "bench", batched ? begin_batched : one_idle, &b);
    loop_run(b.loop);
    double took = (double)(mono_us() - b.started_us) / 1e6;
    if (batched) {
        printf("%-28s %.0f /s   (%.1f a batch)\n", "request and reply, batched", (double)b.replies / took,
               (double)b.replies / (double)b.batches);
    } else {
        print_times("one hop, idle", b.hop_us, b.trips);
        print_times("request and reply, idle", b.trip_us, b.trips);
    }
    loop_timer_free(b.pause);
    bus_free(b.bus);
    loop_free(b.loop);
    free(b.hop_us);
    free(b.trip_us);
}

int main(int argc, char **argv)
{
    int64_t seconds = argc > 1 ? strtoll(argv[1], NULL, 10) : 3;
    const char *only = argc > 2 ? argv[2] : "";
    if (seconds < 1) {
        fprintf(stderr, "usage: bench_bus [seconds] [batched|idle]\n");
        return 2;
    }
    if (strcmp(only, "idle") != 0)
        run(seconds, 1);
    if (strcmp(only, "batched") != 0)
        run(seconds, 0);
    return 0;
}
