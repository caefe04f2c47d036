/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - what a runner takes away from itself before any code of a plugin runs in it.
 *
 * In two steps, because opening a GPU needs a little more than a job does: privileges first, then, once the device is
 * open, the network. What was taken away never comes back in this process or in a child of it.
 */
#ifndef RUNNER_SANDBOX_H
#define RUNNER_SANDBOX_H

#include <bp/plugin.h>

/* Ends with its parent, leaves no core file, keeps no capability, has no open file above `keep_fd`. file_bytes: largest
 * file it may write, 0: any. */
int sandbox_privileges(int keep_fd, int64_t file_bytes, struct bp_err *err);
/* No new privileges, no sockets but local ones, no looking into other processes; in every thread. memory_bytes: limit
 * of the address space, 0: none. BP_UNSUPPORTED where the kernel cannot do that: go on, but say so. */
int sandbox_network(int64_t memory_bytes, struct bp_err *err);

#endif
