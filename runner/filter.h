/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - the system calls that the code of a plugin may make: a seccomp filter made from the rules. */
#ifndef RUNNER_FILTER_H
#define RUNNER_FILTER_H

#include "runner/sandbox.h"

/* In every thread of this process, for good. *listener and the answer as of sandbox_calls(). */
int filter_install(const struct sandbox_rules *rules, int *listener, struct bp_err *err);

#endif
