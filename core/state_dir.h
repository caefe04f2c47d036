/* SPDX-License-Identifier: Apache-2.0 */
/* state_dir.h - the directory of everything one daemon keeps, and the small secrets in it. Called before the loop runs.
 */
#ifndef CORE_STATE_DIR_H
#define CORE_STATE_DIR_H

#include "config/config.h"
#include <bp/plugin.h>

/* The configured directory, else /var/lib/bpd for root, else ~/.local/state/bpd; nothing is created. */
int state_dir_path(const struct config *c, char *out, size_t n, struct bp_err *err);
/* The same, created with mode 0700. */
int state_dir_open(const struct config *c, char *out, size_t n, struct bp_err *err);
/* Takes the directory for this process until it ends. BP_CONFLICT: another bpd has it. */
int state_dir_lock(const char *dir, struct bp_err *err);
/* A secret of `letters` random letters and digits kept in dir/name (mode 0600), made when it is not there. */
int state_dir_secret(const char *dir, const char *name, size_t letters, char *out, size_t n, struct bp_err *err);
/* A name of this run is kept for the next one: *former is the name of the run before, "" when there was none here. A
 * copy of the directory is not here. */
void state_dir_name_run(const char *dir, const char *name, char *former, size_t n);
/* Writes text to dir/name, mode 0600, by a temporary file and rename. */
int state_dir_write(const char *dir, const char *name, const char *text, struct bp_err *err);

#endif
