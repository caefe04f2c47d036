/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - a command and everything it starts, held by a small keeper process between it and the runner.
 *
 * The keeper adopts what the command leaves behind (a daemon, a forgotten background job) and ends all of it with the
 * command; when the runner is killed it sees that and does the same. Nothing of a job outlives it. One thread.
 */
#ifndef EXEC_CHILD_H
#define EXEC_CHILD_H

#include <bp/plugin.h>
#include <sys/types.h>

struct child_spec {
    const char *program; /* path of the file to run */
    char *const *argv, *const *envp;
    const char *dir;             /* its working directory */
    const char *stdin_path;      /* its standard input is this file, NULL: empty */
    const char *stdout_path;     /* its standard output goes to this new file, NULL: to out_fd */
    int64_t memory_bytes, cpu_s; /* further limits, 0: none */
};

struct child {
    pid_t keeper;       /* 0: none */
    int out_fd, err_fd; /* what it prints; non-blocking; -1: closed */
    int control_fd, report_fd;
};

/* How the command ended. */
enum child_end {
    CHILD_EXITED = 1,
    CHILD_SIGNALLED,
    CHILD_NOT_STARTED, /* value: errno */
    CHILD_LOST         /* the keeper itself ended */
};
struct child_report {
    enum child_end end;
    int value; /* exit code, signal, errno */
};

/* BP_FAIL with words. child_close() it when it succeeded. */
int32_t child_start(struct child *c, const struct child_spec *spec, struct bp_err *err);
/* SIGTERM to the command's process group. */
void child_term(struct child *c);
/* SIGKILL to all of it. */
void child_kill(struct child *c);
/* Reads the report when there is one: 1, else 0. report_fd is readable then. */
int child_ended(struct child *c, struct child_report *out);
/* Ends whatever still runs, and waits for that. */
void child_close(struct child *c);

#endif
