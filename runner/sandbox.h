/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - what a runner takes away from itself before any code of a plugin runs in it. What was taken away never
 * comes back in this process or in a child of it.
 *
 * In three steps, for opening a GPU needs a little more than a job does: privileges first, files before the CPU and
 * after a GPU is opened, then calls and memory. docs/architecture.md says which kernel enforces what.
 */
#ifndef RUNNER_SANDBOX_H
#define RUNNER_SANDBOX_H

#include <bp/plugin.h>

/* Paths are borrowed. */
struct sandbox_rules {
    int loopback;             /* TCP to the machine itself; else no network at all */
    int exec;                 /* may start programs, and use local sockets of its own */
    const char *const *read;  /* files and directories it may read beside the system's, and run with exec */
    const char *const *write; /* directories in which it may do anything; both end with NULL */
    int64_t file_bytes;       /* largest file it may write, 0: any */
    int64_t memory_bytes;     /* private memory of a process, and of all of them together; 0: any */
    int64_t address_bytes;    /* address space of a process on the CPU device, 0: any */
    int64_t disk_bytes;       /* by which the write directories may grow together, 0: any */
    int64_t processes;        /* at once, with exec; 0: any */
};

/* Leaves no core file, keeps no capability, has no open file above `keep_fd`. */
int sandbox_privileges(int keep_fd, int64_t file_bytes, struct bp_err *err);
/* When memory is short, the kernel ends this process before any other. Without /proc it does as it likes. */
void sandbox_first_to_go(void);
/* No new privileges; no files but those of the rules and what programs need; no signal to a process outside. Applies
 * to this thread and all it starts. BP_UNSUPPORTED, with the words, when the kernel cannot do all of that: go on, but
 * say so. */
int sandbox_files(const struct sandbox_rules *rules, struct bp_err *err);
/*
 * No sockets, no programs, no other processes but as the rules allow; memory limits. In every thread. on_cpu: limit the
 * address space too. *listener: a file from which guard.h serves the calls that need a look at their arguments; -1 when
 * the rules need none. BP_UNSUPPORTED as above.
 */
int sandbox_calls(const struct sandbox_rules *rules, int on_cpu, int *listener, struct bp_err *err);

/* A sanitized runner reserves terabytes of addresses, and traces its own threads when it looks for leaks at its end. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#else
#define SANDBOX_SANITIZED 0
#endif

#endif
