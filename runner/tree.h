/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - a process and what it started, as /proc shows them: counted, measured, ended. */
#ifndef RUNNER_TREE_H
#define RUNNER_TREE_H

#include <stdint.h>
#include <sys/types.h>

/* Of all descendants. Memory is what cannot be dropped: private pages, in memory or swapped out, and shared memory,
 * which is counted once, as the largest share of any process. */
struct tree_usage {
    int64_t processes, threads, memory_bytes;
    int64_t unlinked_bytes; /* of files that are open and have no name any more */
};

int64_t tree_now_ms(void); /* monotonic */
/* Descendants of root, itself not counted. */
int64_t tree_count(pid_t root);
void tree_measure(pid_t root, struct tree_usage *out);
/* Kills and reaps all descendants of the calling process. It must be the reaper of orphans. Returns when none is left,
 * or after limit_ms: -1. */
int tree_end(int64_t limit_ms);
/* The process of a thread. */
pid_t tree_leader(pid_t thread);

#endif
