/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - bp-runner: the process in which a workflow plugin runs. Started by a worker, or by the host to probe a file.
 */
#include "runner/probe.h"
#include "runner/sandbox.h"
#include "runner/serve.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define WORKER_FD 3

static const char help[] =
    "Usage: bp-runner --probe FILE [--start JSON]\n"
    "       bp-runner --serve        (started by bpd --role worker, with a socket as file 3)\n"
    "\n"
    "Runs the code of one workflow plugin, apart from the daemon: no network, no secrets, limited files and memory.\n"
    "\n"
    "  --probe FILE         load the plugin FILE, check it as the daemon would, and exit: 0 when it is usable,\n"
    "                       1 with one sentence on standard error when it is not\n"
    "  --start JSON         with --probe: start it whatever its kind, with these settings, look at its facets, stop "
    "it,\n"
    "                       and print what was found as JSON\n"
    "  --serve              run jobs for the worker at the other end of file 3 until it closes that\n"
    "  --file-bytes N       largest file that may be written; 0: any (default)\n"
    "  --help, --version\n";

enum { OPT_PROBE = 1, OPT_START, OPT_SERVE, OPT_FILE_BYTES, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
    {"probe", required_argument, NULL, OPT_PROBE},
    {"start", required_argument, NULL, OPT_START},
    {"serve", no_argument, NULL, OPT_SERVE},
    {"file-bytes", required_argument, NULL, OPT_FILE_BYTES},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

struct wish {
    const char *probe, *start;
    int serve;
    int64_t file_bytes;
};

static int usage(void)
{
    fprintf(stderr, "Try 'bp-runner --help'.\n");
    return 2;
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
        if (c == OPT_PROBE)
            w->probe = optarg;
        else if (c == OPT_START)
            w->start = optarg;
        else if (c == OPT_SERVE)
            w->serve = 1;
        else if (c == OPT_FILE_BYTES)
            w->file_bytes = strtoll(optarg, NULL, 10);
        else
            return usage();
    }
    if (optind < argc) {
        fprintf(stderr, "bp-runner: unexpected argument '%s'\n", argv[optind]);
        return usage();
    }
    if (!w->probe == !w->serve) {
        fprintf(stderr, "bp-runner: one of --probe FILE and --serve is needed\n");
        return usage();
    }
    return -1;
}

static int is_socket(int fd)
{
    int type;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

int main(int argc, char **argv)
{
    struct wish w = {0};
    struct bp_err err = {0};
    int status = read_options(argc, argv, &w);
    if (status >= 0)
        return status;
    if (w.serve && !is_socket(WORKER_FD)) {
        fprintf(stderr, "bp-runner: file %d is no socket: --serve is for bpd --role worker\n", WORKER_FD);
        return 2;
    }
    /* A service manager signals the whole group of processes: the worker decides what its runner does about it. */
    signal(SIGTERM, w.serve ? SIG_IGN : SIG_DFL);
    signal(SIGINT, w.serve ? SIG_IGN : SIG_DFL);
    signal(SIGHUP, w.serve ? SIG_IGN : SIG_DFL);
    if (sandbox_privileges(w.serve ? WORKER_FD : 2, w.file_bytes, &err) < 0) {
        fprintf(stderr, "bp-runner: %s\n", err.text);
        return 1;
    }
    if (w.probe)
        return w.start ? probe_start(w.probe, w.start) : probe(w.probe);
    return serve(WORKER_FD);
}
