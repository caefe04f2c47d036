/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_queue - how fast a queue plugin is by itself: no HTTP, no bus, one thread that hands batches to apply().
 *
 *   sqlite_queue PLUGIN.so [--batch 64] [--seconds 3] [--workflows 4] [--workers 16] [--preload 0] [--settings JSON]
 *
 * A cycle is submit + lease + complete of one job. Each round sends three batches of `batch` operations (submits with
 * the completes of the round before share a batch as they would in the daemon with --mixed). --preload queues that many
 * jobs first and then also times statistics and leases.
 */
#include <bp/queue.h>
#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../tests/queue_conformance/fake_host.h"

#define BATCH_MAX 1024

static struct options {
    const char *plugin, *settings, *dir;
    uint32_t batch, workflows, workers;
    double seconds;
    int64_t preload;
} opt = {.batch = 64, .workflows = 4, .workers = 16, .seconds = 3};

static struct fake_host *host;
static struct bp_op ops[BATCH_MAX], *list[BATCH_MAX];
static char tokens[BATCH_MAX][40];
static uint64_t token_counter;
static char names[1000][24];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void apply(uint32_t n)
{
    struct bp_err err = {0};
    if (fake_host_queue(host)->apply(fake_host_instance(host), list, n, &err) != BP_OK) {
        fprintf(stderr, "sqlite_queue: %s\n", err.text);
        exit(1);
    }
    for (uint32_t i = 0; i < n; i++)
        if (ops[i].err.rc != BP_OK) {
            fprintf(stderr, "sqlite_queue: operation %u: %s\n", i, ops[i].err.text);
            exit(1);
        }
}

static struct bp_op *op(uint32_t i, int32_t kind)
{
    memset(&ops[i], 0, sizeof ops[i]);
    ops[i].size = sizeof ops[i];
    ops[i].kind = kind;
    ops[i].now_ms = clock_ms();
    return &ops[i];
}

static void submit_batch(void)
{
    for (uint32_t i = 0; i < opt.batch; i++) {
        struct bp_op_submit *s = &op(i, BP_OP_SUBMIT)->u.submit;
        s->tenant = "acme";
        s->workflow = names[i % opt.workflows];
        s->params = "{\"duration\":5,\"fps\":25,\"move\":\"push\",\"seed\":42,\"width\":1920,\"height\":1080}";
        s->inputs = "[{\"key\":\"tenants/acme/uploads/0123456789abcdef/photo.jpg\",\"mime\":\"image/"
                    "jpeg\",\"name\":\"photo.jpg\"}]";
        s->request_hash = "";
        s->who = "tenant:acme";
        s->max_attempts = 3;
    }
    apply(opt.batch);
}

static void lease_batch(void)
{
    static const char *workflow[BATCH_MAX], *token[BATCH_MAX], *key[BATCH_MAX];
    static char worker[BATCH_MAX][24];
    for (uint32_t i = 0; i < opt.batch; i++) {
        struct bp_op_lease *l = &op(i, BP_OP_LEASE)->u.lease;
        snprintf(worker[i], sizeof worker[i], "worker-%u", i % opt.workers);
        snprintf(tokens[i], sizeof tokens[i], "%08llx-0000-4000-8000-0123456789ab",
                 (unsigned long long)++token_counter);
        workflow[i] = names[i % opt.workflows];
        token[i] = tokens[i];
        key[i] = "attempt-1/output.mp4";
        l->worker_id = worker[i];
        l->workflows = &workflow[i];
        l->n_workflows = 1;
        l->max = 1;
        l->tokens = &token[i];
        l->output_keys = &key[i];
        l->ttl_ms = 60000;
    }
    apply(opt.batch);
}

/* Completes what lease_batch leased. */
static uint64_t complete_batch(void)
{
    static struct bp_job_row *rows[BATCH_MAX];
    static void *memory[BATCH_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < opt.batch; i++) {
        memory[n] = ops[i].u.lease.memory;
        if (ops[i].u.lease.count)
            rows[n++] = ops[i].u.lease.jobs;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct bp_op_complete *c = &op(i, BP_OP_COMPLETE)->u.complete;
        c->id = rows[i]->id;
        c->token = rows[i]->lease_token;
        c->worker_id = rows[i]->worker;
        c->output =
            "{\"key\":\"tenants/acme/jobs/1/attempt-1/output.mp4\",\"size\":1234567,\"mime_type\":\"video/mp4\"}";
    }
    if (n)
        apply(n);
    for (uint32_t i = 0; i < n; i++)
        free(memory[i]);
    return n;
}

static void workers_put(void)
{
    char slugs[16 * 1000] = "[";
    for (uint32_t i = 0; i < opt.workflows; i++)
        sprintf(slugs + strlen(slugs), "%s\"%s\"", i ? "," : "", names[i]);
    strcat(slugs, "]");
    for (uint32_t i = 0; i < opt.workers; i++) {
        char id[24], hash[24];
        snprintf(id, sizeof id, "worker-%u", i);
        snprintf(hash, sizeof hash, "hash-%u", i);
        struct bp_worker_row w = {.size = sizeof w, .approved = 1, .max_concurrency = 1000, .worker_id = id};
        w.token_hash = hash;
        w.workflows = slugs;
        w.source = "fleet";
        op(0, BP_OP_WORKER_PUT)->u.worker_put.worker = &w;
        apply(1);
    }
}

