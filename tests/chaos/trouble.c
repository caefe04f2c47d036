/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trouble.so - loaded into a program with LD_PRELOAD: shifts its wall clock, makes what it writes at a place in a file
 * of a directory wait, as a disk that hangs does, and, where nobody may mount a small file system, refuses to let files
 * of that directory grow, as a full disk does.
 *
 * BP_TROUBLE names a file of three 64-bit numbers, read at every call: milliseconds to add to the wall clock, whether
 * the disk is full, and whether it hangs. BP_TROUBLE_DISK is the directory. System calls are made directly, so that
 * nothing here depends on the order in which libraries and sanitizers start.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *control;
static const char *disk;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("BP_TROUBLE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 3 * sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        control = map;
    disk = getenv("BP_TROUBLE_DISK");
    if (fd >= 0)
        close(fd);
}

/* ---- the clock ---- */

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, t);
    if (rc != 0 || !control || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return rc;
    int64_t ms = control[0], ns = t->tv_nsec + ms % 1000 * 1000000;
    t->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    t->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
    return 0;
}

/* The C library's header says that `tv` is never NULL; callers may differ. */
int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    *tv = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

/* ---- the disk ---- */

static int is_on_disk(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return disk && strncmp(path, disk, strlen(disk)) == 0;
}

/* May the file not grow to `end`? */
static int is_full(int fd, off_t end)
{
    struct stat st;
    if (!control || !control[1] || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || end <= st.st_size || !is_on_disk(fd))
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    struct stat st;
    off_t at = control && control[1] ? lseek(fd, 0, SEEK_CUR) : -1;
    if (at >= 0 && fcntl(fd, F_GETFL) & O_APPEND)
        at = fstat(fd, &st) == 0 ? st.st_size : at;
    return at >= 0 && is_full(fd, at + (off_t)n) ? -1 : syscall(SYS_write, fd, bytes, n);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
    while (control && control[2] && is_on_disk(fd))
        usleep(1000);
    return is_full(fd, at + (off_t)n) ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return pwrite64(fd, bytes, n, at);
}

int fallocate64(int fd, int mode, off_t at, off_t n)
{
    return is_full(fd, at + n) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    return fallocate64(fd, mode, at, n);
}

int posix_fallocate64(int fd, off_t at, off_t n)
{
    return fallocate64(fd, 0, at, n) == 0 ? 0 : errno;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    return posix_fallocate64(fd, at, n);
}
