/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - bp-runner: the process in which a workflow plugin runs. Started by a worker, or by the host to probe a file.
 */
#include "log/json.h"
#include "runner/health/health.h"
#include "runner/probe.h"
#include "runner/sandbox.h"
#include "runner/serve.h"
#include "runner/warden.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WORKER_FD  3
#define VERDICT_FD 4
#define SAID_FD    3
#define PATHS_MAX  64

static const char help[] =
    "Usage: bp-runner --probe FILE [--workflows | --start JSON]\n"
    "       bp-runner --health DEVICE\n"
    "       bp-runner --serve [RULES] (started by bpd --role worker, with a socket as file 3)\n"
    "\n"
    "Runs the code of one workflow plugin, apart from the daemon: no network, no secrets, limited files and memory.\n"
    "\n"
    "  --probe FILE         load the plugin FILE, check it as the daemon would, and exit: 0 when it is usable,\n"
    "                       1 with one sentence on standard error when it is not\n"
    "  --workflows          with --probe: standard input is a JSON array of the manifests of workflows that files of\n"
    "                       workflows.d define, one settingsDir for all; ask the plugin whether each is right. Of "
    "each,\n"
    "                       counted from 0, file 3 gets a line \"begin N\", then \"good N\" or \"bad N\" with a "
    "sentence,\n"
    "                       when it is open; the sentence goes to standard error, too\n"
    "  --start JSON         with --probe: start it whatever its kind, with these settings, look at its facets, stop "
    "it,\n"
    "                       and print what was found as JSON\n"
    "  --health DEVICE      compute what is known on DEVICE (auto, cpu or cuda), ask NVML about a GPU, and print what "
    "was\n"
    "                       found as JSON: exit 0 when jobs may run on it, 1 when not\n"
    "  --serve              run jobs for the worker at the other end of file 3 until it closes that; how the plugin\n"
    "                       ended, when not in order, goes to file 4\n"
    "\n"
    "Rules, that is what the plugin may do:\n"
    "  --write DIR          do anything in DIR; several times: in each\n"
    "  --read PATH          read PATH, beside what programs need; several times: each\n"
    "  --loopback           connect to servers on this machine\n"
    "  --exec               start programs\n"
    "  --processes N        have so many processes at once, with --exec; 0: any (default)\n"
    "  --file-bytes N       write files of this size; 0: any (default)\n"
    "  --memory-bytes N     use so much memory; 0: any (default)\n"
    "  --address-bytes N    use so many addresses on the CPU device; 0: any (default)\n"
    "  --disk-bytes N       fill its directories with so much; 0: nine tenths of what is free (default)\n"
    "  --help, --version\n";

enum {
    OPT_PROBE = 1,
    OPT_START,
    OPT_WORKFLOWS,
    OPT_HEALTH,
    OPT_SERVE,
    OPT_WRITE,
    OPT_READ,
    OPT_LOOPBACK,
    OPT_EXEC,
    OPT_PROCESSES,
    OPT_FILE_BYTES,
    OPT_MEMORY_BYTES,
    OPT_ADDRESS_BYTES,
    OPT_DISK_BYTES,
    OPT_HELP,
    OPT_VERSION
};

