/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_spawn.h - a fresh bp-runner process: own process group, no file of ours but its socket, and an environment
 * without our secrets.
 */
#ifndef SPAWN_RUNNER_SPAWN_H
#define SPAWN_RUNNER_SPAWN_H

#include <bp/plugin.h>
#include <sys/types.h>

struct json_object;

struct runner_process {
    pid_t pid;      /* 0: none, or reaped */
    int pidfd;      /* readable once it ended */
    int talk_fd;    /* our end of the socketpair, non-blocking */
    int text_fd;    /* what it prints, non-blocking */
    int verdict_fd; /* how it ended, in words; it ends with all it started when this is closed. Non-blocking */
};

/* Paths are borrowed, lists end with NULL. Numbers: 0 is no limit. */
struct runner_rules {
    const char *const *write; /* directories; the first is its HOME and TMPDIR, and exists */
    const char *const *read;
    struct json_object *sandbox; /* pluginfile/sandbox.h, or NULL: nothing is left open */
    int64_t file_bytes, memory_bytes, disk_bytes, processes;
};

void runner_process_init(struct runner_process *p);
/* On error nothing runs. */
int runner_process_start(struct runner_process *p, const char *runner, const struct runner_rules *rules,
                         struct bp_err *err);
/* Closes our files; the process itself is the caller's to kill and reap. */
void runner_process_close(struct runner_process *p);
/* The environment of a runner, NULL-terminated, in one allocation: free() it. */
char **runner_environment(char *const *ours, const char *home);

#endif
