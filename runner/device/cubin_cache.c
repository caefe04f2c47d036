/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cubin_cache.h"

#include "device/internal.h"
#include "device/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CUBIN_MAX (256ULL << 20)
#define STALE_S   3600 /* a file that is still being written after this never will be */
#define MAGIC     "bpcubin1"

/* A file is this and the cubin. Written and read on the same machine: its byte order is the machine's. */
struct header {
    char magic[8];
    uint64_t bytes;
    uint8_t sum[32];
};

struct cubin_cache {
    int dir;
    int64_t limit_bytes;
};

void cubin_key_make(struct cubin_key *key, int32_t major_cc, int32_t minor_cc, int driver_version, const char *ptx)
{
    struct sha256 s;
    uint8_t sum[32];
    char hex[41];
    sha256_begin(&s);
    sha256_add(&s, ptx, strlen(ptx));
    sha256_end(&s, sum);
    for (int i = 0; i < 20; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    snprintf(key->name, sizeof key->name, "sm_%d%d-%d-%s.cubin", major_cc, minor_cc, driver_version, hex);
}

int32_t cubin_cache_open(const char *dir, int64_t limit_bytes, struct cubin_cache **out, struct bp_err *err)
{
    *out = NULL;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return device_fail(err, BP_IO, "making the directory of compiled kernels %.120s: %s", dir, strerror(errno));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return device_fail(err, BP_IO, "opening the directory of compiled kernels %.120s: %s", dir, strerror(errno));
    struct cubin_cache *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return device_fail(err, BP_NOMEM, "no memory to keep compiled kernels");
    }
    *c = (struct cubin_cache){.dir = fd, .limit_bytes = limit_bytes};
    *out = c;
    return BP_OK;
}

void cubin_cache_close(struct cubin_cache **cache)
{
    if (*cache)
        close((*cache)->dir);
    free(*cache);
    *cache = NULL;
}

static void sum_of(const void *bytes, uint64_t n, uint8_t out[32])
{
    struct sha256 s;
    sha256_begin(&s);
    sha256_add(&s, bytes, n);
    sha256_end(&s, out);
}

static int read_all(int fd, void *to, uint64_t n)
{
    for (uint64_t got = 0; got < n;) {
        ssize_t k = read(fd, (char *)to + got, n - got);
        if (k == 0 || (k < 0 && errno != EINTR))
            return -1;
        got += k > 0 ? (uint64_t)k : 0;
    }
    return 0;
}

static int write_all(int fd, const void *from, uint64_t n)
{
    for (uint64_t done = 0; done < n;) {
        ssize_t k = write(fd, (const char *)from + done, n - done);
        if (k < 0 && errno != EINTR)
            return -1;
        done += k > 0 ? (uint64_t)k : 0;
    }
    return 0;
}

/* The cubin in a file, if it is just what was once written; NULL else. */
static void *read_cubin(int fd)
{
    struct header h;
    struct stat st;
    uint8_t sum[32];
    if (fstat(fd, &st) < 0 || read_all(fd, &h, sizeof h) < 0 || memcmp(h.magic, MAGIC, sizeof h.magic) != 0 ||
        h.bytes == 0 || h.bytes > CUBIN_MAX || (uint64_t)st.st_size != sizeof h + h.bytes)
        return NULL;
    void *cubin = malloc(h.bytes);
    if (!cubin || read_all(fd, cubin, h.bytes) < 0) {
        free(cubin);
        return NULL;
    }
    sum_of(cubin, h.bytes, sum);
    if (memcmp(sum, h.sum, sizeof sum) == 0)
        return cubin;
    free(cubin);
    return NULL;
}

void *cubin_cache_get(struct cubin_cache *c, const struct cubin_key *key)
{
    int fd = openat(c->dir, key->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *cubin = read_cubin(fd);
    if (cubin)
        (void)futimens(fd, NULL); /* used now: among the last to go */
    else
        unlinkat(c->dir, key->name, 0);
    close(fd);
    return cubin;
}

void cubin_cache_forget(struct cubin_cache *c, const struct cubin_key *key)
{
    unlinkat(c->dir, key->name, 0);
}

static int has_end(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

/* The oldest cubin and what all take together; removes what writers left behind that never finished. */
static int64_t survey(const struct cubin_cache *c, char *oldest, size_t n)
{
    int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int64_t bytes = 0;
    struct timespec first = {0};
    struct stat st;
    *oldest = 0;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (fstatat(c->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (has_end(e->d_name, ".part") && time(NULL) - st.st_mtim.tv_sec > STALE_S)
            unlinkat(c->dir, e->d_name, 0);
        if (!has_end(e->d_name, ".cubin"))
            continue;
        bytes += st.st_size;
        if (!*oldest || st.st_mtim.tv_sec < first.tv_sec ||
            (st.st_mtim.tv_sec == first.tv_sec && st.st_mtim.tv_nsec < first.tv_nsec)) {
            first = st.st_mtim;
            snprintf(oldest, n, "%s", e->d_name);
        }
    }
    closedir(d);
    return bytes;
}

/* One by one, since other runners may be doing the same. */
static void keep_limit(const struct cubin_cache *c)
{
    char oldest[256];
    while (survey(c, oldest, sizeof oldest) > c->limit_bytes && *oldest && unlinkat(c->dir, oldest, 0) == 0) {
    }
}

void cubin_cache_put(struct cubin_cache *c, const struct cubin_key *key, const void *cubin, size_t n)
{
    static unsigned count;
    struct header h = {.magic = MAGIC, .bytes = n};
    char part[128];
    if (n == 0 || n > CUBIN_MAX || (int64_t)(n + sizeof h) > c->limit_bytes)
        return;
    sum_of(cubin, n, h.sum);
    snprintf(part, sizeof part, "%s.%ld.%u.part", key->name, (long)getpid(), count++);
    int fd = openat(c->dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    int bad = write_all(fd, &h, sizeof h) < 0 || write_all(fd, cubin, n) < 0;
    bad = close(fd) < 0 || bad;
    if (bad || renameat(c->dir, part, c->dir, key->name) < 0)
        unlinkat(c->dir, part, 0);
    else
        keep_limit(c);
}
