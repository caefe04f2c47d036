/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of bp-bench and of bench/compare. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static const char HELP_BPD[] =
    "usage: bp-bench dispatch|latency --url URL --token TOKEN --fleet-secret SECRET [options]\n"
    "\n"
    "Puts load on a running daemon over HTTP: producers submit, workers register, lease and complete at once.\n"
    "\n";

static const char HELP_PEERS[] = "usage: compare PEER dispatch|latency --url URL [options]\n"
                                 "\n"
                                 "Puts the load of bp-bench on another queue. PEER and what its URL looks like:\n"
                                 "\n";

static const char HELP[] =
    "dispatch  submits, leases and completes as fast as it goes, one job per request unless batches are asked for\n"
    "latency   submits at a fixed rate to waiting workers and measures submit to held lease\n"
    "\n"
    "  --url URL             the daemon's address, http://HOST:PORT or https://HOST:PORT\n"
    "  --ca FILE             https: certificates of authorities, PEM; the system's\n"
    "  --insecure            https: do not check the certificate\n"
    "  --token TOKEN         a tenant's token\n"
    "  --fleet-secret S      secret workers register with\n"
    "  --workflow SLUG       workflow to load; bench-noop (the plugin in bench/plugins)\n"
    "  --params JSON         params of each job; {}\n"
    "  --producers N         connections that submit; 16 (latency: 8)\n"
    "  --workers N           workers, one connection each; 16\n"
    "  --batch N             jobs a worker takes with one poll, 1 to 64; 1\n"
    "  --submit-batch N      jobs of one submit, 1 to 1000 (dispatch.maxBatch allows 100); 1\n"
    "  --complete-batch N    jobs completed with one request, 1 to 64; 1\n"
    "  --take-next           a worker takes its next job with the completion of the last, one request in place of two\n"
    "  --think MS            pause of a producer between submits; 0\n"
    "  --poll MS             workers do not wait at the server but poll every MS, as old ones do; 0: they wait\n"
    "  --backlog N           producers pause while so many jobs are not completed; 2000\n"
    "  --rate N              latency: submits a second; 500\n"
    "  --seconds S           measured time; 5\n"
    "  --warmup S            time before it; 0.5\n"
    "  --idle-pollers N      workers that only wait; 0\n"
    "  --idle-workflow SLUG  what they wait for; bench-idle\n"
    "  --tokens FILE         keep the workers' tokens there and use them in the next run\n"
    "  --prefix TEXT         start of the workers' ids; bench-<process id>, with --tokens bench\n"
    "  --json                result as one JSON object, times in milliseconds\n"
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
    TAKE_NEXT,
    THINK,
    POLL,
    BACKLOG,
    RATE,
    SECONDS,
    WARMUP,
    IDLE,
    IDLE_WORKFLOW,
    TOKENS,
    PREFIX,
    JSON,
    CA,
    INSECURE,
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
    {"take-next", 0, 0, TAKE_NEXT},
    {"think", 1, 0, THINK},
    {"poll", 1, 0, POLL},
    {"backlog", 1, 0, BACKLOG},
    {"rate", 1, 0, RATE},
    {"seconds", 1, 0, SECONDS},
    {"warmup", 1, 0, WARMUP},
    {"idle-pollers", 1, 0, IDLE},
    {"idle-workflow", 1, 0, IDLE_WORKFLOW},
    {"tokens", 1, 0, TOKENS},
    {"prefix", 1, 0, PREFIX},
    {"json", 0, 0, JSON},
    {"ca", 1, 0, CA},
    {"insecure", 0, 0, INSECURE},
    {"help", 0, 0, HELP_ME},
    {0, 0, 0, 0},
};

static const char *program;

static _Noreturn void usage(const char *why)
{
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program, why, program);
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
                      : id == CA            ? &o->authorities
                                            : NULL;
    if (to)
        *to = optarg;
    return to != NULL;
}

