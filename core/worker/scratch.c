/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/scratch.h"

#include "log/err.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OPEN_DIRS 16

int scratch_make(const char *parent, const char *prefix, char *out, size_t n, struct bp_err *err)
{
    if (mkdir(parent, 0700) < 0 && errno != EEXIST)
        return err_set(err, errno == ENOSPC ? BP_NOSPACE : BP_IO, "make %s: %s", parent, strerror(errno));
    if ((size_t)snprintf(out, n, "%s/%s.XXXXXX", parent, prefix) >= n)
        return err_set(err, BP_INVALID, "the path %s/%s is too long", parent, prefix);
    if (!mkdtemp(out))
        return err_set(err, errno == ENOSPC ? BP_NOSPACE : BP_IO, "make %s: %s", out, strerror(errno));
    return BP_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    remove(path);
    return 0;
}

void scratch_remove(const char *path)
{
    if (path[0])
        nftw(path, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS);
}
