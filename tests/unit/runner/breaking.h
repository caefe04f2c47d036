/* SPDX-License-Identifier: Apache-2.0 */
/* breaking.h - a runner of the workflow that breaks as it is told (tests/plugins/test_break.c). */
#ifndef TEST_RUNNER_BREAKING_H
#define TEST_RUNNER_BREAKING_H

#include "peer.h"

/* A sanitizer reports, in its own words and by an exit, what the plugin breaks on purpose. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BREAKING_SANITIZED 1
#else
#define BREAKING_SANITIZED 0
#endif

/* What this kernel can enforce; a test of something it cannot is skipped, and says so. */
int kernel_landlock(void); /* version, 0: none */
int kernel_asks(void);     /* calls can be asked about */
#define NEED(condition, what)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_message("skipped: %s\n", what);                                                                      \
            skip();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* Starts a runner of plugin "test-break" (usual sandbox) or "test-open" (open as far as can be, up to 12 processes) in
 * the directory "job", with more options (NULL-terminated, or NULL), and waits until it is ready. */
void breaking_start(struct peer *p, const char *plugin, const char *const *more);
/* Sends a job with these params. */
void breaking_job(struct peer *p, const char *params);
/* The errno that a job with these params got for what it tried. */
int breaking_try(struct peer *p, const char *params);
/* The same in a runner of its own. */
int breaking_try_once(const char *plugin, const char *params);
/* A job that does not come back: waits for the runner's end; its verdict is in p->verdict. */
int breaking_end(struct peer *p, const char *params);

#endif
