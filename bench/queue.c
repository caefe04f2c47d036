/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue - how fast a queue plugin is by itself: no HTTP, no bus, one thread that hands batches to apply().
 *
 *   queue PLUGIN.so [--batch 1,32,128,256] [--leases 1] [--mixed|--together] [--seconds 3] [--workflows 4]
 *         [--workers 16] [--preload 0] [--finished 0] [--days 0] [--first SLUG] [--dir DIR] [--settings JSON]
 *         [--server PID]
 *
 * A cycle is submit + lease + complete of one job. Each round sends three batches of `batch` jobs each: submits, leases
 * of --leases jobs at once, completes; with --mixed the completes of a round go with the submits of the next, as in a
 * daemon with as many producers as workers; with --together a round is one batch of completes, submits and leases of
 * one job, whose numbers vary by a half, as those of a daemon with much to do, behind a queue of some hundred.
 * --preload queues that many jobs first and then also times statistics, sweeps and leases. --finished puts that many
 * jobs through first, which are not measured. All operations say that they happen --days ago. --first names the first
 * workflow; --dir is where the plugin keeps its files, and they stay: so a store is made for a daemon, with --seconds
 * 0. --server names the process of the database, whose CPU time is then told too.
 */
#include <bp/queue.h>
#include <dirent.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../tests/queue_conformance/fake_host.h"

#define BATCH_MAX 1024

static struct options {
    const char *plugin, *settings, *dir, *batches, *server, *first;
    uint32_t batch, leases, workflows, workers;
    bool mixed, together;
    double seconds, days;
    int64_t preload, finished;
} opt = {.leases = 1, .workflows = 4, .workers = 16, .seconds = 3};

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
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 - (int64_t)(opt.days * 86400000);
}

