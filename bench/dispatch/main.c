/* SPDX-License-Identifier: Apache-2.0 */
/* bp-bench - load on a running daemon over HTTP: how many jobs a second, and how soon a waiting worker has one. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

static const char HELP[] =
    "usage: bp-bench dispatch|latency --url URL --token TOKEN --fleet-secret SECRET [options]\n"
    "\n"
    "dispatch  submits, leases and completes as fast as it goes, one job per request unless batches are asked for\n"
    "latency   submits at a fixed rate to waiting workers and measures submit to held lease\n"
    "\n"
    "  --url URL             the daemon's HTTP address, http://HOST:PORT\n"
    "  --token TOKEN         a tenant's token\n"
    "  --fleet-secret S      secret workers register with\n"
    "  --workflow SLUG       workflow to load; bench-noop (the plugin in bench/plugins)\n"
    "  --params JSON         params of each job; {}\n"
    "  --producers N         connections that submit; 16 (latency: 8)\n"
    "  --workers N           workers, one connection each; 16\n"
    "  --batch N             jobs a worker takes with one poll, 1 to 64; 1\n"
    "  --submit-batch N      jobs of one submit, 1 to 1000 (dispatch.maxBatch allows 100); 1\n"
    "  --complete-batch N    jobs completed with one request, 1 to 64; 1\n"
    "  --think MS            pause of a producer between submits; 0\n"
    "  --backlog N           producers pause while so many jobs are not completed; 2000\n"
    "  --rate N              latency: submits a second; 500\n"
    "  --seconds S           measured time; 5\n"
    "  --warmup S            time before it; 0.5\n"
    "  --idle-pollers N      workers that only wait; 0\n"
    "  --idle-workflow SLUG  what they wait for; bench-idle\n"
    "  --tokens FILE         keep the workers' tokens there and use them in the next run\n"
    "  --prefix TEXT         start of the workers' ids; bench-<process id>, with --tokens bench\n"
    "  --json                result as one JSON object\n"
    "\n"
    "Secrets may also come from BP_BENCH_TOKEN and BP_BENCH_FLEET_SECRET.\n"
    "Exit 0: measured; 1: errors, lost jobs or jobs leased twice; 2: usage.\n";

enum {
    OPT_FIRST = 256,
    URL,
    TOKEN,
    SECRET,
    WORKFLOW,
    PARAMS,
    PRODUCERS,
    WORKERS,
    BATCH,
    SUBMIT_BATCH,
    COMPLETE_BATCH,
    THINK,
    BACKLOG,
    RATE,
    SECONDS,
    WARMUP,
    IDLE,
    IDLE_WORKFLOW,
    TOKENS,
    PREFIX,
    JSON,
    HELP_ME
};

static const struct option OPTIONS[] = {
    {"url", 1, 0, URL},
    {"token", 1, 0, TOKEN},
    {"fleet-secret", 1, 0, SECRET},
    {"workflow", 1, 0, WORKFLOW},
    {"params", 1, 0, PARAMS},
    {"producers", 1, 0, PRODUCERS},
    {"workers", 1, 0, WORKERS},
    {"batch", 1, 0, BATCH},
    {"submit-batch", 1, 0, SUBMIT_BATCH},
    {"complete-batch", 1, 0, COMPLETE_BATCH},
    {"think", 1, 0, THINK},
    {"backlog", 1, 0, BACKLOG},
    {"rate", 1, 0, RATE},
    {"seconds", 1, 0, SECONDS},
    {"warmup", 1, 0, WARMUP},
    {"idle-pollers", 1, 0, IDLE},
    {"idle-workflow", 1, 0, IDLE_WORKFLOW},
    {"tokens", 1, 0, TOKENS},
    {"prefix", 1, 0, PREFIX},
    {"json", 0, 0, JSON},
    {"help", 0, 0, HELP_ME},
    {0, 0, 0, 0},
};

static _Noreturn void usage(const char *why)
{
    fprintf(stderr, "bp-bench: %s\nTry 'bp-bench --help'.\n", why);
    exit(2);
}

static double number(const char *text, double min, double max, const char *name)
{
    char *end, why[160];
    double v = strtod(text, &end);
    if (end != text && *end == 0 && v >= min && v <= max)
        return v;
    snprintf(why, sizeof why, "--%s is '%.40s'; it must be a number from %g to %g", name, text, min, max);
    usage(why);
}

static bool text_option(struct options *o, int id)
{
    const char **to = id == URL             ? &o->url
                      : id == TOKEN         ? &o->token
                      : id == SECRET        ? &o->fleet_secret
                      : id == WORKFLOW      ? &o->workflow
                      : id == PARAMS        ? &o->params
                      : id == IDLE_WORKFLOW ? &o->idle_workflow
                      : id == TOKENS        ? &o->tokens_file
                      : id == PREFIX        ? &o->prefix
                                            : NULL;
    if (to)
        *to = optarg;
    return to != NULL;
}

static void number_option(struct options *o, int id, const char *name)
{
    if (id == PRODUCERS)
        o->producers = (int)number(optarg, 1, 10000, name);
    else if (id == WORKERS)
        o->workers = (int)number(optarg, 1, 10000, name);
    else if (id == BATCH)
        o->batch = (int)number(optarg, 1, 64, name);
    else if (id == SUBMIT_BATCH)
        o->submit_batch = (int)number(optarg, 1, 1000, name);
    else if (id == COMPLETE_BATCH)
        o->complete_batch = (int)number(optarg, 1, 64, name);
    else if (id == THINK)
        o->think_ms = number(optarg, 0, 60000, name);
    else if (id == BACKLOG)
        o->backlog = (int64_t)number(optarg, 1, TRACKED * 0.5, name);
    else if (id == RATE)
        o->rate = number(optarg, 0.1, 100000, name);
    else if (id == SECONDS)
        o->seconds = number(optarg, 0.1, 86400, name);
    else if (id == WARMUP)
        o->warmup_s = number(optarg, 0, 600, name);
    else if (id == IDLE)
        o->idle_pollers = (int)number(optarg, 0, 100000, name);
}

static void options_check(struct options *o)
{
    static char prefix[64];
    if (!o->token)
        o->token = getenv("BP_BENCH_TOKEN");
    if (!o->fleet_secret)
        o->fleet_secret = getenv("BP_BENCH_FLEET_SECRET");
    if (!o->url)
        usage("--url is missing");
    if (!o->token)
        usage("--token is missing");
    if (!o->fleet_secret)
        usage("--fleet-secret is missing");
    if (strlen(o->token) > 1000 || strlen(o->fleet_secret) > 1000)
        usage("--token or --fleet-secret is too long");
    if (!o->prefix) {
        snprintf(prefix, sizeof prefix, o->tokens_file ? "bench" : "bench-%ld", (long)getpid());
        o->prefix = prefix;
    }
    if (strlen(o->prefix) > 64)
        usage("--prefix is longer than 64 characters");
}

static void options_read(struct options *o, int argc, char **argv)
{
    int index = 0;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(HELP, stdout);
        exit(0);
    }
    if (argc < 2 || (strcmp(argv[1], "dispatch") != 0 && strcmp(argv[1], "latency") != 0))
        usage("name what to measure: dispatch or latency");
    *o = (struct options){.mode = argv[1],
                          .workflow = "bench-noop",
                          .idle_workflow = "bench-idle",
                          .params = "{}",
                          .producers = 16,
                          .workers = 16,
                          .batch = 1,
                          .submit_batch = 1,
                          .complete_batch = 1,
                          .seconds = 5,
                          .warmup_s = 0.5,
                          .backlog = 2000};
    if (strcmp(o->mode, "latency") == 0) {
        o->rate = 500;
        o->producers = 8;
    }
    optind = 2;
    for (int id; (id = getopt_long(argc, argv, "", OPTIONS, &index)) != -1;) {
        if (id == HELP_ME) {
            fputs(HELP, stdout);
            exit(0);
        }
        if (id == '?')
            exit(2);
        if (id == JSON)
            o->json = true;
        else if (!text_option(o, id))
            number_option(o, id, OPTIONS[index].name);
    }
    if (optind < argc)
        usage("too many arguments");
    if (strcmp(o->mode, "dispatch") == 0)
        o->rate = 0;
    options_check(o);
}

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
        uint64_t wait = producers_turn(r, now_us());
        client_run(&r->client, wait);
    }
}

/* No more submits; what is out there is completed. */
static void drain(struct run *r)
{
    r->submitting = false;
    for (uint64_t end = now_us() + 20000000; now_us() < end; client_run(&r->client, 10000)) {
        bool busy = false;
        for (int i = 0; i < r->opt.producers; i++)
            busy |= connection_busy(r->producers[i].connection);
        if (!busy && run_outstanding(r) <= 0)
            break;
    }
    r->stopping = true;
}

