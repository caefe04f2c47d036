/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warden.h - the parent of the process in which a plugin's code runs. It runs none of that code itself: it answers what
 * the sandbox asks, measures, and ends the plugin's process and all that this one started; nothing of a runner outlives
 * its warden.
 *
 * The worker starts the warden and listens for one line, its verdict: how the plugin's process ended, in words, when
 * that was not in order. The warden ends everything as soon as nobody listens any more.
 */
#ifndef RUNNER_WARDEN_H
#define RUNNER_WARDEN_H

#include "runner/sandbox.h"

/* Divides the process. In the child, which is the one that goes on: -1. In the warden, at the end: the exit status.
 * verdict_fd: where the line goes, -1: nowhere. talk_fd: the worker's connection, the child's from here on. */
int warden_run(const struct sandbox_rules *rules, int verdict_fd, int talk_fd);
/* [child] Hands over the listener of sandbox_calls(), or -1: there is none. */
int warden_give(int listener, struct bp_err *err);
/* [child] What was refused since the last call, in words to go behind an error, or "". */
const char *warden_refusals(void);

#endif
