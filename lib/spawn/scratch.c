/* SPDX-License-Identifier: Apache-2.0 */
#include "spawn/scratch.h"

#include "log/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* The entries of a directory, given as a file; that stays the caller's. */
static DIR *entries_of(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d && copy >= 0)
        close(copy);
    return d;
}

/* Files of `from` go, its directories move up into `top`: a tree of any depth becomes flat, a level a pass, and no path
 * is ever longer than a name. Returns how many moved. */
static int flatten(int top, int from)
{
    static uint64_t turn;
    char name[32];
    int moved = 0;
    DIR *d = entries_of(from);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_dots(e->d_name) || unlinkat(from, e->d_name, 0) == 0)
            continue;
        snprintf(name, sizeof(name), ".gone.%016llx", (unsigned long long)++turn);
        moved += renameat(from, e->d_name, top, name) == 0;
    }
    if (d)
        closedir(d);
    return moved;
}

/* One pass over the top: what is no directory goes, what is one is flattened into it and goes. Returns how many there
 * are still. */
static int empty_pass(int top)
{
    int left = 0;
    DIR *d = entries_of(top);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_dots(e->d_name) || unlinkat(top, e->d_name, 0) == 0)
            continue;
        /* Its maker may have locked itself out. */
        int there = fchmodat(top, e->d_name, 0700, 0) == 0 || errno != ENOENT;
        int sub = there ? openat(top, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (sub >= 0) {
            left += flatten(top, sub);
            close(sub);
        }
        unlinkat(top, e->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
    return left;
}

void scratch_empty(const char *path)
{
    int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (top >= 0 && empty_pass(top) > 0)
        ;
    if (top >= 0)
        close(top);
}

void scratch_remove(const char *path)
{
    if (!path[0])
        return;
    scratch_empty(path);
    rmdir(path);
}