static int measure(struct run *r)
{
    if (workers_register(r) != 0)
        return -1;
    workers_start(r);
    run_for(r, 0.1);
    producers_start(r);
    run_for(r, r->opt.warmup_s);
    run_measure(r);
    run_for(r, r->opt.seconds);
    r->end_us = now_us();
    r->at_end = r->count;
    drain(r);
    workers_deregister(r);
    return 0;
}

static void run_free(struct run *r)
{
    for (int i = 0; r->producers && i < r->opt.producers; i++)
        connection_free(r->producers[i].connection);
    for (int i = 0; i < r->n_workers; i++)
        connection_free(r->workers[i].connection);
    free(r->producers);
    free(r->workers);
    free(r->tracks);
    free(r->submit_body);
    client_close(&r->client);
}

int main(int argc, char **argv)
{
    static struct run r;
    char why[512];
    options_read(&r.opt, argc, argv);
    descriptors_raise();
    snprintf(r.tenant_header, sizeof r.tenant_header, "Authorization: Bearer %s", r.opt.token);
    r.tracks = calloc(TRACKED, sizeof *r.tracks);
    if (!r.tracks || client_open(&r.client, r.opt.url, why, sizeof why) != 0) {
        fprintf(stderr, "bp-bench: %s\n", r.tracks ? why : "out of memory");
        return 1;
    }
    int rc = measure(&r);
    if (rc == 0)
        report_print(&r);
    if (r.trouble[0])
        fprintf(stderr, "bp-bench: %s\n", r.trouble);
    bool bad = rc != 0 || r.count.errors || r.count.doubled || run_outstanding(&r) != 0;
    run_free(&r);
    return bad ? 1 : 0;
}