static void apply(uint32_t n)
{
    struct bp_err err = {0};
    if (fake_host_queue(host)->apply(fake_host_instance(host), list, n, &err) != BP_OK) {
        fprintf(stderr, "queue: %s\n", err.text);
        exit(1);
    }
    for (uint32_t i = 0; i < n; i++)
        if (ops[i].err.rc != BP_OK) {
            fprintf(stderr, "queue: operation %u: %s\n", i, ops[i].err.text);
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

/* The process of the database. */
static double server_cpu_s(void)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", opt.server ? opt.server : "0");
    FILE *f = fopen(path, "r");
    const char *after = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    if (after)
        sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    if (f)
        fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Jobs leased and not yet completed. */
static struct {
    struct bp_job_row *rows[BATCH_MAX];
    void *memory[BATCH_MAX];
    uint32_t n, n_memory;
} held;

static uint32_t submits(uint32_t at)
{
    for (uint32_t i = at; i < at + opt.batch; i++) {
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
    return at + opt.batch;
}

static uint32_t leases(uint32_t at)
{
    static const char *workflow[1000], *token[BATCH_MAX], *key[BATCH_MAX];
    static char worker[BATCH_MAX][24];
    static uint32_t turn;
    uint32_t n = 0;
    for (uint32_t i = 0; i < opt.batch; i += opt.leases, n++) {
        uint32_t w = turn++ % opt.workflows;
        struct bp_op_lease *l = &op(at + n, BP_OP_LEASE)->u.lease;
        snprintf(worker[n], sizeof worker[n], "worker-%u", n % opt.workers);
        for (uint32_t k = i; k < i + opt.leases; k++) {
            snprintf(tokens[k], sizeof tokens[k], "%08llx-0000-4000-8000-0123456789ab",
                     (unsigned long long)++token_counter);
            token[k] = tokens[k];
            key[k] = "attempt-1/01234567-89ab-4def-8123-456789abcdef.mp4";
        }
        /* one of the workflows in turn, or all of them when several jobs are asked for */
        workflow[w] = names[w];
        for (uint32_t k = 0; opt.leases > 1 && k < opt.workflows; k++)
            workflow[k] = names[k];
        l->worker_id = worker[n];
        l->workflows = opt.leases > 1 ? workflow : &workflow[w];
        l->n_workflows = opt.leases > 1 ? opt.workflows : 1;
        l->max = opt.leases;
        l->tokens = &token[i];
        l->output_keys = &key[i];
        l->ttl_ms = 60000;
    }
    return at + n;
}

static void take_leased(uint32_t at, uint32_t n)
{
    held.n = held.n_memory = 0;
    for (uint32_t i = at; i < n; i++) {
        const struct bp_op_lease *l = &ops[i].u.lease;
        if (l->count)
            held.memory[held.n_memory++] = l->memory;
        for (uint32_t k = 0; k < l->count; k++)
            held.rows[held.n++] = &l->jobs[k];
    }
}

static uint32_t completes(uint32_t at)
{
    for (uint32_t i = 0; i < held.n; i++) {
        struct bp_op_complete *c = &op(at + i, BP_OP_COMPLETE)->u.complete;
        c->id = held.rows[i]->id;
        c->token = held.rows[i]->lease_token;
        c->worker_id = held.rows[i]->worker;
        c->output =
            "{\"key\":\"tenants/acme/jobs/1/attempt-1/output.mp4\",\"size\":1234567,\"mime_type\":\"video/mp4\"}";
    }
    return at + held.n;
}

static void forget_leased(void)
{
    for (uint32_t i = 0; i < held.n_memory; i++)
        free(held.memory[i]);
    held.n = held.n_memory = 0;
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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* after: not timed. */
static void time_many(const char *what, int rounds, void (*fn)(void), void (*after)(void))
{
    static double all[1000];
    for (int i = 0; i < rounds; i++) {
        double t = now_s();
        fn();
        all[i] = (now_s() - t) * 1e3;
        if (after)
            after();
    }
    qsort(all, (size_t)rounds, sizeof *all, by_value);
    printf("%-24s p50 %8.3f ms  p99 %8.3f ms  worst %8.3f ms\n", what, all[rounds / 2], all[rounds * 99 / 100],
           all[rounds - 1]);
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

static void watch_once(void)
{
    op(0, BP_OP_WATCH);
    apply(1);
    free(ops[0].u.watch.memory);
}

static void lease_once(void)
{
    opt.batch = opt.leases = 1;
    uint32_t n = leases(0);
    apply(n);
    take_leased(0, n);
}

static void complete_once(void)
{
    apply(completes(0));
    forget_leased();
}

/* Queues that many jobs and times what a daemon does at any length of the queue. */
static void with_queued(int64_t jobs)
{
    double begin = now_s();
    opt.batch = 256;
    for (int64_t i = 0; i < jobs; i += opt.batch)
        apply(submits(0));
    printf("queued %lld jobs in %.2f s\n", (long long)jobs, now_s() - begin);
    time_many("statistics", 50, stats_once, NULL);
    time_many("watch", 50, watch_once, NULL);
    time_many("sweep", 50, sweep_once, NULL);
    time_many("lease of one", 1000, lease_once, complete_once);
    fflush(stdout);
}

/* Puts that many jobs through, to lie there as what has ended. */
static void finish_many(int64_t jobs)
{
    uint32_t asked = opt.leases;
    double begin = now_s();
    opt.batch = 256;
    opt.leases = 32;
    for (int64_t i = 0; i < jobs; i += opt.batch) {
        apply(submits(0));
        uint32_t n = leases(0);
        apply(n);
        take_leased(0, n);
        apply(completes(0));
        forget_leased();
    }
    opt.leases = asked;
    printf("finished %lld jobs in %.2f s\n", (long long)jobs, now_s() - begin);
    fflush(stdout);
}

/* First with few, to compare with. */
static void preload(void)
{
    uint32_t asked = opt.leases;
    with_queued(2560);
    with_queued(opt.preload);
    opt.leases = asked;
}

/* Between half and one and a half times as many as asked for. */
static uint32_t varied(uint32_t k)
{
    static uint32_t seed = 1;
    seed = seed * 1664525 + 1013904223;
    return k - k / 2 + (seed >> 16) % (k + k / 2 - (k - k / 2) + 1);
}

static uint64_t round_together(double t[3], uint32_t asked)
{
    double a = now_s();
    uint32_t completed = completes(0);
    opt.batch = varied(asked);
    uint32_t submitted = submits(completed);
    opt.batch = varied(asked);
    uint32_t n = leases(submitted);
    apply(n);
    forget_leased();
    take_leased(submitted, n);
    opt.batch = asked;
    t[0] += now_s() - a;
    return completed;
}

/* One round; the times of its batches are added to t. */
static uint64_t round_run(double t[3])
{
    if (opt.together)
        return round_together(t, opt.batch);
    double a = now_s();
    uint32_t n = opt.mixed ? completes(0) : 0;
    uint64_t done = n;
    apply(submits(n));
    forget_leased();
    double b = now_s();
    n = leases(0);
    apply(n);
    take_leased(0, n);
    double c = now_s();
    t[0] += b - a;
    t[1] += c - b;
    if (!opt.mixed) {
        done = held.n;
        if (done)
            apply(completes(0));
        forget_leased();
        t[2] += now_s() - c;
    }
    return done;
}

static void cycles(void)
{
    uint64_t n = 0;
    for (uint32_t i = 0; opt.together && i < 500; i += opt.batch)
        apply(submits(0));
    double t[3] = {0}, begin = now_s(), cpu = cpu_s(), server = server_cpu_s();
    while (now_s() - begin < opt.seconds)
        n += round_run(t);
    double wall = now_s() - begin;
    cpu = cpu_s() - cpu;
    server = server_cpu_s() - server;
    printf("{\"batch\": %u, \"leases\": %u, \"how\": \"%s\", \"cycles_per_s\": %.0f, \"us_per_cycle\": {\"cpu\": %.1f, "
           "\"server_cpu\": %.1f, \"submit\": %.1f, \"lease\": %.1f, \"complete\": %.1f}}\n",
           opt.batch, opt.leases,
           opt.together ? "together"
           : opt.mixed  ? "mixed"
                        : "apart",
           (double)n / wall, cpu / (double)n * 1e6, server / (double)n * 1e6, t[0] / (double)n * 1e6,
           t[1] / (double)n * 1e6, t[2] / (double)n * 1e6);
    fflush(stdout);
    if (held.n)
        apply(completes(0));
    forget_leased();
}

/* Every batch size of the list. */
static void all_cycles(void)
{
    uint32_t leases_asked = opt.leases;
    for (const char *p = opt.batches; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        opt.batch = (uint32_t)atoi(p);
        opt.leases = leases_asked < opt.batch ? leases_asked : opt.batch;
        opt.batch -= opt.batch % opt.leases;
        cycles();
    }
}

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: queue PLUGIN.so [--batch 1..%d,... (1..%d with --together)] [--leases 1..64] [--mixed|--together] "
            "[--seconds S] [--workflows 1..1000] [--workers N] [--preload N] [--finished N] [--days D] [--first SLUG] "
            "[--settings JSON] [--dir DIR] [--server PID]\n",
            BATCH_MAX / 2, BATCH_MAX / 5);
    exit(2);
}

static void option(int c)
{
    const char **text = c == 'b'   ? &opt.batches
                        : c == 'c' ? &opt.settings
                        : c == 'd' ? &opt.dir
                        : c == 'n' ? &opt.first
                                   : &opt.server;
    uint32_t *number = c == 'l' ? &opt.leases : c == 'f' ? &opt.workflows : &opt.workers;
    if (c == 'm')
        opt.mixed = true;
    else if (c == 't')
        opt.together = true;
    else if (c == 's')
        opt.seconds = atof(optarg);
    else if (c == 'D')
        opt.days = atof(optarg);
    else if (c == 'p' || c == 'e')
        *(c == 'p' ? &opt.preload : &opt.finished) = atoll(optarg);
    else if (strchr("bcdPn", c))
        *text = optarg;
    else if (strchr("lfw", c))
        *number = (uint32_t)atoi(optarg);
    else
        usage();
}

static void options(int argc, char **argv)
{
    static const struct option names_[] = {{"batch", 1, 0, 'b'},    {"seconds", 1, 0, 's'},  {"workflows", 1, 0, 'f'},
                                           {"workers", 1, 0, 'w'},  {"preload", 1, 0, 'p'},  {"leases", 1, 0, 'l'},
                                           {"mixed", 0, 0, 'm'},    {"together", 0, 0, 't'}, {"server", 1, 0, 'P'},
                                           {"settings", 1, 0, 'c'}, {"dir", 1, 0, 'd'},      {"finished", 1, 0, 'e'},
                                           {"days", 1, 0, 'D'},     {"first", 1, 0, 'n'},    {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "", names_, NULL)) != -1;)
        option(c);
    if (!opt.batches)
        opt.batches = opt.together ? "1,4,32,128" : "1,32,128,256";
    bool fits = optind == argc - 1 && opt.leases >= 1 && opt.leases <= 64 && opt.workflows >= 1 &&
                opt.workflows <= 1000 && opt.workers >= 1;
    for (const char *p = opt.batches; fits && p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        fits = atoi(p) >= 1 && atoi(p) <= (opt.together ? BATCH_MAX / 5 : BATCH_MAX / 2);
    if (!fits)
        usage();
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
        fprintf(stderr, "queue: %s\n", err.text);
        return 1;
    }
    for (uint32_t i = 0; i < BATCH_MAX; i++)
        list[i] = &ops[i];
    for (uint32_t i = 0; i < opt.workflows; i++)
        snprintf(names[i], sizeof names[i], "workflow-%u", i);
    if (opt.first)
        snprintf(names[0], sizeof names[0], "%s", opt.first);
    workers_put();
    if (opt.finished)
        finish_many(opt.finished);
    if (opt.preload)
        preload();
    if (opt.seconds > 0)
        all_cycles();
    fake_host_stop(host);
    if (!opt.dir)
        remove_dir(dir);
    return 0;
}
