/* SPDX-License-Identifier: Apache-2.0 */
#include "paths.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int paths_self(char *out, size_t n)
{
    ssize_t len = readlink("/proc/self/exe", out, n - 1);
    out[len < 0 ? 0 : len] = 0;
    return len < 0 ? -1 : 0;
}

/* Directory of the running program, "." when it cannot be told. */
static void own_dir(char *out, size_t n)
{
    char *slash = paths_self(out, n) == 0 ? strrchr(out, '/') : NULL;
    if (slash)
        *slash = 0;
    else
        snprintf(out, n, ".");
}

void paths_runner(const char *configured, char *out, size_t n)
{
    char dir[4000];
    own_dir(dir, sizeof dir);
    snprintf(out, n, "%s", configured);
    if (configured[0])
        return;
    snprintf(out, n, "%s/bp-runner", dir);
    if (access(out, X_OK) < 0)
        snprintf(out, n, "%s/../libexec/bpd/bp-runner", dir);
}

void paths_plugins(char *out, size_t n)
{
    char dir[4000];
    own_dir(dir, sizeof dir);
    snprintf(out, n, "%s/../plugins", dir); /* a build tree */
    if (access(out, R_OK) == 0)
        return;
    snprintf(out, n, "%s/%s", dir, BP_PLUGINS_FROM_BIN); /* an installation, wherever it was moved */
    if (access(out, R_OK) == 0)
        return;
    snprintf(out, n, "%s", BP_PLUGINS_DIR);
}