static const struct option options[] = {
    {"probe", required_argument, NULL, OPT_PROBE},
    {"start", required_argument, NULL, OPT_START},
    {"workflows", no_argument, NULL, OPT_WORKFLOWS},
    {"health", required_argument, NULL, OPT_HEALTH},
    {"serve", no_argument, NULL, OPT_SERVE},
    {"write", required_argument, NULL, OPT_WRITE},
    {"read", required_argument, NULL, OPT_READ},
    {"loopback", no_argument, NULL, OPT_LOOPBACK},
    {"exec", no_argument, NULL, OPT_EXEC},
    {"processes", required_argument, NULL, OPT_PROCESSES},
    {"file-bytes", required_argument, NULL, OPT_FILE_BYTES},
    {"memory-bytes", required_argument, NULL, OPT_MEMORY_BYTES},
    {"address-bytes", required_argument, NULL, OPT_ADDRESS_BYTES},
    {"disk-bytes", required_argument, NULL, OPT_DISK_BYTES},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

struct paths {
    const char *path[PATHS_MAX + 1];
    size_t n;
};

struct wish {
    const char *probe, *start, *health;
    int serve, workflows;
    struct paths read, write;
    struct sandbox_rules rules;
};

static int usage(void)
{
    fprintf(stderr, "Try 'bp-runner --help'.\n");
    return 2;
}

static int add_path(struct paths *list, const char *path)
{
    if (list->n == PATHS_MAX) {
        fprintf(stderr, "bp-runner: more than %d paths\n", PATHS_MAX);
        return -1;
    }
    list->path[list->n++] = path;
    return 0;
}

/* The number that an option sets, or NULL. */
static int64_t *number_of(struct sandbox_rules *r, int option)
{
    switch (option) {
    case OPT_PROCESSES:
        return &r->processes;
    case OPT_FILE_BYTES:
        return &r->file_bytes;
    case OPT_MEMORY_BYTES:
        return &r->memory_bytes;
    case OPT_ADDRESS_BYTES:
        return &r->address_bytes;
    case OPT_DISK_BYTES:
        return &r->disk_bytes;
    default:
        return NULL;
    }
}

/* Returns -1: it was taken, else the exit status. */
static int take_option(struct wish *w, int option)
{
    int64_t *number = number_of(&w->rules, option);
    if (number)
        *number = strtoll(optarg, NULL, 10);
    else if (option == OPT_PROBE)
        w->probe = optarg;
    else if (option == OPT_START)
        w->start = optarg;
    else if (option == OPT_HEALTH)
        w->health = optarg;
    else if (option == OPT_SERVE)
        w->serve = 1;
    else if (option == OPT_WORKFLOWS)
        w->workflows = 1;
    else if (option == OPT_WRITE || option == OPT_READ)
        return add_path(option == OPT_READ ? &w->read : &w->write, optarg) < 0 ? 2 : -1;
    else if (option == OPT_LOOPBACK)
        w->rules.loopback = 1;
    else if (option == OPT_EXEC)
        w->rules.exec = 1;
    else
        return usage();
    return -1;
}

/* Returns -1: go on, else the exit status. */
static int read_options(int argc, char **argv, struct wish *w)
{
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == OPT_HELP)
            return fputs(help, stdout) < 0;
        if (c == OPT_VERSION)
            return puts("bp-runner " BP_VERSION) < 0;
        int status = take_option(w, c);
        if (status >= 0)
            return status;
    }
    if (optind < argc) {
        fprintf(stderr, "bp-runner: unexpected argument '%s'\n", argv[optind]);
        return usage();
    }
    if (!!w->probe + !!w->health + !!w->serve != 1) {
        fprintf(stderr, "bp-runner: one of --probe FILE, --health DEVICE and --serve is needed\n");
        return usage();
    }
    w->rules.read = w->read.path;
    w->rules.write = w->write.path;
    return -1;
}

static int is_socket(int fd)
{
    int type;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

static int serve_worker(const struct sandbox_rules *rules)
{
    if (!is_socket(WORKER_FD)) {
        fprintf(stderr, "bp-runner: file %d is no socket: --serve is for bpd --role worker\n", WORKER_FD);
        return 2;
    }
    int verdict_fd = fcntl(VERDICT_FD, F_GETFD) < 0 ? -1 : VERDICT_FD;
    struct bp_err err = {0};
    /* A service manager signals the whole group of processes: the worker decides what its runner does about it. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (sandbox_privileges(VERDICT_FD, rules->file_bytes, &err) < 0) {
        fprintf(stderr, "bp-runner: %s\n", err.text);
        return 1;
    }
    int status = warden_run(rules, verdict_fd, WORKER_FD);
    return status >= 0 ? status : serve(WORKER_FD, rules);
}

/* What the plugin says of a workflow, or of itself. */
static int probe_plugin(const struct wish *w)
{
    if (w->start)
        return probe_start(w->probe, w->start);
    int said = fcntl(SAID_FD, F_GETFD) < 0 ? -1 : SAID_FD;
    struct json_object *workflows = w->workflows ? probe_read_workflows() : NULL;
    if (w->workflows && !workflows) {
        fprintf(stderr, "bp-runner: standard input is no JSON array of workflows' manifests\n");
        return 2;
    }
    int status = probe(w->probe, workflows, workflows ? said : -1);
    json_object_put(workflows);
    return status;
}

int main(int argc, char **argv)
{
    static struct wish w;
    int status = read_options(argc, argv, &w);
    if (status >= 0)
        return status;
    if (w.probe)
        return probe_plugin(&w);
    return w.health ? health(w.health) : serve_worker(&w.rules);
}
