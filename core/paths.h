/* SPDX-License-Identifier: Apache-2.0 */
/* paths.h - where the parts of an installation lie, found from the running program: the build tree first, then the
 * prefix. */
#ifndef CORE_PATHS_H
#define CORE_PATHS_H

#include <stddef.h>

/* The running program itself. 0, or -1 when /proc is not there. */
int paths_self(char *out, size_t n);
/* bp-runner: `configured` if set, else beside bpd, else in libexec. */
void paths_runner(const char *configured, char *out, size_t n);
/* Directory of the plugins that came with this bpd. */
void paths_plugins(char *out, size_t n);

#endif
