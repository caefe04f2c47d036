/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include "err.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COPY_CHUNK (256 * 1024)
#define TREE_FDS   16

void path_format(char out[PATH_SIZE], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, PATH_SIZE, fmt, ap);
    va_end(ap);
    assert(n >= 0 && n < PATH_SIZE);
}

int file_make_dirs(const char *path, struct bp_err *err)
{
    char part[PATH_SIZE];
    path_format(part, "%s", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return err_errno(err, "make the directory", part, errno);
        *p = was;
        if (!was)
            return 0;
    }
}

/* Reads up to n bytes, fewer only at the end of the file. */
static ssize_t read_all(int fd, char *out, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, out + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static int read_open(int fd, const char *path, size_t max, char **text, struct bp_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "read", path, errno);
    if (!S_ISREG(st.st_mode))
        return err_set(err, BP_INVALID, "%s is not a regular file", path);
    if ((uint64_t)st.st_size > max)
        return err_set(err, BP_INVALID, "%s is larger than %zu bytes", path, max);
    char *data = malloc((size_t)st.st_size + 1);
    if (!data)
        return err_set(err, BP_NOMEM, "no memory to read %s", path);
    ssize_t got = read_all(fd, data, (size_t)st.st_size);
    if (got < 0) {
        int number = errno;
        free(data);
        return err_errno(err, "read", path, number);
    }
    data[got] = 0;
    *text = data;
    return 0;
}

int file_read(const char *path, size_t max, char **text, struct bp_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "open", path, errno);
    int rc = read_open(fd, path, max, text, err);
    close(fd);
    return rc;
}

int file_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int file_sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    int number = errno;
    close(fd);
    errno = number;
    return rc;
}

int file_sync_parent(const char *path)
{
    char dir[PATH_SIZE];
    path_format(dir, "%s", path);
    char *slash = strrchr(dir, '/');
    assert(slash);
    slash[slash == dir] = 0; /* of "/x" the slash itself stays */
    return file_sync_dir(dir);
}

int file_replace(const char *path, const char *text, struct bp_err *err)
{
    char temp[PATH_SIZE];
    path_format(temp, "%s.new", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "write", temp, errno);
    int bad = file_write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0;
    int number = errno;
    close(fd);
    if (!bad && rename(temp, path) == 0 && file_sync_parent(path) == 0)
        return 0;
    if (!bad)
        number = errno;
    unlink(temp);
    return err_errno(err, "write", path, number);
}

/* The kernel copies (or shares the blocks) where both file systems let it. -1 with errno, 0 end, else bytes. */
static ssize_t copy_some(int from, int to, char *buffer, int *plain)
{
    if (!*plain) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
        if (n > 0 || (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EINTR)))
            return n;
        *plain = 1; /* not possible here, or a file whose size the kernel does not know: read() tells the end */
    }
    ssize_t n = read(from, buffer, COPY_CHUNK);
    if (n <= 0)
        return n;
    return file_write_all(to, buffer, (size_t)n) < 0 ? -1 : n;
}

int file_copy(int from, int to)
{
    int plain = 0;
    char *buffer = malloc(COPY_CHUNK);
    if (!buffer)
        return -1;
    ssize_t n;
    do
        n = copy_some(from, to, buffer, &plain);
    while (n > 0 || (n < 0 && errno == EINTR));
    int number = errno;
    free(buffer);
    errno = number;
    return n < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)where;
    if (kind == FTW_DP || kind == FTW_D || kind == FTW_DNR)
        rmdir(path);
    else
        unlink(path);
    return 0;
}

void file_remove_tree(const char *path)
{
    nftw(path, remove_one, TREE_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int64_t file_free_bytes(const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0)
        return -1;
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

void random_hex(char *out, size_t bytes)
{
    unsigned char raw[64];
    assert(bytes <= sizeof raw);
    ssize_t got = getrandom(raw, bytes, 0);
    assert(got == (ssize_t)bytes); /* up to 256 bytes are never cut short once the pool is there */
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}
