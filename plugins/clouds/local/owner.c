/* SPDX-License-Identifier: Apache-2.0 */
#include "owner.h"

#include "err.h"
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int owner_open(struct owner *o, const char *dir, struct bp_err *err)
{
    char path[PATH_SIZE];
    memset(o, 0, sizeof *o);
    path_format(path, "%s/lock", dir);
    o->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    o->file = -1;
    if (o->lock < 0)
        return err_errno(err, "open", path, errno);
    path_format(path, "%s/owner", dir);
    o->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return o->file < 0 ? err_errno(err, "open", path, errno) : 0;
}

static int lock(struct owner *o, struct bp_err *err)
{
    while (flock(o->lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_errno(err, "lock", "the fleets", errno);
    return 0;
}

int owner_take(struct owner *o, struct bp_err *err)
{
    random_hex(o->token, 16);
    int rc = lock(o, err);
    if (rc < 0)
        return rc;
    if (pwrite(o->file, o->token, 32, 0) == 32)
        return 0;
    rc = err_errno(err, "take over", "the fleets", errno);
    owner_leave(o);
    return rc;
}

int owner_enter(struct owner *o, struct bp_err *err)
{
    char token[32];
    int rc = lock(o, err);
    if (rc < 0)
        return rc;
    if (pread(o->file, token, sizeof token, 0) == sizeof token && memcmp(token, o->token, sizeof token) == 0)
        return 0;
    owner_leave(o);
    return err_set(err, BP_LATER, "another generation of plugin local has taken over the fleets; try again");
}

void owner_leave(struct owner *o)
{
    flock(o->lock, LOCK_UN);
}

void owner_close(struct owner *o)
{
    if (o->lock >= 0)
        close(o->lock);
    if (o->file >= 0)
        close(o->file);
    o->lock = o->file = -1;
}
