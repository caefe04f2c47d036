/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_host.h - loads one plugin the way the daemon does, without the daemon: for its queue, or any other facet.
 *
 * Single-threaded. The state directory is the caller's; the clock is the real one and used by plugins for nothing the
 * conformance suite looks at: operations carry their own time.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include <bp/queue.h>

struct fake_host; /* one running plugin */

/* Loads the plugin file (once per path) and starts it in state_dir, which must exist: start(), then migrate() with
 * CHECK. settings: JSON or NULL. NULL on failure, with the reason in err. */
struct fake_host *fake_host_start(const char *plugin, const char *state_dir, const char *settings, struct bp_err *err);
/* The same without the migrate(). */
struct fake_host *fake_host_load(const char *plugin, const char *state_dir, const char *settings, struct bp_err *err);
/* Any kind of plugin: start() only. */
struct fake_host *fake_host_open(const char *plugin, const char *state_dir, const char *settings, struct bp_err *err);
/* NULL: the plugin does not offer it. */
const void *fake_host_facet(struct fake_host *h, const char *id);
void fake_host_stop(struct fake_host *h);
const struct bp_queue *fake_host_queue(struct fake_host *h);
void *fake_host_instance(struct fake_host *h);
/* Blocks of host memory given out and not yet returned; a test ends with 0. */
long fake_host_blocks(void);
/* What a host frees returned memory with. */
void fake_host_free(void *memory);
/* The n-th allocation from now returns NULL (1: the next); 0 turns it off. */
void fake_host_fail_alloc(long n);
/* What bp_host.op_early() does; NULL: nobody wants to hear of anything. */
void fake_host_on_early(int32_t (*fn)(struct bp_op *op));
/* Prints what the plugin logs. */
void fake_host_verbose(int on);

#endif
