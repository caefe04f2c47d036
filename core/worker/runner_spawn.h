/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_spawn.h - a fresh bp-runner process: own process group, no file of ours but its socket, and an environment
 * without our secrets.
 */
#ifndef WORKER_RUNNER_SPAWN_H
#define WORKER_RUNNER_SPAWN_H

#include <bp/plugin.h>
#include <sys/types.h>

struct runner_process {
    pid_t pid;   /* 0: none, or reaped */
    int pidfd;   /* readable once it ended */
    int talk_fd; /* our end of the socketpair, non-blocking */
    int text_fd; /* what it prints, non-blocking */
};

void runner_process_init(struct runner_process *p);
/* home: existing directory for HOME and TMPDIR. file_bytes: largest file it may write, 0: any. On error nothing runs.
 */
int runner_process_start(struct runner_process *p, const char *runner, const char *home, int64_t file_bytes,
                         struct bp_err *err);
/* Closes our files; the process itself is the caller's to kill and reap. */
void runner_process_close(struct runner_process *p);
/* The environment of a runner, NULL-terminated, in one allocation: free() it. */
char **runner_environment(char *const *ours, const char *home);

#endif
