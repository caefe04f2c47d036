/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - private, content-named copies of plugin files: <dir>/<name>-<sha256 prefix>.so, mode 0500. What is loaded is
 * always such a copy, so that nobody can change or truncate a file that is mapped. Blocking; any thread.
 */
#ifndef VETTING_COPY_H
#define VETTING_COPY_H

#include <bp/plugin.h>
#include <limits.h>

struct copy {
    char path[PATH_MAX];
    char sha[65]; /* SHA-256 of the content, lower-case hex */
    int fresh;    /* still under a temporary name: copy_keep() or copy_drop() it */
};

/* Makes a directory (mode 0700) and its parents where they are missing. */
int dir_make(const char *path, struct bp_err *err);
/* Finds the copy of what fd reads (from its start), or makes a fresh one. BP_LATER: the file changed meanwhile. */
int copy_take(int fd, const char *dir, struct copy *out, struct bp_err *err);
/* Gives a fresh copy its name. */
int copy_keep(struct copy *c, const char *dir, const char *name, struct bp_err *err);
void copy_drop(struct copy *c);
/* Removes copies not used for an hour: what earlier runs left behind. Before anything is loaded. */
void copy_sweep(const char *dir);

#endif
