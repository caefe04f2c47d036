/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - a program that is run for what it prints, killed when it takes too long. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <bp/plugin.h>

struct child_end {
    int status;    /* as of waitpid */
    int timed_out; /* killed after the limit */
};

/* Runs argv[0] with `env`, its standard output and error into out (n bytes, the last of it, NUL-terminated) and waits.
 * BP_FAIL: it could not be started. */
int child_run(char *const argv[], char *const env[], int limit_ms, char *out, size_t n, struct child_end *end,
              struct bp_err *err);
/* How a process ended, in words: "crashed: signal 11 (Segmentation fault)", "ended with exit status 3". */
void child_words(int status, char *out, size_t n);

#endif
