/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.h - bpd --migrate: the schema of the queue, looked at or brought up to date by a process of its own. It needs
 * no running daemon, and one that runs is not disturbed.
 */
#ifndef CORE_MIGRATE_H
#define CORE_MIGRATE_H

#include "config/config.h"
#include "options.h"

#define MIGRATE_PENDING 3 /* exit status of --status and --dry-run: there is something to apply */

/* Does it and prints what was done. Returns the exit status. */
int migrate_main(const struct options *o, const struct config *c);

/* The queue plugin the settings choose, run alone for this one call: found in the plugins' directories, vetted as the
 * daemon does, started and stopped again. *report is bp/queue.h's JSON text; free() it. */
struct bp_migrate;
int migrate_queue(const struct options *o, const struct config *c, const struct bp_migrate *what, char **report,
                  struct bp_err *err);

#endif
