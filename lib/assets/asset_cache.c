/* SPDX-License-Identifier: Apache-2.0 */
#include "assets/asset_cache.h"

#include "log/err.h"
#include "vetting/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHA_LENGTH 64

struct asset_cache {
    char dir[4096];
    int lock; /* the file "lock" while it is locked, else -1 */
};

const char *asset_cache_path(const struct asset_cache *c, const char *sha256, const char *ending,
                             char out[ASSET_PATH_BYTES])
{
    snprintf(out, ASSET_PATH_BYTES, "%s/%s%s", c->dir, sha256, ending);
    return out;
}

struct asset_cache *asset_cache_open(const char *dir, struct bp_err *err)
{
    struct asset_cache *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(err, BP_NOMEM, "no memory for the asset cache");
        return NULL;
    }
    c->lock = -1;
    if ((size_t)snprintf(c->dir, sizeof(c->dir), "%s", dir) >= sizeof(c->dir)) {
        err_set(err, BP_INVALID, "the name of the asset cache is too long: %.100s...", dir);
    } else if (dir_make(c->dir, err) == BP_OK) {
        return c;
    }
    free(c);
    return NULL;
}

void asset_cache_close(struct asset_cache *c)
{
    if (!c)
        return;
    asset_cache_unlock(c);
    free(c);
}

/* ---- records ---- */

