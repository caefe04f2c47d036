/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - a program that is run for what it prints, killed when it takes too long. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <bp/plugin.h>

struct child_end {
    int status;    /* as of waitpid */
    int timed_out; /* killed after the limit */
};

struct child_spec {
    char *const *argv, *const *env; /* ending with NULL */
    const char *input;              /* its standard input; NULL: nothing */
    int limit_ms;
};

/* Runs argv[0], its standard output and error into out (n bytes, the last of it, NUL-terminated) and waits.
 * BP_FAIL: it could not be started. */
int child_run(const struct child_spec *spec, char *out, size_t n, struct child_end *end, struct bp_err *err);
/* How a process ended, in words: "crashed: signal 11 (Segmentation fault)", "ended with exit status 3". */
void child_words(int status, char *out, size_t n);

#endif