/* Options that are whole numbers, and those that may have a fraction: where each goes, and its range. */
static void number_option(struct options *o, int id, const char *name)
{
    const struct {
        int id, *to, min, max;
    } whole[] = {
        {PRODUCERS, &o->producers, 1, 10000},
        {WORKERS, &o->workers, 1, 10000},
        {BATCH, &o->batch, 1, HELD_MAX},
        {SUBMIT_BATCH, &o->submit_batch, 1, ITEMS_MAX},
        {COMPLETE_BATCH, &o->complete_batch, 1, HELD_MAX},
        {IDLE, &o->idle_pollers, 0, 100000},
        {BACKLOG, &o->backlog, 1, TRACKED / 2},
    };
    const struct {
        int id;
        double *to, min, max;
    } fraction[] = {
        {THINK, &o->think_ms, 0, 60000},    {POLL, &o->poll_ms, 0, 600000}, {RATE, &o->rate, 0.1, 100000},
        {SECONDS, &o->seconds, 0.1, 86400}, {WARMUP, &o->warmup_s, 0, 600},
    };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (whole[i].id == id)
            *whole[i].to = (int)number(optarg, whole[i].min, whole[i].max, name);
    for (size_t i = 0; i < sizeof fraction / sizeof fraction[0]; i++)
        if (fraction[i].id == id)
            *fraction[i].to = number(optarg, fraction[i].min, fraction[i].max, name);
}

static _Noreturn void help(const struct run *r)
{
    bool one = !r->peers[1];
    fputs(one ? HELP_BPD : HELP_PEERS, stdout);
    for (const struct peer *const *p = r->peers; !one && *p; p++)
        printf("  %-10s %s://HOST:PORT\n", (*p)->name, (*p)->scheme);
    if (!one)
        puts("");
    fputs(HELP, stdout);
    exit(0);
}

static void secrets_check(struct options *o)
{
    if (!o->token)
        o->token = getenv("BP_BENCH_TOKEN");
    if (!o->fleet_secret)
        o->fleet_secret = getenv("BP_BENCH_FLEET_SECRET");
    if (!o->token)
        usage("--token is missing");
    if (!o->fleet_secret)
        usage("--fleet-secret is missing");
    if (strlen(o->token) > 1000 || strlen(o->fleet_secret) > 1000)
        usage("--token or --fleet-secret is too long");
}

static void options_check(struct options *o, const struct peer *peer)
{
    static char prefix[64];
    if (!o->url)
        usage("--url is missing");
    if (peer->secrets)
        secrets_check(o);
    if (!peer->batches && (o->batch > 1 || o->submit_batch > 1 || o->complete_batch > 1))
        usage("this queue is asked for one job per request; batches are bpd's");
    if (o->take_next && (!peer->takes_next || o->batch > 1 || o->complete_batch > 1 || o->poll_ms > 0))
        usage("--take-next is bpd's, for one job at a time, and not with --poll");
    if (!o->prefix) {
        snprintf(prefix, sizeof prefix, o->tokens_file ? "bench" : "bench-%ld", (long)getpid());
        o->prefix = prefix;
    }
    if (strlen(o->prefix) > 64)
        usage("--prefix is longer than 64 characters");
}

/* The peer and the mode, which come first; how many arguments they are. */
static int words_read(struct run *r, int argc, char **argv)
{
    int at = 1;
    r->peer = r->peers[0];
    if (r->peers[1]) {
        const struct peer *const *p = r->peers;
        while (argc > at && *p && strcmp((*p)->name, argv[at]) != 0)
            p++;
        if (argc <= at || !*p)
            usage("name the queue to load first");
        r->peer = *p;
        at++;
    }
    if (argc <= at || (strcmp(argv[at], "dispatch") != 0 && strcmp(argv[at], "latency") != 0))
        usage("name what to measure: dispatch or latency");
    r->opt.mode = argv[at];
    return at;
}

void options_read(struct run *r, int argc, char **argv)
{
    static const struct options DEFAULTS = {.workflow = "bench-noop",
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
    struct options *o = &r->opt;
    int index = 0;
    program = r->program;
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        help(r);
    *o = DEFAULTS;
    int words = words_read(r, argc, argv);
    bool paced = strcmp(o->mode, "latency") == 0;
    o->rate = paced ? 500 : 0;
    o->producers = paced ? 8 : o->producers;
    optind = words + 1;
    for (int id; (id = getopt_long(argc, argv, "", OPTIONS, &index)) != -1;) {
        if (id == HELP_ME)
            help(r);
        if (id == '?')
            exit(2);
        o->json |= id == JSON;
        o->insecure |= id == INSECURE;
        o->take_next |= id == TAKE_NEXT;
        if (id != JSON && id != INSECURE && id != TAKE_NEXT && !text_option(o, id))
            number_option(o, id, OPTIONS[index].name);
    }
    if (optind < argc)
        usage("too many arguments");
    if (!paced)
        o->rate = 0;
    options_check(o, r->peer);
}
