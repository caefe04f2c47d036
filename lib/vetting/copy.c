/* SPDX-License-Identifier: Apache-2.0 */
#include "vetting/copy.h"
#include "log/err.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHA_IN_NAME 16
#define OLD_S       3600

int dir_make(const char *path, struct bp_err *err)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return err_set(err, BP_INVALID, "the path %.80s... is too long", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, 0700) && errno != EEXIST)
            return err_set(err, BP_IO, "cannot make directory %.160s: %s", part, strerror(errno));
        *p = '/';
    }
    if (mkdir(part, 0700) && errno != EEXIST)
        return err_set(err, BP_IO, "cannot make directory %.160s: %s", part, strerror(errno));
    return BP_OK;
}

static int write_all(int fd, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, buf, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        buf += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Reads all of fd into the digest and, when out_fd >= 0, into that file. 0, or -1 with errno. */
static int pump(int fd, int out_fd, EVP_MD_CTX *md)
{
    char buf[65536];
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, buf, sizeof(buf), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        if (EVP_DigestUpdate(md, buf, (size_t)n) != 1 || (out_fd >= 0 && write_all(out_fd, buf, (size_t)n)))
            return -1;
        at += n;
    }
}

/* hex of what fd holds, copied to out_fd on the way. 0, or -1 with errno. */
static int digest(int fd, int out_fd, char hex[65])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        errno = ENOMEM;
        return -1;
    }
    int rc = pump(fd, out_fd, md);
    EVP_DigestFinal_ex(md, sum, NULL);
    EVP_MD_CTX_free(md);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return rc;
}

/* Is the file at c->path what its name says? Marks it as used now, so that copy_sweep() leaves it alone. */
static int is_intact(const struct copy *c)
{
    char sha[65];
    int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    int ok = digest(fd, -1, sha) == 0 && strcmp(sha, c->sha) == 0 && futimens(fd, NULL) == 0;
    close(fd);
    return ok;
}

/* Looks for <anything>-<sha prefix>.so in dir. */
static int find_kept(const char *dir, struct copy *c)
{
    char suffix[SHA_IN_NAME + 5];
    int found = 0;
    DIR *d = opendir(dir);
    snprintf(suffix, sizeof(suffix), "-%.*s.so", SHA_IN_NAME, c->sha);
    for (struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d)) {
        size_t n = strlen(e->d_name), want = strlen(suffix);
        if (e->d_name[0] == '.' || n < want || strcmp(e->d_name + n - want, suffix) != 0)
            continue;
        found = snprintf(c->path, sizeof(c->path), "%s/%s", dir, e->d_name) < (int)sizeof(c->path) && is_intact(c);
    }
    if (d)
        closedir(d);
    return found;
}

static int write_failed(const char *dir, struct bp_err *err)
{
    int rc = errno == ENOSPC || errno == EDQUOT ? BP_NOSPACE : BP_IO;
    return err_set(err, rc, "cannot copy it to %.120s: %s", dir, strerror(errno));
}

static int copy_fresh(int fd, const char *dir, struct copy *c, struct bp_err *err)
{
    char sha[65];
    if (snprintf(c->path, sizeof(c->path), "%s/.copy-XXXXXX", dir) >= (int)sizeof(c->path))
        return err_set(err, BP_INVALID, "the path %.80s... is too long", dir);
    int out = mkostemp(c->path, O_CLOEXEC);
    if (out < 0)
        return write_failed(dir, err);
    c->fresh = 1;
    int rc = digest(fd, out, sha);
    if (!rc)
        rc = fchmod(out, 0500);
    if (rc)
        write_failed(dir, err);
    close(out);
    if (rc) {
        copy_drop(c);
        return err ? err->rc : BP_IO;
    }
    if (strcmp(sha, c->sha) == 0)
        return BP_OK;
    copy_drop(c);
    return err_set(err, BP_LATER, "it changed while it was read");
}

int copy_take(int fd, const char *dir, struct copy *out, struct bp_err *err)
{
    out->fresh = 0;
    if (digest(fd, -1, out->sha))
        return err_set(err, BP_IO, "cannot read it: %s", strerror(errno));
    if (dir_make(dir, err))
        return BP_IO;
    return find_kept(dir, out) ? BP_OK : copy_fresh(fd, dir, out, err);
}

int copy_keep(struct copy *c, const char *dir, const char *name, struct bp_err *err)
{
    char path[PATH_MAX];
    if (!c->fresh)
        return BP_OK;
    if (snprintf(path, sizeof(path), "%s/%s-%.*s.so", dir, name, SHA_IN_NAME, c->sha) >= (int)sizeof(path))
        return err_set(err, BP_INVALID, "the path %.80s... is too long", dir);
    if (rename(c->path, path))
        return write_failed(dir, err);
    memcpy(c->path, path, sizeof(path));
    c->fresh = 0;
    return BP_OK;
}

void copy_drop(struct copy *c)
{
    if (c->fresh)
        unlink(c->path);
    c->fresh = 0;
}

void copy_sweep(const char *dir)
{
    char path[PATH_MAX];
    struct stat st;
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
            continue;
        if (lstat(path, &st) || !S_ISREG(st.st_mode) || time(NULL) - st.st_mtime < OLD_S)
            continue;
        unlink(path);
    }
    if (d)
        closedir(d);
}