/* What is proven is said of one file as it is: a write to it, or another in its place, voids the record. */
static void record_text(const struct stat *st, char out[ASSET_RECORD_BYTES])
{
    snprintf(out, ASSET_RECORD_BYTES, "%" PRId64 " %" PRId64 ".%09ld %" PRIu64 "\n", (int64_t)st->st_size,
             (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (uint64_t)st->st_ino);
}

static int is_recorded(const struct asset_cache *c, const char *sha256, const struct stat *st)
{
    char path[ASSET_PATH_BYTES], text[ASSET_RECORD_BYTES], found[ASSET_RECORD_BYTES] = "";
    int fd = open(asset_cache_path(c, sha256, ".ok", path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, found, sizeof(found) - 1);
    close(fd);
    record_text(st, text);
    return n > 0 && strcmp(found, text) == 0;
}

void asset_cache_part_text(const struct asset_cache *c, const char *sha256, char out[ASSET_RECORD_BYTES])
{
    char part[ASSET_PATH_BYTES];
    struct stat st;
    out[0] = '\0';
    if (lstat(asset_cache_path(c, sha256, ".part", part), &st) == 0)
        record_text(&st, out);
}

/* By a rename: two workers that prove the same file at once write the same. */
int asset_cache_record(struct asset_cache *c, const struct asset *a, int fd, struct bp_err *err)
{
    char path[ASSET_PATH_BYTES], temp[ASSET_PATH_BYTES], ending[32], text[ASSET_RECORD_BYTES];
    struct stat st;
    snprintf(ending, sizeof(ending), ".new.%d", (int)getpid());
    asset_cache_path(c, a->sha256, ending, temp);
    int out = fstat(fd, &st) == 0 ? open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    record_text(&st, text);
    int bad = out < 0 || write(out, text, strlen(text)) != (ssize_t)strlen(text);
    int why = errno;
    if (out >= 0)
        close(out);
    if (!bad && rename(temp, asset_cache_path(c, a->sha256, ".ok", path)) == 0)
        return BP_OK;
    why = bad ? why : errno;
    unlink(temp);
    return err_set(err, why == ENOSPC ? BP_NOSPACE : BP_IO, "write %s.ok: %s", a->sha256, strerror(why));
}

/* ---- held files ---- */

/* Is the file that fd holds the one with that name? */
static int is_in_place(const char *path, int fd, struct stat *st)
{
    struct stat named;
    return fstat(fd, st) == 0 && lstat(path, &named) == 0 && named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

int asset_cache_hold(struct asset_cache *c, const struct asset *a, int *fd, struct bp_err *err)
{
    char path[ASSET_PATH_BYTES];
    struct stat st;
    *fd = open(asset_cache_path(c, a->sha256, "", path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0 && errno == ENOENT)
        return err_set(err, BP_NOTFOUND, "%s is not there", path);
    if (*fd < 0)
        return err_set(err, BP_IO, "open %s: %s", path, strerror(errno));
    if (flock(*fd, LOCK_SH | LOCK_NB) < 0 || !is_in_place(path, *fd, &st)) {
        close(*fd);
        *fd = -1;
        return err_set(err, BP_LATER, "%s is being removed", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size != a->bytes) {
        close(*fd);
        *fd = -1;
        return err_set(err, BP_NOTFOUND, "%s has %" PRId64 " bytes, not %" PRId64, path, (int64_t)st.st_size, a->bytes);
    }
    if (!is_recorded(c, a->sha256, &st))
        return err_set(err, BP_LATER, "%s must be proven", path);
    utimensat(AT_FDCWD, asset_cache_path(c, a->sha256, ".ok", path), NULL, 0); /* it is used */
    return BP_OK;
}

int asset_cache_is_sound(struct asset_cache *c, const struct asset *a, int fd)
{
    char path[ASSET_PATH_BYTES];
    struct stat st;
    return is_in_place(asset_cache_path(c, a->sha256, "", path), fd, &st) && st.st_size == a->bytes &&
           is_recorded(c, a->sha256, &st);
}

/* ---- the lock ---- */

int asset_cache_lock(struct asset_cache *c, struct bp_err *err)
{
    char path[ASSET_PATH_BYTES];
    if (c->lock >= 0)
        return BP_OK;
    snprintf(path, sizeof(path), "%s/lock", c->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, BP_IO, "open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return err_set(err, BP_LATER, "another worker of this machine fetches assets");
    }
    c->lock = fd;
    return BP_OK;
}

void asset_cache_unlock(struct asset_cache *c)
{
    if (c->lock >= 0)
        close(c->lock);
    c->lock = -1;
}

void asset_cache_remove(struct asset_cache *c, const char *sha256)
{
    char path[ASSET_PATH_BYTES];
    unlink(asset_cache_path(c, sha256, ".ok", path));
    unlink(asset_cache_path(c, sha256, "", path));
}

/* ---- room ---- */

struct kept {
    char sha256[SHA_LENGTH + 1];
    int is_part;
    int64_t bytes, used_s;
    long used_ns;
};

struct listing {
    struct kept *at;
    size_t n, room;
    int64_t bytes; /* of all */
};

static const char *ending_of(const struct kept *k)
{
    return k->is_part ? ".part" : "";
}

/* When it was last held, a part added to; a content without a record never was. */
static void read_use(struct asset_cache *c, struct kept *k)
{
    char path[ASSET_PATH_BYTES];
    struct stat st;
    int known = lstat(asset_cache_path(c, k->sha256, k->is_part ? ".part" : ".ok", path), &st) == 0;
    k->used_s = known ? (int64_t)st.st_mtim.tv_sec : 0;
    k->used_ns = known ? st.st_mtim.tv_nsec : 0;
}

static int keep(struct asset_cache *c, struct listing *l, const char *name, int64_t bytes, struct bp_err *err)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 16;
        struct kept *grown = reallocarray(l->at, room, sizeof(*grown));
        if (!grown)
            return err_set(err, BP_NOMEM, "no memory to look through the asset cache");
        l->at = grown;
        l->room = room;
    }
    struct kept *k = &l->at[l->n++];
    snprintf(k->sha256, sizeof(k->sha256), "%.64s", name);
    k->is_part = name[SHA_LENGTH] != '\0';
    k->bytes = bytes;
    l->bytes += bytes;
    read_use(c, k);
    return BP_OK;
}

static int is_old(const struct stat *st)
{
    return time(NULL) - st->st_mtim.tv_sec > ASSET_PART_AGE_S;
}

/* Lists the contents, and the parts of others than `coming`; old parts are removed, for whoever fetches has the lock.
 */
static int list(struct asset_cache *c, const char *coming, struct listing *l, struct bp_err *err)
{
    DIR *d = opendir(c->dir);
    struct stat st;
    int rc = d ? BP_OK : err_set(err, BP_IO, "read %s: %s", c->dir, strerror(errno));
    for (struct dirent *e; rc == BP_OK && (e = readdir(d));) {
        size_t hex = strspn(e->d_name, "0123456789abcdef");
        if (hex != SHA_LENGTH || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int is_part = strcmp(e->d_name + hex, ".part") == 0;
        if (is_part && is_old(&st))
            unlinkat(dirfd(d), e->d_name, 0);
        else if (e->d_name[hex] == '\0' || (is_part && strncmp(e->d_name, coming, SHA_LENGTH) != 0))
            rc = keep(c, l, e->d_name, (int64_t)st.st_size, err);
    }
    if (d)
        closedir(d);
    return rc;
}

static int parts_then_longest_unused_first(const void *x, const void *y)
{
    const struct kept *a = x, *b = y;
    if (a->is_part != b->is_part)
        return b->is_part - a->is_part;
    if (a->used_s != b->used_s)
        return a->used_s < b->used_s ? -1 : 1;
    return a->used_ns < b->used_ns ? -1 : a->used_ns > b->used_ns;
}

/* Locks a content, or a part, that nobody holds; -1: somebody does. close() it. */
static int claim(struct asset_cache *c, const struct kept *k)
{
    char path[ASSET_PATH_BYTES];
    int fd = open(asset_cache_path(c, k->sha256, ending_of(k), path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Claims as many as must go, then removes them all, or none. */
static int make_room(struct asset_cache *c, struct listing *l, int64_t bytes, int64_t limit, struct bp_err *err)
{
    char path[ASSET_PATH_BYTES];
    int *claimed = calloc(l->n + 1, sizeof(*claimed));
    int64_t left = l->bytes;
    size_t n = 0;
    if (!claimed)
        return err_set(err, BP_NOMEM, "no memory to look through the asset cache");
    for (; n < l->n && left + bytes > limit; n++) {
        claimed[n] = claim(c, &l->at[n]);
        left -= claimed[n] >= 0 ? l->at[n].bytes : 0;
    }
    int fits = left + bytes <= limit;
    for (size_t i = 0; i < n; i++) {
        if (claimed[i] < 0)
            continue;
        if (fits && l->at[i].is_part)
            unlink(asset_cache_path(c, l->at[i].sha256, ".part", path));
        else if (fits)
            asset_cache_remove(c, l->at[i].sha256);
        close(claimed[i]);
    }
    free(claimed);
    if (fits)
        return BP_OK;
    return err_set(err, BP_NOSPACE,
                   "%" PRId64 " bytes do not fit: %" PRId64 " are in use, and the cache may have %" PRId64
                   "; raise worker.assetCacheBytes, or let a worker serve fewer workflows",
                   bytes, left, limit);
}

int asset_cache_room(struct asset_cache *c, const struct asset *a, int64_t limit, struct bp_err *err)
{
    struct listing l = {0};
    int rc = list(c, a->sha256, &l, err);
    if (rc == BP_OK && l.n > 0)
        qsort(l.at, l.n, sizeof(l.at[0]), parts_then_longest_unused_first);
    if (rc == BP_OK)
        rc = make_room(c, &l, a->bytes, limit, err);
    free(l.at);
    return rc;
}

int asset_cache_part_open(const struct asset_cache *c, const struct asset *a)
{
    char part[ASSET_PATH_BYTES];
    struct stat st;
    int fd = open(asset_cache_path(c, a->sha256, ".part", part), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !is_old(&st) && st.st_size <= a->bytes;
    if (good && st.st_size > 0)
        return fd;
    if (fd >= 0)
        close(fd);
    if (!good)
        unlink(part);
    return -1;
}

int asset_cache_publish(struct asset_cache *c, const struct asset *a, struct bp_err *err)
{
    char part[ASSET_PATH_BYTES], path[ASSET_PATH_BYTES];
    int fd = open(asset_cache_path(c, a->sha256, ".part", part), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int bad =
        fd < 0 || fchmod(fd, 0444) < 0 || fsync(fd) < 0 || rename(part, asset_cache_path(c, a->sha256, "", path)) < 0;
    int rc = bad ? err_set(err, errno == ENOSPC ? BP_NOSPACE : BP_IO, "keep %s: %s", part, strerror(errno))
                 : asset_cache_record(c, a, fd, err);
    if (fd >= 0)
        close(fd);
    if (bad)
        unlink(part);
    return rc;
}