static void time_one(const char *what, int rounds, void (*fn)(void))
{
    double worst = 0, begin = now_s();
    for (int i = 0; i < rounds; i++) {
        double t = now_s();
        fn();
        t = now_s() - t;
        worst = t > worst ? t : worst;
    }
    printf("%-24s mean %8.3f ms  worst %8.3f ms\n", what, (now_s() - begin) / rounds * 1e3, worst * 1e3);
}

static void stats_once(void)
{
    op(0, BP_OP_STATS)->u.stats.window_ms = 300000;
    apply(1);
    free(ops[0].u.stats.memory);
}

static void sweep_once(void)
{
    op(0, BP_OP_SWEEP)->u.sweep.limit = 100;
    apply(1);
    free(ops[0].u.sweep.memory);
}

static void cycle_once(void)
{
    uint32_t batch = opt.batch;
    opt.batch = 1;
    lease_batch();
    complete_batch();
    opt.batch = batch;
}

static void preload(void)
{
    double begin = now_s();
    for (int64_t i = 0; i < opt.preload; i += opt.batch)
        submit_batch();
    printf("preloaded %lld jobs in %.2f s\n", (long long)opt.preload, now_s() - begin);
    time_one("statistics", 20, stats_once);
    time_one("sweep", 20, sweep_once);
    time_one("lease + complete of one", 200, cycle_once);
}

static void cycles(void)
{
    uint64_t n = 0;
    double t[4] = {0}, begin = now_s(), cpu = cpu_s();
    while (now_s() - begin < opt.seconds) {
        double a = now_s();
        submit_batch();
        double b = now_s();
        lease_batch();
        double c = now_s();
        n += complete_batch();
        double d = now_s();
        t[0] += b - a;
        t[1] += c - b;
        t[2] += d - c;
    }
    double wall = now_s() - begin;
    cpu = cpu_s() - cpu;
    printf("{\"batch\": %u, \"cycles_per_s\": %.0f, \"cycles_per_cpu_s\": %.0f, \"us_per_cycle\": {\"submit\": %.2f, "
           "\"lease\": %.2f, \"complete\": %.2f}}\n",
           opt.batch, (double)n / wall, (double)n / cpu, t[0] / (double)n * 1e6, t[1] / (double)n * 1e6,
           t[2] / (double)n * 1e6);
}

static void options(int argc, char **argv)
{
    static const struct option names_[] = {
        {"batch", 1, 0, 'b'},   {"seconds", 1, 0, 's'},  {"workflows", 1, 0, 'f'}, {"workers", 1, 0, 'w'},
        {"preload", 1, 0, 'p'}, {"settings", 1, 0, 'c'}, {"dir", 1, 0, 'd'},       {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", names_, NULL)) != -1;) {
        if (c == 'b')
            opt.batch = (uint32_t)atoi(optarg);
        else if (c == 's')
            opt.seconds = atof(optarg);
        else if (c == 'f')
            opt.workflows = (uint32_t)atoi(optarg);
        else if (c == 'w')
            opt.workers = (uint32_t)atoi(optarg);
        else if (c == 'p')
            opt.preload = atoll(optarg);
        else if (c == 'c')
            opt.settings = optarg;
        else if (c == 'd')
            opt.dir = optarg;
        else
            exit(2);
    }
    if (optind != argc - 1 || opt.batch < 1 || opt.batch > BATCH_MAX || opt.workflows < 1 || opt.workflows > 1000 ||
        opt.workers < 1) {
        fprintf(stderr, "usage: sqlite_queue PLUGIN.so [--batch 1..1024] [--seconds S] [--workflows 1..1000] "
                        "[--workers N] [--preload N] [--settings JSON] [--dir DIR]\n");
        exit(2);
    }
    opt.plugin = argv[optind];
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    char path[1024];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    char temp[] = "/tmp/bp-queue-bench.XXXXXX";
    struct bp_err err;
    options(argc, argv);
    const char *dir = opt.dir ? opt.dir : mkdtemp(temp);
    host = fake_host_start(opt.plugin, dir, opt.settings, &err);
    if (!host) {
        fprintf(stderr, "sqlite_queue: %s\n", err.text);
        return 1;
    }
    for (uint32_t i = 0; i < BATCH_MAX; i++)
        list[i] = &ops[i];
    for (uint32_t i = 0; i < opt.workflows; i++)
        snprintf(names[i], sizeof names[i], "workflow-%u", i);
    workers_put();
    if (opt.preload)
        preload();
    cycles();
    fake_host_stop(host);
    if (!opt.dir)
        remove_dir(dir);
    return 0;
}
